"""Which transforms does a command line mean?"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from asteroid_slicq.cli.arguments import count, number, positive_number
from asteroid_slicq.vocabulary import RASTERIZATIONS, SCALES, WINDOWS


def seed_number(text: str) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on, got {text!r}")
    return int(text)


def list_of(choices: Sequence[str] | None = None) -> Callable[[str], tuple[str, ...]]:
    """Words between commas, all different, of some choices or any."""

    def parse(text: str) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
        unknown = [word for word in words if choices is not None and word not in choices]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"must be of {', '.join(choices or ())}, got {unknown[0]!r}"
            )
        if not words:
            raise argparse.ArgumentTypeError("must be words between commas, got none")
        return words

    return parse


def stft_sizes(text: str) -> tuple[int, int]:
    """Samples of a frame and between frames, such as 4096/1024."""
    n_fft, slash, hop = text.partition("/")
    if not (slash and n_fft.isdecimal() and hop.isdecimal()):
        raise argparse.ArgumentTypeError(f"must be N/HOP such as 4096/1024, got {text!r}")
    return int(n_fft), int(hop)


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
    """Adds the settings of a sliCQT."""
    for name, options in _OPTIONS.items():
        group.add_argument(f"--{name}", default=argparse.SUPPRESS, **options)


def slicqt_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given, as arguments of ``SliCQT``."""
    names = [options.get("dest", name.replace("-", "_")) for name, options in _OPTIONS.items()]
    return {name: getattr(args, name) for name in names if hasattr(args, name)}
