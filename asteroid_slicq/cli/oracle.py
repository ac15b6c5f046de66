"""``asteroid-slicq oracle``: upper bounds of separation in a transform, and a search for one."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from asteroid_slicq.cli.messages import CommandError, say
from asteroid_slicq.cli.model_choice import resolve_device
from asteroid_slicq.cli.oracle_recommend import run_recommend, sources_of
from asteroid_slicq.cli.oracle_search import run_search
from asteroid_slicq.cli.outputs import check_output, output_file
from asteroid_slicq.cli.parsers.slicqt import slicqt_settings
from asteroid_slicq.data import Track, find_tracks, inspect_file
from asteroid_slicq.evaluation import (
    Excerpt,
    json_text,
    middle_of,
    oracle_sdr,
    source_sparsity,
    summarise_tracks,
)
from asteroid_slicq.files import real_path, unreadable
from asteroid_slicq.transform import STFT, SliCQT
from asteroid_slicq.vocabulary import ORACLES, SPARSITY_MEASURES


def run(args: argparse.Namespace) -> int:
    """Score or search; return the exit code."""
    device = resolve_device(args.device)
    if args.search and (args.recommend or args.json):
        raise CommandError("--search goes without --recommend and --json; its journal is JSON")
    if args.output is not None:
        check_output(args.output, overwrite=True)
    excerpts = _excerpts(args)
    rate = excerpts[0].sample_rate
    settings = slicqt_settings(args)
    if args.search:
        return run_search(args, excerpts, settings, device)
    if args.recommend:
        return run_recommend(args, excerpts, settings, device)
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
        if not args.quiet and not args.json:
            say(_table(scores, args.sources))
        if args.output is not None:
            with output_file(args.output) as partial:
                partial.write_text(json_text(report), encoding="utf-8", errors="backslashreplace")
    if args.json:
        say(json_text(report).rstrip())
    return 0


def _excerpts(args: argparse.Namespace) -> list[Excerpt]:
    path = args.path.expanduser()
    if args.recommend:
        args.sources = sources_of(_first_track(path, args.split), args.recommend, args.sources)
    tracks, rate = _find(path, args.split, args.sources)
    return [middle_of(t, args.sources, rate, args.seconds) for t in tracks[: args.tracks]]


def _first_track(path: Path, split: str | None) -> Path:
    """The first folder with WAV files: the path, a track in it, or one of a split of it."""
    if reason := unreadable(path):
        raise CommandError(f"{path}: {reason}")
    if not path.is_dir():
        raise CommandError(f"{path}: no such folder")
    splits = [path / name for name in ([split] if split else ["test", "train"])]
    for folder in (path, *splits, *([] if split else [path])):
        inside = sorted(p for p in folder.glob("*/") if not p.name.startswith("."))
        for track in ([path] if folder == path and not split else []) + inside:
            if any(track.glob("*.wav")):
                return track
    raise CommandError(f"{path}: no folder of WAV files, such as {splits[0].name}/<track>/*.wav")


def _find(path: Path, split: str | None, sources: Sequence[str]) -> tuple[list[Track], int]:
    """Tracks under a path, and their sample rate."""
    if reason := unreadable(path):
        raise CommandError(f"{path}: {reason}")
    if not path.is_dir():
        raise CommandError(f"{path}: no such folder")
    splits = [name for name in ("test", "train") if (path / name).is_dir()]
    is_track = any((path / f"{name}.wav").is_file() for name in sources)
    if split is not None or (splits and not is_track):
        split = split or splits[0]
        folder = path / split
    else:
        folder = real_path(path).parent if is_track else real_path(path)
        split = folder.name
    if reason := unreadable(folder):
        raise CommandError(f"{folder}: {reason}")
    if not folder.is_dir():
        raise CommandError(f"{folder}: no such folder; PATH must hold {split}/<track>/<source>.wav")
    folders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    first = path if is_track or not folders else folders[0]
    facts = inspect_file(first / f"{sources[0]}.wav")
    if isinstance(facts, str):
        raise CommandError(f"{first / sources[0]}.wav: {facts}")
    if is_track:
        return [_single(real_path(path), sources, facts.sample_rate)], facts.sample_rate
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
