"""``asteroid-slicq oracle --recommend``: the frame that a person's own stems favour."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from asteroid_slicq.cli.messages import CommandError, say
from asteroid_slicq.cli.outputs import output_file
from asteroid_slicq.evaluation import (
    CANDIDATES,
    SPARSER_IS_LESS,
    Comparison,
    Excerpt,
    compare,
    json_text,
    oracle_windows,
    sparsity_parts,
)
from asteroid_slicq.transform import STFT, SliCQT
from asteroid_slicq.vocabulary import ORACLES, SPARSITY_MEASURES, STEMS

DEFAULT_ORACLES = ("mix-phase", "irm1")
_FEW_WINDOWS = 20
_LESS = 1.2  # times the redundancy


def sources_of(track: Path, target: str, given: Sequence[str]) -> tuple[str, ...]:
    """Names of the stems of a track: those given, or else those that are there.

    Raises:
        CommandError: there is no stem of the target, or nothing beside it.
    """
    found = sorted(p.stem for p in track.glob("*.wav") if p.stem != "mixture")
    names = tuple(given)
    if names == STEMS and not set(STEMS) <= set(found):
        names = tuple(found)
    listing = ", ".join(names) or "none"
    if target not in names:
        raise CommandError(
            f"--recommend must be one of {listing}, the stems in {track}, got {target}"
        )
    if len(names) < 2:
        raise CommandError(f"{track}: there is no stem beside {target}; put the others there, too")
    return names


def run_recommend(
    args: argparse.Namespace,
    excerpts: Sequence[Excerpt],
    settings: Mapping[str, Any],
    device: str,
) -> int:
    """Compare frames on the stems, and recommend one; return the exit code."""
    rate = excerpts[0].sample_rate
    frames = _frames(args, settings, rate)
    oracles = DEFAULT_ORACLES if args.oracles is ORACLES else args.oracles  # which were not given
    measures = (*oracles, *SPARSITY_MEASURES)
    values: dict[str, list[list[np.ndarray]]] = {name: [] for name in measures}
    number = excerpts[0].sources.index(args.recommend)
    bar = tqdm(
        total=len(frames) * len(excerpts),
        unit="track",
        delay=0.5,
        leave=False,
        disable=args.quiet or None,
    )
    for excerpt in excerpts:
        rows: dict[str, list[np.ndarray]] = {name: [] for name in measures}
        for transform in frames:
            there = transform.to(device)
            scores = {
                **oracle_windows(there, excerpt, oracles),
                **sparsity_parts(there, excerpt),
            }
            for name in measures:
                rows[name].append(scores[name][number])
            bar.update()
        for name in measures:
            values[name].append(rows[name])
    bar.close()
    found = {name: _compare(name, tracks, oracles, args.seed) for name, tracks in values.items()}
    if found[oracles[0]] is None:
        raise CommandError(f"{args.recommend} is silent in all windows; take others, or --seconds")
    report = _report(args, excerpts, frames, found, oracles)
    if args.output is not None:
        with output_file(args.output) as partial:
            partial.write_text(json_text(report), encoding="utf-8", errors="backslashreplace")
    if args.json:
        say(json_text(report).rstrip())
    elif not args.quiet:
        say(_text(report))
    return 0


def _frames(
    args: argparse.Namespace, settings: Mapping[str, Any], rate: int
) -> list[SliCQT | STFT]:
    """Candidates at the sample rate, and what the options of a sliCQT and ``--stft`` add."""
    wanted = [dict(candidate) for candidate in CANDIDATES]
    if settings:
        wanted.insert(0, dict(settings))
    wanted += [{"n_fft": n_fft, "hop": hop} for n_fft, hop in args.stft]
    frames: list[SliCQT | STFT] = []
    for i, candidate in enumerate(wanted):
        if candidate in wanted[:i]:
            continue
        if "n_fft" in candidate:
            frames.append(STFT(**candidate, sample_rate=rate))
            continue
        try:
            frames.append(SliCQT(**{"overlap_added": True, **candidate}, sample_rate=rate))
        except ValueError:
            if settings and not i:
                raise
            # Made for 44.1 kHz: a low rate has no room for all of its bins.
    return frames


def _compare(
    name: str, tracks: Sequence[Sequence[np.ndarray]], oracles: Sequence[str], seed: int
) -> Comparison | None:
    shortest = [min(len(row) for row in rows) for rows in tracks]
    arrays = [np.stack([row[:n] for row in rows]) for rows, n in zip(tracks, shortest, strict=True)]
    block = 5 if name in oracles else 1  # parts of the sparsity last five windows
    return compare(arrays, less_is_better=name in SPARSER_IS_LESS, block=block, seed=seed)


def _report(
    args: argparse.Namespace,
    excerpts: Sequence[Excerpt],
    frames: Sequence[SliCQT | STFT],
    found: Mapping[str, Comparison | None],
    oracles: Sequence[str],
) -> dict[str, Any]:
    known = {name: comparison for name, comparison in found.items() if comparison is not None}
    first = known[oracles[0]]
    candidates = [
        {
            "name": _title(frame),
            "call": _call(frame),
            "redundancy": frame.redundancy if isinstance(frame, STFT) else frame.frame.redundancy,
            "measures": {name: asdict(c.standings[i]) for name, c in known.items()},
        }
        for i, frame in enumerate(frames)
    ]
    equals = [i for i, s in enumerate(first.standings) if s.indistinguishable]
    lightest = min(equals, key=lambda i: candidates[i]["redundancy"])
    least, much = (candidates[i]["redundancy"] for i in (lightest, first.best))
    return {
        "target": args.recommend,
        "sources": list(excerpts[0].sources),
        "sample_rate": excerpts[0].sample_rate,
        "tracks": [excerpt.track.name for excerpt in excerpts],
        "n_tracks": first.n_tracks,
        "n_windows": first.n_windows,
        "recommended": candidates[first.best]["call"],
        "lighter": candidates[lightest]["call"] if much > _LESS * least else None,
        "favoured": {
            name: {
                "best": candidates[c.best]["name"],
                "indistinguishable": [
                    candidate["name"]
                    for i, candidate in enumerate(candidates)
                    if c.standings[i].indistinguishable and i != c.best
                ],
            }
            for name, c in known.items()
        },
        "candidates": candidates,
    }


def _title(frame: SliCQT | STFT) -> str:
    if isinstance(frame, STFT):
        return f"STFT {frame.n_fft}/{frame.hop}"
    about = frame.config
    scale = about["scale"] if isinstance(about["scale"], str) else "given"
    floor = about["min_bandwidth_hz"]
    wide = f", ≥ {floor:g} Hz" if floor else ""
    return f"{scale} {about['n_bins']}, {about['f_min_hz']:g} Hz up, {about['window']}{wide}"


def _call(frame: SliCQT | STFT) -> str:
    """The Python expression that makes a frame, with its slice."""
    if isinstance(frame, STFT):
        return f"STFT(n_fft={frame.n_fft}, hop={frame.hop}, sample_rate={frame.sample_rate:g})"
    default = SliCQT(sample_rate=frame.config["sample_rate"]).config
    made = {"slice_length": frame.frame.slice_length}
    kept = {
        name: value
        for name, value in {**frame.config, **made}.items()
        if value != default.get(name) or name in ("scale", "n_bins", "f_min_hz", "sample_rate")
    }
    return f"SliCQT({', '.join(f'{name}={value!r}' for name, value in kept.items())})"


def _text(report: Mapping[str, Any]) -> str:
    target, candidates = report["target"], report["candidates"]
    measures = list(candidates[0]["measures"])
    tracks, windows = report["n_tracks"], report["n_windows"]
    lines = [
        f"{target}: {tracks} track{'s' * (tracks > 1)}, {windows} windows of 1 s; "
        "SDR of oracles in dB, then sparsity; ± half of the 95 % interval",
        "",
    ]
    width = 2 + max(len(c["name"]) for c in candidates)
    lines.append(" " * width + "".join(f"{name:>16}" for name in measures))
    for candidate in candidates:
        cells = []
        for standing in candidate["measures"].values():
            low, high = standing["interval"]
            digits = 0 if abs(standing["value"]) >= 100 else 2
            mark = "*" if not standing["behind"] else "=" if standing["indistinguishable"] else " "
            text = f"{standing['value']:.{digits}f} ± {(high - low) / 2:.{digits}f}{mark}"
            cells.append(f"{text:>16}")
        lines.append(f"{candidate['name']:<{width}}" + "".join(cells))
    lines += ["", "* best; = not to be told from it on these stems", ""]
    for name, favoured in report["favoured"].items():
        others = favoured["indistinguishable"]
        if len(others) + 1 == len(candidates):
            lines.append(f"{name}: these stems tell no frame from another")
            continue
        lines.append(f"{name}: {favoured['best']}{'' if others else ', better than all others'}")
        lines += [f"  indistinguishable: {other}" for other in others]
    lines += ["", f"recommended for {target}, by {measures[0]}: {report['recommended']}"]
    if report["lighter"] is not None:
        lines.append(f"as good on these stems, with less data: {report['lighter']}")
    if tracks == 1:
        lines.append("One track: the uncertainty is that of its windows; other songs may differ.")
    elif windows < _FEW_WINDOWS:
        lines.append("Few windows: longer or more stems would tell more.")
    return "\n".join(lines)
