"""Scores of models on several kinds of songs, and the shortcut test, as tables.

``python domains.py --model old=small.pth --model new=best_model.pth --domain sampled=DIR
--domain procedural=DIR``: each DIR is a tree whose ``test`` folder holds tracks. ``--model
both=a.pth,b.pth`` is the mean of the stems of two. Scores are the SDR of windows of 1 s, their
median over windows, then over tracks, in dB, by the rule of the package's evaluations: a source
that a track lacks has no score there, and takes none from the others.

The shortcut test changes the mixes so that a source can no longer be known by a mark of its
recordings: low-passed at 9 and 5 kHz, with noise above, in mono, 12 dB louder and softer; the
references are changed alike. One source alone says how much of it comes out as itself, and how much
as others.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from asteroid.models import BaseModel
from scipy import fft
from scipy.ndimage import maximum_filter1d

from asteroid_slicq.data import find_tracks
from asteroid_slicq.evaluation import json_text, nan_median, sounding_sdr
from asteroid_slicq.files import write_text

STEMS = ("vocals", "drums", "bass", "other")
RATE = 44100
Audio = np.ndarray  # a song is (stem, channel, time)
Separate = Callable[[list[Audio]], list[Audio]]  # mixes in, stems in the order of STEMS out


def low_passed(cutoff_hz: float) -> Callable[[Audio], Audio]:
    def change(x: Audio) -> Audio:
        f_hz = fft.rfftfreq(x.shape[-1], 1 / RATE)
        below = fft.irfft(fft.rfft(x) * (f_hz < cutoff_hz), x.shape[-1]).astype(np.float32)
        # A cliff rings on; where a source is silent it stays so, or its windows would count.
        peaks = maximum_filter1d(np.abs(x).max(-2, keepdims=True), round(0.05 * RATE))
        return below * (peaks > 1e-4)

    return change


def with_noise_above(cutoff_hz: float) -> Callable[[Audio], Audio]:
    """Every source low-passed, with faint noise above that follows its envelope."""
    below = low_passed(cutoff_hz)

    def change(x: Audio) -> Audio:
        noise = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
        noise -= below(noise)
        step = round(0.01 * RATE)
        n = x.shape[-1] // step * step
        envelope = np.abs(x[..., :n]).mean(-2, keepdims=True)
        envelope = envelope.reshape(*envelope.shape[:-1], -1, step).mean(-1).repeat(step, -1)
        envelope = np.pad(envelope, [(0, 0)] * (x.ndim - 1) + [(0, x.shape[-1] - n)])
        return below(x) + 0.03 * envelope * noise

    return change


CHANGES: dict[str, Callable[[Audio], Audio]] = {
    "as it is": lambda x: x,
    "below 9 kHz": low_passed(9000),
    "below 5 kHz": low_passed(5000),
    "noise above 9 kHz": with_noise_above(9000),
    "mono": lambda x: np.broadcast_to(x.mean(-2, keepdims=True), x.shape),
    "12 dB louder": lambda x: 4 * x,
    "12 dB softer": lambda x: x / 4,
}


def read_songs(folder: str | Path, n: int, seconds: float | None = None) -> list[Audio]:
    """The first songs of a tree's test folder, or the middle of each, so many seconds long."""
    songs = []
    for track in find_tracks(folder, "test", STEMS, RATE, 2)[:n]:
        length = min(track.length_samples, round((seconds or 1e9) * RATE))
        start = (track.length_samples - length) // 2
        songs.append(np.stack([track.read(stem, start, length) for stem in STEMS]))
    return songs


def one_by_one(model: Any) -> Separate:
    """Separate whole songs as ``model.separate`` does."""
    order = [model.sources.index(stem) for stem in STEMS]

    def separate(mixes: list[Audio]) -> list[Audio]:
        return [model.separate(np.ascontiguousarray(mix))[order] for mix in mixes]

    return separate


def mean_of(parts: Sequence[Separate]) -> Separate:
    """Separate by several models, and take the mean of their stems."""

    def separate(mixes: list[Audio]) -> list[Audio]:
        estimates = (part(mixes) for part in parts)
        return [np.mean(stems, axis=0) for stems in zip(*estimates, strict=True)]

    return separate if len(parts) > 1 else parts[0]


def score(separate: Separate, songs: Sequence[Audio], change: Callable[[Audio], Audio]) -> Audio:
    """SDR of each stem, its median over the songs in which it sounds: that of `sounding_sdr`."""
    changed = [change(song) for song in songs]
    estimates = separate([stems.sum(0) for stems in changed])
    pairs = zip(changed, estimates, strict=True)
    return nan_median(np.stack([sounding_sdr(stems, out, RATE) for stems, out in pairs]), axis=0)


def alone(separate: Separate, songs: Sequence[Audio]) -> Audio:
    """Level of every output, in dB, when one stem is all there is: (stem, output)."""
    levels = np.full((len(songs), len(STEMS), len(STEMS)), np.nan)
    places = [
        (i, j)
        for i, song in enumerate(songs)
        for j, stem in enumerate(song)
        if np.square(stem).mean() > 1e-6
    ]
    outputs = separate([songs[i][j] for i, j in places])
    for (i, j), output in zip(places, outputs, strict=True):
        power = np.square(output).mean((1, 2)) / np.square(songs[i][j]).mean()
        levels[i, j] = 10 * np.log10(power + 1e-9)
    return nan_median(levels, axis=0)


def row(name: str, values: Audio) -> str:
    cells = [f"{value:.2f}" for value in (float(np.nanmean(values)), *values)]
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FILE[,FILE]")
    parser.add_argument("--domain", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--tracks", type=int, default=16, help="of each domain")
    parser.add_argument("--shortcuts", action="store_true", help="also the shortcut test")
    parser.add_argument("--wiener_share", type=float, help="in place of the models' own; 0: none")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if args.wiener_share is not None and not 0 <= args.wiener_share <= 1:
        parser.error(f"--wiener_share must lie in 0 … 1, got {args.wiener_share}")

    def separate_by(name: str, file: str) -> Separate:
        model: Any = BaseModel.from_pretrained(file).eval()
        if args.wiener_share is not None:
            if not hasattr(model, "wiener_share"):
                parser.error(f"--wiener_share: {name} has no Wiener-EM")
            if args.wiener_share:
                model.wiener_share = args.wiener_share
            else:
                model.wiener_iterations = 0
        return one_by_one(model)

    models = {}
    for name, files in (pair.split("=", 1) for pair in args.model):
        models[name] = mean_of([separate_by(name, file) for file in files.split(",")])
    result: dict[str, dict] = {}
    head = "| mean | " + " | ".join(STEMS) + " |\n|---|" + "---|" * 5
    for name, folder in (pair.split("=", 1) for pair in args.domain):
        songs = read_songs(folder, args.tracks)
        print(f"\n| {name}, {len(songs)} tracks {head}")
        for label, separate in models.items():
            scores = score(separate, songs, CHANGES["as it is"])
            result.setdefault(name, {})[label] = dict(zip(STEMS, scores.tolist(), strict=True))
            print(row(label, scores), flush=True)
        if not args.shortcuts:
            continue
        for label, separate in models.items():
            print(f"\n| {label}, shortcuts on {name} {head}")
            for change, function in CHANGES.items():
                print(row(change, score(separate, songs, function)), flush=True)
            print(f"\n| {label}, one stem alone, level in dB of | " + " | ".join(STEMS) + " |")
            print("|---|" + "---|" * 4)
            for stem, levels in zip(STEMS, alone(separate, songs), strict=True):
                print(f"| {stem} | " + " | ".join(f"{v:.1f}" for v in levels) + " |", flush=True)
    if args.json:
        write_text(args.json, json_text(result))


if __name__ == "__main__":
    main()
