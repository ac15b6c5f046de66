"""Design of a sliced, nonstationary Gabor frame in NumPy float64.

Sources: Holighaus, Dörfler, Velasco, Grill (2013), "A framework for invertible, real-time
constant-Q transforms" [H12], for slices and bins; Schörkhuber, Klapuri, Holighaus, Dörfler (2014),
"A Matlab toolbox for efficient perfect reconstruction time-frequency transforms with log-frequency
resolution" [S14], for the rasterisations.

Notation is that of :mod:`asteroid_slicq.transform.frame`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from asteroid_slicq.transform.frame import Frame
from asteroid_slicq.transform.frame_config import FrameConfig
from asteroid_slicq.transform.scales import Array, Scale
from asteroid_slicq.transform.windows import analysis_windows, canonical_dual

_MORE_BINS = 64  # how many more bins are tried where there are too few


def suggested_slice_length(bandwidths_hz: Array, sample_rate: float) -> int:
    """Shortest slice in which every bin is well resolved: ``max_k 8·fs / bandwidth_k``.

    The bandwidth is ``f_k / Q_k``. Rounded up to a multiple of 4 [H12, on the slice length].
    """
    return 4 * math.ceil(math.ceil(np.max(8 * sample_rate / bandwidths_hz)) / 4)


def suggested_transition_length(slice_length: int) -> int:
    """A quarter of the slice, rounded up to an even number."""
    return 2 * math.ceil(slice_length // 4 / 2)


class UnfitError(ValueError):
    """Arguments that are right one by one, but give no frame together.

    Attributes:
        reason: what is wrong.
        mended: arguments that do give a frame, one of them another; None where none was found.
    """

    def __init__(self, reason: str, mended: FrameConfig | None = None, advice: str = "") -> None:
        super().__init__(f"{reason}; {advice}" if advice else reason)
        self.reason, self.mended = reason, mended


def design_frame(
    scale: Scale = "bark",
    n_bins: int = 262,
    f_min_hz: float = 32.9,
    f_max_hz: float | None = None,
    sample_rate: float = 44100,
    slice_length: int | None = None,
    transition_length: int | None = None,
    window: str = "blackman-harris",
    min_width: int = 16,
    min_bandwidth_hz: float = 0.0,
    bandwidth_factor: float = 1.0,
    gamma_hz: float = 0.0,
    rasterize: str = "none",
    overlap_added: bool = False,
    phase: str = "local",
    n_coefficients: int | None = None,
) -> Frame:
    """Compute a :class:`Frame`.

    Args and errors are those of :class:`FrameConfig`.

    Raises:
        UnfitError: a ``ValueError``, when no frame results; the message names one argument that
            mends it, where one alone does.
    """
    bins = (scale, n_bins, f_min_hz, f_max_hz, sample_rate)
    slices = (slice_length, transition_length)
    widths = (window, min_width, min_bandwidth_hz, bandwidth_factor, gamma_hz)
    layout = (rasterize, overlap_added, phase, n_coefficients)
    return frame_of(FrameConfig(*bins, *slices, *widths, *layout))


def frame_of(config: FrameConfig) -> Frame:
    """The :class:`Frame` of a configuration; errors are those of :func:`design_frame`."""
    try:
        return _design(config)
    except UnfitError as error:
        for name, values in _safer(config):
            mended = [replace(config, **{name: value}) for value in values]
            if _is_frame(mended[-1]):
                nearest = next(filter(_is_frame, mended))
                advice = f"{name} = {getattr(nearest, name)} works"
                raise UnfitError(error.reason, nearest, advice) from None
        raise UnfitError(
            error.reason,
            advice="the lowest bin must lie below a quarter of the sample rate, the highest above "
            "that, and those in between close enough to meet",
        ) from None


def _is_frame(config: FrameConfig) -> bool:
    try:
        _design(config)
    except ValueError:
        return False
    return True


def _safer(config: FrameConfig) -> Iterator[tuple[str, Sequence[float]]]:
    """Values of one argument that let more frames through, the nearest first, the safest last."""
    for name, safe in (("bandwidth_factor", 1.0), ("min_bandwidth_hz", 0.0), ("gamma_hz", 0.0)):
        if (value := getattr(config, name)) != safe:
            yield name, [*(float(f"{v:.4g}") for v in _between(value, safe)), safe]
    if config.min_width > 16:
        yield "min_width", [*(4 * round(v / 4) for v in _between(config.min_width, 16)), 16]
    if isinstance(config.scale, str):
        fewest = max(1 if config.scale == "octave" else 2, config.n_bins + 1)
        yield from (("n_bins", [n]) for n in range(fewest, fewest + _MORE_BINS))
        # The lowest bin must lie below half of Nyquist, the highest above.
        for name, shares in (
            ("f_max_hz", (0.55, 0.6, 0.7, 0.8, 0.9, 1.0)),
            ("f_min_hz", (0.45, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)),
        ):
            yield name, [float(f"{share * config.nyquist_hz:.6g}") for share in shares]


def _between(value: float, safe: float) -> list[float]:
    """Numbers between a value and a safe one, the nearest first."""
    return [safe + part * (value - safe) for part in (0.75, *(0.5**i for i in range(1, 12)))]


def _design(c: FrameConfig) -> Frame:
    nyquist_hz = c.nyquist_hz
    if c.min_width % 4 or c.min_width < 4:
        raise ValueError(
            f"min_width must be a positive multiple of 4, got {c.min_width}; "
            f"nearest that works: {max(4, 4 * round(c.min_width / 4))}"
        )
    if c.min_bandwidth_hz >= nyquist_hz:
        raise UnfitError(
            f"min_bandwidth_hz must be less than sample_rate / 2 = {nyquist_hz} Hz, "
            f"got {c.min_bandwidth_hz}"
        )
    # A frame asks for more than a scale does, whose own advice would not do.
    if isinstance(c.scale, str) and c.n_bins < (1 if c.scale == "octave" else 2):
        raise UnfitError(f"n_bins must be at least 2 (octave: 1), got {c.n_bins}")
    if isinstance(c.scale, str) and c.f_min_hz >= c.highest_hz:
        raise UnfitError(
            f"f_min_hz must lie below f_max_hz = {c.highest_hz} Hz, got {c.f_min_hz} Hz"
        )
    f_hz, q = c.scale_bins()
    inside = (f_hz > 0) & (f_hz < nyquist_hz * (1 - 1e-12))
    if not inside.any():
        raise ValueError(
            f"scale must have a bin between 0 Hz and sample_rate / 2 = {nyquist_hz} Hz, got bins "
            f"from {f_hz[0]} Hz to {f_hz[-1]} Hz; one at {nyquist_hz / 2} Hz works"
        )
    f_hz, q = f_hz[inside], q[inside]
    n = _slice_length(f_hz, q, c)
    tr = suggested_transition_length(n) if c.transition_length is None else c.transition_length
    if tr < 2 or tr % 2 or tr > n // 2:
        raise ValueError(
            "transition_length must be even and between 2 and slice_length / 2 = "
            f"{n // 2}, got {tr}; nearest that works: {min(max(2, 2 * round(tr / 2)), n // 2)}"
        )

    nu = f_hz * n / c.sample_rate
    floor = max(c.min_width, 4 * math.ceil(c.min_bandwidth_hz * n / c.sample_rate / 4 - 1e-6))
    widths = _widths(nu, q, n, floor, c.bandwidth_factor, c.gamma_hz * n / c.sample_rate)
    if widths.max() > n // 2:
        k = int(widths.argmax())
        raise UnfitError(
            f"the bin at {[0, *f_hz, nyquist_hz][k]:.5g} Hz is too wide: {widths[k]} DFT bins of a "
            f"slice that has {n // 2} of them below Nyquist"
        )
    positions = 2 * np.round(np.concatenate([[0], nu, [n / 2]]) / 2).astype(np.int64)
    windows = analysis_windows(widths, c.window)
    lengths = _lengths(widths, f_hz, c.rasterize, c.n_coefficients)
    try:
        duals = canonical_dual(windows, positions, lengths, n)
    except ValueError as error:
        raise UnfitError(str(error)) from None
    return Frame(
        sample_rate=c.sample_rate,
        slice_length=n,
        transition_length=tr,
        frequencies_hz=np.concatenate([[0], f_hz, [nyquist_hz]]),
        positions=positions,
        widths=widths,
        lengths=lengths,
        windows=windows,
        duals=duals,
        phase=c.phase,
        overlap_added=c.overlap_added,
    )


def _slice_length(f_hz: Array, q: Array, c: FrameConfig) -> int:
    """The given length, checked, or the shortest that resolves every bin."""
    given, own_hz = c.slice_length, f_hz / q * c.bandwidth_factor
    bandwidths_hz = np.maximum(own_hz, c.min_bandwidth_hz)
    needed = suggested_slice_length(bandwidths_hz, c.sample_rate)
    if given is None:
        if own_hz.min() < c.min_bandwidth_hz:
            # The floor in Hz holds only where it is no narrower than the floor in DFT bins.
            shortest = c.min_width * c.sample_rate / c.min_bandwidth_hz
            needed = max(needed, 4 * math.ceil(shortest / 4))
        return needed
    if given < 4 or given % 4:
        raise ValueError(
            f"slice_length must be a positive multiple of 4, got {given}; "
            f"nearest that works: {max(needed, 4 * round(given / 4))}"
        )
    if given < needed:
        k = int(np.argmin(bandwidths_hz))
        raise ValueError(
            f"slice_length = {given} is too short for Q = {q[k]:.4g} at {f_hz[k]:.4g} Hz: the "
            f"shortest that works is {needed}, or min_bandwidth_hz = "
            f"{math.ceil(8 * c.sample_rate / given * 100) / 100}"
        )
    return given


def _widths(nu: Array, q: Array, n: int, floor: int, factor: float, gamma: float) -> np.ndarray:
    """``L_k = 4·round((ν_{k+1} − ν_{k−1})/4)``, with the rules for the ends of the scale.

    Of a pair of arrays too: a scale's Q shapes its end bins and the slice; in between the bins'
    distance does, so that they always overlap.
    """
    edges = np.concatenate([[0], nu, [n / 2]])
    raw = np.empty(len(edges))
    raw[1:-1] = edges[2:] - edges[:-2]
    raw[1:-1] += gamma  # of the variable-Q scale, whose bands are wider than their distance
    raw[1] = nu[0] / q[0]
    raw[-2] = nu[-1] / q[-1]
    raw[1:-1] *= factor
    raw[0] = 2 * nu[0]
    raw[-1] = 2 * (n / 2 - nu[-1])  # from the last bin to its mirror image
    return np.maximum(4 * np.round(raw / 4).astype(np.int64), floor)


def _lengths(
    widths: np.ndarray, f_hz: Array, rasterize: str, n_coefficients: int | None
) -> np.ndarray:
    """``M_k`` from ``L_k`` [S14]; all multiples of 4.

    Piecewise: with o octaves, T = 2^o·⌈L_max / 2^o⌉ and M_k = T / 2^(⌈log2(T / L_k)⌉ − 1), but T at
    most.
    """
    widest = int(widths.max())
    if n_coefficients is not None:
        if rasterize != "full":
            raise ValueError(
                f'n_coefficients needs rasterize="full", got {rasterize!r}; '
                "n_coefficients = None works"
            )
        if n_coefficients < widest or n_coefficients % 4:
            raise ValueError(
                "n_coefficients must be a multiple of 4, at least the widest bin's "
                f"{widest}, got {n_coefficients}; nearest that works: "
                f"{max(widest, 4 * round(n_coefficients / 4))}"
            )
        widest = n_coefficients
    if rasterize == "none":
        return widths
    if rasterize == "full":
        return np.full_like(widths, widest)
    octaves = max(2, math.ceil(np.log2(f_hz[-1] / f_hz[0])))
    top = 2**octaves * math.ceil(widest / 2**octaves)
    exponent = np.ceil(np.log2(top / widths) - 1e-12).astype(np.int64) - 1
    return top // 2 ** np.clip(exponent, 0, octaves - 2)
