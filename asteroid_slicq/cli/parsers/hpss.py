"""Options of ``asteroid-slicq separate --model hpss``."""

from __future__ import annotations

import argparse

from asteroid_slicq.cli.parsers.arguments import number
from asteroid_slicq.vocabulary import HPSS_TRANSFORMS

OPTIONS = ("hpss_transform", "hpss_margin")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    group = parser.add_argument_group(
        "options of --model hpss",
        "harmonic and percussive parts by medians, without a training; vocals, too, where one of "
        "--stems, --two-stems and --mix names them",
    )
    group.add_argument(
        "--hpss-transform",
        choices=HPSS_TRANSFORMS,
        default=HPSS_TRANSFORMS[0],
        help=f"in which it is separated (default: {HPSS_TRANSFORMS[0]})",
    )
    group.add_argument(
        "--hpss-margin",
        metavar="FACTOR",
        type=margin,
        default=1.0,
        help="by how much a part must exceed the other to be its own; above 1, what neither claims "
        "becomes a stem, residual (default: 1)",
    )


def check(args: argparse.Namespace) -> None:
    """End with a usage error where they are given for another model."""
    for name in OPTIONS:
        if getattr(args, name) != args.parser.get_default(name) and args.model != "hpss":
            args.parser.error(f"argument --{name.replace('_', '-')}: needs --model hpss")


def margin(text: str) -> float:
    """A finite number of at least 1."""
    value = number(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text!r}")
    return value
