"""Tracks to score a model on, and their reference sources.

A source is the file of its name. Where a track has none, it is the sum of the stems of MUSDB18 that
make it up: ``accompaniment``, and what MiXiN calls ``harmonic`` and ``percussive``. Where a track
has none of these either, the source is silent in it, as a stem of a real song may be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asteroid_slicq.data import Track, find_tracks, inspect_file
from asteroid_slicq.vocabulary import SUMS_OF_STEMS

Audio = NDArray[np.float32]

MIXTURE = "mixture"


@dataclass(frozen=True)
class ReferenceTrack:
    """A track with the files of its reference sources.

    Attributes:
        track: where it is; as long as its shortest file.
        sources: names of the sources.
        files: names of the files of each source, without ``.wav``; none where it is missing.
        sample_rate: in Hz.
        remix: whether its mix is the sum of these sources, and not the file of the mixture.
    """

    track: Track
    sources: tuple[str, ...]
    files: tuple[tuple[str, ...], ...]
    sample_rate: float
    remix: bool = False

    @property
    def name(self) -> str:
        """Name of the track."""
        return self.track.name

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.track.length_samples / self.sample_rate

    @property
    def missing(self) -> list[str]:
        """Sources without a file, which are taken as silent."""
        return [s for s, files in zip(self.sources, self.files, strict=True) if not files]

    def read(self) -> tuple[Audio, Audio]:
        """The mix, ``(channel, time)``, and the references, ``(source, channel, time)``."""
        mix = self.track.read(MIXTURE)
        stems = np.zeros((len(self.sources), *mix.shape), np.float32)
        for stem, files in zip(stems, self.files, strict=True):
            for file in files:
                stem += self.track.read(file)
        return stems.sum(0) if self.remix else mix, stems

    def fingerprint(self) -> str:
        """Tells the track from others of its name, by a second from the middle of every file.

        A copy of the data, wherever and of whatever date, has the same.
        """
        length = min(self.track.length_samples, round(self.sample_rate))
        start = (self.track.length_samples - length) // 2
        what = f"{self.track.length_samples} {self.files}{' remix' if self.remix else ''}"
        digest = hashlib.sha256(what.encode())
        for file in (MIXTURE, *(file for files in self.files for file in files)):
            digest.update(self.track.read_frames(file, start, length).tobytes())
        return digest.hexdigest()


def find_reference_tracks(
    root: str | Path, split: str, sources: Sequence[str], sample_rate: float, remix: bool = False
) -> list[ReferenceTrack]:
    """List the tracks of a split with the files of their reference sources, sorted by name.

    Args:
        root: folder that holds ``<split>/<track>/<file>.wav``, with a ``mixture.wav`` each.
        split: name of the folder, such as ``"test"``.
        sources: names of the sources.
        sample_rate: in Hz, what every file must have.
        remix: take the sum of these sources for the mix: the song without what a model leaves out.

    Raises:
        FileNotFoundError: no such folder, or no track in it.
        ValueError: a mixture is missing, or a file is unreadable, of another rate or of other
            channels than its mixture (the message names all of them); or no track has a source.
    """
    found, problems = [], []
    for track in find_tracks(root, split, [MIXTURE], sample_rate):
        files = tuple(tuple(_files_of(source, track.path)) for source in sources)
        mixture = inspect_file(track.path / f"{MIXTURE}.wav")
        length = track.length_samples
        for name in dict.fromkeys(file for names in files for file in names):
            file = track.path / f"{name}.wav"
            facts = inspect_file(file)
            if isinstance(facts, str) or isinstance(mixture, str):
                problems.append(f"{file}: {facts}")
            elif facts[1:] != mixture[1:]:
                problems.append(
                    f"{file}: has {facts.n_channels} channel(s) at {facts.sample_rate} Hz, its "
                    f"mixture has {mixture.n_channels} at {mixture.sample_rate} Hz"
                )
            else:
                length = min(length, facts.length_samples)
        shortened = replace(track, length_samples=length)
        found.append(ReferenceTrack(shortened, tuple(sources), files, sample_rate, remix))
    if problems:
        listing = "\n  ".join(problems)
        raise ValueError(f"{len(problems)} unusable file(s) under {root}:\n  {listing}")
    for source in sources:
        if all(source in track.missing for track in found):
            wanted = " or ".join({source: 0} | dict.fromkeys(SUMS_OF_STEMS.get(source, ())))
            raise ValueError(
                f"no track under {Path(root) / split} has a true {source!r}: a file of {wanted}"
            )
    return found


def _files_of(source: str, folder: Path) -> list[str]:
    own = (folder / f"{source}.wav").is_file()
    names = (source,) if own else SUMS_OF_STEMS.get(source, ())
    return [name for name in names if (folder / f"{name}.wav").is_file()]
