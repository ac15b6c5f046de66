"""Periodic sounds without aliasing: scanning a row of band-limited wave tables."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from asteroid_slicq.data.procedural.signal import Array


def phase_of(f_hz: Array, sample_rate: int, start: float = 0.0) -> Array:
    """Integrate a frequency contour to a phase in cycles."""
    return start + np.cumsum(f_hz) / sample_rate


def wave_tables(harmonics: NDArray[np.complexfloating]) -> Array:
    """Turn harmonic amplitudes into tables of one period, oversampled for linear interpolation.

    Shape:
        - Input: ``(table, harmonic)``, complex, of harmonics 1, 2, ...
        - Output: ``(table, time)``, whose last sample repeats the first.
    """
    n_tables, n_harmonics = harmonics.shape
    size = max(1024, 16 * int(2 ** np.ceil(np.log2(n_harmonics + 1))))
    spectrum = np.zeros((n_tables, size // 2 + 1), dtype=complex)
    spectrum[:, 1 : n_harmonics + 1] = harmonics
    tables = np.fft.irfft(spectrum, axis=-1) * (size / 2)
    return np.concatenate([tables, tables[:, :1]], axis=1)


def scan(tables: Array, phase: Array, position: Array | float = 0.0) -> Array:
    """Read `wave_tables` at a phase in cycles, gliding between neighbouring tables.

    The position is the index of a table; fractions blend two. It, the phase and the output are
    ``(time,)``.
    """
    size = tables.shape[1] - 1
    x = (phase - np.floor(phase)) * size
    i = np.minimum(x.astype(np.int64), size - 1)
    u = x - i
    if tables.shape[0] == 1:
        row = tables[0]
        return row[i] * (1.0 - u) + row[i + 1] * u
    position = np.clip(np.broadcast_to(position, phase.shape), 0.0, tables.shape[0] - 1.0)
    m = np.minimum(position.astype(np.int64), tables.shape[0] - 2)
    v = position - m
    flat, base = tables.reshape(-1), m * (size + 1) + i
    low = flat[base] * (1.0 - u) + flat[base + 1] * u
    base += size + 1
    return low * (1.0 - v) + (flat[base] * (1.0 - u) + flat[base + 1] * u) * v


CUTOFFS_HZ = np.geomspace(60.0, 16000.0, 17)


def cutoff_position(cutoff_hz: Array | float) -> Array:
    """Turn a cutoff frequency into a position in the tables of `filtered_tables`."""
    span = np.log(CUTOFFS_HZ[-1] / CUTOFFS_HZ[0])
    x = np.log(np.maximum(cutoff_hz, CUTOFFS_HZ[0]) / CUTOFFS_HZ[0])
    return np.clip(x / span * (len(CUTOFFS_HZ) - 1), 0.0, len(CUTOFFS_HZ) - 1.0)


@lru_cache(maxsize=512)
def filtered_tables(
    wave: str, f0_hz: float, resonance: float, sample_rate: int, pulse_width: float = 0.5
) -> Array:
    """Tabulate a wave through a resonant low-pass at each of `CUTOFFS_HZ`.

    A note of fixed pitch through a swept filter is then a glide through these tables, ``(17,
    time)``. The wave is ``"saw"``, ``"pulse"``, of a width in periods, ``"triangle"`` or
    ``"sine"``, read at fundamentals up to `f0_hz`; the resonance is a quality factor.
    """
    n = max(int(min(0.45 * sample_rate, 18000.0) / f0_hz), 1)
    k = np.arange(1, n + 1)
    if wave == "saw":
        source = -1j / k * 0.6
    elif wave == "pulse":
        source = np.sin(np.pi * k * pulse_width) / k * 0.9
    elif wave == "triangle":
        source = np.where(k % 2 == 1, -1j * (-1.0) ** ((k - 1) // 2) / k**2, 0.0)
    else:
        source = np.where(k == 1, -1j, 0.0)
    ratio = k[None, :] * f0_hz / CUTOFFS_HZ[:, None]
    low = 1.0 / (1.0 - ratio**2 + 1j * ratio / resonance)
    return wave_tables(source * low / np.sqrt(1.0 + ratio**2))
