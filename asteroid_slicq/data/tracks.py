"""Multitrack music on disk, and the part of it that is for validation.

The folders are those of MUSDB18-HQ, ``<split>/<track>/<source>.wav``, for which any stems will do.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import yaml
from numpy.typing import NDArray

from asteroid_slicq.audio import AudioError, AudioReader
from asteroid_slicq.files import given_path, library_path, unreadable


@cache
def published_validation_tracks() -> frozenset[str]:
    """Names of the 14 tracks of the train folder that the authors of MUSDB18 set aside."""
    # Importing musdb needs the programs of FFmpeg; reading its settings does not.
    settings = Path(str(distribution("musdb").locate_file("musdb/configs/mus.yaml")))
    return frozenset(yaml.safe_load(settings.read_text("utf-8"))["validation_tracks"])


@dataclass(frozen=True)
class Track:
    """One piece of music: a folder with a WAV file for each source."""

    path: Path
    length_samples: int

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    def read(
        self, source: str, start: int = 0, length_samples: int | None = None
    ) -> NDArray[np.float32]:
        """Read a source, or a part of it, padded with zeros if the file ends before.

        Args:
            source: name of the file without its ending; ``"mixture"`` for the mix.
            start: first sample.
            length_samples: samples to return; ``None`` for the rest of the track.

        Shape:
            - output: ``(channel, time)``

        Raises:
            OSError: if the file cannot be read or holds NaN or infinite samples; the message has
                its path.
        """
        return np.ascontiguousarray(self.read_frames(source, start, length_samples).T)

    def read_frames(
        self, source: str, start: int = 0, length_samples: int | None = None
    ) -> NDArray[np.float32]:
        """The same as :meth:`read` in the order of the file, which saves a copy.

        Shape:
            - output: ``(time, channel)``
        """
        if length_samples is None:
            length_samples = self.length_samples - start
        file = self.path / f"{source}.wav"
        try:
            audio, sample_rate = soundfile.read(
                library_path(file),
                frames=length_samples,
                start=start,
                dtype="float32",
                always_2d=True,
                fill_value=0.0,
            )
        except soundfile.SoundFileError as error:
            raise OSError(f"cannot read {file}: {error}") from error
        if not np.isfinite(audio).all():
            first = start + int(np.argmin(np.isfinite(audio).all(-1)))
            raise OSError(
                f"{file}: holds NaN or infinite samples, first at {first / sample_rate:.3f} s"
            )
        return np.asarray(audio, dtype=np.float32)


class FileFacts(NamedTuple):
    """Facts in the header of an audio file."""

    length_samples: int
    n_channels: int
    sample_rate: int


def find_tracks(
    root: str | Path,
    split: str,
    sources: Sequence[str],
    sample_rate: float,
    n_channels: int | None = None,
) -> list[Track]:
    """List the tracks of a split, sorted by name, after a look at the header of every file.

    Args:
        root: folder that holds the split.
        split: ``"train"`` or ``"test"``.
        sources: names of the files that every track needs, without ``.wav``.
        sample_rate: in Hz, what every file must have.
        n_channels: what every file must have; ``None`` accepts any number.

    Raises:
        FileNotFoundError: if there is no such folder or no track in it.
        ValueError: if any file is missing, unreadable or of another rate or number of channels.
            The message names all of them.
    """
    folder = given_path(root, "root").expanduser() / split
    if reason := unreadable(folder):
        raise PermissionError(f"{folder}: {reason}")
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}: root must hold {split}/<track>/<source>.wav")
    tracks, problems = [], []
    for path in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        lengths = []
        for source in sources:
            file = path / f"{source}.wav"
            problem, length = _inspect(file, sample_rate, n_channels)
            lengths.append(length)
            if problem:
                problems.append(f"{file}: {problem}")
        tracks.append(Track(path, min(lengths, default=0)))
    if problems:
        listing = "\n  ".join(problems)
        raise ValueError(f"{len(problems)} unusable file(s) under {folder}:\n  {listing}")
    if not tracks:
        hint = " (.stem.mp4 files are unpacked first: asteroid_slicq.data.musdb.unpack_stems)"
        hint = hint if any(folder.glob("*.stem.mp4")) else ""
        raise FileNotFoundError(f"no track in {folder}: it must hold <track>/<source>.wav{hint}")
    return tracks


def inspect_file(file: Path) -> FileFacts | str:
    """Facts from the header of an audio file, or what is wrong with it, in a few words."""
    if not os.path.isfile(file):
        return unreadable(file) or "missing"
    try:
        with AudioReader(file) as reader:
            n_samples = reader.n_samples or 0
            facts = FileFacts(n_samples, reader.n_channels, reader.sample_rate)
    except AudioError as error:
        return str(error).removeprefix(f"{file}: ")
    return facts if n_samples else "is compressed, or does not say how long it is"


def _inspect(file: Path, sample_rate: float, n_channels: int | None) -> tuple[str, int]:
    """Fault of a file (an empty string where there is none), and its length in samples."""
    facts = inspect_file(file)
    if isinstance(facts, str):
        return facts, 0
    if facts.sample_rate != sample_rate:
        return f"sample rate is {facts.sample_rate} Hz, not {sample_rate:g} Hz", 0
    if n_channels is not None and facts.n_channels != n_channels:
        return f"has {facts.n_channels} channel(s), not {n_channels}", 0
    return "", facts.length_samples


def split_validation(
    tracks: Sequence[Track], fraction: float = 0.14, seed: int = 42
) -> tuple[list[Track], list[Track]]:
    """Set tracks aside for validation.

    From MUSDB18-HQ, these are the 14 published ones; from any other collection, a seeded choice.

    Args:
        tracks: all tracks of the train folder, at least two.
        fraction: share of the tracks to set aside if the published ones are not all there,
            between 0 and 1; at least one track is set aside, and one is left.
        seed: of that choice.

    Returns:
        The tracks to train on and those to validate on.

    Raises:
        ValueError: if there are fewer than two tracks or the fraction is out of range.
    """
    if len(tracks) < 2:
        raise ValueError(f"tracks must hold at least 2 to split, got {len(tracks)}")
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, got {fraction}")
    names = {track.name for track in tracks}
    chosen = published_validation_tracks()
    if not chosen <= names:
        n_chosen = min(max(1, round(fraction * len(tracks))), len(tracks) - 1)
        order = np.random.default_rng(seed).permutation(sorted(names))
        chosen = frozenset(order[:n_chosen].tolist())
    return (
        [track for track in tracks if track.name not in chosen],
        [track for track in tracks if track.name in chosen],
    )
