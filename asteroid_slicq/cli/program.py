"""The command line ``asteroid-slicq``: which command runs, and how does it end?"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module, metadata

from asteroid_slicq.cli.messages import complain

# Each module has `add_<command>_parser(subparsers)` and `run_<command>(args) -> exit code`.
_COMMANDS = {
    "separate": "asteroid_slicq.cli.separate",
    "spectrogram": "asteroid_slicq.cli.spectrogram",
    "oracle": "asteroid_slicq.cli.oracle",
    "synth": "asteroid_slicq.cli.synth",
    "sounds": "asteroid_slicq.cli.sounds",
    "convert": "asteroid_slicq.cli.convert",
    "export": "asteroid_slicq.cli.export",
    "publish": "asteroid_slicq.cli.publish",
}
_EXAMPLES = """\
examples:
  asteroid-slicq separate song.wav -o stems        stems/song/{vocals,drums,bass,other}.wav
  asteroid-slicq spectrogram song.wav --stft       song.png
  asteroid-slicq oracle musdb18hq --stft 4096/1024 what could be reached at best
  asteroid-slicq publish model.pth --repo user/name --dry-run
  asteroid-slicq separate --help                   all options of a command
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: arguments without the program's name; ``None`` for those of the process.

    Returns:
        The exit code: 0 done, 1 an error of ours, 2 something asked for cannot be done, 130
        interrupted, 143 terminated.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        with _terminable():
            args = parse(argv)
            return args.run(args)
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
    """Arguments of a command, whose inputs may stand before and after its options."""
    parser = _parser(argv)
    args, rest = parser.parse_known_args(argv)
    if rest and not any(word.startswith("-") for word in rest) and hasattr(args, "inputs"):
        args.inputs += rest
    elif rest:
        getattr(args, "parser", parser).error(f"unrecognized arguments: {' '.join(rest)}")
    return args


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; it imports the command in ``argv`` alone, or all where there is none."""
    parser = argparse.ArgumentParser(
        prog="asteroid-slicq",
        description="Music source separation with the sliCQ transform.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    first = next((word for word in argv if not word.startswith("-")), None)
    for name in [first] if first in _COMMANDS else _COMMANDS:
        module = import_module(_COMMANDS[name])
        getattr(module, f"add_{name}_parser")(subparsers)
        subparsers.choices[name].set_defaults(run=getattr(module, f"run_{name}"))
    return parser


def _version() -> str:
    try:
        return metadata.version("asteroid-slicq")
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return "(not installed)"


@contextmanager
def _terminable() -> Iterator[None]:
    """Lets SIGTERM end the command by an exception, so that temporary files are removed."""
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


if __name__ == "__main__":
    sys.exit(main())
