"""Separators trained by one script, on the same songs, and tested on songs of other kinds.

``python compare.py --songs sampled=DIR --songs procedural=DIR --examples 8000 --minutes 20``: each
DIR is a tree of songs with ``train`` and ``test``. All rivals train on the first kind of songs (or
those of ``--train_on``), seeing the same examples in the same order: so many examples, so many
minutes, or both, one after the other. They are tested on every kind. ``--quick true`` is all of it
in a minute or two, of tiny networks. The same command again goes on with what is left.

Scores are those of ``../free_stems/domains.py`` with the phase of the mix: SDR of windows of 1 s,
their median over windows, then over tracks, in dB; a range is that of the seeds. *Shortcut* is the
largest loss of any source when songs are low-passed, noisy above 9 kHz, mono, louder or softer.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from asteroid.utils.parser_utils import str2bool_arg

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MUSDB = ROOT / "recipes" / "musdb18hq"
sys.path[:0] = [
    *(str(MUSDB), str(MUSDB / "xumx_slicq"), str(ROOT / "recipes" / "free_stems")),
    str(ROOT / "benchmarks"),
]

import report  # noqa: E402
from arithmetic import multiply_adds  # noqa: E402
from common.configuration import Configuration, Variants  # noqa: E402
from common.loaders import make_datasets  # noqa: E402
from common.trainee import Course, Fitting, Trainee  # noqa: E402
from domains import CHANGES, RATE, STEMS, Audio, read_songs  # noqa: E402
from rivals import RIVALS, Losses, common_loss, losses_of, rival_of  # noqa: E402
from study import examine  # noqa: E402

from asteroid_slicq.data import find_tracks  # noqa: E402
from asteroid_slicq.data.resident import ResidentSegments, ResidentSongs  # noqa: E402
from asteroid_slicq.evaluation import json_text  # noqa: E402
from asteroid_slicq.files import write_text  # noqa: E402

SETTINGS = ROOT / "recipes" / "free_stems" / "local" / "songs.yml"


class Case(NamedTuple):
    """One training: of a rival, for a budget, from a seed."""

    rival: str
    budget: str
    seed: int


def make(name: str, args: argparse.Namespace, seed: int = 0) -> Any:
    """A rival with random weights."""
    torch.manual_seed(seed)
    rival = rival_of(name)
    return (rival.make_tiny if args.quick else rival.make)()


def course_of(args: argparse.Namespace, case: Case) -> Course:
    """How a rival is trained."""
    of_time = case.budget == "minutes"
    own_rate = not args.lr or " lr=" in case.rival
    return Course(
        n_steps=0 if of_time else max(1, args.examples // args.batch_size),
        seconds=60 * args.minutes if of_time else 0.0,
        batch_size=args.batch_size,
        peak_rate=rival_of(case.rival).peak_rate if own_rate else args.lr,
        precision=args.precision,
        optimizer=rival_of(case.rival).optimizer,
    )


def losses_for(name: str, model: Any, args: argparse.Namespace) -> Losses:
    """The common loss, or that of the rival's authors."""
    loss = rival_of(name).own_loss() if args.loss == "own" else common_loss(args.quick)
    return losses_of(model, loss.to(args.device))


def train(
    args: argparse.Namespace, case: Case, data: ResidentSegments
) -> tuple[Any, Trainee | Fitting]:
    """A trained rival; its input is scaled by the first batches that there are."""
    model = make(case.rival, args, case.seed).to(args.device)
    n = args.statistics_segments
    batches = (range(i, min(n, i + 8)) for i in range(0, n, 8))
    if hasattr(model, "scale_input"):
        model.scale_input(data.__getitems__(list(indices)).sum(1) for indices in batches)
    course, fit = course_of(args, case), rival_of(case.rival).fit
    if fit is None:
        trainee = Trainee(model, losses_for(case.rival, model, args), data, course)
    else:
        trainee = Fitting(model, fit, data, course)
    trainee.prepare()
    return trainee.train(), trainee


def facts(name: str, args: argparse.Namespace) -> dict[str, float]:
    """Parameters, multiply-adds, time and memory of a rival, whatever its weights."""
    model = make(name, args).eval()
    mix = 0.1 * torch.randn(1, 2, RATE * args.speed_s)
    found = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "multiply_adds": multiply_adds(lambda: model(mix), model) / args.speed_s,
    }
    torch.set_num_threads(args.n_threads)
    with torch.inference_mode():
        best, _ = report.time_side_by_side({name: lambda: model(mix)}, 3, at_least=3)[name]
    options = ("--peak", name, "--quick", str(args.quick), "--speed_s", str(args.speed_s))
    peak = report.peak_mib(__file__, *options, "--n_threads", str(args.n_threads))
    return {**found, "s_per_s": best / args.speed_s, "peak_mib": peak}


def print_peak(args: argparse.Namespace) -> None:
    """Peak memory of a rival that separates a song in one call, above what it is before."""
    torch.set_num_threads(args.n_threads)
    model = make(args.peak, args).eval()
    mix = 0.1 * torch.randn(1, 2, RATE * args.speed_s)
    memory = report.PeakMemory()
    with torch.inference_mode():
        model(mix)
    print(memory.above_start())


def settings_of(args: argparse.Namespace, seed: int) -> Configuration:
    """How segments are drawn and changed: as ``--settings`` has it."""
    variants = Variants(MUSDB / "xumx_slicq" / "local", base="v2", option="model")
    conf = variants.load(str(args.settings))
    conf["training"]["seed"] = seed
    if not args.augment:
        conf["augmentation"] = dict.fromkeys(conf["augmentation"], 0.0)
    return conf


def tables(args: argparse.Namespace, found: dict[str, Any]) -> str:
    """The results so far, in Markdown."""
    kinds = [kind.split("=", 1)[0] for kind in args.songs]
    heard = args.train_on or kinds[:1]
    columns = [*kinds, *(["real"] if args.real else []), "shortcut"]
    titles = [f"{c} (heard)" if c in heard else c for c in columns]
    parts = []
    for budget in budgets_of(args):
        rows, stems = [], []
        for name in args.rivals:
            keys = [str(Case(name, budget, seed)) for seed in args.seeds]
            seeds = [found["cases"][key] for key in keys if key in found["cases"]]
            if not seeds or name not in found["facts"]:
                continue
            about, title = found["facts"][name], rival_of(name).title
            rows.append(
                [
                    title,
                    f"{about['parameters'] / 1e6:.2f} M",
                    f"{about['multiply_adds'] / 1e9:.2f} G",
                    f"{about['s_per_s']:.3f}",
                    f"{about['peak_mib']:.0f}",
                    _mean([seed["examples"] for seed in seeds], 0),
                    _mean([seed["seconds"] / 60 for seed in seeds], 1),
                    *(_mean([seed[column] for seed in seeds], 2) for column in columns),
                ]
            )
            for column in columns[:-1]:
                by_stem = [[seed["stems"][column][stem] for seed in seeds] for stem in STEMS]
                stems.append([title, column, *(_mean(values, 2) for values in by_stem)])
        head = ["separator", "parameters", "multiply-adds a second", "s a second", "MiB"]
        head += ["examples", "minutes", *titles]
        parts.append(f"### The same {budget}\n\n{report.table(head, rows)}")
        stems.sort(key=lambda row: columns.index(row[1]))
        parts.append(report.table(["separator", "songs", *STEMS], stems))
    return "\n\n".join(parts)


def _mean(values: Sequence[float | None], digits: int) -> str:
    values = [value for value in values if value is not None and np.isfinite(value)]
    if not values:
        return "–"
    half = (max(values) - min(values)) / 2
    scatter = f" ± {half:.{digits}f}" if len(values) > 1 and half else ""
    return f"{sum(values) / len(values):.{digits}f}{scatter}"


def budgets_of(args: argparse.Namespace) -> list[str]:
    """``examples``, ``minutes``, or both."""
    return [name for name in ("examples", "minutes") if getattr(args, name)]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=summary, allow_abbrev=False)
    parser.add_argument("--songs", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--train_on", nargs="+", metavar="NAME", help="default: the first kind")
    parser.add_argument("--real", metavar="DIR", help="real songs, looked at last")
    names = [name for name, rival in RIVALS.items() if rival.is_there and rival.by_default]
    rivals = f"names, and variants as in 'v2 lr=0.001', of {', '.join(RIVALS)}"
    parser.add_argument("--rivals", nargs="+", metavar="NAME", default=names, help=rivals)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--examples", type=int, default=0, help="that every rival sees")
    parser.add_argument("--minutes", type=float, default=0.0, help="that every rival trains")
    parser.add_argument("--loss", choices=["common", "own"], default="common")
    parser.add_argument("--lr", type=float, default=0.0, help="of all that name none; 0: own")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--segment_s", type=float, default=3.0)
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="of data, augmentation")
    parser.add_argument("--augment", type=str2bool_arg, default=True)
    parser.add_argument("--precision", choices=["32", "bf16"], default="32")
    parser.add_argument("--statistics_segments", type=int, default=64)
    parser.add_argument("--train_tracks", type=int, default=10**6, help="of each kind")
    parser.add_argument("--test_tracks", type=int, default=12, help="of each kind")
    parser.add_argument("--test_s", type=float, default=20.0, help="of each test track")
    parser.add_argument("--shortcut_tracks", type=int, default=3, help="of each kind")
    parser.add_argument("--n_at_once", type=int, default=4, help="songs that are tested at once")
    parser.add_argument("--n_threads", type=int, default=2, help="for the time a second takes")
    parser.add_argument("--speed_s", type=int, default=20, help="of the mix for time and memory")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, default=Path("comparison.json"))
    parser.add_argument("--page", type=Path, help="file whose section is replaced, with the table")
    parser.add_argument("--quick", type=str2bool_arg, default=False)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.quick:
        args.examples, args.minutes = args.examples or 4, args.minutes or 0.02
        args.batch_size, args.segment_s, args.statistics_segments = 2, 1.0, 4
        args.test_s, args.speed_s, args.test_tracks, args.shortcut_tracks = 2.0, 2, 1, 1
    if not args.peak:
        check(parser, args)
    return args


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse what cannot work, in a sentence."""
    kinds = [kind.partition("=") for kind in args.songs]
    if not kinds or not all(name and folder for name, _, folder in kinds):
        parser.error("--songs must be given, as NAME=DIR")
    unknown = set(args.train_on or []) - {name for name, _, _ in kinds}
    if unknown:
        parser.error(f"--train_on must name songs, got {', '.join(sorted(unknown))}")
    if not args.settings.is_file():
        parser.error(f"--settings must be a YAML file, got {args.settings}")
    if not budgets_of(args):
        parser.error("--examples, --minutes or both must be above 0")
    for name in args.rivals:
        try:
            rival = rival_of(name)
            if rival.is_there:
                rival.make_tiny()
        except (TypeError, ValueError) as error:
            parser.error(f"--rivals {name!r}: {error}")
        if not rival.is_there and rival.package:
            parser.error(f"{name} needs a package: {rival.package[1]}")


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    if args.peak:
        print_peak(args)
        return
    folders = dict(pair.split("=", 1) for pair in args.songs)
    tests: dict[str, list[Audio]] = {
        kind: read_songs(folder, args.test_tracks, args.test_s) for kind, folder in folders.items()
    }
    few = [song for kind in folders for song in tests[kind][: args.shortcut_tracks]]
    tests |= {name: [change(song) for song in few] for name, change in CHANGES.items()}
    if args.real:
        tests["real"] = read_songs(args.real, args.test_tracks)
    heard = args.train_on or list(folders)[:1]
    order = list(STEMS)
    tracks = [
        track
        for kind in heard
        for track in find_tracks(folders[kind], "train", order, RATE, 2)[: args.train_tracks]
    ]
    songs = ResidentSongs(tracks, order, args.device)
    apart = ("json", "page", "seeds", "rivals", "settings")  # of the last, the contents count
    settings = {k: v for k, v in vars(args).items() if k not in apart}
    settings |= {name: settings_of(args, 0)[name] for name in ("data", "augmentation")}
    found = _load(args.json, json.loads(json_text({k: str(v) for k, v in settings.items()})))
    for case in (Case(*c) for c in product(args.rivals, budgets_of(args), args.seeds)):
        if str(case) in found["cases"]:
            continue
        conf = settings_of(args, case.seed)
        length = round(args.segment_s * RATE)
        train_set, _ = make_datasets(conf, tracks, tracks[:1], order, length, RATE)
        began = time.monotonic()
        model, trainee = train(args, case, ResidentSegments(train_set, songs))
        result = examine(model, tests, args.n_at_once)
        result["examples"] = trainee.done * args.batch_size
        result["seconds"] = trainee.elapsed_s
        found["cases"][str(case)] = result
        scores = {name: round(result[name], 2) for name in folders}
        print(*case, f"{trainee.done} steps in {trainee.elapsed_s:.0f} s", scores, flush=True)
        print(f"  with its test: {time.monotonic() - began:.0f} s", flush=True)
        write_text(args.json, json_text(found))
    for name in args.rivals:
        if name not in found["facts"]:
            found["facts"][name] = facts(name, args)
            write_text(args.json, json_text(found))
    text = tables(args, found)
    print(text)
    if args.page:
        report.write_section("comparison", text, args.page)


def _load(file: Path, settings: dict[str, str]) -> dict[str, Any]:
    """Results of an earlier run with the same settings, or none."""
    if file.is_file():
        found = json.loads(file.read_text())
        if found["settings"] == settings:
            return found
        differ = [k for k, v in settings.items() if found["settings"].get(k) != v]
        sys.exit(f"compare.py: {file} is of other settings ({', '.join(differ)}): name another")
    return {"settings": settings, "facts": {}, "cases": {}}


if __name__ == "__main__":
    main()
