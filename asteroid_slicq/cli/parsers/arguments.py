"""Values on the command line, from text, or one sentence on what is wrong with it."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path


def refuse_empty(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """End with a usage error where a word is empty: a path of that kind is the current folder."""
    for before, word in zip((None, *argv), argv, strict=False):
        name, equals, value = word.partition("=")
        if word and not (equals and not value and name.startswith("-")):
            continue
        if word:
            where = f"argument {name}"
        else:
            where = f"argument {before}" if before and before.startswith("-") else "an argument"
        parser.error(f"{where}: must not be empty (is a variable not set?)")


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


def folder_or_address(text: str) -> Path | str:
    """A folder here, or the address of one elsewhere, such as ``s3://bucket/stems``."""
    return text if "://" in text else Path(text)


def file_name(text: str) -> str:
    """A name without a folder."""
    if os.path.basename(text) != text or text in (".", ".."):
        raise argparse.ArgumentTypeError(f"must be a name without folders, got {text!r}")
    return text


def seed_number(text: str) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on, got {text!r}")
    return int(text)


def list_of(choices: Sequence[str] | None = None) -> Callable[[str], tuple[str, ...]]:
    """Names separated by commas, all different, of some choices or any."""

    def parse(text: str) -> tuple[str, ...]:
        words = tuple(word.strip() for word in text.split(",") if word.strip())
        twice = [word for word in words if words.count(word) > 1]
        if twice:
            raise argparse.ArgumentTypeError(f"must be different names, got {twice[0]!r} twice")
        unknown = [word for word in words if choices is not None and word not in choices]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"must be of {', '.join(choices or ())}, got {unknown[0]!r}"
            )
        if not words:
            raise argparse.ArgumentTypeError("must be names separated by commas, got none")
        return words

    return parse


def numbers(text: str) -> tuple[float, ...]:
    """Numbers of at least 0, separated by commas."""
    return tuple(number(word.strip()) for word in text.split(","))


def stft_sizes(text: str) -> tuple[int, int]:
    """Samples of a frame and between frames, such as 4096/1024."""
    n_fft, slash, hop = text.partition("/")
    if not (slash and n_fft.isdecimal() and hop.isdecimal()):
        raise argparse.ArgumentTypeError(f"must be N/HOP such as 4096/1024, got {text!r}")
    return int(n_fft), int(hop)
