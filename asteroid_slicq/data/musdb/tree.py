"""Check of the tree of MUSDB18-HQ, and its download."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from asteroid_slicq.data import FileFacts, Track, inspect_file
from asteroid_slicq.data.musdb.archive import unpack
from asteroid_slicq.data.musdb.download import (
    ZENODO,
    Progress,
    download,
    need_space,
    size_of,
    zenodo_file,
)
from asteroid_slicq.data.musdb.samples import inspect_samples
from asteroid_slicq.files import given_path, unreadable
from asteroid_slicq.vocabulary import STEMS

ZENODO_RECORD = 3338373
ARCHIVE = "musdb18hq.zip"
SPLITS: tuple[str, str] = ("train", "test")
FILES = ("mixture", *STEMS)
SAMPLE_RATE = 44100
_UNPACKED = 1.5  # ten hours in five files of 16 bits are 32 GB, the archive has 22.7


@dataclass(frozen=True)
class TreeReport:
    """Findings of a look at every file of a tree.

    Args:
        root: the tree.
        n_tracks: tracks in each split.
        duration_s: of all tracks of a split together.
        is_musdb: whether any of the tracks has the name of one of MUSDB18-HQ.
        problems: a line for each thing that is wrong, with its path.
        notes: a line for each thing that is odd and may be used, with its path.
    """

    root: Path
    n_tracks: dict[str, int]
    duration_s: dict[str, float]
    is_musdb: bool
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def raise_for_problems(self) -> None:
        """Raise a ValueError that names everything that is wrong, if anything is."""
        if self.problems:
            listing = "\n  ".join(self.problems)
            raise ValueError(f"{len(self.problems)} problem(s) with {self.root}:\n  {listing}")


@cache
def published_tracks() -> dict[str, frozenset[str]]:
    """Names of the 100 and 50 tracks of MUSDB18-HQ, as its folders are spelled, by split."""
    text = resources.files("asteroid_slicq.data.musdb").joinpath("tracks.txt").read_text("utf-8")
    return {
        split: frozenset(
            line.removeprefix(f"{split}/")
            for line in text.splitlines()
            if line.startswith(f"{split}/")
        )
        for split in SPLITS
    }


def inspect_tree(root: str | Path, *, subset: bool = False, samples: bool = False) -> TreeReport:
    """Look at the header of every file of ``root/{train,test}/<track>/<file>.wav``.

    Each track needs the five files, in stereo, of one length and one sample rate, which has to be
    that of all tracks. A tree in which any track has the name of one of MUSDB18-HQ has to be all of
    MUSDB18-HQ: 100 and 50 tracks at 44.1 kHz, each in its own split.

    Args:
        root: folder that holds the splits.
        subset: accept a part of MUSDB18-HQ.
        samples: where the headers are sound, also read all of every file, which takes minutes for
            MUSDB18-HQ: NaN and infinite samples are problems, mixtures that are not the sum of
            their stems are noted.

    Raises:
        FileNotFoundError: if there is no such folder, or no track in it.
    """
    root = given_path(root, "root")
    folders = {split: _track_folders(root / split) for split in SPLITS}
    names = {split: {folder.name for folder in folders[split]} for split in SPLITS}
    published = published_tracks()
    is_musdb = bool((names["train"] | names["test"]) & (published["train"] | published["test"]))
    problems: list[str] = []
    if is_musdb:
        problems += _names_amiss(root, names, subset)

    rates: Counter[int] = Counter()
    facts = {}
    for folder in (*folders["train"], *folders["test"]):
        for name in FILES:
            file = folder / f"{name}.wav"
            found = facts[file] = inspect_file(file)
            if isinstance(found, FileFacts):
                rates[found.sample_rate] += 1
    usual = SAMPLE_RATE if is_musdb or not rates else rates.most_common(1)[0][0]
    duration_s = dict.fromkeys(SPLITS, 0.0)
    for split in SPLITS:
        for folder in folders[split]:
            of_track = {f: facts[f] for f in (folder / f"{name}.wav" for name in FILES)}
            problems += _track_problems(of_track, usual)
            lengths = [f.length_samples for f in of_track.values() if isinstance(f, FileFacts)]
            duration_s[split] += max(lengths, default=0) / usual
    notes: list[str] = []
    if samples and not problems:
        tracks = [
            Track(folder, found.length_samples)
            for split in SPLITS
            for folder in folders[split]
            if isinstance(found := facts[folder / f"{FILES[0]}.wav"], FileFacts)
        ]
        problems, notes = inspect_samples(tracks, FILES[0], STEMS)
    n_tracks = {split: len(folders[split]) for split in SPLITS}
    return TreeReport(root, n_tracks, duration_s, is_musdb, tuple(problems), tuple(notes))


def _track_folders(folder: Path) -> list[Path]:
    if reason := unreadable(folder):
        raise PermissionError(f"{folder}: {reason}")
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}: {_needed(folder.parent)}")
    tracks = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not tracks:
        raise FileNotFoundError(f"no track in {folder}: {_needed(folder.parent)}")
    return tracks


def _needed(root: Path) -> str:
    return f"{root} must hold {{train,test}}/<track>/{{{','.join(FILES)}}}.wav, as MUSDB18-HQ does"


def _names_amiss(root: Path, names: dict[str, set[str]], subset: bool) -> Iterator[str]:
    """Tracks of MUSDB18-HQ that are in the wrong split, and, without `subset`, those missing."""
    published = published_tracks()
    for split, other in (SPLITS, SPLITS[::-1]):
        for name in sorted(names[split] & published[other]):
            yield f"{root / split / name}: belongs into {other}"
        # Where the number is right, a track may have another name.
        if not subset and len(names[split]) != len(published[split]):
            yield (
                f"{root / split}: {len(names[split])} tracks, not the {len(published[split])} of "
                "MUSDB18-HQ"
            )
            for name in sorted(published[split] - names[split]):
                yield f"{root / split / name}: missing"


def _track_problems(facts: dict[Path, FileFacts | str], sample_rate: int) -> Iterator[str]:
    sound = [f for f in facts.values() if isinstance(f, FileFacts)]
    usual = Counter(f.length_samples for f in sound).most_common(1)
    for file, found in facts.items():
        if isinstance(found, str):
            yield f"{file}: {found}"
            continue
        if found.sample_rate != sample_rate:
            yield f"{file}: sample rate is {found.sample_rate} Hz, not {sample_rate} Hz"
        if found.n_channels != 2:
            yield f"{file}: has {found.n_channels} channel(s), not 2"
        if found.length_samples != usual[0][0]:
            yield (
                f"{file}: has {found.length_samples} samples, where other files of the track have "
                f"{usual[0][0]}"
            )


def download_musdb(
    root: str | Path,
    *,
    base_url: str = ZENODO,
    delete_archive: bool = False,
    attempts: int = 5,
    progress: Progress | None = None,
) -> Path:
    """Download MUSDB18-HQ from Zenodo and unpack it; the same again goes on where it stopped.

    An archive that lies in ``root`` already, because it was downloaded by hand, is used.

    Args:
        root: folder that will hold ``train`` and ``test``; the archive is kept beside them.
        base_url: of Zenodo, or of a mirror that answers as it does.
        delete_archive: remove the archive once all of it is unpacked.
        attempts: see :func:`asteroid_slicq.data.musdb.download.download`.
        progress: is told how far it is.

    Returns:
        ``root``.

    Raises:
        DownloadError: if Zenodo cannot be reached, the disk is too small, or the checksum is wrong.
        ArchiveError: if the archive cannot be unpacked safely.
    """
    root = given_path(root, "root")
    archive = root / ARCHIVE
    root.mkdir(parents=True, exist_ok=True)
    remote = zenodo_file(ZENODO_RECORD, ARCHIVE, base_url, attempts)
    n_had = max(size_of(archive), size_of(archive.with_name(f"{ARCHIVE}.partial")))
    n_unpacked = sum(size_of(p) for split in SPLITS for p in (root / split).rglob("*.wav"))
    n_missing = (remote.size_bytes - n_had) + max(remote.size_bytes * _UNPACKED - n_unpacked, 0)
    need_space(root, round(n_missing), f"{ARCHIVE} with what it holds")
    download(remote, archive, attempts=attempts, progress=progress)
    unpack(archive, root, progress=progress)
    if delete_archive:
        archive.unlink()
    return root
