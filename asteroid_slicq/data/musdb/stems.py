"""Stem files of MUSDB18 (``.stem.mp4``), unpacked to a tree like that of MUSDB18-HQ.

The package ``musdb`` tells which stream of a file holds which stem. It decodes with the programs of
FFmpeg, which may be missing; here the FFmpeg within PyAV does, to the same samples. Training reads
short segments of four stems at a time, for which files that need no decoding are a must.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import soundfile
import yaml
from numpy.typing import NDArray

from asteroid_slicq.audio import AudioError, AudioReader
from asteroid_slicq.files import whole_folder

SUFFIX = ".stem.mp4"
_MOST_DIFFERENCE = 4096  # samples, of the lengths of a file's streams
_CHUNK = 2**18


@cache
def stem_streams() -> dict[str, int]:
    """The number of the stream that holds the mixture and each stem, in a file of MUSDB18."""
    # Importing musdb needs the programs of FFmpeg; reading its settings does not.
    settings = Path(str(distribution("musdb").locate_file("musdb/configs/mus.yaml")))
    return dict(yaml.safe_load(settings.read_text("utf-8"))["stem_ids"])


def stem_files(root: Path, split: str) -> list[Path]:
    """The stem files of a split, sorted by name."""
    return sorted(p for p in (root / split).glob(f"*{SUFFIX}") if not p.name.startswith("."))


def unpack_stems(
    root: str | Path,
    target: str | Path,
    splits: tuple[str, ...] = ("train", "test"),
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the stems of all files ``root/{train,test}/<track>.stem.mp4`` as WAV files of 16 bits.

    A track that is there already is not written again, so the same call goes on where one stopped.

    Args:
        root: folder that holds the splits, as MUSDB18 is unpacked.
        target: folder to write ``<split>/<track>/{mixture,vocals,…}.wav`` to.
        splits: names of the folders.
        progress: is told how many tracks of how many are there.

    Returns:
        ``target``.

    Raises:
        FileNotFoundError: a split holds no stem file.
        AudioError: a file is damaged, or has not five streams of one length.
        OSError: a track cannot be written.
    """
    root, target = Path(root), Path(target)
    jobs = []
    for split in splits:
        files = stem_files(root, split)
        if not files:
            raise FileNotFoundError(f"no {SUFFIX} file in {root / split}")
        (target / split).mkdir(parents=True, exist_ok=True)
        jobs += [(file, target / split / file.name.removesuffix(SUFFIX)) for file in files]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for n_done, _ in enumerate(pool.map(lambda job: _unpack(*job), jobs), 1):
            if progress:
                progress(n_done, len(jobs))
    return target


def _unpack(file: Path, folder: Path) -> None:
    if folder.is_dir():
        return
    stems = {name: read_stem(file, stream) for name, stream in stem_streams().items()}
    lengths = [stem.shape[1] for _, stem in stems.values()]
    rates = {rate for rate, _ in stems.values()}
    if len(rates) > 1 or max(lengths) - min(lengths) > _MOST_DIFFERENCE:
        raise AudioError(f"{file}: its streams are {lengths} samples long, at {sorted(rates)} Hz")
    with whole_folder(folder, folder.parent) as partial:
        for name, (rate, stem) in stems.items():
            soundfile.write(partial / f"{name}.wav", stem[:, : min(lengths)].T, rate)


def read_stem(file: Path, stream: int) -> tuple[int, NDArray[np.int16]]:
    """The sample rate and the samples, ``(channel, time)``, of a stream, rounded to 16 bits."""
    with AudioReader(file, stream=stream) as reader:
        parts = [
            np.rint(buffer * 2.0**15).clip(-(2**15), 2**15 - 1).astype(np.int16)
            for buffer in reader.buffers(_CHUNK)
        ]
        return reader.sample_rate, np.concatenate(parts, axis=1)
