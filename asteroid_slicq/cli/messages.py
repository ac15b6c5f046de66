"""Messages of the commands, for people."""

from __future__ import annotations

import os
import re
import sys

_CONTROLS = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f]")  # which steer a terminal, in a file's name


class CommandError(ValueError):
    """Failure of a command to do what was asked; the message is one sentence for people."""


def say(text: str) -> None:
    """Print a line on standard output, whatever characters a file name has.

    Nothing happens where it is closed or nobody reads it any more: the work goes on.
    """
    try:
        _print(text, sys.stdout)
    except BrokenPipeError:
        _silence(sys.stdout)
    except OSError as error:
        _silence(sys.stdout)
        raise CommandError(f"standard output: cannot be written ({error.strerror})") from error


def one_line(text: str) -> str:
    """A text whose file names may hold line breaks, in one line."""
    return text.replace("\n", "\\n")


def complain(text: str) -> None:
    """Print a line on standard error, where there is one, with the name of the program in front."""
    try:
        _print(f"asteroid-slicq: {text}", sys.stderr)
    except OSError:
        _silence(sys.stderr)


def _print(text: str, stream) -> None:
    if stream is None:  # print would take it for standard output
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    text = _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def _silence(stream) -> None:
    """Let all that is printed from now on vanish, and what waits in its buffer."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
