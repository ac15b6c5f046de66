"""The main parser of ``asteroid-slicq``, and how a command ends."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from asteroid_slicq import __version__
from asteroid_slicq.cli.messages import complain
from asteroid_slicq.cli.parsers.arguments import refuse_empty

# Each has a module of its options in `parsers`, and one here whose `run(args)` is its exit code.
_COMMANDS = (
    "separate",
    "spectrogram",
    "oracle",
    "synth",
    "sounds",
    "convert",
    "export",
    "publish",
)
_EXAMPLES = """\
examples:
  asteroid-slicq separate song.wav -o stems        stems/song/{vocals,drums,bass,other}.wav
  asteroid-slicq spectrogram song.wav --stft       song.png
  asteroid-slicq oracle musdb18hq --stft 4096/1024 what could be reached at best
  asteroid-slicq publish model.pth --repo user/name --dry-run
  asteroid-slicq separate --help                   all options of a command
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: arguments without the program's name; ``None`` for those of the process.

    Returns:
        The exit code: 0 done, 1 an error of ours, 2 something asked for cannot be done, 130
        interrupted, 143 terminated.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        with _terminable():
            _share_processors()
            args = parse(argv)
            return import_module(f"asteroid_slicq.cli.{args.command}").run(args)
    except SystemExit as end:  # help and usage errors of argparse, termination
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 2
    except KeyboardInterrupt:
        complain("interrupted")
        return 130
    except (ValueError, OSError) as error:
        if "--debug" in argv:
            raise
        complain(str(error))
        return 2
    except Exception as error:
        if "--debug" in argv:
            raise
        complain(
            f"{type(error).__name__}: {error} (unexpected; `asteroid-slicq --debug …` shows where)"
        )
        return 1


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of a command, whose inputs may stand before and after its options."""
    parser = _parser()
    refuse_empty(parser, argv)
    args, rest = parser.parse_known_args(argv)
    if rest and not any(word.startswith("-") for word in rest) and hasattr(args, "inputs"):
        args.inputs += rest
    elif rest:
        args.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if hasattr(args, "check"):
        args.check(args)
    return args


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asteroid-slicq",
        description="Music source separation with the sliCQ transform.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")
    for name in _COMMANDS:
        import_module(f"asteroid_slicq.cli.parsers.{name}").add_parser(subparsers)
        subparsers.choices[name].set_defaults(parser=subparsers.choices[name])
    return parser


def _share_processors() -> None:
    """Let the threads of PyTorch sleep, not spin, while they wait for each other.

    Where two programs compute on the same processors, threads that spin keep those that have work
    from it. PyTorch reads this once, when it is loaded; what the user has set stays.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the command by an exception, so that temporary files are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise SystemExit(143)

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
