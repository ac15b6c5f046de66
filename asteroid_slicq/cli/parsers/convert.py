"""Options of ``asteroid-slicq convert``."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command to the main parser."""
    parser = subparsers.add_parser(
        "convert",
        help="turn weights of the original xumx-sliCQ or MiXiN into a model for this package",
        description="Turn a state dict of the original xumx-sliCQ, or the three Keras files of the "
        "original MiXiN, into a file that BaseModel.from_pretrained and `separate --model` load.",
    )
    parser.add_argument(
        "state",
        metavar="UPSTREAM_STATE",
        type=Path,
        nargs="+",
        help="state dict, .pth; for mixin the .h5 of harmonic, percussive and vocals",
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True)
    parser.add_argument("--overwrite", action="store_true", help="replace FILE where it exists")
    parser.add_argument("--preset", choices=("v1", "v2", "v2-realtime", "mixin"), default="v2")
    parser.add_argument("--n-bins", type=int, default=262, help="bins of the Bark scale")
    parser.add_argument("--f-min-hz", type=float, default=32.9, help="lowest frequency in Hz")
