"""The STFT with the interface of a sliCQT, for comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class STFT(nn.Module):
    """Short-time Fourier transform under a periodic Hann window, and its exact inverse.

    Frame t is centred on sample ``t·hop``; the signal is surrounded by zeros.

    Args:
        n_fft: samples of a frame, even, at least 4.
        hop: samples between frames, at most half of ``n_fft``.
        sample_rate: in Hz.

    Shape:
        - waveform: ``(..., time)``
        - coefficients: one complex block, ``(..., freq, time)``

    Raises:
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
        if n_fft < 4 or n_fft % 2:
            raise ValueError(
                f"n_fft must be even and at least 4, got {n_fft}; "
                f"the nearest is {max(4, 2 * round(n_fft / 2))}"
            )
        if not 1 <= hop <= n_fft // 2:
            raise ValueError(f"hop must lie in 1 … n_fft / 2 = {n_fft // 2}, got {hop}")
        if not sample_rate > 0:
            raise ValueError(f"sample_rate must be above 0 Hz, got {sample_rate}")
        self.n_fft, self.hop, self.sample_rate = n_fft, hop, sample_rate
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    @property
    def redundancy(self) -> float:
        """Real numbers in the coefficients for each sample of a long signal."""
        return 2 * (self.n_fft // 2 + 1) / self.hop

    def forward(self, waveform: Tensor) -> tuple[Tensor]:
        """Coefficients of a waveform."""
        # With a frame centred at or behind the last sample, every sample lies between two centres.
        flat = waveform.reshape(-1, waveform.shape[-1])
        flat = nn.functional.pad(flat, (0, -waveform.shape[-1] % self.hop))
        block = torch.stft(
            flat,
            self.n_fft,
            self.hop,
            window=self.window.to(flat.dtype),
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return (block.view(*waveform.shape[:-1], *block.shape[-2:]),)

    def inverse(self, coefficients: Sequence[Tensor], length: int) -> Tensor:
        """Waveform of coefficients: the dual window's synthesis, exact for those of a signal."""
        (block,) = coefficients
        waveform = torch.istft(
            block.reshape(-1, *block.shape[-2:]),
            self.n_fft,
            self.hop,
            window=self.window.to(block.real.dtype),
            center=True,
            length=(block.shape[-1] - 1) * self.hop,
        )
        return waveform[:, :length].reshape(*block.shape[:-2], length)

    def extra_repr(self) -> str:
        """The transform in one line."""
        return f"n_fft={self.n_fft}, hop={self.hop}, redundancy={self.redundancy:.2f}"
