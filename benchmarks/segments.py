"""How far stems of a song in segments are from those of the song in one piece.

``python benchmarks/segments.py SONG`` separates a song of some 40 s in segments of 12 s, in one
pass and in two, with the model that ships and with random weights, and writes dB of stem to
difference, of the worst of the sources, to docs/separate.md. A song that anyone can make::

    asteroid-slicq synth song --tracks 1 --seconds 40 --seed 1
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import report
import soundfile as sf
import torch
from torch import nn

import asteroid_slicq
from asteroid_slicq import BandSplit, XUMXSliCQ
from asteroid_slicq.separation import Separator

PAGE = report.PAGE.with_name("separate.md")
SEPARATORS = {"one pass, sharing 1 s": (1.0, False), "sharing 2 s": (2.0, False)}
TWO_PASSES = {"two passes": (2.0, True)}


def models() -> dict[str, nn.Module]:
    """Models by name, with the same random weights every time."""
    torch.manual_seed(0)
    without = asteroid_slicq.load_default_model()
    without.wiener_iterations = 0
    return {
        "the one that ships": asteroid_slicq.load_default_model(),
        "the same without Wiener-EM": without,
        "V2": XUMXSliCQ.from_preset("v2"),
        "V1, Wiener-EM on the STFT": XUMXSliCQ.from_preset("v1"),
        "V1 without Wiener-EM": XUMXSliCQ.from_preset("v1", wiener_iterations=0),
        "BandSplit with attention": BandSplit.from_preset("bandsplit"),
        "BandSplit, causal, with LSTMs": BandSplit.from_preset("bandsplit-realtime"),
    }


def difference_db(model: nn.Module, mix: np.ndarray, rate: int) -> list[str]:
    """dB of each way to separate in segments."""
    length_s = mix.shape[-1] / rate
    whole = Separator(model, length_s + 1, 0.0).separate_waveform(mix, rate)
    row = []
    for overlap_s, two_passes in (SEPARATORS | TWO_PASSES).values():
        separator = Separator(model, overlap_s=overlap_s, two_passes=two_passes)
        made = separator.separate_waveform(mix, rate)
        error = np.square(made - whole).sum((1, 2))
        row.append(f"{(10 * np.log10(np.square(whole).sum((1, 2)) / error)).min():.0f}")
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("song", type=Path, help="a stereo file at 44.1 kHz")
    args = parser.parse_args()
    mix, rate = sf.read(args.song, dtype="float32", always_2d=True)
    rows = []
    for name, model in models().items():
        rows.append([name, *difference_db(model.eval(), mix.T, rate)])
        print(*rows[-1], flush=True)
    header = ["model", *SEPARATORS, *TWO_PASSES]
    report.write_section("segments", report.table(header, rows), PAGE)


if __name__ == "__main__":
    main()
