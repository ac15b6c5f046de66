"""Coefficients relative to the level of the mix: a louder mix gives sources that are louder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asteroid_slicq.models.bandsplit.bands import Bands
from asteroid_slicq.models.bandsplit.network import StreamState

_SILENCE = 1e-20  # mean square: −200 dB


def relative_to_level(
    mix: Sequence[Tensor], bands: Bands, state: StreamState | None = None
) -> list[Tensor]:
    """Coefficients as amplitudes relative to the level of the mix, in parts.

    The level is the root of the mean over channels and time of the power of all bins.

    Args:
        mix: coefficients of the mix, one tensor a block.
        bands: of the transform.
        state: of a causal model, to be updated: the level is then that of the time up to each
            network step, what the state has seen before included.

    Shape:
        - mix: ``(batch, channel, freq, time)`` each, complex
        - output: ``(batch, channel, freq, time, 2)`` each
    """
    gains, widths = bands.gains, [2 * rate for rate in bands.rates]
    blocks = [torch.view_as_real(c.resolve_conj()).flatten(-2) for c in mix]
    steps = [
        block.square().sum(2).mean(1).unflatten(1, (-1, width)).mean(2) * (2 * gain**2)
        for block, gain, width in zip(blocks, gains, widths, strict=True)
    ]
    power = sum(steps[1:], steps[0])  # batch, step
    if state is not None:
        total = power.cumsum(1) + state.power
        n_before, n_steps = state.n_steps, power.shape[1]
        state.power, state.n_steps = total[:, -1:], n_before + n_steps
        count = torch.arange(n_before + 1, n_before + n_steps + 1, device=total.device)
        mean = total / count
    else:
        mean = power.mean(1, keepdim=True).expand_as(power)
    levels = (mean + _SILENCE).sqrt()[..., None]
    return [
        (block * (gain / levels).expand(-1, -1, width).flatten(1)[:, None, None]).unflatten(
            -1, (-1, 2)
        )
        for block, gain, width in zip(blocks, gains, widths, strict=True)
    ]
