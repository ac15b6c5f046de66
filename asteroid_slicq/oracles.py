"""The best that a kind of separator could do, given the true sources."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class InvertibleTransform(Protocol):
    """A transform between waveforms and blocks of complex coefficients."""

    def __call__(self, waveform: Tensor) -> Sequence[Tensor]:
        """Coefficients of a waveform."""
        ...

    def inverse(self, coefficients: Sequence[Tensor], length: int) -> Tensor:
        """Waveform of coefficients."""
        ...


def mix_phase_oracle(transform: InvertibleTransform, mix: Tensor, stems: Tensor) -> Tensor:
    """True magnitudes of every stem with the phase of the mix.

    It bounds a separator that estimates magnitudes and takes the phase as it is, and so tells the
    quality of a transform apart from that of a network. Where the mix is silent its phase is
    taken as zero.

    Args:
        transform: for instance a ``SliCQT``.
        mix: the mix.
        stems: the true sources.

    Shape:
        - mix: ``(..., channel, time)``
        - stems: ``(..., source, channel, time)``
        - output: like ``stems``

    Raises:
        ValueError: if the shapes do not belong together.

    >>> from asteroid_slicq.transform import SliCQT
    >>> stems = torch.zeros(4, 2, 44100)
    >>> mix_phase_oracle(SliCQT(), stems.sum(0), stems).shape
    torch.Size([4, 2, 44100])
    """
    if stems.ndim < 3 or mix.shape != stems.shape[:-3] + stems.shape[-2:]:
        raise ValueError(
            "mix must be (..., channel, time) and stems (..., source, channel, time), "
            f"got {tuple(mix.shape)} and {tuple(stems.shape)}"
        )
    # The mix goes through as one more source: blocks are (..., source, channel, freq, …).
    source_dim = stems.ndim - 3
    together = torch.cat([mix.unsqueeze(source_dim), stems], source_dim)
    blocks = []
    for block in transform(together):
        mixed, separate = block.split([1, block.shape[source_dim] - 1], source_dim)
        magnitude = mixed.abs()
        phase = torch.where(magnitude > 0, mixed / magnitude.clamp(min=1e-30), 1.0)
        blocks.append(separate.abs() * phase)
    return transform.inverse(blocks, length=mix.shape[-1])
