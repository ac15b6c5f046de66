"""Oracles and sparsity of sliCQTs and STFTs, on procedural stems and on a real song.

``python benchmarks/oracles.py`` (some minutes on one thread; the real song needs ``stempeg`` and
an ffmpeg binary) writes the tables of docs/oracles.md.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import report
import soundfile

from asteroid_slicq import SliCQT
from asteroid_slicq.data import Track, find_tracks
from asteroid_slicq.data.procedural import write_dataset
from asteroid_slicq.evaluation import (
    MEASURES,
    ORACLES,
    Excerpt,
    middle_of,
    oracle_sdr,
    source_sparsity,
    summarise_tracks,
)
from asteroid_slicq.transform import STFT

PAGE = report.PAGE.parent / "oracles.md"
SOURCES = ("vocals", "drums", "bass", "other")
N_TRACKS, SECONDS, SEED = 4, 30.0, 7
BEST = {
    "scale": "mel",
    "n_bins": 600,
    "f_min_hz": 20.0,
    "window": "hann",
    "min_bandwidth_hz": 30.0,
}
TRANSFORMS = {
    "Bark 262, Blackman–Harris, 16 (published)": SliCQT(),
    "… published, overlap-added": SliCQT(overlap_added=True),
    "mel 600, 20 Hz up, Hann, ≥ 30 Hz (best)": SliCQT(**BEST),
    "… best, overlap-added": SliCQT(**BEST, overlap_added=True),
    "STFT 2048/512": STFT(2048, 512),
    "STFT 4096/1024": STFT(4096, 1024),
    "STFT 8192/2048": STFT(8192, 2048),
}


def procedural(folder: Path) -> list[Excerpt]:
    write_dataset(folder, N_TRACKS, SECONDS, SEED, n_test=N_TRACKS - 1)
    tracks = find_tracks(folder, "test", SOURCES, 44100)
    return [middle_of(track, SOURCES, 44100) for track in tracks]


def real_song(folder: Path) -> list[Excerpt]:
    """The example of stempeg; its mix is not the sum of its stems, so the sum is taken."""
    import stempeg

    audio, rate = stempeg.read_stems(stempeg.example_stem_path(), dtype=np.float32)
    stems = dict(zip(("drums", "bass", "other", "vocals"), audio[1:], strict=True))
    for name, stem in stems.items():
        soundfile.write(folder / f"{name}.wav", stem, int(rate), "FLOAT")
    return [middle_of(Track(folder, audio.shape[1]), SOURCES, int(rate))]


def tables(excerpts: Sequence[Excerpt]) -> str:
    sdr_rows, target_rows, sparsity_rows = [], [], []
    for name, transform in TRANSFORMS.items():
        scores = [oracle_sdr(transform, excerpt) for excerpt in excerpts]
        sdr = {o: summarise_tracks([s[o] for s in scores], SOURCES) for o in ORACLES}
        redundancy = getattr(transform, "redundancy", None) or transform.frame.redundancy
        row = [name, f"{redundancy:.2f}", *(f"{sdr[o]['mean']:.2f}" for o in ORACLES)]
        sdr_rows.append(row)
        target_rows.append([name, *(f"{sdr['mix-phase'][s]:.2f}" for s in SOURCES)])
        values = [source_sparsity(transform, excerpt) for excerpt in excerpts]
        cells = []
        for measure, decimals in zip(MEASURES, (3, 2, 0, 3), strict=True):
            of = summarise_tracks([v[measure] for v in values], SOURCES)
            cells.append(" / ".join(f"{of[s]:.{decimals}f}" for s in SOURCES))
        sparsity_rows.append([name, *cells])
        print(*row, *target_rows[-1][1:], *cells, sep="\t", flush=True)
    return "\n\n".join(
        [
            "Median SDR over windows of 1 s in dB, mean of the four sources:",
            report.table(["transform", "redundancy", *ORACLES], sdr_rows),
            "The mix-phase oracle by source:",
            report.table(["transform", *SOURCES], target_rows),
            f"Sparsity, {' / '.join(SOURCES)}:",
            report.table(["transform", *MEASURES], sparsity_rows),
        ]
    )


def main() -> None:
    sections = []
    with tempfile.TemporaryDirectory() as folder:
        command = (
            f"asteroid-slicq synth data --tracks {N_TRACKS} --seconds {SECONDS:g} --seed {SEED}"
        )
        sections.append(
            f"### Procedural stems\n\nThe {N_TRACKS - 1} test tracks of `{command} "
            f"--test-tracks {N_TRACKS - 1}`; medians over tracks.\n\n"
            + tables(procedural(Path(folder)))
        )
    if importlib.util.find_spec("stempeg") is None:
        raise SystemExit("the real song needs stempeg: pip install stempeg")
    with tempfile.TemporaryDirectory() as folder:
        sections.append(
            "### A real song\n\nThe 6 s that the `stempeg` package ships as its example; the mix "
            "is the sum of the stems.\n\n" + tables(real_song(Path(folder)))
        )
    text = "\n\n".join(["## Measured", "`python benchmarks/oracles.py`, float32.", *sections])
    report.write_section("oracles", text, PAGE)


if __name__ == "__main__":
    main()
