"""Separators with random weights, ours and a rival, and how each gets a song: for benchmarks."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from asteroid_slicq import BandSplit, MiXiN, SeparatorStream, XUMXSliCQ
from asteroid_slicq.models.xumx_slicq import OnnxSeparator, export_onnx
from asteroid_slicq.separation import separate as separate_with

SAMPLE_RATE = 44100


def open_unmix(iterations: int) -> nn.Module:
    """The published architecture of UMX-HQ with random weights."""
    from openunmix.model import OpenUnmix, Separator

    torch.manual_seed(0)
    targets = {
        name: OpenUnmix(nb_bins=2049, nb_channels=2, hidden_size=512, max_bin=1487)
        for name in ("vocals", "drums", "bass", "other")
    }
    return Separator(targets, niter=iterations, n_fft=4096, n_hop=1024, nb_channels=2).eval()


def ours(preset: str, **overrides: object) -> XUMXSliCQ:
    torch.manual_seed(0)
    return XUMXSliCQ.from_preset(preset, **overrides).eval()


def bandsplit(preset: str, **overrides: object) -> BandSplit:
    torch.manual_seed(0)
    return BandSplit.from_preset(preset, **overrides).eval()


def mixin() -> nn.Module:
    torch.manual_seed(0)
    return MiXiN().eval()


def on_onnx_runtime() -> nn.Module:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(ours("v2-realtime"), path)
        return OnnxSeparator(path).eval()


class Streamed:
    """A stream that is fed as a sound card would: 1024 samples at a time."""

    def __init__(self) -> None:
        self.model = ours("v2-realtime")

    def __call__(self, mix: Tensor) -> None:
        stream = SeparatorStream(self.model)
        for block in mix.split(1024, dim=-1):
            stream.push(block)
        stream.flush()


Model = nn.Module | Streamed

DEFAULT = "large (the default model)"

MODELS: dict[str, Callable[[], Model]] = {
    "Open-Unmix": functools.partial(open_unmix, 0),
    "Open-Unmix, one Wiener iteration": functools.partial(open_unmix, 1),
    "V2 realtime": functools.partial(ours, "v2-realtime"),
    "V2 offline": functools.partial(ours, "v2"),
    "V1, mix phase": functools.partial(ours, "v1", wiener_iterations=0),
    "V1, Wiener on the STFT": functools.partial(ours, "v1"),
    DEFAULT: functools.partial(ours, "large"),
    "medium": functools.partial(ours, "medium"),
    "V2 realtime, ONNX Runtime": on_onnx_runtime,
    "V2 realtime, as a stream": Streamed,
    "V2 of LSTMs, offline": functools.partial(ours, "v2-lstm"),
    "V1 of LSTMs, Wiener on the STFT": functools.partial(ours, "v1-lstm"),
    "MiXiN (three sources)": mixin,
    "BandSplit, small": functools.partial(bandsplit, "bandsplit-small"),
    "BandSplit": functools.partial(bandsplit, "bandsplit"),
    "BandSplit on the STFT": functools.partial(bandsplit, "bandsplit", transform="stft"),
    "BandSplit realtime": functools.partial(bandsplit, "bandsplit-realtime"),
}


def separate(model: Model, mix: Tensor) -> object:
    """The whole file in bounded memory where the model can, else in one call."""
    if isinstance(model, Streamed):
        return model(mix)
    if isinstance(model, XUMXSliCQ | OnnxSeparator | MiXiN | BandSplit):
        return separate_with(model, mix, two_passes=False)
    return model(mix[None])


def song(seconds: float) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(2, int(seconds * SAMPLE_RATE), generator=generator)
