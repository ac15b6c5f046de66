"""Segments of multitrack music to train and validate on.

What a dataset returns for an index is a function of the seed and the index alone, so neither the
number of worker processes nor an interruption changes what a training run sees.

The augmentations are those of ``asteroid.data.MUSDB18Dataset``: random segments, stems from
different tracks, and the mix as the sum of the stems. That class is not used here because it draws
from Python's global generator, so that a batch depends on the worker that reads it and on all that
was drawn before; because it leaves out, with a printed line, tracks that miss a file; and because
its augmentations see no seed. Read in full and without augmentation, both return the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from asteroid_slicq.data.augmentation import Augmentation, play_at, shift_pitch
from asteroid_slicq.data.tracks import Track


class Take(NamedTuple):
    """Where a stem of an item comes from, and how it is played.

    Attributes:
        track: its number.
        start: first sample.
        speed: samples of the track that make one of the item.
        pitch: factor of its frequencies, once it has its speed.
        gain: factor of the samples.
        swapped: channels in reverse order.
        double: a second take of the same source that is added.
    """

    track: int
    start: int
    speed: float
    pitch: float
    gain: float
    swapped: bool
    double: Take | None = None


class TrainingSegments(Dataset[Tensor]):
    """Random segments of stems, remixed across tracks and augmented.

    An epoch has ``samples_per_track`` items for each track. Item ``i`` of epoch ``e`` has the index
    ``e * len(dataset) + i`` (:class:`EpochSampler` counts so), and every draw it makes comes
    from a generator seeded by ``(seed, e, i)``. The mix is the sum of the returned stems.

    Args:
        tracks: tracks to draw from.
        sources: stems to return, in this order.
        length_samples: length of a segment. Tracks that are shorter are padded with zeros.
        samples_per_track: items of an epoch for each track.
        random_mix: probability that an item takes each stem from a track and a time of its own;
            otherwise all stems come from the same time of the same track.
        gain: range of the random factor of each stem.
        swap_channels: probability that the channels of a stem are reversed.
        seed: of all draws.
        augmentation: further changes of the stems; ``None`` for none.

    Shape:
        - item: ``(source, channel, time)``, float32

    Raises:
        ValueError: if an argument is empty or out of range.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        sources: Sequence[str],
        length_samples: int,
        samples_per_track: int = 64,
        random_mix: float = 1.0,
        gain: tuple[float, float] = (0.25, 1.25),
        swap_channels: float = 0.5,
        seed: int = 42,
        augmentation: Augmentation | None = None,
    ):
        _check_segments(tracks, sources, length_samples)
        if samples_per_track < 1:
            raise ValueError(f"samples_per_track must be at least 1, got {samples_per_track}")
        for name, value in (("random_mix", random_mix), ("swap_channels", swap_channels)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be a probability, got {value}")
        if not 0 <= gain[0] <= gain[1]:
            raise ValueError(f"gain must be a range of factors from 0 up, got {gain}")
        self.tracks = list(tracks)
        self.sources = list(sources)
        self.length_samples = length_samples
        self.samples_per_track = samples_per_track
        self.random_mix = random_mix
        self.gain = gain
        self.swap_channels = swap_channels
        self.seed = seed
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.tracks) * self.samples_per_track

    def __getitem__(self, index: int) -> Tensor:
        takes, rng = self.draw(index)
        pairs = zip(self.sources, takes, strict=True)
        stems = torch.from_numpy(np.stack([self._read(*pair) for pair in pairs]))
        return self.augmentation(stems[None], rng)[0] if self.augmentation else stems

    def draw(self, index: int) -> tuple[list[Take], np.random.Generator]:
        """What an item is made of: a take of each source, and the generator of its augmentation."""
        epoch, item = divmod(index, len(self))
        rng = np.random.default_rng([self.seed, epoch, item])
        remix = rng.random() < self.random_mix
        place = self._draw_place(rng, item // self.samples_per_track)
        takes = []
        for _ in self.sources:
            if remix:
                place = self._draw_place(rng, int(rng.integers(len(self.tracks))))
            gain, swapped = rng.uniform(*self.gain), rng.random() < self.swap_channels
            take = Take(*place, gain, swapped)
            if self.augmentation and rng.random() < self.augmentation.double:
                other = self._draw_place(rng, int(rng.integers(len(self.tracks))))
                double = Take(*other, rng.uniform(0.3, 1.0) * gain, swapped)
                take = take._replace(double=double)
            takes.append(take)
        return takes, rng

    def files_of(self, index: int) -> list[str]:
        """The parts of files that an item is made of: ``…/bass.wav from sample 4410``."""
        takes, _ = self.draw(index)
        parts = []
        for source, take in zip(self.sources, takes, strict=True):
            for each in filter(None, (take, take.double)):
                file = self.tracks[each.track].path / f"{source}.wav"
                parts.append(f"{file} from sample {each.start}")
        return parts

    def _draw_place(self, rng: np.random.Generator, track: int) -> tuple[int, int, float, float]:
        """A track, the first sample, the speed and the pitch."""
        speed, pitch = self.augmentation.draw_playing(rng) if self.augmentation else (1.0, 1.0)
        room = self.tracks[track].length_samples - round(self.length_samples * speed)
        return track, int(rng.integers(max(room, 0) + 1)), speed, pitch

    def _read(self, source: str, take: Take) -> NDArray[np.float32]:
        """A stem of an item as it is taken, ``(channel, time)``."""
        track, length = self.tracks[take.track], self.length_samples
        stem = track.read_frames(source, take.start, round(length * take.speed)).T
        if take.speed != 1:
            stem = play_at(stem, take.speed, length)
        if take.pitch != 1:
            stem = shift_pitch(torch.from_numpy(stem.copy())[None], [take.pitch])[0].numpy()
        stem = np.float32(take.gain) * stem[:: -1 if take.swapped else 1]
        return stem if take.double is None else stem + self._read(source, take.double)


class ValidationSegments(Dataset[Tensor]):
    """The same segments every time: all stems of a track at one time, as they are.

    Args:
        tracks: tracks to read.
        sources: stems to return, in this order.
        length_samples: length of a segment.
        n_segments: how many segments there are, spread evenly over tracks and time, so that a
            validation takes bounded time; ``None`` cuts every track into all of its segments.

    Shape:
        - item: ``(source, channel, time)``, float32

    Raises:
        ValueError: if an argument is empty or out of range.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        sources: Sequence[str],
        length_samples: int,
        n_segments: int | None = None,
    ):
        _check_segments(tracks, sources, length_samples)
        if n_segments is not None and n_segments < 1:
            raise ValueError(f"n_segments must be at least 1, got {n_segments}")
        self.tracks = list(tracks)
        self.sources = list(sources)
        self.length_samples = length_samples
        self.segments = self._all() if n_segments is None else self._spread(n_segments)

    def _all(self) -> list[tuple[int, int]]:
        return [
            (i, start)
            for i, track in enumerate(self.tracks)
            for start in range(0, track.length_samples, self.length_samples)
        ]

    def _spread(self, n_segments: int) -> list[tuple[int, int]]:
        counts = np.bincount(np.arange(n_segments) % len(self.tracks), minlength=len(self.tracks))
        segments = []
        for i, (track, count) in enumerate(zip(self.tracks, counts, strict=True)):
            room = max(track.length_samples - self.length_samples, 0)
            segments += [(i, int(room * (k + 0.5) / count)) for k in range(count)]
        return segments

    def __len__(self) -> int:
        return len(self.segments)

    def __getitem__(self, index: int) -> Tensor:
        i, start = self.segments[index]
        stems = [self.tracks[i].read(s, start, self.length_samples) for s in self.sources]
        return torch.from_numpy(np.stack(stems))


class EpochSampler(Sampler[int]):
    """A new order in every epoch, and indices that carry the epoch: ``epoch * n_items + item``.

    Worker processes hold copies of the dataset, which could not be told of a new epoch. In
    distributed training each process takes its own share of the order, of equal size.

    Args:
        n_items: items of an epoch, ``len(dataset)``.
        seed: of the order.
        n_replicas: number of processes that train together.
        rank: which of them this is, from 0.

    Raises:
        ValueError: if there are fewer items than processes, or the rank is out of range.
    """

    def __init__(self, n_items: int, seed: int = 42, n_replicas: int = 1, rank: int = 0):
        if not 0 <= rank < n_replicas:
            raise ValueError(f"rank must lie in 0 … {n_replicas - 1}, got {rank}")
        if n_items < n_replicas:
            raise ValueError(f"n_items must be at least n_replicas={n_replicas}, got {n_items}")
        self.n_items = n_items
        self.seed = seed
        self.n_replicas = n_replicas
        self.rank = rank
        self.epoch = 0
        self._begin = (0, 0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; Lightning calls this at the start of each."""
        self.epoch = epoch

    def resume(self, epoch: int, n_items: int) -> None:
        """Leave out the first items of one epoch, which an interrupted run has seen already.

        Args:
            epoch: the epoch that was interrupted; all others are iterated in full.
            n_items: items that this process has taken of it, batches times their size.

        Raises:
            ValueError: if the epoch has no such number of items.
        """
        if not 0 <= n_items <= len(self):
            raise ValueError(f"n_items must lie in 0 … {len(self)}, got {n_items}")
        self._begin = (epoch, n_items)

    def __len__(self) -> int:
        return self.n_items // self.n_replicas

    def all_of_epoch(self) -> list[int]:
        """Indices of the whole epoch, in order, of this process."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.n_items)
        share = order[self.rank :: self.n_replicas][: len(self)]
        return (self.epoch * self.n_items + share).tolist()

    def __iter__(self) -> Iterator[int]:
        epoch, begin = self._begin
        return iter(self.all_of_epoch()[begin if self.epoch == epoch else 0 :])


def _check_segments(tracks: Sequence[Track], sources: Sequence[str], length_samples: int) -> None:
    if not tracks:
        raise ValueError("tracks must hold at least one track, got none")
    if not sources:
        raise ValueError("sources must hold at least one name, got none")
    if length_samples < 1:
        raise ValueError(f"length_samples must be at least 1, got {length_samples}")
