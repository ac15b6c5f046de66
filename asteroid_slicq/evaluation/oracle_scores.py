"""Scores of a transform on a track: the SDR of its oracles, and the sparsity of the sources.

A track is read and scored part by part, so that one of any length fits into bounded memory. Parts
begin where the transform repeats itself, and have margins, so they are what the whole track would
give; the covariances of the Wiener filter are summed over the whole track first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asteroid_slicq.data import Track
from asteroid_slicq.evaluation.metrics import frame_sdr, nan_median
from asteroid_slicq.evaluation.oracles import analyse, estimate, spatial_sums
from asteroid_slicq.evaluation.sparsity import measure
from asteroid_slicq.evaluation.tiling import Tiling, tiling
from asteroid_slicq.transform import STFT, SliCQT, resynthesise
from asteroid_slicq.vocabulary import ORACLES, SPARSITY_MEASURES

MIXTURE = "mixture"
_SPARSITY_S = 5.0
_LONGEST_S, _REDUNDANT_S = 20.0, 60.0  # of a part: at most, and times the redundancy


@dataclass(frozen=True)
class Excerpt:
    """A part of a track, of which parts are read as they are needed.

    Attributes:
        track: where it is.
        sources: names of the files of the true sources.
        sample_rate: in Hz.
        start: first sample.
        length_samples: how many.
        has_mixture: whether there is a file of the mix; otherwise it is the sum of the sources.
    """

    track: Track
    sources: tuple[str, ...]
    sample_rate: int
    start: int
    length_samples: int
    has_mixture: bool = True

    def read(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Mix, ``(channel, time)``, and sources from one sample of the excerpt to another."""
        stop = min(stop, self.length_samples)
        at, length = self.start + start, stop - start
        stems = np.stack([self.track.read(name, at, length) for name in self.sources])
        mix = self.track.read(MIXTURE, at, length) if self.has_mixture else stems.sum(0)
        return torch.from_numpy(mix), torch.from_numpy(stems)


def middle_of(
    track: Track,
    sources: Sequence[str],
    sample_rate: int,
    seconds: float | None = None,
) -> Excerpt:
    """The middle of a track, where the music is under way.

    Args:
        track: the track.
        sources: names of the true sources.
        sample_rate: in Hz.
        seconds: how long an excerpt; None for all of the track.
    """
    length = track.length_samples
    if seconds is not None:
        length = max(1, min(length, round(seconds * sample_rate)))
    has_mixture = (track.path / f"{MIXTURE}.wav").is_file()
    start = (track.length_samples - length) // 2
    return Excerpt(track, tuple(sources), sample_rate, start, length, has_mixture)


def oracle_sdr(
    transform: SliCQT | STFT,
    excerpt: Excerpt,
    names: Sequence[str] = ORACLES,
    part_s: float | None = None,
) -> dict[str, dict[str, float]]:
    """SDR of each oracle and source: the median over windows of one second, as ``track_sdr``.

    Arguments and errors are those of :func:`oracle_windows`.

    Returns:
        ``sdr[oracle][source]`` in dB; NaN for all sources where one is silent throughout.
    """
    return {
        name: dict(zip(excerpt.sources, _medians(sdr), strict=True))
        for name, sdr in oracle_windows(transform, excerpt, names, part_s).items()
    }


@torch.no_grad()
def oracle_windows(
    transform: SliCQT | STFT,
    excerpt: Excerpt,
    names: Sequence[str] = ORACLES,
    part_s: float | None = None,
) -> dict[str, NDArray[np.float64]]:
    """SDR of each oracle in windows of one second, as ``frame_sdr``.

    Args:
        transform: on any device, at the sample rate of the excerpt.
        excerpt: what to score.
        names: of :data:`asteroid_slicq.vocabulary.ORACLES`.
        part_s: length of the parts in seconds, rounded to a whole number; None is what keeps
            memory at about 2 GB, however long the excerpt. It changes no result.

    Returns:
        For each oracle, ``(source, window)`` in dB; NaN by the rules of ``frame_sdr``.

    Raises:
        ValueError: for an unknown oracle or another sample rate.
    """
    unknown = [name for name in names if name not in ORACLES]
    if unknown:
        raise ValueError(f"names must be of {', '.join(ORACLES)}, got {unknown[0]!r}")
    tiles = _checked_tiling(transform, excerpt)
    if part_s is None:
        part_s = min(_LONGEST_S, _REDUNDANT_S / tiles.redundancy)
    frame = min(excerpt.sample_rate, excerpt.length_samples)
    part = max(1, round(part_s)) * frame
    stop = excerpt.length_samples // frame * frame
    device = next(transform.buffers()).device
    spatial = _spatial_of(transform, tiles, excerpt, part) if "mwf" in names else None
    frames: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    for begin in range(0, stop, part):
        end = min(begin + part, stop)
        first = tiles.aligned(begin)
        mix, stems = excerpt.read(first, end + tiles.margin * tiles.unit)
        inside = slice(begin - first, end - first)
        blocks = analyse(transform, mix.to(device), stems.to(device))
        true = stems[..., inside].numpy()
        for name in names:
            estimates = [
                estimate(name, block, spatial[i] if spatial and name == "mwf" else None)
                for i, block in enumerate(blocks)
            ]
            waveforms = resynthesise(transform, estimates, mix.shape[-1])[..., inside]
            sdr = frame_sdr(true, waveforms.cpu().numpy(), frame, 1.0)
            frames[name].append(sdr)
    return {name: np.concatenate(sdr, -1) for name, sdr in frames.items()}


def source_sparsity(
    transform: SliCQT | STFT, excerpt: Excerpt, names: Sequence[str] = SPARSITY_MEASURES
) -> dict[str, dict[str, float]]:
    """Sparsity of each source: the median over parts of five seconds in which it sounds.

    Arguments and errors are those of :func:`sparsity_parts`.

    Returns:
        ``sparsity[measure][source]``; NaN for a source that is silent throughout.
    """
    return {
        name: dict(zip(excerpt.sources, _medians(values), strict=True))
        for name, values in sparsity_parts(transform, excerpt, names).items()
    }


@torch.no_grad()
def sparsity_parts(
    transform: SliCQT | STFT, excerpt: Excerpt, names: Sequence[str] = SPARSITY_MEASURES
) -> dict[str, NDArray[np.float64]]:
    """Sparsity of each source in parts of five seconds.

    Args:
        transform: on any device, at the sample rate of the excerpt.
        excerpt: what to measure.
        names: of :data:`asteroid_slicq.vocabulary.SPARSITY_MEASURES`.

    Returns:
        For each measure, ``(source, part)``; NaN where the source is silent.

    Raises:
        ValueError: for an unknown measure or another sample rate.
    """
    tiles = _checked_tiling(transform, excerpt)
    device = next(transform.buffers()).device
    values: dict[str, list[list[float]]] = {name: [] for name in names}
    for first, last, lead in _unit_parts(tiles, excerpt.length_samples, _SPARSITY_S):
        start = (first - lead) * tiles.unit
        _, stems = excerpt.read(start, (last + tiles.margin) * tiles.unit)
        of_sources = []
        for stem in stems:
            coefficients = transform(stem.to(device))
            blocks = [coefficients] if isinstance(coefficients, Tensor) else coefficients
            cells = tiles.densities(blocks, lead, lead + last - first)
            of_sources.append(measure(cells, tiles.areas, names))
        for name in names:
            values[name].append([source[name] for source in of_sources])
    return {name: np.array(rows).T for name, rows in values.items()}


def _checked_tiling(transform: SliCQT | STFT, excerpt: Excerpt) -> Tiling:
    tiles = tiling(transform)
    if tiles.sample_rate != excerpt.sample_rate:
        raise ValueError(
            f"transform must be of the track's {excerpt.sample_rate} Hz, got {tiles.sample_rate} Hz"
        )
    return tiles


def _spatial_of(
    transform: SliCQT | STFT, tiles: Tiling, excerpt: Excerpt, part: int
) -> list[Tensor]:
    """Sums of spatial covariances over the excerpt, one tensor a block."""
    device = next(transform.buffers()).device
    total: list[Tensor] = []
    part_s = part / excerpt.sample_rate
    for first, last, lead in _unit_parts(tiles, excerpt.length_samples, part_s, every=True):
        start = (first - lead) * tiles.unit
        mix, stems = excerpt.read(start, (last + tiles.margin) * tiles.unit)
        blocks = analyse(transform, mix.to(device), stems.to(device))
        for i, block in enumerate(blocks):
            inside = tiles.frames(i, lead, lead + last - first)
            sums = spatial_sums(block.sources[..., inside], block.mix[..., inside])
            if len(total) == i:
                total.append(sums)
            else:
                total[i] += sums
    return total


def _unit_parts(
    tiles: Tiling, length: int, part_s: float, every: bool = False
) -> Iterator[tuple[int, int, int]]:
    """Units of each part, from one to another, and how many to read before the first.

    Parts are of one length, but for the last one, which stays out unless it is the only one or
    ``every`` part is asked for.
    """
    n_units = max(1, round(part_s * tiles.sample_rate / tiles.unit))
    total = math.ceil(length / tiles.unit) + 1 if every else max(1, length // tiles.unit)
    for first in range(0, total, n_units):
        last = min(first + n_units, total)
        if last - first < n_units and first and not every:
            return
        yield first, last, min(first, tiles.margin)


def _medians(values: NDArray[np.float64]) -> list[float]:
    """Shape: ``(source, part)`` → one number a source."""
    return [float(v) for v in nan_median(values, axis=-1)]
