"""``asteroid-slicq separate --stream``: raw audio in, raw audio of the stems out, as it comes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from asteroid_slicq.cli.messages import CommandError, complain
from asteroid_slicq.cli.model_choice import resolve
from asteroid_slicq.cli.parsers.separate import SAMPLE_FORMATS
from asteroid_slicq.models.bandsplit import BandSplit, BandSplitStream
from asteroid_slicq.models.xumx_slicq import SeparatorStream
from asteroid_slicq.separation import SegmentModel, from_model_channels, to_model_channels

_MOST_BYTES = 2**20  # read at a time


def run_stream(args: argparse.Namespace) -> int:
    """Separate standard input into standard output; return the exit code."""
    if args.model is None:
        raise CommandError(
            "--stream needs --model, a causal one such as of the preset v2-realtime; the model "
            "that ships with the package is an offline one"
        )
    if sys.stdin is None or sys.stdout is None:  # closed by whoever started this
        raise CommandError("--stream needs standard input and output, but one of them is closed")
    source, sink = sys.stdin.fileno(), sys.stdout.fileno()
    for descriptor, name in ((source, "input"), (sink, "output")):
        if os.isatty(descriptor):
            raise CommandError(f"--stream is for raw PCM, but standard {name} is a terminal")
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    model, device = resolve(args)
    try:
        kind = BandSplitStream if isinstance(model, BandSplit) else SeparatorStream
        separator = kind(model.to(device), args.stems)  # pyright: ignore
    except (TypeError, ValueError) as error:
        raise CommandError(f"model {args.model}: cannot run on a stream: {error}") from error
    sample_format = args.sample_format or "f32le"
    n_channels = args.channels or separator.model.n_channels
    pcm = PCMSeparator(separator, n_channels, SAMPLE_FORMATS[sample_format])
    if not args.quiet:
        order = ", ".join(
            f"{name} {channel + 1}" for name in separator.sources for channel in range(n_channels)
        )
        complain(
            f"{sample_format}, {separator.model.sample_rate:g} Hz, {n_channels} in, "
            f"{len(separator.sources) * n_channels} out: {order}; "
            f"{separator.latency_s * 1000:.0f} ms behind"
        )
    try:
        told = False
        for block in pcm.stream(lambda: os.read(source, _MOST_BYTES)):
            if pcm.n_not_finite and not told:
                complain("warning: standard input holds NaN or infinite samples; they are silenced")
                told = True
            _write(sink, block)
    except BrokenPipeError:  # who listened has left
        return 0
    if pcm.n_odd_bytes:
        complain(f"warning: the last {pcm.n_odd_bytes} bytes are no whole frame, left out")
    if pcm.n_not_finite:
        complain(
            f"standard input: {pcm.n_not_finite} samples were NaN or infinite, silence stands for "
            "them"
        )
        return 2
    return 0


class PCMSeparator:
    """Separator of raw samples of a mix into raw samples of its stems.

    Channels are served as `SegmentModel` serves them; ``dtype`` is that of a sample.

    Attributes:
        n_odd_bytes: bytes at the end of the stream that made no whole frame.
        n_not_finite: samples of the mix that were NaN or infinite, for which silence stands.

    Raises:
        CommandError: when the model cannot serve that many channels, or makes samples that are not
            finite.
    """

    def __init__(
        self, separator: SeparatorStream | BandSplitStream, n_channels: int, dtype: str
    ) -> None:
        if error := SegmentModel(separator.model).channel_error(n_channels):
            raise CommandError(f"standard input {error}")
        self._separator, self._n_channels, self._dtype = separator, n_channels, np.dtype(dtype)
        self.n_odd_bytes = self.n_not_finite = 0

    def stream(self, read: Callable[[], bytes]) -> Iterator[bytes]:
        """Read until there is nothing more, and yield what is ready after each time."""
        rest, frame_bytes = b"", self._n_channels * self._dtype.itemsize
        while data := read():
            data = rest + data
            whole = len(data) // frame_bytes * frame_bytes
            data, rest = data[:whole], data[whole:]
            if data and (ready := self._push(data)):
                yield ready
        self.n_odd_bytes = len(rest)
        if ready := self._to_bytes(self._separator.flush()):
            yield ready

    def _push(self, data: bytes) -> bytes:
        model = self._separator.model
        samples = np.frombuffer(data, self._dtype).reshape(-1, self._n_channels).T
        samples = samples.astype(np.float32) / (2**15 if self._dtype.kind == "i" else 1)
        finite = np.isfinite(samples)
        if not finite.all():
            self.n_not_finite += int(finite.size - np.count_nonzero(finite))
            samples = np.where(finite, samples, np.float32(0))
        device = next(model.buffers()).device
        mix = torch.from_numpy(samples[None]).to(device)
        return self._to_bytes(self._separator.push(to_model_channels(mix, model.n_channels)))

    def _to_bytes(self, stems: Tensor) -> bytes:
        if not stems.numel():
            return b""
        stems = from_model_channels(stems, self._n_channels)
        samples = stems.flatten(0, 2).T.cpu().numpy()
        if not np.isfinite(samples).all():
            raise CommandError(
                "the model made NaN or infinite samples; the stream ends before them"
            )
        if self._dtype.kind == "i":
            samples = np.clip(np.rint(samples * 2**15), -(2**15), 2**15 - 1)
        return samples.astype(self._dtype).tobytes()


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it at once: nothing waits in a buffer."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
