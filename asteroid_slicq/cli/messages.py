"""Messages of the commands, for people."""

from __future__ import annotations

import sys


class CommandError(ValueError):
    """Failure of a command to do what was asked; the message is one sentence for people."""


def say(text: str) -> None:
    """Print a line on standard output, whatever characters a file name has."""
    _print(text, sys.stdout)


def complain(text: str) -> None:
    """Print a line on standard error, with the name of the program in front."""
    _print(f"asteroid-slicq: {text}", sys.stderr)


def _print(text: str, stream) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
