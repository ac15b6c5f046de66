"""Evaluation of a model on whole tracks: options, files and tables of all recipes."""

import argparse
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from asteroid.utils.parser_utils import str2bool_arg

from asteroid_slicq.cli.parsers.arguments import refuse_empty
from asteroid_slicq.evaluation import (
    CSDR,
    MODEL,
    Evaluation,
    EvaluationError,
    Report,
    find_reference_tracks,
    json_text,
    oracle_of,
    require_pyclarity,
    score_tracks,
)
from asteroid_slicq.files import write_text
from asteroid_slicq.hearing import AUDIOGRAM_HZ, AUDIOGRAMS, read_audiogram
from asteroid_slicq.hub import load_model
from asteroid_slicq.plotting import plot_scores
from asteroid_slicq.separation import fingerprint
from asteroid_slicq.vocabulary import DEFAULT_SEGMENT_S


def main(
    arguments: list[str] | None = None, modes: Mapping[str, str] | None = None, remix: str = ""
) -> None:
    """Score every track of a split, then all of them together, by the command line.

    Args:
        arguments: of the command line.
        modes: attributes of the model, true or false, that options may change, and what they mean.
        remix: the mode in which the mix is the sum of the model's sources, not the file of it.
    """
    parser = make_parser(modes or {})
    refuse_empty(parser, sys.argv[1:] if arguments is None else arguments)
    args = parser.parse_args(arguments)
    try:
        model = load(args)
        changed = []
        for mode in modes or {}:
            own, wanted = getattr(model, mode, None), getattr(args, mode)
            if own is None:
                raise ValueError(f"the model must have the mode {mode}, got {type(model).__name__}")
            if wanted not in (None, own):
                setattr(model, mode, wanted)
                changed.append(mode if wanted else f"not_{mode}")
        evaluate(args, model, "_".join(changed), bool(remix) and getattr(model, remix))
    except (EvaluationError, ValueError, OSError) as error:  # which a user can mend
        sys.exit(f"eval.py: {error}")


def load(args: argparse.Namespace) -> Any:
    """Load the model of the experiment, or another one, once it is sure that it can be scored."""
    if not args.fast and find_spec("museval") is None:
        raise ValueError("museval is not installed: pip install museval, or --fast true")
    if args.haaqi is not None:
        require_pyclarity()
        if not args.haaqi_s >= 0.1:
            raise ValueError(f"haaqi_s must be at least 0.1, got {args.haaqi_s}")
    if args.n_threads:
        torch.set_num_threads(args.n_threads)
    return load_model(args.model_path or Path(args.exp_dir) / "best_model.pth").to(args.device)


def evaluate(args: argparse.Namespace, model: Any, mode: str, remix: bool) -> None:
    """Score every track of the split, then all of them together.

    Args:
        args: see :func:`make_parser`.
        model: on its device.
        mode: a word for the names of the results, where it is not the model as it was published.
        remix: mix the true sources of the model, in place of the mixture that the tracks have.
    """
    exp_dir = Path(args.exp_dir)
    rate = float(model.sample_rate)
    tracks = find_reference_tracks(args.data_dir, args.split, model.sources, rate, remix)
    if args.n_tracks is not None and args.n_tracks < 1:
        raise ValueError(f"n_tracks must be at least 1, got {args.n_tracks}")
    tracks = tracks[: args.n_tracks]
    for track in tracks:
        if track.missing:
            print(f"{track.name}: no file of {', '.join(track.missing)}, taken as silent")
    oracle = oracle_of(model) if args.oracle else None
    if args.oracle and oracle is None:
        print(f"no oracle: a {type(model).__name__} has no transform")
    evaluation = Evaluation(
        root=exp_dir / "eval",
        split=args.split,
        sources=tuple(model.sources),
        sample_rate=rate,
        model=fingerprint(model),
        segment_s=args.segment_s,
        oracle=oracle,
        museval=not args.fast,
        shifts=args.shifts,
        haaqi=args.haaqi,
        haaqi_s=args.haaqi_s,
    )
    print(f"scores of tracks go to {evaluation.folder}", flush=True)
    scores = {}
    for scored in score_tracks(evaluation, model, tracks, args.n_workers):
        scores[scored.track.name] = scored.scores
        sdr = "  ".join(f"{s} {v:6.2f}" for s, v in scored.scores[MODEL][CSDR].items())
        took = "done before" if scored.seconds is None else f"{scored.seconds:.1f} s"
        print(f"{len(scores)}/{len(tracks)} {scored.track.name}: {sdr}  {took}", flush=True)

    in_order = {track.name: scores[track.name] for track in tracks}
    name = " ".join(filter(None, (exp_dir.resolve().name, mode)))
    report = Report(name, args.split, evaluation.sources, in_order, evaluation.model, remix)
    suffix = f"_{mode}" if mode else ""
    write_text(exp_dir / f"metrics{suffix}.json", json_text(report.as_json()))
    write_text(exp_dir / f"results{suffix}.md", report.as_markdown())
    print("\n" + report.as_markdown().partition("## All measures")[0])
    print(report.as_text())
    draw(report, exp_dir / f"results{suffix}.png")


def listener(text: str) -> str | tuple[float, ...] | None:
    """Read an audiogram from the command line; ``none`` is no listener."""
    try:
        return None if text == "none" else read_audiogram(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def draw(report: Report, path: Path) -> None:
    """Draw the box plot, or say that matplotlib is missing."""
    values = {
        method: {
            source: [
                track[method][report.headline if method == MODEL else CSDR][source]
                for track in report.tracks.values()
            ]
            for source in report.columns[1:]
        }
        for method in report.summary
    }
    try:
        figure = plot_scores(values, title=report.title)
    except ValueError as error:
        print(f"no box plot: {error}")
    else:
        figure.savefig(path)


def make_parser(modes: Mapping[str, str]) -> argparse.ArgumentParser:
    """Make the parser of the options that every evaluation has, and of a model's modes."""
    parser = argparse.ArgumentParser(
        description="Score a trained model on whole tracks.", allow_abbrev=False
    )
    parser.add_argument("--exp_dir", required=True, help="folder of the experiment")
    parser.add_argument("--data_dir", required=True, help="holds <split>/<track>/<source>.wav")
    parser.add_argument("--model_path", help="default: best_model.pth of the experiment")
    parser.add_argument("--split", default="test")
    parser.add_argument("--n_tracks", type=int, help="only the first ones")
    parser.add_argument("--segment_s", type=float, default=DEFAULT_SEGMENT_S)
    help_text = "separate the mix so many times, shifted in time, and score the mean"
    parser.add_argument("--shifts", type=int, default=1, help=help_text)
    parser.add_argument(
        "--haaqi",
        type=listener,
        metavar="AUDIOGRAM",
        help="HAAQI for a listener, too, by pyclarity: "
        f"{', '.join(AUDIOGRAMS)}, or losses in dB at {', '.join(map(str, AUDIOGRAM_HZ))} Hz, "
        "with commas; default: none",
    )
    help_text = "seconds of the middle of a track that this listener hears"
    parser.add_argument("--haaqi_s", type=float, default=10.0, help=help_text)
    parser.add_argument("--oracle", type=str2bool_arg, default=True)
    parser.add_argument(
        "--fast", type=str2bool_arg, default=False, help="without museval: cSDR and uSDR alone"
    )
    parser.add_argument(
        "--n_workers",
        type=int,
        help="tracks scored side by side, in processes of one thread each; 0: in this one; "
        "default: what processors and memory allow",
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--n_threads", type=int, help="of torch in this process")
    for mode, meaning in modes.items():
        help_text = f"{meaning}; default: as the model says"
        parser.add_argument(f"--{mode}", type=str2bool_arg, help=help_text)
    return parser
