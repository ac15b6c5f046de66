"""``asteroid-slicq spectrogram``: a picture of a song."""

from __future__ import annotations

import argparse
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asteroid_slicq.audio import AudioReader, track_name
from asteroid_slicq.cli.messages import CommandError, say
from asteroid_slicq.cli.outputs import check_output, output_file
from asteroid_slicq.cli.parsers.spectrogram import BINS_PER_OCTAVE, N_BINS, SUFFIXES
from asteroid_slicq.plotting import drawing_transform, plot_waveform_spectrogram

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def run(args: argparse.Namespace) -> int:
    """Draw; return the exit code."""
    output = args.output or Path(f"{track_name(args.song)}.png")
    if output.suffix.lower() not in SUFFIXES:
        raise CommandError(f"{output}: must end in one of {', '.join(SUFFIXES)}")
    check_output(output, args.overwrite)
    with AudioReader(args.song) as reader:
        rate = reader.sample_rate
        slicqt = drawing_transform(
            rate,
            scale=args.scale,
            n_bins=args.n_bins or (BINS_PER_OCTAVE if args.scale == "octave" else N_BINS),
            f_min_hz=args.f_min,
            window=args.window,
            min_bandwidth_hz=args.min_bandwidth,
            bandwidth_factor=args.bandwidth_factor,
        )
        # What lies just outside is read too: a cut would show as a click.
        margin_s = max(slicqt.frame.slice_length, 4096) / rate
        first_s, samples = _read(reader, args.start, args.duration, margin_s)
    stop_s = math.inf if args.duration is None else args.start + args.duration
    figure = plot_waveform_spectrogram(
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
    """When a part of a song with its margins begins, and its samples, ``(channel, time)``."""
    rate, far = reader.sample_rate, 2.0**62
    first = int(min(max(0.0, start_s - margin_s) * rate, far))
    stop_s = math.inf if duration_s is None else start_s + duration_s + margin_s
    stop = int(min(stop_s * rate, far)) + 1
    blocks, n_read = [], 0
    for block in reader.buffers(2**18):
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


def _write(figure: Figure, output: Path) -> None:
    suffix = output.suffix.lower()
    with output_file(output) as partial:
        if suffix == ".png":
            _save_with_palette(figure, partial)
        else:
            figure.savefig(partial, format=suffix[1:])


def _save_with_palette(figure: Figure, path: Path) -> None:
    """Write a PNG of 256 colours, less than half the size of one of all."""
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    image = Image.open(buffer).convert("RGB").quantize(dither=Image.Dither.NONE)
    image.save(path, format="png", optimize=True, dpi=(figure.dpi, figure.dpi))
