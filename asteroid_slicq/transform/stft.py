"""The STFT with the interface of a sliCQT, for comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from asteroid_slicq.transform.checks import (
    check_blocks,
    check_integer,
    check_number,
    check_waveform,
)
from asteroid_slicq.transform.layout import joined_precision, split_precision
from asteroid_slicq.transform.scales import Array


class STFT(nn.Module):
    """Short-time Fourier transform under a periodic Hann window, and its exact inverse.

    STFT frame t is centred on sample ``t·hop``; the signal is surrounded by zeros.

    Args:
        n_fft: samples of an STFT frame, even, at least 4.
        hop: samples between STFT frames, at most half of ``n_fft``.
        sample_rate: in Hz.

    Shape:
        - waveform: ``(..., time)``
        - coefficients: one complex block, ``(..., freq, time)``

    Raises:
        TypeError: when a size is no integer, or the sample rate no number.
        ValueError: when an argument lies outside its range.

    Example:
        >>> stft = STFT(4096, 1024)
        >>> waveform = torch.randn(2, 44100, generator=torch.Generator().manual_seed(0))
        >>> (block,) = stft(waveform)
        >>> tuple(block.shape)
        (2, 2049, 45)
        >>> bool((stft.inverse([block], length=44100) - waveform).abs().max() < 1e-5)
        True
    """

    window: Tensor

    def __init__(self, n_fft: int = 4096, hop: int = 1024, sample_rate: float = 44100) -> None:
        super().__init__()
        n_fft, hop = check_integer("n_fft", n_fft), check_integer("hop", hop)
        sample_rate = check_number("sample_rate", sample_rate)
        if n_fft < 4 or n_fft % 2:
            raise ValueError(
                f"n_fft must be even and at least 4, got {n_fft}; "
                f"the nearest is {max(4, 2 * round(n_fft / 2))}"
            )
        if not 1 <= hop <= n_fft // 2:
            raise ValueError(f"hop must lie in 1 … n_fft / 2 = {n_fft // 2}, got {hop}")
        if not 0 < sample_rate < math.inf:
            raise ValueError(f"sample_rate must be finite and above 0 Hz, got {sample_rate}")
        self.n_fft, self.hop, self.sample_rate = n_fft, hop, sample_rate
        window = np.hanning(n_fft + 1)[:-1]
        self.register_buffer("window", split_precision(window), persistent=False)

    @property
    def redundancy(self) -> float:
        """Real numbers in the coefficients for each sample of a long signal."""
        return 2 * (self.n_fft // 2 + 1) / self.hop

    @property
    def frequencies_hz(self) -> Array:
        """Centre frequencies of the bins, from 0 Hz to half the sample rate."""
        return np.linspace(0.0, self.sample_rate / 2, self.n_fft // 2 + 1)

    def forward(self, waveform: Tensor) -> tuple[Tensor]:
        """Coefficients of a waveform."""
        waveform = check_waveform(waveform)
        half = self.n_fft // 2
        # With a frame centred at or behind the last sample, every sample lies between two centres.
        behind = half + -waveform.shape[-1] % self.hop
        return (self.frames(nn.functional.pad(waveform, (half, behind))),)

    def inverse(self, coefficients: Sequence[Tensor], length: int) -> Tensor:
        """Waveform of coefficients: the dual window's synthesis, exact for those of a signal."""
        n_frames = coefficients[0].shape[-1] if len(coefficients) else 0
        (block,) = check_blocks(coefficients, [(self.n_fft // 2 + 1, n_frames)])
        length = check_integer("length", length, 1)
        if length > (n_frames - 1) * self.hop:
            raise ValueError(
                f"length = {length} is more than {n_frames} STFT frames of hop {self.hop} hold"
            )
        squares = joined_precision(self.window, block.real.dtype).square()
        weight = _overlap_add(squares.expand(block.shape[-1], -1), self.hop)
        inside = slice(self.n_fft // 2, self.n_fft // 2 + length)
        return self.overlap_add(block)[..., inside] / weight[inside]

    def frames(self, waveform: Tensor) -> Tensor:
        """Spectra of the STFT frames that lie in a waveform, from its first sample on.

        Shape:
            - waveform: ``(..., time)``; output: ``(..., freq, frame)``
        """
        window = joined_precision(self.window, waveform.dtype)
        return torch.fft.rfft(waveform.unfold(-1, self.n_fft, self.hop) * window).mT

    def overlap_add(self, spectra: Tensor) -> Tensor:
        """Sum of STFT frames under the window again: their waveform times squared windows.

        Shape:
            - spectra: ``(..., freq, frame)``; output: ``(..., time)``
        """
        window = joined_precision(self.window, spectra.real.dtype)
        return _overlap_add(torch.fft.irfft(spectra.mT, n=self.n_fft) * window, self.hop)

    def extra_repr(self) -> str:
        """The transform in one line."""
        return f"n_fft={self.n_fft}, hop={self.hop}, redundancy={self.redundancy:.2f}"


def _overlap_add(frames: Tensor, hop: int) -> Tensor:
    """Sum of frames, each a hop later.

    Shape:
        - frames: ``(..., frame, n_fft)``; output: ``(..., time)``, whole hops
    """
    n_frames, n_fft = frames.shape[-2:]
    if n_fft % hop:
        frames = nn.functional.pad(frames, (0, -n_fft % hop))
    # (..., frame, part, hop): part i of frame t belongs to hop t + i
    parts = frames.unflatten(-1, (-1, hop)).unbind(-2)
    total = frames.new_zeros((*frames.shape[:-2], n_frames + len(parts) - 1, hop))
    for i, part in enumerate(parts):
        total[..., i : i + n_frames, :] += part
    return total.flatten(-2)
