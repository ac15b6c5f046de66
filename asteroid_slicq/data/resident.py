"""Training segments that are made on a device: songs in its memory, batches at its speed.

A loader's processes read, augment and hand over a batch in tenths of a second; a GPU that trains on
one in hundredths waits for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, product
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from asteroid_slicq.data.augmentation import shift_pitch
from asteroid_slicq.data.datasets import Take, TrainingSegments
from asteroid_slicq.data.tracks import Track


class ResidentSongs:
    """The stems of tracks in the memory of a device.

    They are kept in 16 bits: 10 h of stereo and four stems take 25 GB.

    Args:
        tracks: to hold.
        sources: names of the stems.
        device: to hold them.

    Raises:
        OSError: if a file cannot be read.
    """

    def __init__(
        self, tracks: Sequence[Track], sources: Sequence[str], device: torch.device | str
    ) -> None:
        self.device = torch.device(device)
        places = list(product(range(len(tracks)), range(len(sources))))
        ends = list(accumulate(tracks[track].length_samples for track, _ in places))
        self.begins = np.array([0, *ends[:-1]]).reshape(-1, len(sources))
        self.scales = np.ones((len(tracks), len(sources)), np.float32)
        n_channels = len(tracks[0].read(sources[0], 0, 1))
        self.samples = torch.empty(n_channels, ends[-1], dtype=torch.int16, device=self.device)

        def hold(place: tuple[int, int]) -> None:
            stem = tracks[place[0]].read(sources[place[1]])
            scale = max(1.0, float(np.abs(stem).max(initial=0))) / 2**15  # beyond full scale
            samples = np.rint(stem / scale).clip(-(2**15), 2**15 - 1).astype(np.int16)
            begin = self.begins[place]
            held = self.samples[:, begin : begin + samples.shape[-1]]
            held.copy_(torch.from_numpy(samples))
            self.scales[place] = scale

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(hold, places))


class ResidentSegments(Dataset[Tensor]):
    """The items of :class:`TrainingSegments`, a batch at once, from songs in a device's memory.

    An item is made of the same takes as there; stems at another speed are interpolated by cubics,
    which a loader resamples.

    Args:
        segments: what to draw; its augmentation changes whole batches.
        songs: its tracks and sources.

    Shape:
        - batch, for a list of indices: ``(batch, source, channel, time)``, float32, on the device

    Raises:
        ValueError: if the augmentation has a codec, which only the CPU has.
    """

    def __init__(self, segments: TrainingSegments, songs: ResidentSongs):
        self.segments, self.songs, self.device = segments, songs, songs.device
        augmentation = segments.augmentation
        if augmentation and augmentation.codec and self.device.type != "cpu":
            raise ValueError("a codec works on the CPU alone: set codec to 0 for resident data")
        self._stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None

    def __len__(self) -> int:
        return len(self.segments)

    def __deepcopy__(self, memo: dict[int, Any]) -> ResidentSegments:
        """Itself: what copies a system with its loaders must not hold the songs twice."""
        return self

    def __getitem__(self, index: int) -> Tensor:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Iterable[int]) -> Tensor:
        """The batch of some indices, made beside what the device does else."""
        if self._stream is None:
            return self._batch(indices)
        with torch.cuda.stream(self._stream):
            batch = self._batch(indices)
        current = torch.cuda.current_stream(self.device)
        current.wait_stream(self._stream)
        batch.record_stream(current)
        return batch

    def _batch(self, indices: Iterable[int]) -> Tensor:
        drawn = [self.segments.draw(index) for index in indices]
        n_sources = len(self.segments.sources)
        sources = list(range(n_sources)) * len(drawn)
        takes = [take for item, _ in drawn for take in item]
        stems = self._play(sources, takes)
        doubled = [i for i, take in enumerate(takes) if take.double is not None]
        if doubled:
            seconds = [take.double for take in takes if take.double is not None]
            rows = torch.as_tensor(doubled, device=self.device)
            stems[rows] += self._play([sources[i] for i in doubled], seconds)
        batch = stems.unflatten(0, (-1, n_sources))
        augmentation = self.segments.augmentation
        return augmentation(batch, drawn[0][1]) if augmentation else batch

    def _play(self, sources: list[int], takes: list[Take]) -> Tensor:
        """Stems as they are taken, ``(take, channel, time)``."""
        tracks = [take.track for take in takes]
        lengths = [self.segments.tracks[i].length_samples for i in tracks]

        def column(values: object, dtype: torch.dtype) -> Tensor:
            return torch.as_tensor(np.asarray(values), dtype=dtype, device=self.device)[:, None]

        begin = column(self.songs.begins[tracks, sources], torch.int64)
        last = begin + column(lengths, torch.int64) - 1
        at = torch.arange(self.segments.length_samples, dtype=torch.float64, device=self.device)
        at = at * column([take.speed for take in takes], torch.float64)
        at = at + begin + column([take.start for take in takes], torch.int64)
        whole = at.floor()
        part, whole = (at - whole).float(), whole.long()
        stems = self.songs.samples[:, whole.clamp(max=last)].float()
        fast = [i for i, take in enumerate(takes) if take.speed != 1]
        if fast:
            rows = torch.as_tensor(fast, device=self.device)
            taps = [
                self.songs.samples[:, (whole[rows] + i).clamp(begin[rows], last[rows])].float()
                for i in (-1, 0, 1, 2)
            ]
            stems[:, rows] = _cubic(taps, part[rows])
        shifted = [i for i, take in enumerate(takes) if take.pitch != 1]
        if shifted:
            rows = torch.as_tensor(shifted, device=self.device)
            stems *= whole <= last  # what lies behind the end of a track is not its own
            factors = [takes[i].pitch for i in shifted]
            stems[:, rows] = shift_pitch(stems[:, rows].movedim(0, 1), factors).movedim(0, 1)
        gains = self.songs.scales[tracks, sources] * np.array([take.gain for take in takes])
        stems = stems.movedim(0, 1) * (column(gains, torch.float32) * (whole <= last))[:, None]
        swapped = column([take.swapped for take in takes], torch.bool)[..., None]
        return torch.where(swapped, stems.flip(1), stems)


def _cubic(taps: list[Tensor], part: Tensor) -> Tensor:
    """Values between the middle two of four samples, on the cubic of Catmull and Rom."""
    before, left, right, after = taps
    a = 3 * (left - right) + after - before
    b = 2 * before - 5 * left + 4 * right - after
    return left + 0.5 * part * (right - before + part * (b + part * a))
