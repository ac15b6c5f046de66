"""Numbers on the command line: from text to value, or one sentence on what is wrong with it."""

from __future__ import annotations

import argparse
import math


def number(text: str, unit: str = "") -> float:
    """A finite number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number{unit}") from None
    if not (value >= 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"must be at least 0 and finite, got {text}")
    return value


def positive_number(text: str, unit: str = "") -> float:
    """A finite number above 0."""
    value = number(text, unit)
    if value == 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def seconds(text: str) -> float:
    """A duration of at least 0 s."""
    return number(text, " of seconds")


def positive_seconds(text: str) -> float:
    """A duration above 0 s."""
    return positive_number(text, " of seconds")


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, got {text!r}")
    return int(text)
