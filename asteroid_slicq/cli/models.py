"""``asteroid-slicq models``: which models there are."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace

from asteroid_slicq.catalogue import (
    Entry,
    asteroid_cache,
    hub_cache,
    in_asteroid_cache,
    in_folder,
    in_hub_cache,
    presets,
    shipped,
)
from asteroid_slicq.cli.messages import CommandError, complain, say

_TITLES = {
    "ships": "Ships with the package",
    "hub": "From the Hugging Face Hub, in {hub}",
    "asteroid": "From Asteroid, in {asteroid}",
    "folder": "In folders",
    "preset": "Presets, without trained weights",
}
_MEASURED_S = 10


def run(args: argparse.Namespace) -> int:
    """List; return the exit code.

    Raises:
        CommandError: a folder that is not there.
    """
    missing = [folder for folder in args.folders if not folder.is_dir()]
    if missing:
        raise CommandError(f"{missing[0]}: no such folder")
    hub, asteroid = hub_cache(), asteroid_cache()
    entries = [*shipped(), *in_hub_cache(hub), *in_asteroid_cache(asteroid)]
    entries += [entry for folder in args.folders for entry in in_folder(folder)]
    entries += presets()
    if args.measure:
        entries = [_measured(entry, args.threads) for entry in entries]
    if args.json:
        say(json.dumps([entry.plain() for entry in entries], indent=2, ensure_ascii=False))
    else:
        for where, title in _TITLES.items():
            rows = [entry for entry in entries if entry.where == where and not entry.problem]
            if rows:
                say(f"{title.format(hub=hub, asteroid=asteroid)}:")
                say(_table(where, rows) + "\n")
        say("Seconds of work a second of audio are those of two processors" + _source(args.measure))
    broken = [entry for entry in entries if entry.problem]
    for entry in broken:
        complain(f"{entry.name}: {entry.problem}")
    return 2 if broken else 0


def _source(measured: bool) -> str:
    return ", measured here just now." if measured else ", as published; --measure measures them."


def _table(where: str, entries: Sequence[Entry]) -> str:
    columns = ["name", "model", "parameters", "s per s", "latency", "stems"]
    columns += [] if where == "preset" else ["size", "trained on", "licence"]
    rows = [columns, *([_cells(entry)[column] for column in columns] for entry in entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _cells(entry: Entry) -> dict[str, str]:
    speed, latency = entry.seconds_per_second, entry.latency_s
    return {
        "name": entry.name,
        "model": entry.model or "?",
        "parameters": f"{(entry.n_parameters or 0) / 1e6:.1f} M",
        "s per s": "?" if speed is None else f"{speed:.3f}",
        "latency": "causal" if entry.causal else "whole song",
        **({} if latency is None else {"latency": f"{1000 * latency:.0f} ms"}),
        "stems": ", ".join(entry.sources) + _on_demand(entry) or "?",
        "size": f"{(entry.n_bytes or 0) / 1e6:.1f} MB",
        "trained on": entry.trained_on or "not stated",
        "licence": entry.license or "not stated",
    }


def _on_demand(entry: Entry) -> str:
    names = ", ".join(entry.sources_on_demand)
    return f" (--stems: also {names})" if names else ""


def _measured(entry: Entry, n_threads: int | None) -> Entry:
    """The entry with the speed of its model here; one that does not run says why."""
    if entry.problem:
        return entry
    import torch

    from asteroid_slicq.cli.model_choice import resolve_separator
    from asteroid_slicq.models import bandsplit, xumx_slicq
    from asteroid_slicq.separation import Separator

    if n_threads is not None:
        torch.set_num_threads(n_threads)
    try:
        if entry.where == "preset":
            families = {"XUMXSliCQ": xumx_slicq.XUMXSliCQ, "BandSplit": bandsplit.BandSplit}
            model = families[str(entry.model)].from_preset(entry.name).eval()
        else:
            model = resolve_separator(entry.path or entry.name)
        separator = Separator(model, segment_s=_MEASURED_S)
        n_channels = getattr(model, "n_channels", None) or 1
        rate = separator.sample_rate
        noise = 0.1 * torch.randn(n_channels, round(_MEASURED_S * rate))
        separator.separate_waveform(noise[:, : round(rate)])  # what is made once is made now
        start = time.perf_counter()
        separator.separate_waveform(noise)
    except (CommandError, ValueError, TypeError, RuntimeError) as error:
        return replace(entry, problem=f"does not run ({str(error).splitlines()[0]})")
    seconds = (time.perf_counter() - start) / _MEASURED_S
    return replace(entry, seconds_per_second=round(seconds, 4))
