"""``asteroid-slicq oracle``: what could be reached in a transform, and which transform is best."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asteroid_slicq.cli.arguments import count, positive_number, positive_seconds
from asteroid_slicq.cli.messages import CommandError, say
from asteroid_slicq.cli.models import resolve_device
from asteroid_slicq.cli.oracle_search import OBJECTIVES, run_search
from asteroid_slicq.cli.transform_arguments import (
    add_slicqt_options,
    list_of,
    seed_number,
    slicqt_settings,
    stft_sizes,
)
from asteroid_slicq.data import Track, find_tracks, inspect_file
from asteroid_slicq.evaluation import (
    Excerpt,
    middle_of,
    oracle_sdr,
    source_sparsity,
    summarise_tracks,
)
from asteroid_slicq.transform import STFT, SliCQT
from asteroid_slicq.vocabulary import ORACLES, SEARCH_METHODS, SPARSITY_MEASURES, STEMS

_EXAMPLES = """\
examples:
  asteroid-slicq oracle musdb18hq --split test --stft 4096/1024 -o oracles.json
  asteroid-slicq oracle musdb18hq --scale mel --n-bins 600 --f-min 20 --window hann \\
      --min-bandwidth 30 --overlap-added --seconds 30 --oracles mix-phase,irm1 --sparsity
  asteroid-slicq oracle musdb18hq --split train --tracks 14 --seconds 20 --overlap-added \\
      --search bayesian --trials 100 --objective mix-phase --max-redundancy 2.5 -o search.jsonl

A table holds the median over tracks of the median SDR of frames of one second, in dB, and the mean
of the sources. Without options the sliCQT is the published one. A search varies the scale, bins,
lowest frequency, window, bandwidth floor and factor, slice length and gamma of the sliCQT, but for
those that are given; a journal that exists is gone on with.

exit code: 0 when done, 2 when the data or an option was refused.
"""


def add_oracle_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the command to the main parser."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "oracle",
        help="score the oracles of a transform on stems, or search for a better transform",
        description="Score what separators could reach at best in a sliCQT and in STFTs, on tracks "
        "whose stems are known.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "path",
        metavar="PATH",
        type=Path,
        help="<split>/<track>/<source>.wav as in MUSDB18-HQ, a folder of tracks, or a track",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="JSON; with --search, its journal"
    )
    parser.add_argument("--split", choices=("train", "test"), help="(default: test, if there)")
    parser.add_argument(
        "--sources",
        metavar="A,B,…",
        type=list_of(),
        default=STEMS,
        help=f"files of the sources (default: {','.join(STEMS)})",
    )
    parser.add_argument("--tracks", metavar="N", type=count, help="only the first N")
    parser.add_argument(
        "--seconds", metavar="S", type=positive_seconds, help="only the middle S seconds of each"
    )
    parser.add_argument(
        "--oracles",
        metavar="A,B,…",
        type=list_of(ORACLES),
        default=ORACLES,
        help=f"of {', '.join(ORACLES)} (default: all)",
    )
    parser.add_argument(
        "--sparsity",
        action="store_true",
        help=f"measure {', '.join(SPARSITY_MEASURES)} of the sources too",
    )
    parser.add_argument(
        "--stft",
        metavar="N/HOP",
        type=stft_sizes,
        action="append",
        default=[],
        help="an STFT to compare with, such as 4096/1024; may be repeated",
    )
    parser.add_argument("--no-slicqt", action="store_true", help="score the STFTs alone")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, … (default: auto)")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    add_slicqt_options(parser.add_argument_group("sliCQT (default: the published frame)"))
    search = parser.add_argument_group("search for a sliCQT")
    search.add_argument("--search", choices=SEARCH_METHODS, help="how (bayesian needs Optuna)")
    search.add_argument("--trials", metavar="N", type=count, default=50, help="(default: 50)")
    search.add_argument("--seed", metavar="K", type=seed_number, default=0, help="(default: 0)")
    search.add_argument(
        "--objective",
        choices=OBJECTIVES,
        default="mix-phase",
        help="an oracle's SDR or a measure of sparsity (default: mix-phase)",
    )
    search.add_argument(
        "--target", default="all", help="the source that counts, or all (default: all)"
    )
    search.add_argument(
        "--max-redundancy", metavar="R", type=positive_number, help="skip frames of more data"
    )
    parser.set_defaults(parser=parser)


def run_oracle(args: argparse.Namespace) -> int:
    """Runs the command.

    Raises:
        CommandError: what cannot be scored or written, in one sentence.
        ValueError: tracks or settings that do not work.
    """
    device = resolve_device(args.device)
    if args.output is not None and not args.output.parent.is_dir():
        raise CommandError(f"{args.output}: cannot be written, no folder {args.output.parent}")
    excerpts = _excerpts(args)
    rate = excerpts[0].sample_rate
    settings = slicqt_settings(args)
    if args.search:
        return run_search(args, excerpts, settings, device)
    transforms: list[SliCQT | STFT] = [STFT(n_fft, hop, rate) for n_fft, hop in args.stft]
    if not args.no_slicqt:
        transforms.insert(0, SliCQT(sample_rate=rate, **settings))
    if not transforms:
        raise CommandError("--no-slicqt leaves nothing to score without --stft")
    report: dict[str, Any] = {
        "sources": list(args.sources),
        "sample_rate": rate,
        "seconds": args.seconds,
        "tracks": [excerpt.track.name for excerpt in excerpts],
        "transforms": [],
    }
    for transform in transforms:
        scores = _score(transform.to(device), excerpts, args)
        report["transforms"].append(scores)
        if not args.quiet:
            say(_table(scores, args.sources))
        if args.output is not None:
            _write(args.output, report)
    return 0


def _excerpts(args: argparse.Namespace) -> list[Excerpt]:
    tracks, rate = _find(args.path.expanduser(), args.split, args.sources)
    return [middle_of(t, args.sources, rate, args.seconds) for t in tracks[: args.tracks]]


def _find(path: Path, split: str | None, sources: Sequence[str]) -> tuple[list[Track], int]:
    """The tracks that a path means, and their sample rate."""
    if not path.is_dir():
        raise CommandError(f"{path}: no such folder")
    splits = [name for name in ("test", "train") if (path / name).is_dir()]
    is_track = any((path / f"{name}.wav").is_file() for name in sources)
    if split is not None or (splits and not is_track):
        split = split or splits[0]
        folder = path / split
    else:
        folder = path.resolve().parent if is_track else path.resolve()
        split = folder.name
    if not folder.is_dir():
        raise CommandError(f"{folder}: no such folder; PATH must hold {split}/<track>/<source>.wav")
    folders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    first = path if is_track or not folders else folders[0]
    facts = inspect_file(first / f"{sources[0]}.wav")
    if isinstance(facts, str):
        raise CommandError(f"{first / sources[0]}.wav: {facts}")
    if is_track:
        return [_single(path.resolve(), sources, facts.sample_rate)], facts.sample_rate
    found = find_tracks(folder.parent, folder.name, sources, facts.sample_rate)
    return found, facts.sample_rate


def _single(path: Path, sources: Sequence[str], sample_rate: int) -> Track:
    lengths = []
    for name in sources:
        facts = inspect_file(path / f"{name}.wav")
        if isinstance(facts, str):
            raise CommandError(f"{path / name}.wav: {facts}")
        if facts.sample_rate != sample_rate:
            raise CommandError(f"{path / name}.wav: sample rate is not {sample_rate} Hz")
        lengths.append(facts.length_samples)
    return Track(path, min(lengths))


def _score(
    transform: SliCQT | STFT, excerpts: Sequence[Excerpt], args: argparse.Namespace
) -> dict[str, Any]:
    from tqdm import tqdm

    tracks = {}
    bar = tqdm(excerpts, unit="track", delay=0.5, leave=False, disable=args.quiet or None)
    for excerpt in bar:
        tracks[excerpt.track.name] = {"sdr": oracle_sdr(transform, excerpt, args.oracles)}
        if args.sparsity:
            tracks[excerpt.track.name]["sparsity"] = source_sparsity(transform, excerpt)
    summary = {
        kind: {
            name: summarise_tracks([t[kind][name] for t in tracks.values()], args.sources)
            for name in names
        }
        for kind, names in (
            ("sdr", args.oracles),
            ("sparsity", SPARSITY_MEASURES if args.sparsity else ()),
        )
    }
    return {"transform": _describe(transform), **summary, "by_track": tracks}


def _describe(transform: SliCQT | STFT) -> dict[str, Any]:
    if isinstance(transform, STFT):
        settings: dict[str, Any] = {"n_fft": transform.n_fft, "hop": transform.hop}
        return {"kind": "STFT", **settings, "redundancy": transform.redundancy}
    frame = transform.frame
    made = {"slice_length": frame.slice_length, "transition_length": frame.transition_length}
    return {"kind": "sliCQT", **transform.config, **made, "redundancy": frame.redundancy}


def _table(scores: Mapping[str, Any], sources: Sequence[str]) -> str:
    about = scores["transform"]
    if about["kind"] == "STFT":
        title = f"STFT {about['n_fft']}/{about['hop']}"
    else:
        scale = about["scale"] if isinstance(about["scale"], str) else "given"
        layout = "overlap-added" if about["overlap_added"] else "sliced"
        title = (
            f"sliCQT {scale} {about['n_bins']}, {about['f_min_hz']:g} Hz up, {about['window']}, "
            f"slices of {about['slice_length']}, {layout}"
        )
    columns = [*sources, "mean"]
    width = max(9, *(len(c) + 2 for c in columns))
    lines = [f"{title}, redundancy {about['redundancy']:.2f}"]
    lines.append(" " * 12 + "".join(f"{c:>{width}}" for c in columns))
    for name, values in {**scores["sdr"], **scores["sparsity"]}.items():
        cells = (_cell(values[c], 2 if name in ORACLES else 3) for c in columns)
        lines.append(f"{name:<12}" + "".join(f"{cell:>{width}}" for cell in cells))
    return "\n".join(lines) + "\n"


def _cell(value: float, decimals: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{decimals}f}"


def _write(path: Path, report: Mapping[str, Any]) -> None:
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_text(json.dumps(_plain(report), indent=2, ensure_ascii=False) + "\n")
        temporary.replace(path)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """What JSON can hold: NaN becomes null."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
