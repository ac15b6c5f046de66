"""``asteroid-slicq spectrogram``: a picture of a song."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asteroid_slicq.audio import AudioReader, track_name
from asteroid_slicq.cli.arguments import number, positive_number, positive_seconds, seconds
from asteroid_slicq.cli.messages import CommandError, say
from asteroid_slicq.vocabulary import SCALES, WINDOWS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUFFIXES = (".png", ".pdf", ".svg", ".jpg", ".webp")
_N_BINS, _BINS_PER_OCTAVE = 400, 48
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


def add_spectrogram_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the command to the main parser."""
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
        help=f"the picture, {', '.join(_SUFFIXES)} (default: the song's name and .png, here)",
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
        help=f"bins; of scale octave, in an octave (default: {_N_BINS}; {_BINS_PER_OCTAVE})",
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
    parser.set_defaults(parser=parser)


def run_spectrogram(args: argparse.Namespace) -> int:
    """Draws; returns the exit code.

    Raises:
        CommandError: what cannot be drawn or written, in one sentence.
        AudioError: a song that cannot be read.
    """
    output = args.output or Path(f"{track_name(args.song)}.png")
    _check_output(output, args.overwrite)

    from asteroid_slicq.plotting import spectrograms as plot

    with AudioReader(args.song) as reader:
        rate = reader.sample_rate
        slicqt = plot.drawing_transform(
            rate,
            scale=args.scale,
            n_bins=args.n_bins or (_BINS_PER_OCTAVE if args.scale == "octave" else _N_BINS),
            f_min_hz=args.f_min,
            window=args.window,
            min_bandwidth_hz=args.min_bandwidth,
            bandwidth_factor=args.bandwidth_factor,
        )
        # What lies just outside is read too: a cut would show as a click.
        margin_s = max(slicqt.frame.slice_length, 4096) / rate
        first_s, samples = _read(reader, args.start, args.duration, margin_s)
    stop_s = math.inf if args.duration is None else args.start + args.duration
    figure = plot.plot_waveform_spectrogram(
        samples,
        rate,
        slicqt,
        stft=args.stft,
        start_s=first_s,
        span_s=(args.start, stop_s),
        size_px=args.size,
        db_range=args.db_range,
    )
    _write(figure, output)
    if not args.quiet:
        say(f"{args.song} -> {output}")
    return 0


def _read(
    reader: AudioReader, start_s: float, duration_s: float | None, margin_s: float
) -> tuple[float, np.ndarray]:
    """A part of a song and a margin on both sides, and when its first sample sounds.

    Shape:
        - output: ``(channel, time)``
    """
    rate, far = reader.sample_rate, 2.0**62
    first = int(min(max(0.0, start_s - margin_s) * rate, far))
    stop_s = math.inf if duration_s is None else start_s + duration_s + margin_s
    stop = int(min(stop_s * rate, far)) + 1
    blocks, n_read = [], 0
    for block in reader.blocks(2**18):
        if n_read + block.shape[1] > first:
            blocks.append(block[:, max(0, first - n_read) : stop - n_read])
        n_read += block.shape[1]
        if n_read >= stop:
            break
    if start_s * rate >= n_read:
        raise CommandError(
            f"{reader.path}: ends after {n_read / rate:.2f} s, before --start {start_s:g}"
        )
    return first / rate, np.concatenate(blocks, axis=1)


def _check_output(output: Path, overwrite: bool) -> None:
    """Refuses, before any work, a picture that cannot be written."""
    if output.suffix.lower() not in _SUFFIXES:
        raise CommandError(f"{output}: must end in one of {', '.join(_SUFFIXES)}")
    if os.path.isdir(output):
        raise CommandError(f"{output}: cannot be written, a folder has that name")
    if os.path.lexists(output) and not overwrite:
        raise CommandError(f"{output}: exists; replacing must be asked for (--overwrite)")
    if not os.path.isdir(output.parent):
        raise CommandError(f"{output}: cannot be written, there is no folder {output.parent}")
    if not os.access(output.parent, os.W_OK | os.X_OK):
        raise CommandError(f"{output}: cannot be written (permission denied)")


def _write(figure: Figure, output: Path) -> None:
    """Writes a picture under a temporary name and renames it once it is whole."""
    suffix = output.suffix.lower()
    temporary = output.with_name(f".{output.stem}-{secrets.token_hex(4)}.part")
    try:
        if suffix == ".png":
            _save_with_palette(figure, temporary)
        else:
            figure.savefig(temporary, format=suffix[1:])
        temporary.replace(output)
    except OSError as error:
        raise CommandError(f"{output}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _save_with_palette(figure: Figure, path: Path) -> None:
    """Writes a PNG of 256 colours, less than half the size of one of all."""
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    image = Image.open(buffer).convert("RGB").quantize(dither=Image.Dither.NONE)
    image.save(path, format="png", optimize=True, dpi=(figure.dpi, figure.dpi))


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
