"""Options that trade time for quality: what each gains in SDR and how long it takes.

``python benchmarks/quality.py SONGS`` separates the songs of a tree like MUSDB18-HQ's with every
setting and writes a table to docs/separate.md. Two kinds of songs that anyone can make::

    asteroid-slicq synth songs/procedural --tracks 6 --test-tracks 6 --seconds 20 --seed 7
    asteroid-slicq sounds build && asteroid-slicq synth songs/sampled --sounds sampled \\
        --tracks 6 --test-tracks 6 --seconds 20 --seed 8

``--other MODEL`` is a second model for ensembles. Scores are medians over windows of a second,
then means over sources and songs. Times are ratios to one pass without options, of the processor
time of one thread.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import report
import soundfile as sf
import torch

import asteroid_slicq
from asteroid_slicq.evaluation import sounding_sdr
from asteroid_slicq.separation import Ensemble, Separator

PAGE = report.PAGE.with_name("separate.md")


def settings(other: str | None) -> dict[str, Separator]:
    """Separators by what people write for them."""
    model = asteroid_slicq.load_default_model()
    made = {
        "`--one-pass --segment-seconds 5`": Separator(model, 5.0, two_passes=False),
        "`--one-pass`": Separator(model, two_passes=False),
        "none": Separator(model),
        "`--segment-seconds 5`": Separator(model, 5.0),
        "`--shifts 2`": Separator(model, shifts=2),
        "`--shifts 4`": Separator(model, shifts=4),
    }
    if other is not None:
        second = asteroid_slicq.load_model(other).eval()
        made["the other model alone"] = Separator(second)
        made["`--ensemble` of both"] = Separator(Ensemble([model, second]).eval())
        masks = Ensemble([model, second], domain="mask").eval()
        made["… `--ensemble-domain mask`"] = Separator(masks)
    return made


def score(separator: Separator, song: Path) -> tuple[float, float]:
    """SDR of a song, and seconds of the processor."""
    mix, rate = sf.read(song / "mixture.wav", dtype="float32", always_2d=True)
    stems = np.stack(
        [
            sf.read(song / f"{name}.wav", dtype="float32", always_2d=True)[0].T
            for name in separator.sources
        ]
    )
    started = time.process_time()
    estimates: Any = separator.separate_waveform(mix.T, rate)
    seconds = time.process_time() - started
    return float(np.nanmean(sounding_sdr(stems, estimates, rate))), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("songs", nargs="+", type=Path, metavar="SONGS")
    parser.add_argument("--other", metavar="MODEL", help="a second model, for ensembles")
    parser.add_argument("--tracks", type=int, default=6, help="of each kind (default: 6)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    kinds = {
        path.name: sorted(p.parent for p in path.glob("test/*/mixture.wav"))[: args.tracks]
        for path in args.songs
    }
    separators = settings(args.other)
    for separator in separators.values():  # what is made once is made now
        separator.separate_waveform(np.zeros((2, 44100), np.float32) + 0.1)
    rows, base_s = [], 0.0
    for title, separator in separators.items():
        found = {kind: [score(separator, song) for song in kinds[kind]] for kind in kinds}
        seconds = sum(s for scores in found.values() for _, s in scores)
        base_s = seconds if title == "`--one-pass`" else base_s
        means = [f"{np.nanmean([sdr for sdr, _ in scores]):.2f}" for scores in found.values()]
        rows.append([title, *means, seconds])
        print(rows[-1], flush=True)
    header = ["options", *(f"SDR, {kind}" for kind in kinds), "time"]
    text = report.table(header, [[*row[:-1], f"{row[-1] / base_s:.2f} ×"] for row in rows])
    report.write_section("quality", f"{report.machine()}\n\n{text}", PAGE)


if __name__ == "__main__":
    main()
