"""Options of ``asteroid-slicq spectrogram``."""

from __future__ import annotations

import argparse
from pathlib import Path

from asteroid_slicq.cli.parsers.arguments import number, positive_number, positive_seconds, seconds
from asteroid_slicq.vocabulary import SCALES, WINDOWS

SUFFIXES = (".png", ".pdf", ".svg", ".jpg", ".webp")
N_BINS, BINS_PER_OCTAVE = 400, 48
_MAX_BINS, _MIN_SIZE, _MAX_SIZE = 10_000, (400, 250), (10_000, 10_000)

_EXAMPLES = """\
examples:
  asteroid-slicq spectrogram song.wav
  asteroid-slicq spectrogram song.mp3 -o chorus.pdf --stft --start 62 --duration 8
  asteroid-slicq spectrogram song.flac --scale bark --n-bins 262 --window blackman-harris \\
      --bandwidth-factor 1 --min-bandwidth 0

Levels are those of sines, relative to the loudest in the picture; channels count with their mean
power. It needs matplotlib: pip install 'asteroid-slicq[plot]'.

exit code: 0 when done, 2 when the song or an option was refused; nothing half-written stays behind.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command to the main parser."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "spectrogram",
        help="draw a song's sliCQT",
        description="Draw a song's sliCQT over seconds and, logarithmic, Hz.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("song", metavar="SONG", type=Path, help="an audio file")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help=f"the picture, {', '.join(SUFFIXES)} (default: the song's name and .png, here)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a picture that exists")
    parser.add_argument("--stft", action="store_true", help="draw the STFT (4096/1024) beside it")
    parser.add_argument(
        "--start", metavar="S", type=seconds, default=0.0, help="in seconds (default: 0)"
    )
    parser.add_argument(
        "--duration", metavar="S", type=positive_seconds, help="in seconds (default: to the end)"
    )
    parser.add_argument("--scale", choices=SCALES, default="log", help="of bins (default: log)")
    parser.add_argument(
        "--n-bins",
        metavar="N",
        type=_bins,
        help=f"bins; of scale octave, in an octave (default: {N_BINS}; {BINS_PER_OCTAVE})",
    )
    parser.add_argument(
        "--f-min", metavar="HZ", type=positive_number, default=32.9, help="(default: 32.9)"
    )
    parser.add_argument("--window", choices=WINDOWS, default="hann", help="(default: hann)")
    parser.add_argument(
        "--min-bandwidth",
        metavar="HZ",
        type=number,
        default=20.0,
        help="width of the narrowest bin; less shows bass notes finer, and blurs them in time "
        "(default: 20)",
    )
    parser.add_argument(
        "--bandwidth-factor",
        metavar="X",
        type=positive_number,
        default=1.5,
        help="how much wider all bins are than the scale makes them (default: 1.5)",
    )
    parser.add_argument(
        "--db-range", metavar="DB", type=positive_number, default=80.0, help="(default: 80)"
    )
    parser.add_argument(
        "--size",
        metavar="WIDTHxHEIGHT",
        type=_size,
        default=(1200, 560),
        help="in pixels, 130 to the inch (default: 1200x560)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")


def _bins(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_BINS:
        raise argparse.ArgumentTypeError(f"must be a whole number in 1 … {_MAX_BINS}, got {text!r}")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"must be WIDTHxHEIGHT such as 1200x560, got {text!r}")
    size = int(width), int(height)
    if not all(a <= b <= c for a, b, c in zip(_MIN_SIZE, size, _MAX_SIZE, strict=True)):
        low, high = ("x".join(map(str, limit)) for limit in (_MIN_SIZE, _MAX_SIZE))
        raise argparse.ArgumentTypeError(f"must lie between {low} and {high}, got {text!r}")
    return size
