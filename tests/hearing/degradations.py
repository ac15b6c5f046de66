"""What may befall a stem: one function each, of a stem, the rest of its mix and a generator."""

import numpy as np
from scipy.signal import butter, sosfilt

RATE = 44100


def noise(db):
    def degrade(stem, rest, rng):
        level = np.sqrt(np.mean(stem**2)) * 10 ** (-db / 20)
        return stem + level * rng.standard_normal(len(stem))

    return degrade


def band(low, high):
    def degrade(stem, rest, rng):
        sos = butter(4, [low, high], "bandpass", fs=RATE, output="sos")
        return sosfilt(sos, stem)

    return degrade


def clip(fraction):
    def degrade(stem, rest, rng):
        limit = np.abs(stem).max() * fraction
        return np.clip(stem, -limit, limit)

    return degrade


def quantise(bits):
    def degrade(stem, rest, rng):
        step = np.abs(stem).max() * 2.0 ** (1 - bits)
        return np.round(stem / step) * step

    return degrade


def codec(keep):
    """Keep the largest coefficients of each short spectrum alone, and few steps of them."""

    def degrade(stem, rest, rng):
        spectra, inverse = spectra_of(stem)
        magnitude = np.abs(spectra)
        floor = np.quantile(magnitude, 1 - keep, axis=-1, keepdims=True) + 1e-12
        levels = np.round(np.log2(np.maximum(magnitude, floor) / floor) * 2) / 2
        coded = np.where(magnitude >= floor, floor * 2**levels, 0)
        return inverse(coded * np.exp(1j * np.angle(spectra)))

    return degrade


def separate(stem, rest, rng):
    """The ratio mask of the true magnitudes: what a good separator leaves."""
    spectra, inverse = spectra_of(stem)
    others, _ = spectra_of(rest)
    mask = np.abs(spectra) / (np.abs(spectra) + np.abs(others) + 1e-12)
    return inverse(mask * (spectra + others))


def separate_badly(stem, rest, rng):
    """A binary mask, and some of the rest."""
    spectra, inverse = spectra_of(stem)
    others, _ = spectra_of(rest)
    return inverse((np.abs(spectra) > np.abs(others)) * (spectra + others)) + 0.1 * rest


def spectra_of(x, size=1024):
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size)
    padded = np.pad(x, (size, size + -len(x) % (size // 2)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]

    def inverse(spectra):
        y = np.zeros(len(padded))
        for i, frame in enumerate(np.fft.irfft(spectra) * window):
            y[i * size // 2 : i * size // 2 + size] += frame
        return y[size : size + len(x)]

    return np.fft.rfft(frames * window), inverse


DEGRADATIONS = [
    noise(30),
    noise(10),
    noise(0),
    band(200, 4000),
    band(50, 1500),
    clip(0.5),
    clip(0.1),
    quantise(8),
    quantise(5),
    codec(0.1),
    codec(0.02),
    separate,
    separate_badly,
    lambda stem, rest, rng: stem + rest,
    lambda stem, rest, rng: 0.3 * np.roll(stem, 500),
]
