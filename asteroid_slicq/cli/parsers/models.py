"""Options of ``asteroid-slicq models``."""

from __future__ import annotations

import argparse
from pathlib import Path

_EXAMPLES = """\
examples:
  asteroid-slicq models
  asteroid-slicq models my_models/ --measure
  asteroid-slicq models --json | jq '.[] | select(.where == "hub") | .name'

Names are those that `separate --model` takes, but for presets, which have no trained weights: those
are names for the recipes and `convert`. Files are read without loading what they hold, and nothing
in them runs. Repositories of other libraries in the caches are left out.

exit code: 0; 2 when a folder is not there, or the file of a model cannot be read.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command to the main parser."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "models",
        help="list models: presets, what ships, and what was downloaded",
        description="List models: presets, the model that ships, and those in the caches of the "
        "Hugging Face Hub and of Asteroid, and in folders.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="*", metavar="FOLDER", type=Path, help="more places")
    parser.add_argument("--json", action="store_true", help="print a list of objects, all facts")
    parser.add_argument(
        "--measure",
        action="store_true",
        help="measure the speed of each here, on 10 s of noise in stereo (takes seconds a model)",
    )
    parser.add_argument("--threads", metavar="N", type=int, help="CPU threads to measure with")
    parser.set_defaults(module="models")
