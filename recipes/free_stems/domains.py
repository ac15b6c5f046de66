"""Scores of models on several kinds of songs, and the shortcut test, as tables.

``python domains.py --model old=small.pth --model new=best_model.pth --domain sampled=DIR
--domain procedural=DIR``: each DIR is a tree whose ``test`` folder holds tracks. Scores are the SDR
of windows of 1 s, their median over windows, then over tracks, in dB.

The shortcut test changes the mixes so that a source can no longer be known by a mark of its
recordings: low-passed at 9 and 5 kHz, with noise above, in mono, 12 dB louder and softer; the
references are changed alike. One source alone says how much of it comes out as itself, and how much
as others.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from asteroid.models import BaseModel
from scipy import fft

from asteroid_slicq.data import Track, find_tracks
from asteroid_slicq.evaluation import json_text, nan_median, track_sdr
from asteroid_slicq.files import write_text

STEMS = ("vocals", "drums", "bass", "other")
Audio = np.ndarray


def low_passed(cutoff_hz: float, rate: float) -> Callable[[Audio], Audio]:
    def change(x: Audio) -> Audio:
        f_hz = fft.rfftfreq(x.shape[-1], 1 / rate)
        return fft.irfft(fft.rfft(x) * (f_hz < cutoff_hz), x.shape[-1]).astype(np.float32)

    return change


def with_noise_above(cutoff_hz: float, rate: float) -> Callable[[Audio], Audio]:
    """Every source low-passed, with faint noise above that follows its envelope."""
    below = low_passed(cutoff_hz, rate)

    def change(x: Audio) -> Audio:
        noise = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
        noise -= below(noise)
        step = round(0.01 * rate)
        n = x.shape[-1] // step * step
        envelope = np.abs(x[..., :n]).mean(-2, keepdims=True)
        envelope = envelope.reshape(*envelope.shape[:-1], -1, step).mean(-1).repeat(step, -1)
        envelope = np.pad(envelope, [(0, 0)] * (x.ndim - 1) + [(0, x.shape[-1] - n)])
        return below(x) + 0.03 * envelope * noise

    return change


def changes(rate: float) -> dict[str, Callable[[Audio], Audio]]:
    return {
        "as it is": lambda x: x,
        "below 9 kHz": low_passed(9000, rate),
        "below 5 kHz": low_passed(5000, rate),
        "noise above 9 kHz": with_noise_above(9000, rate),
        "mono": lambda x: np.broadcast_to(x.mean(-2, keepdims=True), x.shape),
        "12 dB louder": lambda x: 4 * x,
        "12 dB softer": lambda x: x / 4,
    }


def separate(model, mix: Audio) -> Audio:
    estimates = model.separate(np.ascontiguousarray(mix))
    return np.stack([estimates[model.sources.index(stem)] for stem in STEMS])


def read(track: Track) -> Audio:
    return np.stack([track.read(stem) for stem in STEMS])


def score(model, tracks: list[Track], rate: float, change: Callable[[Audio], Audio]) -> Audio:
    """SDR of each stem, its median over tracks."""
    rows = []
    for track in tracks:
        stems = change(read(track))
        rows.append(track_sdr(stems, separate(model, stems.sum(0)), rate))
    return nan_median(np.stack(rows), axis=0)


def alone(model, tracks: list[Track]) -> Audio:
    """Level of every output, in dB, when one stem is all there is: (stem, output)."""
    levels = np.full((len(tracks), len(STEMS), len(STEMS)), np.nan)
    for i, track in enumerate(tracks):
        for j, stem in enumerate(read(track)):
            power = np.square(stem).mean()
            if power > 1e-6:
                out = np.square(separate(model, stem)).mean((1, 2))
                levels[i, j] = 10 * np.log10(out / power + 1e-9)
    return nan_median(levels, axis=0)


def row(name: str, values: Audio) -> str:
    cells = [f"{value:.2f}" for value in (float(np.nanmean(values)), *values)]
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--domain", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--tracks", type=int, default=16, help="of each domain")
    parser.add_argument("--shortcuts", action="store_true", help="also the shortcut test")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    models = {
        name: BaseModel.from_pretrained(file).eval()
        for name, file in (pair.split("=", 1) for pair in args.model)
    }
    result: dict[str, dict] = {}
    head = "| mean | " + " | ".join(STEMS) + " |\n|---|" + "---|" * 5
    for name, folder in (pair.split("=", 1) for pair in args.domain):
        rate = 44100
        tracks = find_tracks(folder, "test", STEMS, rate, 2)[: args.tracks]
        print(f"\n| {name}, {len(tracks)} tracks {head}")
        for label, model in models.items():
            scores = score(model, tracks, rate, lambda x: x)
            result.setdefault(name, {})[label] = dict(zip(STEMS, scores.tolist(), strict=True))
            print(row(label, scores), flush=True)
        if not args.shortcuts:
            continue
        for label, model in models.items():
            print(f"\n| {label}, shortcuts on {name} {head}")
            for change, function in changes(rate).items():
                print(row(change, score(model, tracks, rate, function)), flush=True)
            print(f"\n| {label}, one stem alone, level in dB of | " + " | ".join(STEMS) + " |")
            print("|---|" + "---|" * 4)
            for stem, levels in zip(STEMS, alone(model, tracks), strict=True):
                print(f"| {stem} | " + " | ".join(f"{v:.1f}" for v in levels) + " |", flush=True)
    if args.json:
        write_text(args.json, json_text(result))


if __name__ == "__main__":
    main()
