"""Table of networks trained on one kind of songs and tested on every kind.

``python study.py --songs procedural=DIR --songs sampled=DIR --real DIR``: each DIR is a tree
of songs with ``train`` and ``test``; the real ones have ``test`` alone, are looked at last, and
nothing is chosen by them. Every network sees as many examples, from one kind of songs, from all of
them, or from all of them augmented. Scores are those of ``domains.py``, on excerpts and with the
phase of the mix; the shortcut column is the largest loss of any source when songs are low-passed,
noisy above 9 kHz, mono, louder or softer.

On a GPU the networks of a group train at the same time, each in a stream of its own: one alone
would leave most of the device idle. On a CPU one trains after the other.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
MUSDB = HERE.parent / "musdb18hq"
sys.path[:0] = [str(MUSDB), str(MUSDB / "xumx_slicq")]

from common.configuration import Configuration, Variants  # noqa: E402
from common.loaders import make_datasets  # noqa: E402
from common.trainee import Course, Trainee  # noqa: E402
from domains import CHANGES, RATE, STEMS, Audio, Separate, read_songs, score  # noqa: E402
from system import XUMXSystem  # noqa: E402

from asteroid_slicq.data import find_tracks  # noqa: E402
from asteroid_slicq.data.resident import ResidentSegments, ResidentSongs  # noqa: E402
from asteroid_slicq.evaluation import json_text  # noqa: E402
from asteroid_slicq.files import write_text  # noqa: E402

SIZES = {"2M": [8, 16], "5M": [20, 28]}  # hidden channels


@dataclass(frozen=True)
class Case:
    """One network of the study: its size, what it hears, its loss and its seed."""

    size: str
    songs: str
    augmented: bool
    loss: str
    seed: int

    @property
    def row(self) -> tuple[str, str, str]:
        """Size, songs and loss: where it stands in the table."""
        return self.size, self.songs + (", augmented" if self.augmented else ""), self.loss


def make_trainee(
    args: argparse.Namespace, conf: Configuration, data: ResidentSegments, folder: Path
) -> Trainee:
    """A network of the study, ready to be trained; those of a folder share statistics."""
    torch.manual_seed(conf["training"]["seed"])
    model = XUMXSystem.make_model(conf).to(data.device)
    loss = XUMXSystem.make_loss(conf, model, data.segments, folder)
    system = XUMXSystem(model, None, loss.to(data.device), None)
    training = conf["training"]
    course = Course(
        n_steps=args.steps,
        batch_size=training["batch_size"],
        peak_rate=conf["optim"]["lr"],
        clipping=training["gradient_clipping"],
    )
    trainee = Trainee(model, system.losses, data, course)
    trainee.prepare()
    return trainee


def together(model: Any, n_at_once: int) -> Separate:
    """Separate songs in batches, on the device of the model; short ones are padded."""
    order = [model.sources.index(stem) for stem in STEMS]
    device = next(model.parameters()).device

    @torch.no_grad()
    def separate(mixes: list[Audio]) -> list[Audio]:
        estimates: list[Audio] = []
        for i in range(0, len(mixes), n_at_once):
            lengths = [mix.shape[-1] for mix in mixes[i : i + n_at_once]]
            batch = torch.zeros(len(lengths), 2, max(lengths))
            for row, mix in zip(batch, mixes[i : i + n_at_once], strict=True):
                row[:, : mix.shape[-1]] = torch.from_numpy(np.ascontiguousarray(mix))
            stems = model(batch.to(device))[:, order].cpu().numpy()
            estimates += [x[..., :n] for x, n in zip(stems, lengths, strict=True)]
        return estimates

    return separate


def examine(model: Any, tests: dict[str, list[Audio]], n_at_once: int) -> dict[str, Any]:
    """Mean SDR over the sources of each test, of every stem, and what the changes cost at most."""
    separate = together(model, n_at_once)
    scores = {name: score(separate, songs, CHANGES["as it is"]) for name, songs in tests.items()}
    lost = [scores["as it is"] - scores[change] for change in CHANGES]
    return {
        **{name: float(np.nanmean(stems)) for name, stems in scores.items()},
        "shortcut": float(np.nanmax(lost)),
        "stems": {name: dict(zip(STEMS, x.tolist(), strict=True)) for name, x in scores.items()},
    }


def table(results: list[tuple[Case, dict[str, Any]]], columns: list[str]) -> str:
    """Rows of all seeds together: their mean, and the distance between the extreme ones."""
    rows: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for case, found in results:
        rows.setdefault(case.row, []).append(found)
    lines = ["| network | trained on | loss | " + " | ".join(columns) + " |"]
    lines.append("|---|---|---|" + "---|" * len(columns))
    for place, seeds in rows.items():
        cells = []
        for column in columns:
            values = [found[column] for found in seeds]
            scatter = f" ± {(max(values) - min(values)) / 2:.2f}" if len(values) > 1 else ""
            cells.append(f"{sum(values) / len(values):.2f}{scatter}")
        lines.append(f"| {' | '.join(place)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def settings_of(args: argparse.Namespace, case: Case) -> Configuration:
    """The settings of the recipe, with what makes the case."""
    variants = Variants(MUSDB / "xumx_slicq" / "local", base="v2", option="model")
    conf = deepcopy(variants.load(str(args.settings)))
    conf["model"]["hidden_channels"] = SIZES[case.size]
    conf["loss"]["domain"] = case.loss
    conf["training"].update(seed=case.seed, batch_size=args.batch_size)
    conf["data"].update(segment_s=args.segment_s, statistics_segments=args.statistics_segments)
    conf["augmentation"]["codec"] = 0.0
    if not case.augmented:
        conf["augmentation"] = dict.fromkeys(conf["augmentation"], 0.0)
    return conf


def cases_of(args: argparse.Namespace, kinds: list[str]) -> list[Case]:
    """All networks of the study, those of one size side by side."""
    heard = [*((kind, False) for kind in kinds), ("both", False), ("both", True)]
    cases = [
        Case(size, songs, augmented, "complex", seed)
        for size, (songs, augmented), seed in product(args.sizes, heard, args.seeds)
    ]
    extra = product(args.losses, args.seeds)
    return cases + [Case(args.sizes[-1], "both", True, loss, seed) for loss, seed in extra]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--real", metavar="DIR", help="real songs, looked at last")
    parser.add_argument("--settings", type=Path, default=HERE / "local" / "free.yml")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--losses", nargs="*", default=[], help="other domains of the loss to try")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--segment_s", type=float, default=2.0)
    parser.add_argument("--statistics_segments", type=int, default=128)
    parser.add_argument("--train_tracks", type=int, default=1000, help="of each kind")
    parser.add_argument("--test_tracks", type=int, default=12, help="of each kind")
    parser.add_argument("--test_s", type=float, default=20.0, help="of each test track")
    parser.add_argument("--shortcut_tracks", type=int, default=3, help="of each kind")
    parser.add_argument("--n_at_once", type=int, default=4, help="songs that are tested at once")
    parser.add_argument("--at_once", type=int, default=1, help="networks that train at once (GPU)")
    parser.add_argument("--json", type=Path, default=Path("study.json"))
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folders = dict(pair.split("=", 1) for pair in args.songs)
    tracks = {
        kind: find_tracks(folder, "train", sorted(STEMS), RATE, 2)[: args.train_tracks]
        for kind, folder in folders.items()
    }
    tracks["both"] = [track for kind in folders for track in tracks[kind]]
    songs = {
        kind: read_songs(folder, args.test_tracks, args.test_s) for kind, folder in folders.items()
    }
    few = [song for kind in folders for song in songs[kind][: args.shortcut_tracks]]
    tests = songs | {name: [change(song) for song in few] for name, change in CHANGES.items()}
    if args.real:
        tests["real"] = read_songs(args.real, args.test_tracks)
    cases = cases_of(args, list(folders))
    order = sources(settings_of(args, cases[0]))
    resident = {kind: ResidentSongs(tracks[kind], order, device) for kind in tracks}
    results: list[tuple[Case, dict[str, Any]]] = []
    for i in range(0, len(cases), args.at_once):
        group, began = cases[i : i + args.at_once], time.monotonic()
        trainees = []
        for case in group:
            conf = settings_of(args, case)
            length = round(args.segment_s * RATE)
            train_set, _ = make_datasets(
                conf, tracks[case.songs], tracks[case.songs][:1], order, length, RATE
            )
            data = ResidentSegments(train_set, resident[case.songs])
            folder = args.json.parent / "statistics"
            trainees.append(make_trainee(args, conf, data, folder))
        prepared = time.monotonic()
        with ThreadPoolExecutor(len(group)) as pool:
            found = list(pool.map(lambda t: examine(t.train(), tests, args.n_at_once), trainees))
        del trainees
        for case, result in zip(group, found, strict=True):
            results.append((case, result))
            print(
                *case.row, case.seed, {name: round(result[name], 2) for name in tests}, flush=True
            )
        now = time.monotonic()
        print(f"prepared {prepared - began:.0f} s, trained and tested {now - prepared:.0f} s")
        write_text(args.json, json_text([{**c.__dict__, **r} for c, r in results]))
    real = ["real"] if args.real else []
    print(table(results, [*folders, *real, "shortcut"]))


def sources(conf: Configuration) -> list[str]:
    """Names of the sources of the model, in its order."""
    return XUMXSystem.make_model(conf).sources


if __name__ == "__main__":
    main()
