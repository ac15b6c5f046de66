"""Bands of a transform: which bins go together, and what of a block falls into a network step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asteroid_slicq.transform import STFT, Array, SliCQT


@dataclass(frozen=True)
class BandGroup:
    """Neighbouring bands of one size in one block, which a batched product serves.

    Attributes:
        block: index of the block.
        start: first bin of the first band in the block.
        n_bands: number of bands.
        n_bins: bins per band; those that the last band has beyond the block are zeros.
        rate: coefficients of a bin in a network step.
    """

    block: int
    start: int
    n_bands: int
    n_bins: int
    rate: int

    @property
    def stop(self) -> int:
        """Bin after the last band."""
        return self.start + self.n_bands * self.n_bins


@dataclass(frozen=True)
class Bands:
    """Bands of a transform and the network steps that its blocks share.

    Attributes:
        groups: all bands, low frequencies first.
        bins_per_block: bins of each block.
        rates: coefficients of a bin of each block in a network step.
        gains: factor of each block that makes its coefficients amplitudes of sinusoids.
        step_samples: samples per network step, a fraction in general.
    """

    groups: tuple[BandGroup, ...]
    bins_per_block: tuple[int, ...]
    rates: tuple[int, ...]
    gains: tuple[float, ...]
    step_samples: float

    @property
    def n_bands(self) -> int:
        """Number of bands."""
        return sum(group.n_bands for group in self.groups)


def bands_of(
    transform: SliCQT | STFT, bands_per_octave: float, min_band_hz: float, steps_per_s: float
) -> Bands:
    """Bands and network steps of a transform.

    Of an overlap-added sliCQT, the number of steps in half a slice divides that of the coefficients
    of every block, and is the nearest to ``steps_per_s``; an STFT has a step per STFT frame.
    """
    if isinstance(transform, STFT):
        frequencies = [transform.frequencies_hz]
        rates, gains, step = [1], [4 / transform.n_fft], float(transform.hop)
    else:
        frame = transform.frame
        frequencies = frame.frequency_hz()
        halves = [m // 2 for _, m in frame.blocks]
        common, hop = math.gcd(*halves), frame.slice_hop
        wanted = steps_per_s * hop / frame.sample_rate
        divisors = [d for d in range(1, common + 1) if common % d == 0]
        n_steps = min(divisors, key=lambda d: abs(math.log(d / wanted)))
        rates = [half // n_steps for half in halves]
        gains, step = [2 * m / frame.slice_length for _, m in frame.blocks], hop / n_steps
    sizes = _band_sizes(np.concatenate(frequencies), bands_per_octave, min_band_hz)
    cuts = np.cumsum([len(f) for f in frequencies])[:-1]
    groups = [
        BandGroup(i, *group, rate)
        for i, (block, rate) in enumerate(zip(np.split(sizes, cuts), rates, strict=True))
        for group in _groups(block.tolist())
    ]
    bins = tuple(len(f) for f in frequencies)
    return Bands(tuple(groups), bins, tuple(rates), tuple(gains), step)


def _band_sizes(frequencies_hz: Array, bands_per_octave: float, min_band_hz: float) -> np.ndarray:
    """Bins of a band that starts at each bin: the smallest number times a power of two.

    Few sizes make few groups.
    """
    steps = np.diff(frequencies_hz)
    # DC lies at any distance from the scale, and nothing above Nyquist.
    spacing = np.concatenate([steps[1:2], steps[1:], steps[-2:-1]])
    bandwidth = np.maximum(min_band_hz, frequencies_hz * (2 ** (1 / bands_per_octave) - 1))
    ideal = np.maximum(bandwidth / spacing, 1)
    least = round(ideal.min())
    return least * 2 ** np.round(np.log2(ideal / least)).clip(min=0).astype(int)


def _groups(sizes: Sequence[int]) -> list[tuple[int, int, int]]:
    """``(start, n_bands, n_bins)`` of the runs of equal bands in a block."""
    groups, start, n_bins = [], 0, len(sizes)
    while start < n_bins:
        size, stop = sizes[start], start
        while stop < n_bins and sizes[stop] == size:
            stop += size
        n_bands = (stop - start) // size
        if stop >= n_bins:  # what is left is shared out evenly
            left = n_bins - start
            size = math.ceil(left / max(1, round(left / size)))
            n_bands = math.ceil(left / size)
        groups.append((start, n_bands, size))
        start += n_bands * size
    return groups
