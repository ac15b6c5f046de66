"""Stage 0: check every file of a tree of stems; download MUSDB18-HQ first, if asked to.

python -m common.prepare_data DATA [--download true] [--subset true] [--delete_zip true]
python -m common.prepare_data DATA --stems MUSDB18 [--subset true]

What it finds goes to the standard output, of which ``run.sh`` makes a log.
"""

import argparse
import hashlib
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from asteroid_slicq.cli.parsers.arguments import refuse_empty
from asteroid_slicq.data.musdb import (
    ZENODO,
    TreeReport,
    download_musdb,
    inspect_tree,
    unpack_stems,
)
from asteroid_slicq.files import write_text


def main() -> int:
    """Download what is missing, if asked to, and check the tree; 1 if it cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("data", type=Path, help="tree: DATA/{train,test}/<track>/<source>.wav")
    help_text = "tree of MUSDB18, {train,test}/<track>.stem.mp4, to unpack to DATA"
    parser.add_argument("--stems", type=Path, help=help_text)
    parser.add_argument("--download", type=_bool, default=False, help="MUSDB18-HQ from Zenodo")
    parser.add_argument("--subset", type=_bool, default=False, help="a part of MUSDB18-HQ will do")
    parser.add_argument("--delete_zip", type=_bool, default=False, help="once it is unpacked")
    parser.add_argument(
        "--known", type=Path, help="folder that notes which samples were read, to read them once"
    )
    parser.add_argument(
        "--zenodo_url",
        default=os.environ.get("SLICQ_ZENODO_URL", ZENODO),
        help=f"a mirror of {ZENODO}; also as $SLICQ_ZENODO_URL",
    )
    refuse_empty(parser, sys.argv[1:])
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        if args.download and not _is_sound(args.data, args.subset):
            progress = _Progress()
            download_musdb(
                args.data,
                base_url=args.zenodo_url,
                delete_archive=args.delete_zip,
                progress=progress,
            )
            progress.close()
        if args.stems:
            tracks = _Progress("tracks", 1)
            unpack_stems(
                args.stems, args.data, progress=lambda *numbers: tracks("unpack", *numbers)
            )
            tracks.close()
        summary = _look(args.data, args.subset, args.known)
    except (ValueError, OSError) as error:
        print(error, flush=True)
        return 1
    print(summary, flush=True)
    return 0


def _look(data: Path, subset: bool, known: Path | None) -> str:
    """What there is to say of a tree that can be used; its samples are read once.

    Raises:
        ValueError: it cannot be used.
    """
    report = inspect_tree(data, subset=subset)
    report.raise_for_problems()
    file = known / f"{_listing(data)}.txt" if known else None
    if file and file.is_file():
        return file.read_text(encoding="utf-8")
    report = inspect_tree(data, subset=subset, samples=True)
    report.raise_for_problems()
    summary = "\n".join((*report.notes, _summary(report)))
    if file:
        write_text(file, summary)
    return summary


def _listing(data: Path) -> str:
    """Digits that differ when any file does, by its size or its time of change."""
    facts = [
        (os.fspath(file), status.st_size, status.st_mtime_ns)
        for file in sorted(data.resolve().glob("*/*/*.wav"))
        for status in [file.stat()]
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _is_sound(data: Path, subset: bool) -> bool:
    try:
        return not inspect_tree(data, subset=subset).problems
    except FileNotFoundError:
        return False


def _summary(report: TreeReport) -> str:
    parts = [
        f"{n} tracks ({report.duration_s[split] / 60:.1f} min) in {split}"
        for split, n in report.n_tracks.items()
    ]
    kind = "MUSDB18-HQ" if report.is_musdb else "stems that are not MUSDB18-HQ"
    return f"{report.root} is sound: {kind}, {' and '.join(parts)}"


def _bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be true or false, got {text!r}")
    return text == "true"


class _Progress:
    """A bar for each part of the work on a terminal; a line a minute elsewhere."""

    def __init__(self, unit: str = "GB", size: float = 1e9) -> None:
        self._unit, self._size = unit, size
        self._bar: tqdm | None = None
        self._what = ""
        self._said = 0.0

    def __call__(self, what: str, n_done: int, n_all: int) -> None:
        if sys.stderr is None or not sys.stderr.isatty():  # or closed, as a daemon's
            if time.monotonic() - self._said > 60 or n_done == n_all:
                self._said = time.monotonic()
                digits = 2 if self._size > 1 else 0
                done, of = (f"{n / self._size:.{digits}f}" for n in (n_done, n_all))
                print(f"{what}: {done} of {of} {self._unit}", flush=True)
            return
        if what != self._what:
            self.close()
            self._what = what
            scale: dict[str, Any] = {"unit": "B", "unit_scale": True, "unit_divisor": 1000}
            if self._size == 1:
                scale = {"unit": " " + self._unit}
            self._bar = tqdm(total=n_all, initial=n_done, desc=what, **scale)
        if self._bar is not None:
            self._bar.update(n_done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


if __name__ == "__main__":
    sys.exit(main())
