"""Options of ``asteroid-slicq demo``."""

from __future__ import annotations

import argparse

from asteroid_slicq.cli.parsers.arguments import count, positive_number

_EXAMPLES = """\
examples:
  asteroid-slicq demo                                  http://127.0.0.1:7860
  asteroid-slicq demo --model my_model.pth --model user/name --device cuda
  asteroid-slicq demo --host 0.0.0.0 --port 8000 --max-minutes 5

The page is for this machine alone, unless --host or --share says otherwise. Whoever reaches it can
have songs separated, and hears what they gave it, nothing else of this machine: songs and stems lie
in a private temporary folder, under names that cannot be guessed, and are removed after a time and
at the end. Nothing is sent elsewhere. Ctrl-C ends it.

It needs Gradio: pip install 'asteroid-slicq[demo]'.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command to the main parser."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "demo",
        help="open a page to separate songs and listen to their stems",
        description="Serve a page: drop a song, hear its stems in sync, download them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-m",
        "--model",
        metavar="MODEL",
        action="append",
        help="a model that the page offers: a file, a Hub id such as user/name, or the name of a "
        "model that ships; several times for a choice (default: the model that ships)",
    )
    parser.add_argument(
        "-d",
        "--device",
        default="auto",
        help="auto, cpu, cuda, cuda:1, mps (default: auto: cuda where there is one, else cpu)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 lets other machines in (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--port", type=_port, help="port to listen on (default: the first free one from 7860 on)"
    )
    parser.add_argument(
        "--share",
        action="store_true",
        help="also open a tunnel through Gradio's servers: whoever has the address that is printed "
        "reaches this page, for a week at most, and songs pass through those servers",
    )
    parser.add_argument(
        "--max-minutes",
        metavar="N",
        type=positive_number,
        default=10.0,
        help="length of a song that is taken (default: 10)",
    )
    parser.add_argument(
        "--max-mb",
        metavar="N",
        type=positive_number,
        default=200.0,
        help="size of a file that is taken, in megabytes (default: 200)",
    )
    parser.add_argument(
        "--keep-minutes",
        metavar="N",
        type=positive_number,
        default=30.0,
        help="stems are removed so long after they were last heard (default: 30)",
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=count,
        default=1,
        help="songs that are separated at a time; others wait (default: 1)",
    )
    parser.add_argument("--threads", metavar="N", type=count, help="CPU threads to compute with")


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"must be a whole number in 1 … 65535, got {text!r}")
    return int(text)
