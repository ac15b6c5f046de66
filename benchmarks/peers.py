"""Other constant-Q transforms behind one interface, as far as pip can install them.

Each is set up as near to the default sliCQT as it can be: 9 octaves with 29 bins each (261 bins)
where it has octaves, the very same bins where it takes any. ``pip install librosa nnAudio nnAudio2
cicuetea cqt-nsgt-pytorch``; nsgt as CONTRIBUTING.md says. What is not installed is left out and
named. One that restores only a part of the frequencies gets a signal that lies in it.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asteroid_slicq import design_frame

OCTAVES, BINS_PER_OCTAVE, F_MIN_HZ = 9, 29, 32.7


@dataclass(frozen=True)
class Peer:
    """A transform made for one shape of input.

    Attributes:
        forward: waveform ``(..., channel, time)`` to whatever it returns.
        inverse: the way back, or None.
        numbers: real numbers in what ``forward`` returned.
        band_hz: frequencies that it can restore; None: all.
    """

    forward: Callable[[Tensor], Any]
    inverse: Callable[[Any], Tensor] | None
    numbers: Callable[[Any], int]
    band_hz: tuple[float, float] | None = None


def _complex_numbers(coefficients: Any) -> int:
    if isinstance(coefficients, list | tuple):
        return sum(_complex_numbers(c) for c in coefficients)
    size = (
        coefficients.numel() if isinstance(coefficients, Tensor) else np.asarray(coefficients).size
    )
    return 2 * size


def _bark_bins() -> tuple[np.ndarray, np.ndarray]:
    """The default's bins, as a scale object of nsgt returns them."""
    frame = design_frame()
    f_hz = frame.frequencies_hz[1:-1]
    step = (6 * np.arcsinh(22050 / 600) - 6 * np.arcsinh(32.9 / 600)) / 261
    return f_hz, f_hz / (2 * step * 100 * np.sqrt(1 + (f_hz / 600) ** 2))


def nsgt_sliced(shape: tuple[int, ...], sample_rate: int) -> Peer:
    from nsgt import NSGT_sliced

    frame = design_frame()
    transform = NSGT_sliced(
        _bark_bins, frame.slice_length, frame.transition_length, sample_rate, real=True,
        multichannel=True,
    )  # fmt: skip
    return Peer(
        lambda x: [list(transform.forward((row.numpy(),))) for row in x.view(-1, *shape[-2:])],
        lambda c: torch.from_numpy(
            np.stack([np.concatenate(list(transform.backward(iter(one))), -1) for one in c])
        ),
        lambda c: 2 * sum(np.size(b) for one in c for s in one for channel in s for b in channel),
    )


def nsgt_unsliced(shape: tuple[int, ...], sample_rate: int) -> Peer:
    from nsgt import NSGT

    transform = NSGT(_bark_bins, sample_rate, shape[-1], real=True, multichannel=True)
    return Peer(
        lambda x: [transform.forward(row.numpy()) for row in x.view(-1, *shape[-2:])],
        lambda c: torch.from_numpy(
            np.stack([np.stack(list(transform.backward(one))) for one in c])
        ),
        lambda c: 2 * sum(np.size(b) for one in c for channel in one for b in channel),
    )


def cqt_nsgt_pytorch(shape: tuple[int, ...], sample_rate: int) -> Peer:
    from cqt_nsgt_pytorch import CQT_nsgt

    with contextlib.redirect_stdout(io.StringIO()):
        transform = CQT_nsgt(
            OCTAVES, BINS_PER_OCTAVE, mode="oct_complete", fs=sample_rate, audio_len=shape[-1]
        )
    return Peer(lambda x: transform.fwd(x.view(-1, *shape[-2:])), transform.bwd, _complex_numbers)


def librosa_cqt(shape: tuple[int, ...], sample_rate: int) -> Peer:
    import librosa

    settings = {"sr": sample_rate, "fmin": F_MIN_HZ, "bins_per_octave": BINS_PER_OCTAVE}
    return Peer(
        lambda x: librosa.cqt(x.numpy(), n_bins=OCTAVES * BINS_PER_OCTAVE, **settings),
        lambda c: torch.from_numpy(librosa.icqt(c, length=shape[-1], **settings)),
        _complex_numbers,
    )


def nnaudio_cqt(shape: tuple[int, ...], sample_rate: int) -> Peer:
    from nnAudio.features.cqt import CQT2010v2

    transform = CQT2010v2(
        sample_rate, fmin=F_MIN_HZ, n_bins=OCTAVES * BINS_PER_OCTAVE,
        bins_per_octave=BINS_PER_OCTAVE, output_format="Complex", verbose=False,
    )  # fmt: skip
    return Peer(lambda x: transform(x.reshape(-1, 1, shape[-1])), None, lambda c: c.numel())


def nnaudio2_cqt(shape: tuple[int, ...], sample_rate: int) -> Peer:
    """Six octaves, whose bins are all narrower than the rate of the coefficients."""
    from nnAudio2.features.cqt import CQT1992v2, iCQT

    f_min_hz, octaves = 65.4, 6
    settings = {
        "sr": sample_rate, "hop_length": 512, "fmin": f_min_hz, "verbose": False,
        "n_bins": octaves * BINS_PER_OCTAVE, "bins_per_octave": BINS_PER_OCTAVE,
    }  # fmt: skip
    forward, inverse = CQT1992v2(output_format="Complex", **settings), iCQT(**settings)
    return Peer(
        lambda x: forward(x.reshape(-1, 1, shape[-1]), normalization_type="librosa"),
        lambda c: inverse(c, length=shape[-1]),
        lambda c: c.numel(),
        (2 * f_min_hz, f_min_hz * 2 ** (octaves - 1)),
    )


def cicuetea_cqt(shape: tuple[int, ...], sample_rate: int) -> Peer:
    """The signal as one block, whose length it wants to be a power of two."""
    from cicuetea import NsgfCQT

    n_samples, f_max_hz = 2 ** math.ceil(math.log2(shape[-1])), F_MIN_HZ * 2**OCTAVES
    transform = NsgfCQT("sparse", sample_rate, n_samples, 1 / BINS_PER_OCTAVE, F_MIN_HZ, f_max_hz)

    def inverse(coefficients: list[Any]) -> Tensor:
        rows = [transform.inverse(one)[: shape[-1]] for one in coefficients]
        return torch.from_numpy(np.stack(rows).reshape(shape).astype(np.float32))

    return Peer(
        lambda x: [transform.forward(row.numpy()) for row in x.reshape(-1, shape[-1])],
        inverse,
        _complex_numbers,
        (2 * F_MIN_HZ, f_max_hz / 2),
    )


PEERS: dict[str, Callable[[tuple[int, ...], int], Peer]] = {
    "nsgt, sliced (NumPy)": nsgt_sliced,
    "nsgt, unsliced (NumPy)": nsgt_unsliced,
    "cqt_nsgt_pytorch, oct_complete": cqt_nsgt_pytorch,
    "librosa (NumPy)": librosa_cqt,
    "nnAudio CQT2010v2": nnaudio_cqt,
    "nnAudio2 CQT1992v2 and iCQT": nnaudio2_cqt,
    "cicuetea, sparse (NumPy)": cicuetea_cqt,
}
TOO_MUCH = {  # gigabytes or minutes
    "cqt_nsgt_pytorch, oct_complete": {"60 s"},
    "nnAudio2 CQT1992v2 and iCQT": {"10 s", "60 s", "16 × 2 s"},
    "cicuetea, sparse (NumPy)": {"10 s", "60 s", "16 × 2 s"},
}


def within(x: Tensor, band_hz: tuple[float, float] | None, sample_rate: int) -> Tensor:
    """What of a signal lies between two frequencies."""
    if band_hz is None:
        return x
    spectrum = torch.fft.rfft(x)
    f_hz = torch.arange(spectrum.shape[-1]) * sample_rate / x.shape[-1]
    is_in = (f_hz >= band_hz[0]) & (f_hz <= band_hz[1])
    return torch.fft.irfft(spectrum * is_in, n=x.shape[-1])


@contextlib.contextmanager
def on_current_numpy() -> Iterator[None]:
    """``nsgt`` clips integers at infinity into an integer array, which NumPy ≥ 1.25 refuses."""
    clip = np.clip

    def tolerant(a, lowest, highest, out=None, **kwargs):
        if out is not None and out.dtype.kind == "i":
            highest = min(highest, np.iinfo(out.dtype).max)
        return clip(a, lowest, highest, out=out, **kwargs)

    np.clip = tolerant
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        np.clip = clip
