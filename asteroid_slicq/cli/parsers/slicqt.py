"""Options of a sliCQT, by the names of its arguments."""

from __future__ import annotations

import argparse
from typing import Any

from asteroid_slicq.cli.parsers.arguments import count, number, positive_number
from asteroid_slicq.vocabulary import RASTERIZATIONS, SCALES, WINDOWS

# Options by the names of SliCQT's arguments; one that is not given is not there after parsing.
_OPTIONS: dict[str, dict[str, Any]] = {
    "scale": {"choices": SCALES, "help": "of bins"},
    "n-bins": {"metavar": "N", "type": count, "help": "of the scale"},
    "f-min": {"metavar": "HZ", "type": number, "dest": "f_min_hz", "help": "lowest bin"},
    "f-max": {"metavar": "HZ", "type": positive_number, "dest": "f_max_hz", "help": "highest bin"},
    "window": {"choices": WINDOWS, "help": "of the analysis"},
    "min-width": {"metavar": "N", "type": count, "help": "of a bin, in DFT bins of a slice"},
    "min-bandwidth": {
        "metavar": "HZ",
        "type": number,
        "dest": "min_bandwidth_hz",
        "help": "of a bin",
    },
    "bandwidth-factor": {"metavar": "X", "type": positive_number, "help": "widens all bins"},
    "gamma": {
        "metavar": "HZ",
        "type": number,
        "dest": "gamma_hz",
        "help": "bandwidth that the scale vqlog adds",
    },
    "slice-length": {"metavar": "N", "type": count, "help": "in samples"},
    "transition-length": {"metavar": "N", "type": count, "help": "in samples"},
    "rasterize": {"choices": RASTERIZATIONS, "help": "none: ragged; full: a matrix"},
    "overlap-added": {
        "action": "store_true",
        "help": "slices added where they overlap, and synthesis by one pass",
    },
}


def add_slicqt_options(group: argparse._ArgumentGroup) -> None:
    """Add the options."""
    for name, options in _OPTIONS.items():
        group.add_argument(f"--{name}", default=argparse.SUPPRESS, **options)


def slicqt_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Collect the settings that were given, as arguments of ``SliCQT``."""
    names = [options.get("dest", name.replace("-", "_")) for name, options in _OPTIONS.items()]
    return {name: getattr(args, name) for name in names if hasattr(args, name)}
