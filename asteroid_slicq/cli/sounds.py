"""The command ``asteroid-slicq sounds``: build a bank of recorded sounds, and list its credits."""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from asteroid_slicq.cli.messages import complain
from asteroid_slicq.data.sampled import (
    SOURCES,
    build_bank,
    default_folder,
    installation,
    read_manifest,
)


def add_sounds_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command ``sounds`` to a parser.

    Args:
        subparsers: What ``ArgumentParser.add_subparsers`` returned.

    Returns:
        The parser of the command; its default ``run`` is `run_sounds`.
    """
    packages = ", ".join(source.package for source in SOURCES)
    parser = subparsers.add_parser(
        "sounds",
        help="build a bank of recorded sounds that anyone may use, or list its credits",
        description="Recorded sounds for `asteroid-slicq synth --sounds sampled`. They are read "
        f"from packages under free licences: {packages}.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    cache = argparse.ArgumentParser(add_help=False)
    cache.add_argument(
        "--cache", type=Path, metavar="DIR", help="folder of the bank (default: in your cache)"
    )
    build = actions.add_parser(
        "build", parents=[cache], help="build the bank from the installed packages"
    )
    build.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="DIR",
        help="where the packages are installed, or unpacked to by `dpkg-deb -x` (default: /)",
    )
    listing = actions.add_parser(
        "list", parents=[cache], help="list who made the sounds, and under which licence"
    )
    listing.add_argument("--json", action="store_true", help="print the whole manifest")
    parser.set_defaults(run=run_sounds)
    return parser


def run_sounds(args: argparse.Namespace) -> int:
    """Run the command.

    Args:
        args: As parsed by the parser of `add_sounds_parser`.

    Returns:
        Exit code: 0, or 2 after one sentence on stderr about what was wrong.
    """
    folder = default_folder() if args.cache is None else args.cache
    try:
        if args.action == "build":
            built = build_bank(folder, args.root, lambda name: print(f"  {name}", flush=True))
            bank = built.manifest["bank"]
            print(
                f"{len(built.manifest['sounds'])} sounds, {bank['bytes'] / 1e6:.1f} MB: "
                f"{folder / bank['file']}"
            )
            for command in installation(built.missing):
                print(f"for more sounds: {command}")
        else:
            manifest = read_manifest(folder)
            print(
                json.dumps(manifest, indent=1, ensure_ascii=False)
                if args.json
                else _credits(manifest)
            )
    except (ValueError, OSError) as error:
        complain(f"sounds: {error}")
        return 2
    return 0


def _credits(manifest: dict[str, Any]) -> str:
    """Lay out a manifest for reading: sources, and the authors of their sounds."""
    lines = []
    for name, source in manifest["sources"].items():
        version = f" {source['version']}" if source["version"] else ""
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
