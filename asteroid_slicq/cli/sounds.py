"""``asteroid-slicq sounds``: a bank of recorded sounds, and its credits."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from asteroid_slicq.cli.messages import say
from asteroid_slicq.data.sampled import (
    build_bank,
    default_folder,
    installation,
    packages_folder,
    read_manifest,
)

_WEIGHTS = Path(__file__).parents[1] / "models/xumx_slicq/weights"


def run(args: argparse.Namespace) -> int:
    """Build the bank or list its credits; return the exit code.

    Raises:
        ValueError: sounds that are not there, or a bank that cannot be read.
        OSError: a file that cannot be read or written.
    """
    folder = default_folder() if args.cache is None else args.cache
    if args.action == "list":
        if args.default_model:
            if args.cache is not None:
                raise ValueError("--default-model has sounds of its own; leave out --cache")
            folder = _WEIGHTS
        manifest = read_manifest(folder)
        say(json.dumps(manifest, indent=1, ensure_ascii=False) if args.json else _credits(manifest))
        return 0
    packed = packages_folder(folder) if args.packages is None else args.packages
    built = build_bank(folder, args.root, lambda name: say(f"  {name}"), packed)
    bank = built.manifest["bank"]
    say(
        f"{len(built.manifest['sounds'])} sounds, {bank['bytes'] / 1e6:.1f} MB: "
        f"{folder / bank['file']}"
    )
    for command in installation(built.missing, packed):
        say(f"for more sounds: {command}")
    return 0


def _credits(manifest: dict[str, Any]) -> str:
    """Lay out a manifest for reading: sources, and the authors of their sounds."""
    lines = []
    for name, source in manifest["sources"].items():
        named = "@" in source["package"]  # as npm writes it
        version = f" {source['version']}" if source["version"] and not named else ""
        lines.append(f"{name} ({source['package']}{version})")
        lines.append(f"  licence verified: {source['verified']}")
        counts = Counter(
            (sound["author"], sound["licence"])
            for sound in manifest["sounds"]
            if sound["source"] == name
        )
        for (author, licence), count in counts.most_common():
            lines.append(f"  {count:5d}  {licence:24s} {author}")
    lines.append("refused")
    lines += [f"  {name}: {reason}" for name, reason in manifest["refused"].items()]
    return "\n".join(lines)
