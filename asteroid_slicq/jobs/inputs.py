"""Songs that inputs stand for, and the folder for the stems of each."""

from __future__ import annotations

import glob
import os
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from asteroid_slicq.audio import AUDIO_SUFFIXES, AudioWarning, is_stem, track_name
from asteroid_slicq.files import real_path, unreadable
from asteroid_slicq.jobs import remote
from asteroid_slicq.jobs.playlists import is_playlist, read_playlist
from asteroid_slicq.vocabulary import STEMS, SUMS_OF_STEMS

_NAMES_OF_STEMS = {*STEMS, *SUMS_OF_STEMS, "residual", "remix"}


@dataclass(frozen=True)
class Job:
    """A file to separate.

    Attributes:
        path: the mix; a string is an address such as ``s3://bucket/song.wav``.
        track: folder of its stems, relative to the output folder.
        label: what to call it, where its path says nothing.
    """

    path: Path | str
    track: str
    label: str = ""

    @property
    def name(self) -> str:
        """What to call it."""
        return self.label or str(self.path)


@dataclass(frozen=True)
class _Found:
    """A file, the folder relative to the output, and whether somebody named it."""

    path: Path | str
    folder: Path
    is_named: bool


class Earlier(Protocol):
    """What earlier runs have put into the output."""

    def track_of(self, path: Path | str) -> str | None:
        """The folder that the stems of a song have."""
        ...

    def tracks_of_others(self, paths: Collection[Path | str]) -> set[str]:
        """The folders of stems of all songs but some."""
        ...


def collect_jobs(
    inputs: Sequence[str],
    output: Path | str,
    earlier: Earlier | None = None,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> tuple[list[Job], list[str]]:
    """Find the files to separate.

    A folder stands for every audio file in it and below, but for hidden files and for stems, of
    which a warning tells: those that were written here, and those beside a file ``mixture`` in a
    tree like that of MUSDB18-HQ. The tree is mirrored in the output. A playlist stands for its
    entries. A file named twice is one job. Where two files would share a folder of stems, such as
    ``a/song.wav`` and ``b/song.flac``, the later one gets ``song-2``.

    Args:
        inputs: files, folders, playlists (``.m3u``, ``.m3u8``), patterns such as ``*.wav``, and
            addresses that ``fsspec`` knows, such as ``s3://bucket/album``.
        output: folder, or address of one, under which the stems go.
        earlier: runs whose stems are kept, and whose songs keep their folders; the `Manifest`.
        labels: what to call some files, by path.

    Returns:
        The jobs, in order, and a sentence for each input that gave none and each folder or entry
        that cannot be read.
    """
    found: list[_Found] = []
    problems: list[str] = []
    n_stems = n_beside = 0
    for text in inputs:
        n_before = len(problems)
        meant = list(_expand(text, output, problems))
        if not meant and len(problems) == n_before:
            problems.append(f"{text}: {unreadable(text) or _nothing(text)}")
        songs = [file for file in meant if file.is_named or not _is_stem(file.path)]
        n_stems += len(meant) - len(songs)
        beside = _beside_a_mixture(songs)
        n_beside += len(beside)
        found.extend(file for file in songs if file not in beside)
    files: dict[Path | str, _Found] = {}
    for file in found:
        files.setdefault(_identity(file.path), file)
    named = {_identity(file.path) for file in found if file.is_named}
    jobs: dict[Path | str, Job] = {}
    kept_tracks: dict[Path | str, str | None] = {}
    taken: set[str] = set()
    given: set[str] = set()
    if earlier is not None:
        kept_tracks = {real: earlier.track_of(file.path) for real, file in files.items()}
        taken = set(filter(None, kept_tracks.values())) | earlier.tracks_of_others(set(files))
        taken = {track.casefold() for track in taken}
    for real, file in files.items():
        track = kept_tracks.get(real)
        if track is None or track in given:
            track = _free_name(str(file.folder / track_name(file.path)), taken)
        given.add(track)
        taken.add(track.casefold())
        jobs[real] = Job(file.path, track, labels.get(str(file.path), ""))
    kept = list(jobs.items())
    if isinstance(output, Path):
        results = {real_path(output / job.track) for job in jobs.values()}
        kept = [
            (real, job)
            for real, job in kept
            if real in named or Path(real).parent not in results or not _has_name_of_stem(real)
        ]
    n_stems += len(jobs) - len(kept)
    if n_stems:
        warnings.warn(
            f"{n_stems} file(s) passed over, which are stems of an earlier separation; one that is "
            "named is separated",
            AudioWarning,
            stacklevel=2,
        )
    if n_beside:
        warnings.warn(
            f"{n_beside} file(s) passed over, which are the stems beside a mixture; one that is "
            "named is separated",
            AudioWarning,
            stacklevel=2,
        )
    return [job for _, job in kept], problems


def _free_name(base: str, taken: set[str]) -> str:
    track, number = base, 1
    while track.casefold() in taken:
        number += 1
        track = f"{base}-{number}"
    return track


def _identity(path: Path | str) -> Path | str:
    return real_path(path) if isinstance(path, Path) else path


def _is_stem(path: Path | str) -> bool:
    return isinstance(path, Path) and is_stem(path)


def _has_name_of_stem(path: Path | str) -> bool:
    """Of a stem without a mark, as programs leave it that write a file anew."""
    name = Path(path).stem
    return name in _NAMES_OF_STEMS or name.startswith("no_")


def _beside_a_mixture(files: Iterable[_Found]) -> set[_Found]:
    """Stems in folders with a ``mixture`` and two stems of MUSDB18 or more, unless named."""
    folders: defaultdict[Path, dict[_Found, str]] = defaultdict(dict)
    for file in files:
        path = Path(file.path)
        folders[path.parent][file] = path.stem
    return {
        file
        for names in folders.values()
        if "mixture" in names.values() and len({*STEMS} & {*names.values()}) > 1
        for file in names
        if not file.is_named and _has_name_of_stem(file.path)
    }


def _expand(text: str, output: Path | str, problems: list[str]) -> Iterator[_Found]:
    if remote.is_address(text):
        try:
            for address, folder in remote.expand(text, str(output)):
                yield _Found(address, Path(folder), folder == "")
        except remote.RemoteError as error:
            problems.append(str(error))
        return
    path = Path(text)
    if is_playlist(path) and os.path.lexists(path):
        yield from _entries(path, output, problems, set())
    elif os.path.lexists(path):
        yield from _below(path, output, problems)
    elif glob.has_magic(text):
        for match in sorted(glob.glob(text, recursive=True)):
            yield from _expand(match, output, problems)
        fixed = next(p for p in path.parents if not glob.has_magic(str(p)))
        if reason := unreadable(fixed):
            problems.append(f"{fixed}: {reason}")


def _entries(
    playlist: Path, output: Path | str, problems: list[str], open_ones: set[Path]
) -> Iterator[_Found]:
    """The songs of a playlist, and of those in it; what is missing is told."""
    if real_path(playlist) in open_ones:
        return
    open_ones.add(real_path(playlist))
    n_before, n_files = len(problems), 0
    try:
        for entry in read_playlist(playlist):
            if isinstance(entry, str):
                problems.append(f"{playlist}: {entry}")
            elif is_playlist(entry) and os.path.lexists(entry):
                n_files += 1
                yield from _entries(entry, output, problems, open_ones)
            elif os.path.lexists(entry):
                n_files += 1
                yield from _below(entry, output, problems)
            else:
                reason = unreadable(entry) or "no such file or folder"
                problems.append(f"{playlist}: {entry}: {reason}")
    except OSError as error:
        problems.append(f"{playlist}: cannot be read ({error.strerror})")
    except ValueError as error:
        problems.append(str(error))
    if not n_files and len(problems) == n_before:
        problems.append(f"{playlist}: names no files")


def _below(path: Path, output: Path | str, problems: list[str]) -> Iterator[_Found]:
    """A file that is there, or the audio files of a folder."""
    if not os.path.isdir(path):
        yield _Found(path, Path(), True)
        return
    for file in _audio_files(path, output, problems):
        yield _Found(file, file.parent.relative_to(path), False)


def _audio_files(folder: Path, output: Path | str, problems: list[str]) -> Iterator[Path]:
    real_output = real_path(output) if isinstance(output, Path) else None
    skips_output = real_output != real_path(folder)
    seen = {real_path(folder)}  # a link may lead to where it lies

    def tell(error: OSError) -> None:
        problems.append(f"{error.filename}: cannot be read ({error.strerror})")

    for root, folders, files in os.walk(folder, onerror=tell, followlinks=True):
        kept = []
        for name in sorted(folders):
            real = real_path(Path(root, name))
            if not name.startswith(".") and not (skips_output and real == real_output):
                kept += [name] if real not in seen else []
                seen.add(real)
        folders[:] = kept
        for name in sorted(files):
            # "._song.wav" is what macOS leaves beside song.wav.
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                yield Path(root, name)


def _nothing(text: str) -> str:
    return "holds no audio files" if os.path.isdir(text) else "no such file or folder"
