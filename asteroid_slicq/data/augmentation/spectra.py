"""Changes of the spectra of stems: equalisers, band limits, added noise, formants.

All of them are gains on the DFT of a segment, so they cost a transform and its inverse, and a
segment keeps its length. Every function takes several stems at once, on any device, and draws its
settings for each from the generator that is passed in alone.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Rng = np.random.Generator

_N_FFT = 1024  # of the spectral envelope
_HOP = 256
_ENVELOPE_S = 0.0012  # quefrencies kept as the envelope: below the period of most voices


def log_uniform(rng: Rng, low: float, high: float, n: int | None = None) -> Any:
    """A number whose logarithm is uniform, or ``n`` of them."""
    return np.exp(rng.uniform(np.log(low), np.log(high), n))


def column(values: Any, like: Tensor) -> Tensor:
    """Settings, one for each stem, as a column ``(n, 1)`` beside the samples of ``like``."""
    return torch.as_tensor(np.asarray(values, np.float32), device=like.device).unsqueeze(-1)


def white_noise(rng: Rng, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Standard normal numbers, made on the device."""
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**63)))
    return torch.randn(shape, generator=generator, device=device)


def equaliser(rng: Rng, f_hz: Tensor, n: int, range_db: float = 6.0) -> Tensor:
    """Gains of random equalisers: a tilt in dB per octave, and one to four broad bells.

    Shape:
        - f_hz: ``(freq,)``; output: ``(n, freq)``
    """
    octaves = torch.log2(f_hz.clamp(min=20.0) / 1000.0)
    tilt_db = column(rng.normal(0.0, range_db / 6, n), f_hz) * octaves
    gain_db = tilt_db.clamp(-2 * range_db, 2 * range_db)
    n_bells = rng.integers(1, 5, n)
    for i in range(4):
        centre = column(rng.uniform(-4.0, 4.0, n), f_hz)
        width = column(rng.uniform(0.3, 1.5, n), f_hz)
        peak_db = column(rng.normal(0.0, range_db / 2, n) * (i < n_bells), f_hz)
        gain_db = gain_db + peak_db * torch.exp(-0.5 * ((octaves - centre) / width) ** 2)
    return 10 ** (gain_db.clamp(-3 * range_db, 3 * range_db) / 20)


def low_pass(
    rng: Rng, f_hz: Tensor, n: int, low_hz: Any = 3000.0, high_hz: float = 18000.0
) -> Tensor:
    """Gains of low-passes at random frequencies, from a cliff to a gentle slope.

    Shape:
        - f_hz: ``(freq,)``; output: ``(n, freq)``
    """
    cutoff_hz = log_uniform(rng, low_hz, high_hz, n)
    steepness = cutoff_hz * log_uniform(rng, 0.005, 0.25, n)
    return torch.sigmoid((column(cutoff_hz, f_hz) - f_hz) / column(steepness, f_hz))


def high_pass(
    rng: Rng, f_hz: Tensor, n: int, low_hz: float = 30.0, high_hz: float = 250.0
) -> Tensor:
    """Gains of high-passes of second to fourth order at random frequencies.

    Shape:
        - f_hz: ``(freq,)``; output: ``(n, freq)``
    """
    ratio = (f_hz / column(log_uniform(rng, low_hz, high_hz, n), f_hz)).clamp(max=100.0)
    order = column(rng.integers(2, 5, n), f_hz)
    return ratio**order / torch.sqrt(1 + ratio ** (2 * order))


def frequencies(length: int, sample_rate: float, device: torch.device) -> Tensor:
    """Frequencies of the DFT of a real signal, in Hz."""
    return torch.fft.rfftfreq(length, 1 / sample_rate, device=device)


def band_noise(rng: Rng, stems: Tensor, sample_rate: float) -> Tensor:
    """Noise above a random frequency that follows the loudness of a stem.

    Its level is 7 to 37 dB below that of the stem, 22 dB in the median.

    Shape:
        - stems, output: ``(n, channel, time)``
    """
    n, n_channels, length = stems.shape
    step = max(1, round(0.01 * sample_rate))
    if length < step:
        return torch.zeros_like(stems)
    f_hz = frequencies(length, sample_rate, stems.device)
    corner_hz = log_uniform(rng, 4000.0, 14000.0, n)
    corner = column(corner_hz, stems)
    rise = torch.sigmoid((f_hz - corner) / (0.1 * corner))
    # Half of them have an upper end of their own.
    end = low_pass(rng, f_hz, n, corner_hz * 1.1, 22000.0)
    rise = torch.where(column(rng.random(n), stems) < 0.5, rise * end, rise)
    noise = white_noise(rng, (n, n_channels, length), stems.device)
    noise = torch.fft.irfft(torch.fft.rfft(noise) * rise.unsqueeze(1), length)
    noise = noise / (noise.square().mean((1, 2), keepdim=True).sqrt() + 1e-12)
    loudness = F.avg_pool1d(stems.abs().mean(1, keepdim=True), step)
    envelope = along_time(loudness, step, length)
    level = column(10 ** (rng.uniform(-45.0, -15.0, n) / 20), stems).unsqueeze(-1)
    return level * 3 * envelope * noise


def along_time(values: Tensor, step: int, length: int) -> Tensor:
    """Values of windows of ``step`` samples, as lines between their centres.

    Shape:
        - values: ``(n, channel, window)``; output: ``(n, channel, time)``
    """
    line = F.interpolate(values, values.shape[-1] * step, mode="linear")
    return F.pad(line, (0, max(0, length - line.shape[-1])), mode="replicate")[..., :length]


def shift_formants(stems: Tensor, factors: Any, sample_rate: float) -> Tensor:
    """Stems whose spectral envelopes are stretched along frequency; their pitch stays.

    The envelope is the smooth part of the log spectrum (its low quefrencies); each STFT frame is
    multiplied by the stretched envelope over its own.

    Args:
        stems: samples.
        factors: of the stretch, one for each stem: above 1 a smaller body, below 1 a larger one.
        sample_rate: in Hz.

    Shape:
        - stems, output: ``(n, channel, time)``
    """
    n, n_channels, length = stems.shape
    window = torch.hann_window(_N_FFT, device=stems.device)
    padded = F.pad(stems, (_N_FFT, _N_FFT + -length % _HOP))
    spectra = torch.fft.rfft(padded.unfold(-1, _N_FFT, _HOP) * window)
    cepstrum = torch.fft.irfft((spectra.abs() + 1e-5).log(), _N_FFT)
    keep = max(2, round(_ENVELOPE_S * sample_rate))
    cepstrum[..., keep : _N_FFT - keep + 1] = 0
    envelope = torch.fft.rfft(cepstrum).real
    n_bins = envelope.shape[-1]
    at = torch.arange(n_bins, device=stems.device) / column(factors, stems)
    at = at.clamp(max=n_bins - 1.001)[:, None, None]
    low = at.long().expand(envelope.shape)
    part = at - at.floor()
    stretched = envelope.gather(-1, low) * (1 - part) + envelope.gather(-1, low + 1) * part
    spectra = spectra * (stretched - envelope).clamp(-4.6, 2.3).exp()  # −40 … +20 dB
    frames = torch.fft.irfft(spectra, _N_FFT) * window
    frames = frames.flatten(0, 1).transpose(1, 2)
    out = F.fold(frames, (1, padded.shape[-1]), (1, _N_FFT), stride=(1, _HOP))
    out = out.reshape(n, n_channels, -1) / (window.square().sum() / _HOP)
    return out[..., _N_FFT : _N_FFT + length]
