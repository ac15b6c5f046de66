"""The main parser of ``asteroid-slicq``, and how a command ends."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import takewhile
from typing import Any, NoReturn

from asteroid_slicq import __version__
from asteroid_slicq.cli.messages import complain
from asteroid_slicq.cli.parsers.arguments import refuse_empty
from asteroid_slicq.cli.process import Signals, share_one_heap, share_processors, standard_streams

# Each has a module of its options in `parsers`, and one here whose `run(args)` is its exit code: of
# the same name, unless its options set `module`.
_COMMANDS = (
    "separate",
    "spectrogram",
    "demo",
    "oracle",
    "synth",
    "sounds",
    "convert",
    "export",
    "publish",
    "models",
)
_OPTIONS = ("-h", "--help", "--version", "--debug")  # before a command
_EXAMPLES = """\
examples:
  asteroid-slicq separate song.wav -o stems        stems/song/{vocals,drums,bass,other}.wav
  asteroid-slicq spectrogram song.wav --stft       song.png
  asteroid-slicq demo                              a page to separate songs and listen
  asteroid-slicq oracle musdb18hq --stft 4096/1024 what could be reached at best
  asteroid-slicq models                            presets, what ships, what was downloaded
  asteroid-slicq publish model.pth --repo user/name --dry-run
  asteroid-slicq separate --help                   all options of a command
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: arguments without the program's name; ``None`` for those of the process.

    Returns:
        The exit code: 0 done, 1 an error of ours, 2 something asked for cannot be done, 130
        interrupted, 143 terminated, 128 and its number for any other signal.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    share_processors()
    share_one_heap()
    signals = Signals()
    with standard_streams():
        try:
            args = parse(argv)
            command = import_module(f"asteroid_slicq.cli.{getattr(args, 'module', args.command)}")
            with signals.caught():
                code = command.run(args)
            return 128 + signals.received if signals.received else code
        except BaseException as error:
            return _explain(error, signals.received, "--debug" in argv)


def _explain(error: BaseException, received: int, debug: bool) -> int:
    """Tell what ended a command; return the exit code."""
    if received or isinstance(error, KeyboardInterrupt):  # whatever a library made of it
        number = received or signal.SIGINT
        name = signal.Signals(number).name
        complain("interrupted" if number == signal.SIGINT else f"ended by {name}")
        return 128 + number
    if isinstance(error, SystemExit):  # help and usage errors of argparse
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 2
    if debug or not isinstance(error, Exception):
        raise error
    if isinstance(error, (ValueError, OSError)):
        complain(str(error))
        return 2
    complain(
        f"{type(error).__name__}: {error} (unexpected; `asteroid-slicq --debug …` shows where)"
    )
    return 1


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of a command, whose inputs may stand before and after its options."""
    parser = _parser()
    if not argv:
        parser.exit(2, parser.format_help())
    refuse_empty(parser, argv)
    first = takewhile(lambda word: word.startswith("-"), argv)
    if unknown := [word for word in first if word not in _OPTIONS]:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    args, rest = parser.parse_known_args(argv)
    end = rest.index("--") if "--" in rest else len(rest)  # of options
    if hasattr(args, "inputs") and not any(word.startswith("-") for word in rest[:end]):
        args.inputs += rest[:end] + rest[end + 1 :]
    elif rest:
        args.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if hasattr(args, "check"):
        args.check(args)
    return args


class _Parser(argparse.ArgumentParser):
    """A parser that takes options in full alone, as those of its commands do."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **arguments})

    def error(self, message: str) -> NoReturn:
        """End with one sentence; the usage, which argparse puts before it, fills a screen."""
        self.exit(2, f"{self.prog}: error: {message}\n`{self.prog} --help` lists the options\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
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
