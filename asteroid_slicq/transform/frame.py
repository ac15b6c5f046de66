"""Bins, windows and slices of a transform, in NumPy float64.

Notation: a slice has N samples and hops by N/2. Bin k sits at the DFT bin ``p_k`` of the slice, its
window is ``L_k`` DFT bins wide, and its IDFT yields ``M_k ≥ L_k`` coefficients a slice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from asteroid_slicq.transform.checks import check_integer
from asteroid_slicq.transform.scales import Array
from asteroid_slicq.transform.windows import tukey


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins of a transform of a slice or of a whole signal.

    Attributes:
        sample_rate: in Hz.
        frequencies_hz: centre frequencies of all bins, DC first and Nyquist last.
        positions: ``p_k``, DFT bin of each centre.
        widths: ``L_k``, DFT bins that the window of each bin covers.
        lengths: ``M_k``, coefficients of each bin in a slice; the widths, unless rasterised.

    Shape:
        - ``frequencies_hz``, ``positions``, ``widths``, ``lengths``: ``(n_bins,)``
    """

    sample_rate: float
    frequencies_hz: Array
    positions: np.ndarray
    widths: np.ndarray
    lengths: np.ndarray

    @property
    def n_bins(self) -> int:
        """Number of bins, DC and Nyquist counted."""
        return len(self.widths)

    @cached_property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """``(bins, coefficients in a slice)`` of each run of neighbours of one length."""
        edges = [0, *(np.flatnonzero(np.diff(self.lengths)) + 1).tolist(), self.n_bins]
        return tuple((b - a, int(self.lengths[a])) for a, b in pairwise(edges))

    @cached_property
    def bins_per_block(self) -> tuple[int, ...]:
        """Number of bins of each block."""
        return tuple(n for n, _ in self.blocks)

    def frequency_hz(self) -> list[Array]:
        """Centre frequency of each row of each block, in Hz, ``(freq,)`` each."""
        return np.split(self.frequencies_hz, np.cumsum(self.bins_per_block)[:-1])


@dataclass(frozen=True, eq=False)
class Frame(Bins):
    """Bins, windows and slices of a sliCQT. Build it with :func:`design_frame`.

    Attributes:
        slice_length: N, samples, a multiple of 4.
        transition_length: samples over which the slicing window rises, even, at most N/2.
        windows: analysis windows ``g_k[j]``, −L_k/2 ≤ j < L_k/2, one array a bin.
        duals: synthesis windows with Σ_k g_k·dual_k = 1 at every DFT bin of the slice.
        phase: ``local`` or ``global``, see :class:`FrameConfig`.
        overlap_added: whether the coefficients of neighbouring slices are added where they overlap.

    Those of :class:`Bins` count DFT bins of the slice: ``p_k`` is even, ``L_k`` and ``M_k`` are
    multiples of 4.

    Shape:
        - ``windows[k]``, ``duals[k]``: ``(L_k,)``
    """

    slice_length: int
    transition_length: int
    windows: tuple[Array, ...]
    duals: tuple[Array, ...]
    phase: str = "local"
    overlap_added: bool = False

    @property
    def slice_hop(self) -> int:
        """Distance between slices in samples, N/2."""
        return self.slice_length // 2

    @property
    def reach_samples(self) -> int:
        """How far a sample and the coefficients that depend on it lie apart at most, in samples.

        A slice is heard through a window that ends half a transition behind a quarter of it on
        either side of its centre, and has coefficients over all of it.
        """
        return 3 * self.slice_length // 4 + self.transition_length // 2

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the last axes of a block."""
        return ("freq", "time") if self.overlap_added else ("freq", "slice", "time")

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
    def hop_per_block(self) -> Array:
        """Samples between two coefficients of each block, N/M (a fraction in general)."""
        return np.array([self.slice_length / m for _, m in self.blocks])

    @cached_property
    def slicing_window(self) -> Array:
        """The Tukey window of a slice; windows of neighbouring slices sum to one."""
        times = np.arange(self.slice_length, dtype=np.float64)
        return tukey(times, self.slice_length, self.transition_length)

    def slicing_window_at(self, n_coefficients: int) -> Array:
        """The slicing window at the times of a bin's coefficients, ``i·N/M``.

        Shape:
            - output: ``(n_coefficients,)``
        """
        n_coefficients = check_integer("n_coefficients", n_coefficients, 1)
        times = np.linspace(0, self.slice_length, n_coefficients, endpoint=False)
        return tukey(times, self.slice_length, self.transition_length)

    def n_slices(self, length_samples: int) -> int:
        """Number of slices that cover a signal, the first centred on its first sample."""
        length_samples = check_integer("length_samples", length_samples, 1)
        return math.ceil(length_samples / self.slice_hop) + 1

    def table(self, length_samples: int) -> list[list[int]]:
        """``[bins, slices, coefficients]`` of each block for a signal of this length."""
        return [[n, self.n_slices(length_samples), m] for n, m in self.blocks]

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
