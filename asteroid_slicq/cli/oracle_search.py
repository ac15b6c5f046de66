"""``asteroid-slicq oracle --search``: trials, one printed line each, and the best of them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from asteroid_slicq.cli.messages import CommandError, say
from asteroid_slicq.evaluation import (
    SPACE,
    SPARSER_IS_LESS,
    Config,
    Excerpt,
    InvalidFrameError,
    Journal,
    Trial,
    best,
    nan_median,
    oracle_sdr,
    search_frames,
    source_sparsity,
    without,
)
from asteroid_slicq.transform import SliCQT
from asteroid_slicq.vocabulary import ORACLES


def run_search(
    args: argparse.Namespace,
    excerpts: Sequence[Excerpt],
    fixed: Mapping[str, Any],
    device: str,
) -> int:
    """Search for a sliCQT around settings that are fixed; return the exit code."""
    if args.output is None:
        raise CommandError("--search needs a journal, -o FILE")
    if args.stft or args.no_slicqt or args.sparsity:
        raise CommandError("--search varies a sliCQT: --stft, --no-slicqt, --sparsity do not go")
    targets = args.sources if args.target == "all" else (args.target,)
    if not set(targets) <= set(args.sources):
        raise CommandError(f"--target must be all or of {', '.join(args.sources)}")
    space = without(SPACE, fixed)
    if not space:
        raise CommandError("every setting is given, nothing is left to search")
    rate = excerpts[0].sample_rate

    def evaluate(config: Config) -> dict[str, float]:
        slicqt = _build({**config, **fixed, "sample_rate": rate}, args.max_redundancy).to(device)
        try:
            return _evaluate(slicqt, excerpts, args.objective, targets)
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise InvalidFrameError("needs more memory than there is") from error

    journal = Journal(
        args.output,
        {
            "method": args.search,
            "seed": args.seed,
            "objective": args.objective,
            "targets": list(targets),
            "sources": list(args.sources),
            "fixed": dict(fixed),
            "max_redundancy": args.max_redundancy,
            "space": {name: asdict(domain) for name, domain in space.items()},
            "seconds": args.seconds,
            "tracks": [excerpt.track.name for excerpt in excerpts],
        },
    )
    tell = (lambda _: None) if args.quiet else say
    if journal.trials:
        tell(f"{args.output}: goes on after {len(journal.trials)} trials")
    maximise = args.objective not in SPARSER_IS_LESS
    trials = search_frames(
        evaluate,
        journal,
        args.trials,
        method=args.search,
        seed=args.seed,
        space=space,
        maximise=maximise,
    )
    try:
        for trial in trials:
            tell(f"{trial.number + 1}/{args.trials}  {_outcome(trial)}  {_frame(trial.config)}")
    except ModuleNotFoundError as error:
        raise CommandError(str(error)) from error
    winner = best(journal.trials, maximise)
    if winner is None:
        raise CommandError(f"none of {len(journal.trials)} trials made a frame; see {args.output}")
    settings = ", ".join(f"{k}={v!r}" for k, v in {**winner.config, **fixed}.items())
    tell(f"best: trial {winner.number + 1}, {args.objective} {winner.value:.3f} of {args.target}")
    tell(f"SliCQT({settings}, sample_rate={rate})")
    return 0


def _build(settings: Mapping[str, Any], max_redundancy: float | None) -> SliCQT:
    try:
        slicqt = SliCQT(**settings)
    except ValueError as error:
        raise InvalidFrameError(str(error)) from error
    redundancy = slicqt.frame.redundancy
    if max_redundancy is not None and redundancy > max_redundancy:
        raise InvalidFrameError(f"redundancy {redundancy:.2f} is above {max_redundancy:g}")
    return slicqt


def _evaluate(
    slicqt: SliCQT, excerpts: Sequence[Excerpt], objective: str, targets: Sequence[str]
) -> dict[str, float]:
    """Median over tracks, by target."""
    score = oracle_sdr if objective in ORACLES else source_sparsity
    tracks = [score(slicqt, excerpt, (objective,))[objective] for excerpt in excerpts]
    return {name: float(nan_median([track[name] for track in tracks])) for name in targets}


def _outcome(trial: Trial) -> str:
    return f"skipped: {trial.reason};" if trial.value is None else f"{trial.value:.3f}"


def _frame(config: Config) -> str:
    return " ".join(f"{name}={'auto' if v is None else v}" for name, v in config.items())
