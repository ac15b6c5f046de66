"""From masks to complex sources: the phase of the mix, and multichannel Wiener filtering by EM.

Everything here takes any layout of coefficients: one tensor, such as an STFT or a matrix, or the
blocks of a sliCQT. Whatever follows the frequencies, be it frames or slices and the coefficients in
them, is time; blocks are filtered one by one.

Sources: Nugraha, Liutkus, Vincent (2016), "Multichannel audio source separation with deep neural
networks", for the expectation-maximisation; Hanssian (2021), "Music demixing with the sliCQ
transform", for running it on each block of a sliCQT.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TypeVar, cast

import torch
from torch import Tensor

from asteroid_slicq.transform import check_integer, check_number, check_range, phase_factors
from asteroid_slicq.wiener.expectation import BlockPieces, ExpectationMaximisation
from asteroid_slicq.wiener.rows import Blocks, RowPieces

Coefficients = TypeVar("Coefficients", Tensor, Sequence[Tensor])
"""One tensor, or the blocks of a sliCQT; what goes in comes out."""

EPS = float(torch.finfo(torch.float32).eps)
"""ε of xumx-sliCQ V2."""

WINDOW_FRAMES = 5000
"""Frames over which its spatial covariances are constant."""


def apply_mix_phase(masks: Tensor, mix: Tensor) -> Tensor:
    """Masked magnitudes of the mix with the mix's own phase, v_j·e^{j∠x} = mask_j·x.

    Shape:
        - masks: ``(batch, source, ...)``, real
        - mix: ``(batch, ...)``, complex
        - output: ``(batch, source, ...)``, complex
    """
    return masks * mix.unsqueeze(1)


def in_part(refined: Tensor, estimates: Tensor, share: float) -> Tensor:
    """What a filter has made of estimates, in part, and for the rest the estimates.

    A filter that trusts its estimates too much repeats their errors; the mean of both has smaller
    ones.

    Args:
        refined: by the filter.
        estimates: that it was given.
        share: of the former, 0 … 1.

    Shape:
        - refined, estimates, output: the same, any
    """
    return refined if share == 1 else estimates + share * (refined - estimates)


def check_share(share: float, passes_through: bool = False) -> float:
    """A share of what Wiener-EM makes of estimates, by the name that models call it.

    Args:
        share: to check.
        passes_through: whether there are blocks that are all of the mix in every source.

    Raises:
        TypeError: for no number.
        ValueError: outside 0 … 1; for 0, or below 1 where blocks pass through.
    """
    check_range("wiener_share", share, 0, 1, "")
    if share == 0:
        raise ValueError("wiener_share must be above 0, got 0; wiener_iterations=0 does without")
    if share < 1 and passes_through:
        raise ValueError(
            f"wiener_share must be 1 with bandwidth_hz, got {share}: only Wiener-EM shares out "
            "what passes through"
        )
    return float(share)


def mix_phase(mix: Tensor) -> Tensor:
    """Phase factors of the mix, e^{j∠x}; where it is silent its phase is 0."""
    return phase_factors(mix)


def impose_mix_phase(magnitudes: Tensor, mix: Tensor) -> Tensor:
    """Magnitudes with the phase of the mix, v_j·e^{j∠x}; where the mix is silent its phase is 0.

    Shape:
        - magnitudes: ``(batch, source, channel, ...)``, real; one channel serves all of the mix
        - mix: ``(batch, channel, ...)``, complex
        - output: ``(batch, source, channel, ...)``, complex
    """
    return magnitudes * mix_phase(mix).unsqueeze(1)


def softmask(magnitudes: Tensor, mix: Tensor, eps: float | None = None) -> Tensor:
    """Each source's share of the magnitudes, of the mix: v_j / (ε + Σ_i v_i)·x.

    Args:
        magnitudes: of the sources, not negative.
        mix: the mix.
        eps: ε; None is the machine epsilon of the mix.

    Shape:
        - magnitudes: ``(batch, source, channel, ...)``, real; one channel serves all of the mix
        - mix: ``(batch, channel, ...)``, complex
        - output: ``(batch, source, channel, ...)``, complex
    """
    eps = _machine_eps(mix) if eps is None else eps
    return magnitudes / (eps + magnitudes.sum(1, keepdim=True)) * mix.unsqueeze(1)


def wiener(
    magnitudes: Coefficients,
    mix: Coefficients,
    iterations: int = 1,
    use_softmask: bool = True,
    window_frames: int | None = None,
    eps: float | None = None,
) -> Coefficients:
    """Sources from their magnitudes: a first estimate, then :func:`wiener_em`.

    With the defaults this is ``norbert.wiener`` (Liutkus, Stöter 2019), differentiable and for
    batches.

    Args:
        magnitudes: of the sources, not negative.
        mix: the mix.
        iterations: EM iterations.
        use_softmask: whether the first estimate is :func:`softmask`, which suits rough magnitudes,
            or :func:`impose_mix_phase`.
        window_frames: as for :func:`wiener_em`.
        eps: as for :func:`wiener_em` and :func:`softmask`.

    Shape:
        - magnitudes: ``(batch, source, channel, freq, ...)``, real; one channel serves all of the
          mix
        - mix: ``(batch, channel, freq, ...)``, complex
        - output: ``(batch, source, channel, freq, ...)``, complex; blocks for blocks

    Raises:
        ValueError: as :func:`wiener_em`.
    """
    magnitudes, mix = _listed(magnitudes), _listed(mix)
    first = partial(softmask, eps=eps) if use_softmask else impose_mix_phase
    if isinstance(magnitudes, Tensor) and isinstance(mix, Tensor):
        return wiener_em(first(magnitudes, mix), mix, iterations, window_frames, eps)
    _check_blocks(magnitudes, mix, "magnitudes")
    estimates = [first(v, x) for v, x in zip(magnitudes, mix, strict=True)]
    return wiener_em(estimates, tuple(mix), iterations, window_frames, eps)


def wiener_em(
    estimates: Coefficients,
    mix: Coefficients,
    iterations: int = 1,
    window_frames: int | None = WINDOW_FRAMES,
    eps: float | None = EPS,
) -> Coefficients:
    """Refine complex source estimates by the multichannel Wiener filter, differentiably.

    Each source is a zero-mean Gaussian in each frequency bin, with a power spectral density PSD_j
    that varies over time and a spatial covariance R_j that does not. One iteration estimates both
    from the current sources and filters the mix with them:

        PSD_j = mean_c |y_j|²,    R_j = Σ_t y_j y_jᴴ / (ε + Σ_t PSD_j),
        y_j ← PSD_j·R_j·(Σ_i PSD_i·R_i + √ε·I)⁻¹·x,

    all of it divided by max(1, max |x| / 10) before and multiplied after, a constant for the
    gradient. Two channels are solved in closed form. The defaults are those of xumx-sliCQ V2.

    The matrices of a mix that is all but mono are all but singular, so everything between input and
    output is float64 (on devices that have it): float32 differs from float64 by less than 1e-5
    of the peak of the mix. It is computed a few bins at a time, for the gradient once more.

    Args:
        estimates: first estimates of the sources; not changed.
        mix: the mix; not changed.
        iterations: EM iterations; 0 returns the estimates.
        window_frames: frames over which a spatial covariance is constant; None is all of them.
        eps: ε; None is the machine epsilon of the mix.

    Shape:
        - estimates: ``(batch, source, channel, freq, ...)``, complex: a spectrogram with frames, a
          block with slices and time, or a sequence of these
        - mix: ``(batch, channel, freq, ...)``, complex
        - output: as ``estimates``; a tuple where they are a sequence

    Raises:
        ValueError: for shapes that do not fit, estimates that are not complex, a negative number of
            iterations, an empty window or an ``eps`` that is not positive.

    Example:
        >>> noise = torch.Generator().manual_seed(0)
        >>> mix = torch.randn(1, 2, 3, 40, dtype=torch.complex64, generator=noise)
        >>> sources = wiener_em(torch.stack([0.25 * mix, 0.75 * mix], dim=1), mix)
        >>> bool((sources.sum(1) - mix).abs().max() < 0.01)
        True
    """
    _check_options(iterations, window_frames, eps)
    estimates, mix = _listed(estimates), _listed(mix)
    for block in [estimates] if isinstance(estimates, Tensor) else estimates:
        if not block.is_complex():
            raise ValueError(f"estimates must be complex, got {block.dtype}")
    if isinstance(estimates, Tensor) and isinstance(mix, Tensor):
        return _filter_block(estimates, mix, iterations, window_frames, eps)
    _check_blocks(estimates, mix, "estimates")
    return tuple(
        _filter_block(y, x, iterations, window_frames, eps)
        for y, x in zip(estimates, mix, strict=True)
    )


def filter_masked(
    masks: Tensor,
    mix: Tensor,
    iterations: int = 1,
    window_frames: int | None = WINDOW_FRAMES,
    eps: float | None = EPS,
) -> Tensor:
    """:func:`wiener_em` of :func:`apply_mix_phase`, cheaper: the products are never in memory.

    Shape:
        - masks: ``(batch, source, channel, freq, ...)``, real
        - mix: ``(batch, channel, freq, ...)``, complex
        - output: ``(batch, source, channel, freq, ...)``, complex

    Raises:
        ValueError: as :func:`wiener_em`; for masks that are complex.
    """
    if masks.is_complex():
        raise ValueError(f"masks must be real, got {masks.dtype}")
    if masks[:, 0].shape != mix.shape:
        raise ValueError(
            "masks must be (batch, source, channel, freq, ...) and mix the same without source, "
            f"got {tuple(masks.shape)} and {tuple(mix.shape)}"
        )
    _check_options(iterations, window_frames, eps)
    if iterations == 0 or mix.numel() == 0:
        return apply_mix_phase(masks, mix)
    return _filter_block(masks, mix, iterations, window_frames, eps)


def filter_all_masked(
    masks: Tensor,
    mix: Tensor,
    blocks: Blocks,
    iterations: int = 1,
    window_frames: int | None = WINDOW_FRAMES,
    eps: float | None = EPS,
) -> Tensor:
    """:func:`filter_masked` of all blocks at once, in few operations: for a GPU, or short inputs.

    Args:
        masks: of all blocks, one behind the other, each in the order of its axes.
        mix: the same.
        blocks: bins, and coefficients in a slice, of each block.
        iterations: as for :func:`wiener_em`, for each block.
        window_frames: the same.
        eps: the same.

    Shape:
        - masks: ``(batch, source, channel, place)``, real, and mix: ``(batch, channel, place)``,
          complex; ``(freq, slice, time)`` of a block fills as many places as it has coefficients
        - output: ``(batch, source, channel, place)``, complex

    Raises:
        ValueError: as :func:`filter_masked`; when the places are not those of whole slices.
    """
    if masks.is_complex() or masks.ndim != 4 or masks[:, 0].shape != mix.shape:
        raise ValueError(
            "masks must be real, (batch, source, channel, place), and mix the same without source, "
            f"got {masks.dtype}, {tuple(masks.shape)} and {tuple(mix.shape)}"
        )
    n_slices, rest = divmod(mix.shape[-1], sum(n * m for n, m in blocks))
    if rest:
        raise ValueError(f"mix must hold whole slices of its blocks, got {tuple(mix.shape)}")
    _check_options(iterations, window_frames, eps)
    if iterations == 0 or mix.numel() == 0:
        return apply_mix_phase(masks, mix)
    pieces = RowPieces(blocks, n_slices, window_frames, _machine_eps(mix) if eps is None else eps)
    return cast(Tensor, ExpectationMaximisation.apply(masks, mix, iterations, pieces))


def _listed(blocks: Coefficients) -> Coefficients:
    """One tensor as it is, blocks as a list: they may come from an iterator, which runs once."""
    return cast(Coefficients, blocks if isinstance(blocks, Tensor) else list(blocks))


def _check_options(iterations: int, window_frames: int | None, eps: float | None) -> None:
    check_integer("iterations", iterations, 0)
    if window_frames is not None:
        check_integer("window_frames", window_frames, 1)
    if eps is not None and not 0 < check_number("eps", eps) < math.inf:
        raise ValueError(f"eps must be above 0 or None, got {eps}")


def _filter_block(
    estimates: Tensor, mix: Tensor, iterations: int, window: int | None, eps: float | None
) -> Tensor:
    if estimates.ndim < 5 or estimates[:, 0].shape != mix.shape:
        raise ValueError(
            "estimates must be (batch, source, channel, freq, frame) or (…, freq, slice, time) and "
            f"mix the same without source, got {tuple(estimates.shape)} and {tuple(mix.shape)}"
        )
    if iterations == 0 or mix.numel() == 0:
        return estimates
    y, x = estimates.flatten(4), mix.flatten(3)
    window = min(window or x.shape[-1], x.shape[-1])
    eps = _machine_eps(mix) if eps is None else eps
    refined = ExpectationMaximisation.apply(y, x, iterations, BlockPieces(window, eps))
    return cast(Tensor, refined).reshape(estimates.shape)


def _machine_eps(mix: Tensor) -> float:
    return float(torch.finfo(mix.dtype).eps)


def _check_blocks(blocks: object, mix: object, name: str) -> None:
    if isinstance(blocks, Tensor) or isinstance(mix, Tensor) or len(blocks) != len(mix):  # type: ignore[arg-type]
        raise ValueError(f"{name} and mix must both be tensors or have the same number of blocks")
