"""The passes of a model over a song: in segments that overlap, once or twice."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
import torch
from torch import nn

from asteroid_slicq.audio import resample_stream
from asteroid_slicq.separation.pipeline import Consume, Cut, Estimate
from asteroid_slicq.separation.segment_model import SegmentModel
from asteroid_slicq.separation.segments import process_in_segments
from asteroid_slicq.separation.song import Song, measure
from asteroid_slicq.transform import check_flag
from asteroid_slicq.vocabulary import DEFAULT_OVERLAP_S

_SAFE_OVERLAP_S = 1.0


class SongPasses:
    """A model's passes over songs of any length, cut into segments.

    Args:
        model: as `SegmentModel` asks for.
        segment_s: see `Separator`, as for all others.
        overlap_s: of neighbouring segments.
        device: where the model runs.
        shifts: how often each segment is separated.
        two_passes: whether a song is measured before it is separated.
        cuda_graphs: whether segments are recorded and replayed on a GPU.

    Attributes:
        model: called on segments.
        sample_rate: of the model in Hz.

    Raises:
        ValueError: see `Separator`.
    """

    def __init__(
        self,
        model: nn.Module,
        segment_s: float,
        overlap_s: float | None,
        device: str | torch.device | None,
        shifts: int,
        two_passes: bool,
        cuda_graphs: bool,
    ):
        check_segment(segment_s, overlap_s)
        self.model = SegmentModel(model, device, shifts, cuda_graphs)
        self._two_passes = check_flag("two_passes", two_passes)
        self.sample_rate = self.model.sample_rate
        if overlap_s is None:
            overlap_s = min(DEFAULT_OVERLAP_S, segment_s / 4)
        overlap = round(overlap_s * self.sample_rate)
        n_steps = max(1, int(segment_s * self.sample_rate - overlap) // self.model.step)
        hop = n_steps * self.model.step
        self._overlap = min(overlap, hop)
        self._size = hop + self._overlap

    def on_device(self, device: str | torch.device | None) -> SongPasses:
        """The same, whose model runs on another device.

        Raises:
            ValueError: the device is not there.
        """
        other = copy.copy(self)
        other.model = self.model.on_device(device)
        return other

    @property
    def edge_warning(self) -> str | None:
        """See `Separator.edge_warning`."""
        overlap_s = self._overlap / self.sample_rate
        least_s = min(_SAFE_OVERLAP_S, getattr(self.model.model, "reach_s", 0.0))
        if overlap_s >= least_s:
            return None
        return (
            f"neighbouring segments share {overlap_s:.2g} s, and this model looks further: edges "
            f"may be heard; let them share {least_s:.2g} s or more, in segments of at least "
            f"{2 * least_s:.2g} s"
        )

    def measure(
        self,
        buffers: Iterable[np.ndarray],
        sample_rate: float,
        gain: np.ndarray | None,
        tell: Callable[[float], None],
    ) -> Song:
        """See `Separator.measure`."""
        if not self._two_passes or self.model.song_statistics() is None:
            return Song(None, gain)
        cut = self._cut(sample_rate)
        with self.model.evaluating() as model, cut.segments(buffers) as segments:
            return measure(model, segments, cut, gain, tell)

    def separate(
        self,
        buffers: Iterable[np.ndarray],
        sample_rate: float,
        song: Song,
        consume: Consume,
        tell: Callable[[float], None],
    ) -> None:
        """Separate a stream, read ahead and handed on behind; ``tell`` gets the seconds done."""
        cut = self._cut(sample_rate)
        hop = self._size - self._overlap
        with (
            self.model.evaluating() as model,
            cut.segments(buffers) as segments,
            cut.handing_on(consume) as hand_on,
        ):
            for index, segment in enumerate(segments):
                position = index * (hop // model.step)
                samples = song.scaled(segment.samples)
                estimate = model.start(samples, song.statistics, position)
                hand_on((segment.at_its_rate(), partial(_unscaled, song, estimate)))
                done_s = (index + 1) * hop / self.sample_rate
                tell(segment.until_s if segment.is_last else min(done_s, segment.until_s))

    def stream(
        self, buffers: Iterable[np.ndarray], sample_rate: float, song: Song
    ) -> Iterator[np.ndarray]:
        """See `Separator.stream`."""
        n_read = n_done = n_segments = 0
        n_steps = (self._size - self._overlap) // self.model.step

        def separated(segment: np.ndarray) -> np.ndarray:
            nonlocal n_segments
            n_segments += 1
            position = (n_segments - 1) * n_steps
            return song.unscaled(model(song.scaled(segment), song.statistics, position))

        def counted() -> Iterator[np.ndarray]:
            nonlocal n_read
            for buffer in buffers:
                n_read += buffer.shape[-1]
                yield buffer

        with self.model.evaluating() as model:
            mix = resample_stream(counted(), sample_rate, self.sample_rate)
            sources = process_in_segments(mix, separated, self._size, self._overlap)
            for estimate in resample_stream(sources, self.sample_rate, sample_rate):
                # Before the end resampling lags behind; at the end it gives a few frames too many.
                estimate = estimate[..., : n_read - n_done]
                n_done += estimate.shape[-1]
                yield estimate

    def _cut(self, sample_rate: float) -> Cut:
        return Cut(sample_rate, self.sample_rate, self._size, self._overlap)


def _unscaled(song: Song, estimate: Estimate) -> np.ndarray:
    return song.unscaled(estimate())


def check_segment(segment_s: float, overlap_s: float | None) -> None:
    """Refuse lengths that do not make segments.

    Raises:
        ValueError: a segment that is not positive, or an overlap longer than half of it.
    """
    if not (segment_s > 0 and math.isfinite(segment_s)):
        raise ValueError(f"segment_s must be positive and finite, got {segment_s}")
    if overlap_s is not None and not 0 <= overlap_s <= segment_s / 2:
        raise ValueError(
            f"overlap_s must be from 0 to half of segment_s ({segment_s / 2:g}), got {overlap_s}"
        )
