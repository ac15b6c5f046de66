"""Statistics of what the network of a model sees in a data set, by which its input is scaled.

Computing them takes minutes on MUSDB18-HQ and happens once: the result is kept in a file that is
named after everything it depends on.
"""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from asteroid_slicq.data import Track
from asteroid_slicq.data.datasets import ValidationSegments
from asteroid_slicq.files import whole_file

log = logging.getLogger(__name__)

_VERSION = 1  # of what is computed


class Scaled(Protocol):
    """A model whose input may be scaled: an XUMXSliCQ, a BandSplit."""

    sources: list[str]
    transform: Any

    @property
    def input_arguments(self) -> dict[str, Any]:
        """All that :meth:`network_input` depends on, which no weight does."""
        ...

    def network_input(self, mix: Sequence[Tensor]) -> Sequence[Tensor]:
        """What the networks see of the coefficients of a mix, ``(batch, channel, freq, …)``."""
        ...


class InputStatistics(NamedTuple):
    """Averages over the mixes of a data set for each bin, low frequencies first.

    Attributes:
        mean: of the magnitudes, as the networks see them.
        std: their standard deviation.
        power: mean squared magnitude of the coefficients, whatever the networks make of them.

    Shape:
        - mean, std, power: ``(n_bins,)``
    """

    mean: Tensor
    std: Tensor
    power: Tensor


def input_statistics(
    model: Scaled,
    tracks: Sequence[Track],
    length_samples: int,
    n_segments: int | None = None,
    cache_dir: Path | None = None,
) -> InputStatistics:
    """Statistics of segments spread over the tracks, as they are, without augmentation.

    Args:
        model: whose network is to see them; unchanged. Its device does the work.
        tracks: of the training set.
        length_samples: of a segment.
        n_segments: how many; ``None`` for all there are.
        cache_dir: folder of results that are kept; ``None`` keeps none. The file of a result is
            named by the transform, the network, the segments, and names, sizes and times of
            change of the tracks' files. Nothing is drawn at random: a seed acts through
            the choice of the tracks.

    Raises:
        ValueError: if there are no tracks, a number is out of range, or the samples are so large
            that the statistics are not finite.
        OSError: if a file cannot be read.
    """
    segments = ValidationSegments(tracks, sorted(model.sources), length_samples, n_segments)
    file = None if cache_dir is None else cache_dir / f"{_key(model, segments)}.pth"
    if file is not None and (kept := _load(file)) is not None:
        return kept
    log.info("statistics of the input: %d segments", len(segments))
    mixes = (batch.sum(1) for batch in DataLoader(segments, batch_size=8))
    statistics = average(model, mixes)
    if file is not None:
        _save(statistics, file)
    return statistics


@torch.no_grad()
def average(model: Scaled, mixes: Iterable[Tensor]) -> InputStatistics:
    """The statistics of mixes that are at hand.

    Args:
        model: whose networks are to see them.
        mixes: batches of equal length in time.

    Shape:
        - mixes: each ``(batch, channel, time)``

    Raises:
        ValueError: if there are none, or the statistics are not finite.
    """
    device = next(model.transform.buffers()).device
    total, n_mixes = torch.zeros(3, 1, dtype=torch.float64), 0
    for mix in mixes:
        coefficients = model.transform(mix.to(device))
        seen = model.network_input(coefficients)
        averages = [
            _mean_of_bins(seen),
            _mean_of_bins([block.square() for block in seen]),
            _mean_of_bins([block.abs().square() for block in coefficients]),
        ]
        # All bins count the same slices, so that averages over a batch may be averaged.
        total = total + len(mix) * torch.stack(averages)
        n_mixes += len(mix)
    if n_mixes == 0:
        raise ValueError("mixes must hold at least one batch, got none")
    mean, square, power = total / n_mixes
    std = (square - mean.square()).clamp(min=0).sqrt()
    statistics = InputStatistics(mean.float(), std.float(), power.float())
    if not _is_finite(statistics):
        raise ValueError(
            "the statistics of the input are not finite: samples of the data are too large (full "
            "scale is 1)"
        )
    return statistics


def _is_finite(statistics: InputStatistics) -> bool:
    return all(bool(value.isfinite().all()) for value in statistics)


def _mean_of_bins(blocks: Sequence[Tensor]) -> Tensor:
    # Blocks are (batch, channel, freq, …).
    means = [block.transpose(0, 2).flatten(1).mean(1) for block in blocks]
    return torch.cat(means).cpu().double()


def _key(model: Scaled, segments: ValidationSegments) -> str:
    """Digits that differ wherever the result may differ."""
    facts = {
        "version": _VERSION,
        **model.input_arguments,
        "length_samples": segments.length_samples,
        "segments": segments.segments,
        "tracks": [
            (track.name, track.length_samples, [_listing(track, s) for s in segments.sources])
            for track in segments.tracks
        ],
    }
    text = json.dumps(facts, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _listing(track: Track, source: str) -> tuple[str, int, int]:
    status = (track.path / f"{source}.wav").stat()
    return source, status.st_size, status.st_mtime_ns


def _load(file: Path) -> InputStatistics | None:
    if not file.is_file():
        return None
    try:
        statistics = InputStatistics(**torch.load(file, weights_only=True))
        if _is_finite(statistics):
            return statistics
        log.warning("%s holds numbers that are not finite and is made anew", file)
    except (RuntimeError, EOFError, TypeError, pickle.UnpicklingError) as error:
        log.warning("%s cannot be read (%s) and is made anew", file, type(error).__name__)
    return None


def _save(statistics: InputStatistics, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # Several processes, on several machines, may be at it; each result is right.
    with whole_file(file) as partial, partial.open("wb") as opened:
        torch.save(statistics._asdict(), opened)
