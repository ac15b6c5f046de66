"""Changes of a stem's spectrum: equalisers, band limits, added noise, formants.

All of them are gains on the DFT of a segment, so they cost a transform and its inverse, and a
segment keeps its length. Random numbers come from the generator that is passed in alone.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Audio = NDArray[np.float32]
Curve = NDArray[np.floating]
Rng = np.random.Generator

_N_FFT = 1024  # of the spectral envelope
_HOP = 256
_ENVELOPE_S = 0.0012  # quefrencies kept as the envelope: below the period of most voices


def rfft(x: Audio) -> Any:
    """The half spectrum along the last axis, complex64."""
    return fft.rfft(x)


def irfft(spectrum: Any, length: int) -> Audio:
    """The real signal of a half spectrum, float32."""
    return np.asarray(fft.irfft(spectrum, length), np.float32)


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """A number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def equaliser(rng: Rng, f_hz: Curve, range_db: float = 6.0) -> Curve:
    """Gains of a random equaliser: a tilt in dB per octave, and some broad bells.

    Shape:
        - f_hz, output: ``(freq,)``
    """
    octaves = np.log2(np.maximum(f_hz, 20.0) / 1000.0)
    gain_db = np.clip(rng.normal(0.0, range_db / 6) * octaves, -2 * range_db, 2 * range_db)
    for _ in range(int(rng.integers(1, 5))):
        centre, width = rng.uniform(-4.0, 4.0), rng.uniform(0.3, 1.5)
        gain_db += rng.normal(0.0, range_db / 2) * np.exp(-0.5 * ((octaves - centre) / width) ** 2)
    return 10 ** (np.clip(gain_db, -3 * range_db, 3 * range_db) / 20)


def low_pass(rng: Rng, f_hz: Curve, low_hz: float = 3000.0, high_hz: float = 18000.0) -> Curve:
    """Gains of a low-pass at a random frequency, from a cliff to a gentle slope.

    Shape:
        - f_hz, output: ``(freq,)``
    """
    cutoff_hz = log_uniform(rng, low_hz, high_hz)
    steepness = cutoff_hz * log_uniform(rng, 0.005, 0.25)
    return 1 / (1 + np.exp(np.clip((f_hz - cutoff_hz) / steepness, -60, 60)))


def high_pass(rng: Rng, f_hz: Curve, low_hz: float = 30.0, high_hz: float = 250.0) -> Curve:
    """Gains of a high-pass of second to fourth order at a random frequency.

    Shape:
        - f_hz, output: ``(freq,)``
    """
    ratio = f_hz / log_uniform(rng, low_hz, high_hz)
    order = int(rng.integers(2, 5))
    return ratio**order / np.sqrt(1 + ratio ** (2 * order))


def band_noise(rng: Rng, stem: Audio, sample_rate: float) -> Audio:
    """Noise above a random frequency that follows the loudness of a stem, −45 to −15 dB below it.

    Shape:
        - stem, output: ``(channel, time)``
    """
    length = stem.shape[-1]
    f_hz = np.fft.rfftfreq(length, 1 / sample_rate)
    corner_hz = log_uniform(rng, 4000.0, 14000.0)
    rise = 1 / (1 + np.exp(np.clip((corner_hz - f_hz) / (0.1 * corner_hz), -60, 60)))
    if rng.random() < 0.5:  # with an upper end of its own
        rise *= low_pass(rng, f_hz, corner_hz * 1.1, 22000.0)
    noise = rng.standard_normal(stem.shape, dtype=np.float32)
    noise = irfft(rfft(noise) * rise.astype(np.float32), length)
    noise /= np.sqrt(np.mean(np.square(noise))) + 1e-12
    step = max(1, round(0.01 * sample_rate))
    blocks = np.abs(stem).mean(0)[: length // step * step].reshape(-1, step).mean(-1)
    if not len(blocks):
        return np.zeros_like(stem)
    envelope = np.interp(np.arange(length), (np.arange(len(blocks)) + 0.5) * step, blocks)
    level = 10 ** (rng.uniform(-45.0, -15.0) / 20)
    return (level * 3 * envelope * noise).astype(np.float32)


def shift_formants(stem: Audio, factor: float, sample_rate: float) -> Audio:
    """A stem whose spectral envelope is stretched along frequency; its pitch stays.

    The envelope is the smooth part of the log spectrum (its low quefrencies); each STFT frame is
    multiplied by the stretched envelope over its own.

    Args:
        stem: samples.
        factor: of the stretch: above 1 a smaller body, below 1 a larger one.
        sample_rate: in Hz.

    Shape:
        - stem, output: ``(channel, time)``
    """
    length = stem.shape[-1]
    window = np.hanning(_N_FFT + 1)[:-1].astype(np.float32)
    padded = np.pad(stem, ((0, 0), (_N_FFT, _N_FFT + -length % _HOP)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT, axis=-1)[:, ::_HOP]
    spectra = rfft(frames * window)
    log_magnitude = np.log(np.abs(spectra) + 1e-5)
    cepstrum = irfft(log_magnitude, _N_FFT)
    keep = max(2, round(_ENVELOPE_S * sample_rate))
    cepstrum[..., keep : _N_FFT - keep + 1] = 0
    envelope = rfft(cepstrum).real
    n_bins = envelope.shape[-1]
    at = np.minimum(np.arange(n_bins) / factor, n_bins - 1.001)
    low = at.astype(int)
    part = (at - low).astype(np.float32)
    stretched = envelope[..., low] * (1 - part) + envelope[..., low + 1] * part
    spectra *= np.exp(np.clip(stretched - envelope, -4.6, 2.3))  # −40 … +20 dB
    changed = irfft(spectra, _N_FFT) * window
    out = np.zeros_like(padded)
    n_frames = changed.shape[1]
    hops = out[:, : (n_frames + _N_FFT // _HOP - 1) * _HOP].reshape(len(stem), -1, _HOP)
    for i, part_of_frame in enumerate(np.split(changed, _N_FFT // _HOP, axis=-1)):
        hops[:, i : i + n_frames] += part_of_frame
    out /= np.square(window).sum() / _HOP
    return out[:, _N_FFT : _N_FFT + length].astype(np.float32)
