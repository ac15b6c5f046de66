"""Songs that inputs stand for, and the folder for the stems of each."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asteroid_slicq.audio import AUDIO_SUFFIXES, AudioWarning, is_stem, track_name
from asteroid_slicq.files import unreadable


@dataclass(frozen=True)
class Job:
    """A file to separate.

    Attributes:
        path: the mix.
        track: folder of its stems, relative to the output folder.
    """

    path: Path
    track: str


def collect_jobs(inputs: Sequence[str], output: Path) -> tuple[list[Job], list[str]]:
    """Find the files to separate.

    A folder stands for every audio file in it and below, but for hidden files and for stems, of
    which a warning tells; the tree is mirrored in the output. A file named twice is one job. Where
    two files would share a folder of stems, such as ``a/song.wav`` and ``b/song.flac``, the later
    one gets ``song-2``.

    Args:
        inputs: files, folders and patterns such as ``*.wav``.
        output: folder under which the stems go.

    Returns:
        The jobs, in order, and a sentence for each input that gave none and each folder that
        cannot be read.
    """
    found: list[tuple[Path, Path, bool]] = []  # file, folder relative to the output, from a folder
    problems: list[str] = []
    n_stems = 0
    for text in inputs:
        n_before = len(problems)
        files = list(_expand(Path(text), output, problems))
        if not files and len(problems) == n_before:
            problems.append(f"{text}: {unreadable(text) or _nothing(text)}")
        songs = [entry for entry in files if not (entry[2] and is_stem(entry[0]))]
        n_stems += len(files) - len(songs)
        found.extend(songs)
    jobs: dict[Path, Job] = {}
    taken: set[str] = set()
    named: set[Path] = set()  # by the user, not found in a folder
    for path, folder, is_searched in found:
        real = path.resolve()
        if not is_searched:
            named.add(real)
        if real in jobs:
            continue
        base = track = str(folder / track_name(path))
        number = 1
        while track.casefold() in taken:
            number += 1
            track = f"{base}-{number}"
        taken.add(track.casefold())
        jobs[real] = Job(path, track)
    results = {(output / job.track).resolve() for job in jobs.values()}
    kept = [job for real, job in jobs.items() if real in named or real.parent not in results]
    n_stems += len(jobs) - len(kept)
    if n_stems:
        warnings.warn(
            f"{n_stems} file(s) passed over, which are stems of an earlier separation; one that is "
            "named is separated",
            AudioWarning,
            stacklevel=2,
        )
    return kept, problems


def _expand(path: Path, output: Path, problems: list[str]) -> Iterator[tuple[Path, Path, bool]]:
    if os.path.isdir(path):
        for file in _audio_files(path, output, problems):
            yield file, file.parent.relative_to(path), True
    elif os.path.lexists(path):
        yield path, Path(), False
    elif glob.has_magic(str(path)):
        for match in sorted(glob.glob(str(path))):
            yield from _expand(Path(match), output, problems)
        fixed = next(p for p in path.parents if not glob.has_magic(str(p)))
        if reason := unreadable(fixed):
            problems.append(f"{fixed}: {reason}")


def _audio_files(folder: Path, output: Path, problems: list[str]) -> Iterator[Path]:
    real_output = output.resolve()
    skips_output = real_output != folder.resolve()
    seen = {folder.resolve()}  # a link may lead to where it lies

    def tell(error: OSError) -> None:
        problems.append(f"{error.filename}: cannot be read ({error.strerror})")

    for root, folders, files in os.walk(folder, onerror=tell, followlinks=True):
        kept = []
        for name in sorted(folders):
            real = Path(root, name).resolve()
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
