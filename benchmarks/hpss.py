"""Harmonic/percussive separation by medians beside MiXiN, on procedural songs.

``python benchmarks/hpss.py --mixin FOLDER`` (some minutes on one thread) writes the table of
docs/hpss.md. The folder has the weights that MiXiN's author published, ``model_harmonic.h5``,
``model_percussive.h5`` and ``model_vocal.h5``; reading them needs ``pip install ".[keras]"``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import report
import torch
from torch import nn

from asteroid_slicq import MiXiN
from asteroid_slicq.data import find_tracks
from asteroid_slicq.data.procedural import write_dataset
from asteroid_slicq.evaluation import summarise_tracks, track_sdr
from asteroid_slicq.hub import build_mixin
from asteroid_slicq.models import HPSS
from asteroid_slicq.separation import Separator
from asteroid_slicq.vocabulary import STEMS, SUMS_OF_STEMS

PAGE = report.PAGE.parent / "hpss.md"
RATE, N_SONGS, SECONDS, SEED = 44100, 4, 12.0, 21
SOURCES = ("harmonic", "percussive", "vocals")
WEIGHTS = ("model_harmonic.h5", "model_percussive.h5", "model_vocal.h5")
PARTS = {source: SUMS_OF_STEMS.get(source, (source,)) for source in SOURCES}


class Mix(nn.Module):
    """The mix in place of each source."""

    sample_rate, n_channels = RATE, 1

    def __init__(self, n_sources: int) -> None:
        super().__init__()
        self.sources = list(SOURCES[:n_sources])

    def forward(self, mix: torch.Tensor) -> torch.Tensor:
        return mix[:, None].expand(-1, len(self.sources), -1, -1)


def songs(folder: Path, n_songs: int) -> list[np.ndarray]:
    """Harmonic part, percussive part and vocals, ``(source, channel, time)`` each."""
    write_dataset(folder, n_songs + 1, SECONDS, SEED, n_test=n_songs)
    tracks = find_tracks(folder, "test", STEMS, RATE)
    return [
        np.stack([sum(track.read(stem) for stem in stems) for stems in PARTS.values()])
        for track in tracks
    ]


def models(mixin: MiXiN | None) -> dict[str, tuple[nn.Module, nn.Module]]:
    """For music without and with a voice."""
    found: dict[str, tuple[nn.Module, nn.Module]] = {"the mix": (Mix(2), Mix(3))}
    for name, transform in (("sliCQT", "slicqt"), ("NSGT", "nsgt"), ("STFT", "stft")):
        found[f"medians, {name}"] = (HPSS(transform), HPSS(transform, vocals=True))
    found["… sliCQT, margin 2"] = (HPSS(margin=2.0), HPSS(vocals=True, margin=2.0))
    found["… sliCQT, binary masks"] = (HPSS(power=np.inf), HPSS(vocals=True, power=np.inf))
    if mixin is not None:
        instrumental = MiXiN(instrumental=True)
        instrumental.load_state_dict(mixin.state_dict())
        found["MiXiN, its author's weights"] = (instrumental.eval(), mixin.eval())
    return found


def scores(model: nn.Module, references: list[np.ndarray], n_sources: int) -> dict[str, float]:
    separator, names, tracks = Separator(model), SOURCES[:n_sources], []
    for reference in references:
        true = reference[:n_sources]
        estimates = separator.separate_waveform(true.sum(0))[:n_sources]
        tracks.append(dict(zip(names, map(float, track_sdr(true, estimates, RATE)), strict=True)))
    return summarise_tracks(tracks, names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mixin", type=Path, help="folder with MiXiN's weights")
    parser.add_argument("--quick", action="store_true", help="one song, no page")
    args = parser.parse_args()
    mixin = None
    if args.mixin is not None:
        mixin = build_mixin([args.mixin / name for name in WEIGHTS])
    with tempfile.TemporaryDirectory() as folder:
        references = songs(Path(folder), 1 if args.quick else N_SONGS)
    rows = []
    for name, (without, with_voice) in models(mixin).items():
        start = time.process_time()
        two, three = scores(without, references, 2), scores(with_voice, references, 3)
        work = (time.process_time() - start) / (2 * len(references) * SECONDS)
        cells = [f"{two[s]:.1f}" for s in SOURCES[:2]] + [f"{three[s]:.1f}" for s in SOURCES]
        rows.append([name, *cells, "" if name == "the mix" else f"{work:.3f}"])
        print(*rows[-1], sep="\t", flush=True)
    if args.quick:
        return
    header = ["", *SOURCES[:2], *(f"{s}, with a voice" for s in SOURCES), "s of work per s"]
    text = [
        "`python benchmarks/hpss.py --mixin FOLDER`: the stereo of "
        f"{N_SONGS} procedural songs of {SECONDS:g} s, without their voice and with it; median SDR "
        "over windows of 1 s in dB, median over songs; harmonic is bass and other, percussive the "
        "drums.",
        report.table(header, rows),
        f"{report.machine()}.",
    ]
    report.write_section("hpss", "\n\n".join(text), PAGE)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
