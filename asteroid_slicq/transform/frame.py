"""Design of a sliced, nonstationary Gabor frame: everything a sliCQT needs, in NumPy float64.

Sources: Holighaus, Dörfler, Velasco, Grill (2013), "A framework for invertible, real-time
constant-Q transforms" [H12], for slices and bins; Schörkhuber, Klapuri, Holighaus, Dörfler (2014),
"A Matlab toolbox for efficient perfect reconstruction time-frequency transforms with log-frequency
resolution" [S14], for the rasterisations.

Notation: a slice has N samples and hops by N/2. Bin k sits at the DFT bin ``p_k`` of the slice, its
window is ``L_k`` DFT bins wide, and its IDFT yields ``M_k ≥ L_k`` coefficients a slice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np

from asteroid_slicq.transform.frame_arguments import UnfitError, advise, check_arguments
from asteroid_slicq.transform.scales import Array, Scale, design_scale
from asteroid_slicq.transform.windows import analysis_windows, canonical_dual, tukey


@dataclass(frozen=True, eq=False)
class Frame:
    """Bins, windows and slices of a sliCQT. Build it with :func:`design_frame`.

    Attributes:
        sample_rate: in Hz.
        slice_length: N, samples, a multiple of 4.
        transition_length: samples over which the slicing window rises, even, at most N/2.
        frequencies_hz: centre frequencies of all bins, DC first and Nyquist last.
        positions: ``p_k``, DFT bins of the slice, even.
        widths: ``L_k``, DFT bins that the window of each bin covers, multiples of 4.
        lengths: ``M_k``, coefficients of each bin in a slice; the widths, unless rasterised.
        windows: analysis windows ``g_k[j]``, −L_k/2 ≤ j < L_k/2, one array a bin.
        duals: synthesis windows with Σ_k g_k·dual_k = 1 at every DFT bin of the slice.
        phase: ``local`` or ``global``, see :func:`design_frame`.
        overlap_added: whether the coefficients of neighbouring slices are added where they overlap.

    Shape:
        - ``frequencies_hz``, ``positions``, ``widths``, ``lengths``: ``(n_bins,)``
        - ``windows[k]``, ``duals[k]``: ``(L_k,)``
    """

    sample_rate: float
    slice_length: int
    transition_length: int
    frequencies_hz: Array
    positions: np.ndarray
    widths: np.ndarray
    lengths: np.ndarray
    windows: tuple[Array, ...]
    duals: tuple[Array, ...]
    phase: str = "local"
    overlap_added: bool = False

    @property
    def n_bins(self) -> int:
        """Number of bins, DC and Nyquist counted."""
        return len(self.widths)

    @property
    def slice_hop(self) -> int:
        """Distance between slices in samples, N/2."""
        return self.slice_length // 2

    @property
    def coefficients_per_slice(self) -> int:
        """Complex coefficients of one slice over all bins, ΣM_k."""
        return int(self.lengths.sum())

    @property
    def redundancy(self) -> float:
        """Real numbers in the coefficients for each sample of a long signal."""
        sliced = 2 * self.coefficients_per_slice / self.slice_hop
        return sliced / 2 if self.overlap_added else sliced

    @cached_property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """``(bins, coefficients per slice)`` of each run of neighbours of one length."""
        edges = [0, *(np.flatnonzero(np.diff(self.lengths)) + 1).tolist(), self.n_bins]
        return tuple((b - a, int(self.lengths[a])) for a, b in pairwise(edges))

    @cached_property
    def bins_per_block(self) -> tuple[int, ...]:
        """Number of bins of each block."""
        return tuple(n for n, _ in self.blocks)

    @cached_property
    def hop_per_block(self) -> Array:
        """Samples between two coefficients of each block, N/M (a fraction in general)."""
        return np.array([self.slice_length / m for _, m in self.blocks])

    @cached_property
    def slicing_window(self) -> Array:
        """The Tukey window of a slice; windows of neighbouring slices sum to one.

        Shape:
            - output: ``(slice_length,)``
        """
        times = np.arange(self.slice_length, dtype=np.float64)
        return tukey(times, self.slice_length, self.transition_length)

    def slicing_window_at(self, n_coefficients: int) -> Array:
        """The slicing window at the times of a bin's coefficients, ``i·N/M``.

        Shape:
            - output: ``(n_coefficients,)``
        """
        times = np.linspace(0, self.slice_length, n_coefficients, endpoint=False)
        return tukey(times, self.slice_length, self.transition_length)

    def n_slices(self, length_samples: int) -> int:
        """Number of slices that cover a signal, the first centred on its first sample."""
        return math.ceil(length_samples / self.slice_hop) + 1

    def table(self, length_samples: int) -> list[list[int]]:
        """``[bins, slices, coefficients]`` of each block for a signal of this length."""
        return [[n, self.n_slices(length_samples), m] for n, m in self.blocks]

    def frequency_hz(self) -> list[Array]:
        """Centre frequency of each row of each block, in Hz.

        Shape:
            - output: ``(freq,)`` each
        """
        edges = np.cumsum(self.bins_per_block)[:-1]
        return np.split(self.frequencies_hz, edges)

    def time_s(self, length_samples: int) -> list[Array]:
        """Time of each coefficient of each block, in seconds; the signal begins at 0.

        The first slice is centred on the first sample, so the first half of its times is negative.

        Shape:
            - output: ``(slice, time)`` each, or ``(time,)`` when overlap-added
        """
        n_slices, axes = self.n_slices(length_samples), []
        for _, m in self.blocks:
            step_s = self.slice_length / m / self.sample_rate
            stream = (np.arange((n_slices + 1) * (m // 2)) - m // 2) * step_s
            sliced = np.lib.stride_tricks.sliding_window_view(stream, m)[:: m // 2]
            axes.append(stream if self.overlap_added else sliced.copy())
        return axes


def suggested_slice_length(bandwidths_hz: Array, sample_rate: float) -> int:
    """Shortest slice in which every bin is well resolved: ``max_k 8·fs / bandwidth_k``.

    The bandwidth is ``f_k / Q_k``. Rounded up to a multiple of 4 [H12, on the slice length].
    """
    return 4 * math.ceil(math.ceil(np.max(8 * sample_rate / bandwidths_hz)) / 4)


def suggested_transition_length(slice_length: int) -> int:
    """A quarter of the slice, rounded up to an even number."""
    return 2 * math.ceil(slice_length // 4 / 2)


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

    Args:
        scale: frequency scale, see :func:`asteroid_slicq.transform.scales.design_scale`.
        n_bins: bins of the scale, both ends counted (of one octave for ``octave``); DC and Nyquist
            are added, and what lies at or above Nyquist is dropped.
        f_min_hz: lowest centre frequency in Hz.
        f_max_hz: highest centre frequency in Hz; None is half the sample rate.
        sample_rate: in Hz.
        slice_length: N, samples, a multiple of 4; None is the scale's suggestion.
        transition_length: samples, even, at most N/2; None is a quarter of the slice.
        window: ``blackman-harris``, ``hann`` or ``sine``.
        min_width: least width of a bin, in DFT bins of the slice, a multiple of 4.
        min_bandwidth_hz: least width of a bin in Hz. It bounds the time resolution of the bass.
        bandwidth_factor: every bin of the scale is this much wider than the scale makes it.
        gamma_hz: bandwidth that the scale ``vqlog`` adds to every bin, in Hz.
        rasterize: ``none``: as many coefficients as a bin is wide; ``piecewise``: the widest bin's
            over a power of two; ``full``: the widest bin's for all [S14].
        overlap_added: add the coefficients of neighbouring slices where they overlap.
        phase: ``local``: every bin demodulated to 0 Hz, so that a sine at its centre has a constant
            phase; ``global``: the phase turns at the frequency of the sine [S14].
        n_coefficients: of every bin in a slice, where ``rasterize`` is ``full``: a multiple of 4,
            at least the widest bin's, which is the default.

    Raises:
        TypeError: when a size is no integer, or another value no number.
        ValueError: when an argument lies outside its range, or no frame results; the message names
            the nearest value that works.
    """
    arguments = dict(locals())
    check_arguments(arguments)
    try:
        return _design(arguments)
    except UnfitError as error:
        raise ValueError(f"{error}; {advise(_design, arguments)}") from None


def _design(arguments: dict[str, Any]) -> Frame:
    """The frame of arguments that have been checked one by one."""
    a = SimpleNamespace(**arguments)
    nyquist_hz = a.sample_rate / 2
    f_max_hz = nyquist_hz if a.f_max_hz is None else a.f_max_hz
    # A frame asks for more than a scale does, so that the nearest that works is further away.
    if isinstance(a.scale, str) and a.n_bins < (1 if a.scale == "octave" else 2):
        raise UnfitError(f"n_bins must be at least 2 (octave: 1), got {a.n_bins}")
    if isinstance(a.scale, str) and a.f_min_hz >= f_max_hz:
        raise UnfitError(f"f_min_hz must lie below f_max_hz = {f_max_hz} Hz, got {a.f_min_hz} Hz")
    f_hz, q = design_scale(a.scale, a.n_bins, a.f_min_hz, f_max_hz, gamma_hz=a.gamma_hz)
    inside = (f_hz > 0) & (f_hz < nyquist_hz * (1 - 1e-12))
    if not inside.any():
        raise ValueError(
            f"scale must have a bin between 0 Hz and sample_rate / 2 = {nyquist_hz} Hz, got bins "
            f"from {f_hz[0]} Hz to {f_hz[-1]} Hz; one at {nyquist_hz / 2} Hz works"
        )
    f_hz, q = f_hz[inside], q[inside]
    n = _slice_length(f_hz, q, a)
    tr = suggested_transition_length(n) if a.transition_length is None else a.transition_length
    if tr < 2 or tr % 2 or tr > n // 2:
        raise ValueError(
            "transition_length must be even and between 2 and slice_length / 2 = "
            f"{n // 2}, got {tr}; nearest that works: {min(max(2, 2 * round(tr / 2)), n // 2)}"
        )

    nu = f_hz * n / a.sample_rate
    floor = max(a.min_width, 4 * math.ceil(a.min_bandwidth_hz * n / a.sample_rate / 4 - 1e-6))
    widths = _widths(nu, q, n, floor, a.bandwidth_factor, a.gamma_hz * n / a.sample_rate)
    if widths.max() > n // 2:
        k = int(widths.argmax())
        raise UnfitError(
            f"the bin at {[0, *f_hz, nyquist_hz][k]:.5g} Hz is too wide: {widths[k]} DFT bins of a "
            f"slice that has {n // 2} of them below Nyquist"
        )
    positions = 2 * np.round(np.concatenate([[0], nu, [n / 2]]) / 2).astype(np.int64)
    windows = analysis_windows(widths, a.window)
    lengths = _lengths(widths, f_hz, a.rasterize, a.n_coefficients)
    try:
        duals = canonical_dual(windows, positions, lengths, n)
    except ValueError as error:
        raise UnfitError(str(error)) from None
    return Frame(
        sample_rate=a.sample_rate,
        slice_length=n,
        transition_length=tr,
        frequencies_hz=np.concatenate([[0], f_hz, [nyquist_hz]]),
        positions=positions,
        widths=widths,
        lengths=lengths,
        windows=windows,
        duals=duals,
        phase=a.phase,
        overlap_added=a.overlap_added,
    )


def _slice_length(f_hz: Array, q: Array, a: SimpleNamespace) -> int:
    """The length that was given, if it works, or else the shortest that resolves every bin."""
    given, own_hz = a.slice_length, f_hz / q * a.bandwidth_factor
    bandwidths_hz = np.maximum(own_hz, a.min_bandwidth_hz)
    needed = suggested_slice_length(bandwidths_hz, a.sample_rate)
    if given is None:
        if own_hz.min() < a.min_bandwidth_hz:
            # The floor in Hz holds only where it is no narrower than the floor in DFT bins.
            shortest = a.min_width * a.sample_rate / a.min_bandwidth_hz
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
            f"{math.ceil(8 * a.sample_rate / given * 100) / 100}"
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
                f'n_coefficients needs rasterize="full", got {rasterize!r}; None works'
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
