"""Wiener-EM after a separation, on an STFT of the waveforms.

Source: Hanssian, "Music demixing with the sliCQ transform" (arXiv:2112.05509): version 1 filters on
either, version 2 on the sliCQT. The filter itself is :func:`~asteroid_slicq.wiener.wiener_em`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from asteroid_slicq.transform import STFT, check_integer
from asteroid_slicq.wiener.filtering import wiener_em

_N_FFT, _HOP = 4096, 1024
_WINDOW_FRAMES = 300


def wiener_on_stft(
    estimates: Tensor,
    mix: Tensor,
    iterations: int = 1,
    n_fft: int = _N_FFT,
    hop: int = _HOP,
    window_frames: int = _WINDOW_FRAMES,
) -> Tensor:
    """Wiener-EM on the STFT of separated waveforms, differentiably.

    The song goes through in stretches of ``window_frames`` STFT frames at most, of about one
    length, each with spatial covariances of its own; only one stretch is a spectrum at a time.

    Args:
        estimates: waveforms of the sources.
        mix: waveform of the mix.
        iterations: EM iterations; 0 returns the estimates.
        n_fft: samples of an STFT frame, under a Hann window, a multiple of 4.
        hop: samples between STFT frames; it divides ``n_fft`` by at least 4.
        window_frames: STFT frames over which a spatial covariance is constant, at most.

    Shape:
        - estimates: ``(batch, source, channel, time)``, real
        - mix: ``(batch, channel, time)``, real; output: as ``estimates``

    Raises:
        ValueError: for shapes that do not fit, or a number outside its range.

    Example:
        >>> mix = torch.randn(1, 2, 9000)
        >>> refined = wiener_on_stft(torch.stack([0.25 * mix, 0.75 * mix], dim=1), mix)
        >>> bool((refined.sum(1) - mix).abs().max() < 0.01)
        True
    """
    if estimates.ndim != 4 or estimates[:, 0].shape != mix.shape:
        raise ValueError(
            "estimates must be (batch, source, channel, time) and mix the same without source, "
            f"got {tuple(estimates.shape)} and {tuple(mix.shape)}"
        )
    check_integer("iterations", iterations, 0)
    n_fft, hop = check_integer("n_fft", n_fft), check_integer("hop", hop)
    window_frames = check_integer("window_frames", window_frames, 1)
    if hop < 1 or n_fft % hop or n_fft < 4 * hop:
        raise ValueError(f"hop must divide n_fft = {n_fft} by at least 4, got {hop}")
    length = mix.shape[-1]
    if iterations == 0 or length == 0:
        return estimates
    stft = STFT(n_fft, hop).to(estimates.device)
    # Every sample lies in n_fft / hop STFT frames: squared Hann windows then sum to 3/8 of that.
    lead = n_fft - hop
    n_frames = math.ceil((length + lead) / hop)
    waveforms = torch.cat([mix.to(estimates.dtype).unsqueeze(1), estimates], dim=1)
    waveforms = F.pad(waveforms, (lead, n_frames * hop - length))
    size = math.ceil(n_frames / math.ceil(n_frames / window_frames))
    parts: list[Tensor] = []
    tail: Tensor | None = None
    for start in range(0, n_frames, size):
        count = min(size, n_frames - start)
        spectra = stft.frames(waveforms[..., start * hop : (start + count - 1) * hop + n_fft])
        refined = wiener_em(spectra[:, 1:], spectra[:, 0], iterations, window_frames=None)
        added = stft.overlap_add(refined)
        if tail is not None:
            added = added + F.pad(tail, (0, added.shape[-1] - lead))
        parts.append(added[..., : count * hop])
        tail = added[..., count * hop :]
    return torch.cat(parts, dim=-1)[..., lead : lead + length] * (8 / 3 * hop / n_fft)
