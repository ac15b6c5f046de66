"""Options of ``asteroid-slicq synth``."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command to the main parser."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "synth",
        help="write a data set of composed songs",
        description="Write composed multitrack songs in the folder layout of MUSDB18-HQ, played by "
        "synthesisers or from recorded sounds. Tracks that are already there are kept.",
    )
    parser.add_argument("out", metavar="OUT", help="folder of the data set")
    parser.add_argument("--tracks", type=int, default=150, help="tracks in all (default: 150)")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each (default: 30)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same songs (default: 0)")
    parser.add_argument(
        "--test-tracks",
        type=int,
        default=None,
        help="tracks in test (default: a third; all, of sounds that are for tests alone)",
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes at work (default: 1)")
    parser.add_argument(
        "--sounds",
        choices=("procedural", "sampled", "both"),
        default="procedural",
        help="synthesisers, the recordings of `asteroid-slicq sounds build`, or either one, as "
        "each track's seed decides (default: procedural)",
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="folder of the recordings (default: your cache)"
    )
