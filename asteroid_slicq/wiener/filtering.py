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
from typing import overload

import torch
from torch import Tensor

from asteroid_slicq.wiener.expectation import em
from asteroid_slicq.wiener.recompute import needs_gradient

_EPS = float(torch.finfo(torch.float32).eps)
_SCALE_FACTOR = 10.0
_CHUNK = {"cpu": 2**15}  # bins × frames at a time, so that what is in between stays in the cache
_CHUNK_ELSEWHERE = 2**21


def apply_mix_phase(masks: Tensor, mix: Tensor) -> Tensor:
    """Masked magnitudes of the mix with the mix's own phase, v_j·e^{j∠x} = mask_j·x.

    Shape:
        - masks: ``(batch, source, ...)``, real
        - mix: ``(batch, ...)``, complex
        - output: ``(batch, source, ...)``, complex
    """
    return masks * mix.unsqueeze(1)


def impose_mix_phase(magnitudes: Tensor, mix: Tensor) -> Tensor:
    """Magnitudes with the phase of the mix, v_j·e^{j∠x}; where the mix is silent its phase is 0.

    Shape:
        - magnitudes: ``(batch, source, channel, ...)``, real; one channel serves all of the mix
        - mix: ``(batch, channel, ...)``, complex
        - output: ``(batch, source, channel, ...)``, complex
    """
    phase = torch.where(mix == 0, torch.ones_like(mix), torch.sgn(mix))
    return magnitudes * phase.unsqueeze(1)


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


@overload
def wiener(
    magnitudes: Tensor,
    mix: Tensor,
    iterations: int = 1,
    use_softmask: bool = True,
    window_frames: int | None = None,
    eps: float | None = None,
) -> Tensor: ...


@overload
def wiener(
    magnitudes: Sequence[Tensor],
    mix: Sequence[Tensor],
    iterations: int = 1,
    use_softmask: bool = True,
    window_frames: int | None = None,
    eps: float | None = None,
) -> tuple[Tensor, ...]: ...


def wiener(
    magnitudes: Tensor | Sequence[Tensor],
    mix: Tensor | Sequence[Tensor],
    iterations: int = 1,
    use_softmask: bool = True,
    window_frames: int | None = None,
    eps: float | None = None,
) -> Tensor | tuple[Tensor, ...]:
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
    first = partial(softmask, eps=eps) if use_softmask else impose_mix_phase
    if isinstance(magnitudes, Tensor) and isinstance(mix, Tensor):
        return wiener_em(first(magnitudes, mix), mix, iterations, window_frames, eps)
    _check_blocks(magnitudes, mix, "magnitudes")
    estimates = [first(v, x) for v, x in zip(magnitudes, mix, strict=True)]
    return wiener_em(estimates, tuple(mix), iterations, window_frames, eps)


@overload
def wiener_em(
    estimates: Tensor,
    mix: Tensor,
    iterations: int = 1,
    window_frames: int | None = 5000,
    eps: float | None = _EPS,
) -> Tensor: ...


@overload
def wiener_em(
    estimates: Sequence[Tensor],
    mix: Sequence[Tensor],
    iterations: int = 1,
    window_frames: int | None = 5000,
    eps: float | None = _EPS,
) -> tuple[Tensor, ...]: ...


def wiener_em(
    estimates: Tensor | Sequence[Tensor],
    mix: Tensor | Sequence[Tensor],
    iterations: int = 1,
    window_frames: int | None = 5000,
    eps: float | None = _EPS,
) -> Tensor | tuple[Tensor, ...]:
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
        >>> mix = torch.randn(1, 2, 3, 40, dtype=torch.complex64)
        >>> sources = wiener_em(torch.stack([0.25 * mix, 0.75 * mix], dim=1), mix)
        >>> bool((sources.sum(1) - mix).abs().max() < 0.01)
        True
    """
    _check_options(iterations, window_frames, eps)
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
    window_frames: int | None = 5000,
    eps: float | None = _EPS,
) -> Tensor:
    """:func:`wiener_em` of :func:`apply_mix_phase`, cheaper where no gradient is asked for.

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
    if iterations == 0 or mix.numel() == 0 or needs_gradient(masks, mix):
        return wiener_em(apply_mix_phase(masks, mix), mix, iterations, window_frames, eps)
    _check_options(iterations, window_frames, eps)
    return _filter_block(masks, mix, iterations, window_frames, eps)


def _check_options(iterations: int, window_frames: int | None, eps: float | None) -> None:
    if iterations < 0:
        raise ValueError(f"iterations must be at least 0, got {iterations}")
    if window_frames is not None and window_frames < 1:
        raise ValueError(f"window_frames must be at least 1 or None, got {window_frames}")
    if eps is not None and not eps > 0:
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
    n_frames = x.shape[-1]
    window = min(window or n_frames, n_frames)
    eps = _machine_eps(mix) if eps is None else eps
    dtype = y.dtype if y.is_complex() else torch.promote_types(y.dtype, x.dtype)
    out = None if needs_gradient(y, x) else torch.empty_like(y, dtype=dtype)
    parts = []
    whole = n_frames // window * window  # windows of one length go together
    for start, stop in ((0, whole), (whole, n_frames)):
        if start == stop:
            continue
        size = min(window, stop - start)
        y_part, x_part = (part[..., start:stop].unflatten(-1, (-1, size)) for part in (y, x))
        out_part = None if out is None else out[..., start:stop].unflatten(-1, (-1, size))
        parts.append(_filter_windows(y_part, x_part, iterations, eps, out_part).flatten(-2))
    if out is None:
        out = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
    return out.view(estimates.shape)


def _filter_windows(
    y: Tensor, x: Tensor, iterations: int, eps: float, out: Tensor | None
) -> Tensor:
    """Filter windows of a common spatial covariance each, a few of a few bins at a time.

    Shape:
        - y: ``(batch, source, channel, freq, window, frame)``; x: ``(batch, channel, freq, window,
          frame)``; out: as ``y``, to be written to where no gradient is needed
    """
    # A common scale keeps the regularisation √ε small beside loud mixes and harmless in silence.
    # To divide y and x by it is to multiply ε and √ε by its square.
    re, im = torch.view_as_real(x.detach().resolve_conj()).unbind(-1)
    loudest = torch.addcmul(re.square(), im, im).amax(dim=(1, 2, 4))  # |x|², of items and windows
    dtype = torch.float32 if x.device.type == "mps" else torch.float64
    gain = (loudest.to(dtype) / _SCALE_FACTOR**2).clamp(min=1.0)[:, None, :, None]
    n_bins, n_windows, n_frames = x.shape[2:]
    floors, ridges = (e.expand(-1, n_bins, -1, -1) for e in (eps * gain, eps**0.5 * gain))

    budget = max(1, _CHUNK.get(x.device.type, _CHUNK_ELSEWHERE) // n_frames)
    windows = min(n_windows, budget)
    bins = min(n_bins, max(1, budget // windows))
    items = max(1, budget // (windows * bins))

    def cut(whole: Tensor) -> list[Tensor]:
        """Chunks of what has its items first and ``(freq, window, frame)`` last."""
        return [
            part
            for of_items in whole.split(items)
            for of_bins in of_items.split(bins, -3)
            for part in of_bins.split(windows, -2)
        ]

    outs = None if out is None else cut(out)
    refined = []
    for i, (y_part, x_part, *constants) in enumerate(
        zip(cut(y), cut(x), cut(floors), cut(ridges), strict=True)
    ):
        if outs is None:
            refined.append(em(y_part, x_part, iterations, *constants).to(y.dtype))
        else:
            em(y_part, x_part, iterations, *constants, out=outs[i])
    if out is not None:
        return out
    n_rows, n_columns = math.ceil(n_bins / bins), math.ceil(n_windows / windows)
    refined = [torch.cat(refined[i : i + n_columns], -2) for i in range(0, len(refined), n_columns)]
    refined = [torch.cat(refined[i : i + n_rows], -3) for i in range(0, len(refined), n_rows)]
    return torch.cat(refined)


def _machine_eps(mix: Tensor) -> float:
    return float(torch.finfo(mix.dtype).eps)


def _check_blocks(blocks: object, mix: object, name: str) -> None:
    if isinstance(blocks, Tensor) or isinstance(mix, Tensor) or len(blocks) != len(mix):  # type: ignore[arg-type]
        raise ValueError(f"{name} and mix must both be tensors or have the same number of blocks")
