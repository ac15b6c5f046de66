"""Options of ``asteroid-slicq sounds``."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command to the main parser."""
    parser = subparsers.add_parser(
        "sounds",
        help="build a bank of recorded sounds that anyone may use, or list its credits",
        description="Recorded sounds for `asteroid-slicq synth --sounds sampled`. They are read "
        "from installed packages under free licences; `build` names those that are missing.",
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
    build.add_argument(
        "--packages",
        type=Path,
        metavar="DIR",
        help="where `npm pack` downloaded packages to (default: `packages` in the bank's folder)",
    )
    listing = actions.add_parser(
        "list", parents=[cache], help="list who made the sounds, and under which licence"
    )
    listing.add_argument(
        "--default-model",
        action="store_true",
        help="of the sounds that the model which ships with the package was trained on",
    )
    listing.add_argument("--json", action="store_true", help="print the whole manifest")
