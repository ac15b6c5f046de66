"""Design of a sliced, nonstationary Gabor frame: everything a sliCQT needs, in NumPy float64.

Sources: Holighaus, Dörfler, Velasco, Grill (2013), "A framework for invertible, real-time
constant-Q transforms" [H12], for slices, bins and the dual; Balazs et al. (2011), "Theory,
implementation and applications of nonstationary Gabor frames" [B11], for the painless case.

Notation: a slice has N samples and hops by N/2. Bin k sits at the DFT bin ``p_k`` of the slice and
is ``M_k`` DFT bins wide, so it yields M_k coefficients a slice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from asteroid_slicq.scales import Array, design_scale


@dataclass(frozen=True, eq=False)
class Frame:
    """Bins, windows and slices of a sliCQT. Build it with :func:`design_frame`.

    Attributes:
        sample_rate: in Hz.
        slice_length: N, samples, a multiple of 4.
        transition_length: samples over which the slicing window rises, even, at most N/2.
        frequencies_hz: centre frequencies of all bins, DC first and Nyquist last.
        positions: ``p_k``, DFT bins of the slice, even.
        widths: ``M_k``, DFT bins, multiples of 4.
        windows: analysis windows ``g_k[j]``, −M_k/2 ≤ j < M_k/2, one array a bin.
        duals: synthesis windows with Σ_k g_k·dual_k = 1 at every DFT bin of the slice.

    Shape:
        - ``frequencies_hz``, ``positions``, ``widths``: ``(n_bins,)``
        - ``windows[k]``, ``duals[k]``: ``(M_k,)``
    """

    sample_rate: float
    slice_length: int
    transition_length: int
    frequencies_hz: Array
    positions: np.ndarray
    widths: np.ndarray
    windows: tuple[Array, ...]
    duals: tuple[Array, ...]

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
        return int(self.widths.sum())

    @property
    def redundancy(self) -> float:
        """Real numbers in the sliced coefficients for each sample of the signal."""
        return 2 * self.coefficients_per_slice / self.slice_hop

    @cached_property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """``(bins, coefficients per slice)`` of each run of neighbours with one width."""
        edges = [0, *(np.flatnonzero(np.diff(self.widths)) + 1), self.n_bins]
        return tuple((b - a, int(self.widths[a])) for a, b in pairwise(edges))

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
        n, tr = self.slice_length, self.transition_length
        flank = 0.5 * (1 - np.cos(np.pi * np.arange(tr) / tr))
        zeros = np.zeros(n // 4 - tr // 2)
        rise = np.concatenate([zeros, flank, np.ones(n // 2 - len(zeros) - tr)])
        return np.concatenate([rise, 1 - rise])

    def n_slices(self, length_samples: int) -> int:
        """Number of slices that cover a signal, the first centred on its first sample."""
        return math.ceil(length_samples / self.slice_hop) + 1

    def table(self, length_samples: int) -> list[list[int]]:
        """``[bins, slices, coefficients]`` of each block for a signal of this length."""
        return [[n, self.n_slices(length_samples), m] for n, m in self.blocks]


def suggested_slice_length(f_hz: Array, q: Array, sample_rate: float) -> int:
    """Shortest slice in which every bin's window is well resolved: max_k 8·Q_k·fs/f_k.

    Rounded up to a multiple of 4 [H12, section on choosing the slice length].
    """
    return 4 * math.ceil(math.ceil(np.max(8 * q * sample_rate / f_hz)) / 4)


def suggested_transition_length(slice_length: int) -> int:
    """A quarter of the slice, rounded up to an even number."""
    return 2 * math.ceil(slice_length // 4 / 2)


def design_frame(
    scale: str = "bark",
    n_bins: int = 262,
    f_min_hz: float = 32.9,
    f_max_hz: float | None = None,
    sample_rate: float = 44100,
    slice_length: int | None = None,
    transition_length: int | None = None,
    window: str = "blackman-harris",
    min_width: int = 16,
) -> Frame:
    """Compute a :class:`Frame`.

    Args:
        scale: frequency scale, see :func:`asteroid_slicq.scales.design_scale`.
        n_bins: bins of the scale, both ends counted; DC and Nyquist are added, and what lies at
            or above Nyquist is dropped.
        f_min_hz: lowest centre frequency in Hz.
        f_max_hz: highest centre frequency in Hz; None is half the sample rate.
        sample_rate: in Hz.
        slice_length: N, samples, a multiple of 4; None is the scale's suggestion.
        transition_length: samples, even, at most N/2; None is a quarter of the slice.
        window: ``blackman-harris`` or ``hann``.
        min_width: least width of a bin, in DFT bins of the slice, a multiple of 4.

    Raises:
        TypeError: when a size is no integer.
        ValueError: when an argument lies outside its range, or no frame results.
    """
    for name, size in (
        ("n_bins", n_bins),
        ("slice_length", slice_length),
        ("transition_length", transition_length),
        ("min_width", min_width),
    ):
        if size is not None and not isinstance(size, int):
            raise TypeError(f"{name} must be an integer, got {size!r}")
    if sample_rate <= 0:
        raise ValueError(f"sample_rate must be above 0 Hz, got {sample_rate}")
    nyquist_hz = sample_rate / 2
    f_max_hz = nyquist_hz if f_max_hz is None else f_max_hz
    if f_max_hz > nyquist_hz:
        raise ValueError(
            f"f_max_hz must be at most sample_rate / 2 = {nyquist_hz} Hz, got {f_max_hz} Hz"
        )
    if min_width < 4 or min_width % 4:
        raise ValueError(f"min_width must be a positive multiple of 4, got {min_width}")
    f_hz, q = design_scale(scale, n_bins, f_min_hz, f_max_hz)
    inside = (f_hz > 0) & (f_hz < nyquist_hz * (1 - 1e-12))
    f_hz, q = f_hz[inside], q[inside]
    n = suggested_slice_length(f_hz, q, sample_rate) if slice_length is None else slice_length
    if n < 4 or n % 4:
        raise ValueError(
            f"slice_length must be a positive multiple of 4, got {n}; "
            f"the nearest is {max(4, 4 * round(n / 4))}"
        )
    tr = suggested_transition_length(n) if transition_length is None else transition_length
    if tr < 2 or tr % 2 or tr > n // 2:
        raise ValueError(
            "transition_length must be even and between 2 and slice_length / 2 = "
            f"{n // 2}, got {tr}"
        )

    nu = f_hz * n / sample_rate
    widths = _widths(nu, q, n, min_width)
    if widths.max() > n // 2:
        raise ValueError(
            f"slice_length = {n} is too short: its widest bin would take {widths.max()} of "
            f"{n // 2} DFT bins; use more bins"
        )
    positions = 2 * np.round(np.concatenate([[0], nu, [n / 2]]) / 2).astype(np.int64)
    windows = _windows(widths, window)
    return Frame(
        sample_rate=sample_rate,
        slice_length=n,
        transition_length=tr,
        frequencies_hz=np.concatenate([[0], f_hz, [nyquist_hz]]),
        positions=positions,
        widths=widths,
        windows=windows,
        duals=_canonical_dual(windows, positions, widths, n),
    )


def _widths(nu: Array, q: Array, n: int, min_width: int) -> np.ndarray:
    """``M_k = 4·round((ν_{k+1} − ν_{k−1})/4)``, with the rules for the ends of the scale."""
    edges = np.concatenate([[0], nu, [n / 2]])
    raw = np.empty(len(edges))
    raw[0] = 2 * nu[0]
    raw[-1] = 2 * (n / 2 - nu[-1])  # from the last bin to its mirror image
    raw[1:-1] = edges[2:] - edges[:-2]
    raw[1] = nu[0] / q[0]
    raw[-2] = nu[-1] / q[-1]
    return np.maximum(4 * np.round(raw / 4).astype(np.int64), min_width)


def _cosine_sum(width: int, terms: tuple[float, ...]) -> Array:
    """Σ_i a_i·cos(2π·i·j/width) at −width/2 ≤ j < width/2."""
    j = np.arange(width) - width // 2
    return np.sum([a * np.cos(2 * np.pi * i * j / width) for i, a in enumerate(terms)], axis=0)


WINDOWS = {
    # Harris (1978), in the variant whose coefficients cancel exactly at the edge
    "blackman-harris": (0.35872, 0.48832, 0.14128, 0.01168),
    "hann": (0.5, 0.5),
}


def _windows(widths: np.ndarray, window: str) -> tuple[Array, ...]:
    if window not in WINDOWS:
        raise ValueError(f"window must be one of {', '.join(sorted(WINDOWS))}, got {window!r}")
    windows = [_cosine_sum(int(m), WINDOWS[window]) for m in widths]
    # Where DC (Nyquist) is wider than its neighbour a bell would leave a hole between them.
    for end, neighbour in ((0, 1), (-1, -2)):
        m, flank = int(widths[end]), int(widths[neighbour])
        if m > flank:
            hann = _cosine_sum(flank, WINDOWS["hann"])
            windows[end] = np.concatenate(
                [hann[: flank // 2], np.ones(m - flank), hann[flank // 2 :]]
            )
    return tuple(windows)


def _canonical_dual(
    windows: tuple[Array, ...], positions: np.ndarray, widths: np.ndarray, n: int
) -> tuple[Array, ...]:
    """``M_k·g_k / Σ_j M_j·|g_j|²``, the sum over the full spectrum with its mirror image [B11].

    The frame is painless: each window is no longer than its own IDFT, so the frame operator is
    multiplication by that sum, and dividing by it inverts the transform exactly.
    """
    total = np.zeros(n)
    for k, (g, p, m) in enumerate(zip(windows, positions, widths, strict=True)):
        bins = p + np.arange(m) - m // 2
        total[bins % n] += m * g**2
        if 0 < k < len(widths) - 1:
            total[-bins % n] += m * g**2
    hole = np.flatnonzero(total < 1e-10 * total.max())
    if len(hole):
        raise ValueError(
            f"no bin covers the DFT bins {hole[0]} … {hole[-1]} of a slice of {n}: use more bins, "
            "or a longer slice"
        )
    return tuple(
        m * g / total[(p + np.arange(m) - m // 2) % n]
        for g, p, m in zip(windows, positions, widths, strict=True)
    )
