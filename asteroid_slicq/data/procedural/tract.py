"""Source and filter of a voice: the glottal pulse and the resonances of the vocal tract.

The pulse is the derivative of Rosenberg's (1971), the filter a cascade of resonances (Fant 1960),
applied frame by frame in frequency.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from asteroid_slicq.data.procedural.oscillator import wave_tables
from asteroid_slicq.data.procedural.signal import Array


def glottal_tables(f0_hz: float, sample_rate: int) -> Array:
    """Tabulate the glottal pulse's derivative from soft (first) to pressed (last), ``(6, time)``.

    The tables are read at fundamentals up to `f0_hz`.
    """
    n = max(int(min(0.45 * sample_rate, 17000.0) / f0_hz), 1)
    size = 4096
    t = np.arange(size) / size
    k = np.arange(1, n + 1)
    rows = []
    for effort in np.linspace(0.0, 1.0, 6):
        rise, fall = 0.46 - 0.14 * effort, 0.26 - 0.14 * effort
        pulse = np.where(
            t < rise,
            0.5 * (1.0 - np.cos(np.pi * t / rise)),
            np.where(t < rise + fall, np.cos(0.5 * np.pi * (t - rise) / fall), 0.0),
        )
        spectrum = np.fft.rfft(np.diff(pulse, append=pulse[:1]))[k]
        corner_hz = 1500.0 * 6.0**effort  # the return phase
        spectrum = spectrum / (1.0 + 1j * k * f0_hz / corner_hz)
        rows.append(spectrum / np.sqrt(np.sum(np.abs(spectrum) ** 2)))
    return wave_tables(np.stack(rows))


def tract_response(
    formants_hz: Array, f_hz: Array, tract: float, bandwidth: float, ring_db: float
) -> NDArray[np.complexfloating]:
    """Evaluate the filter of the vocal tract.

    Args:
        formants_hz: Five formants of each frame.
        f_hz: Where to evaluate.
        tract: Factor on the frequencies of the resonances above the fifth.
        bandwidth: Factor on formant bandwidths.
        ring_db: Strength of the singer's formant near 2.8 kHz.

    Shape:
        - Input: ``(5, frame)``, ``(freq,)``
        - Output: complex, ``(frame, freq)``
    """
    f = f_hz.astype(np.float32)
    widths = (70.0, 85.0, 120.0, 190.0, 260.0)
    out = np.ones((formants_hz.shape[1], len(f)), dtype=np.complex64)
    for k, centre in enumerate(formants_hz.astype(np.float32)):
        width = bandwidth * widths[k] * (0.7 + 0.3 * centre / centre.mean())
        square = (centre**2)[:, None]
        den = (square - f**2).astype(np.complex64)
        den.imag = f * width[:, None]
        out *= square / den
    # A tube has a resonance every c / 2L without end; those above the fifth stand still.
    # Leaving out the ones beyond hearing would darken 10 kHz by 40 dB.
    high = np.ones(len(f), dtype=complex)
    for k in range(6, 200):
        centre = tract * (500.0 + 1000.0 * (k - 1)) * (1.0 + 0.02 * np.sin(7.1 * k))
        high *= centre**2 / (centre**2 - f**2 + 1j * f * (0.15 * centre))
    ring = 10 ** (ring_db / 20) - 1.0
    high *= 1.0 + ring * np.exp(-(((f - 2800.0 * tract**0.5) / 500.0) ** 2))
    return out * high.astype(np.complex64)


def filter_frames(x: Array, response: NDArray[np.complexfloating], hop: int) -> Array:
    """Filter a signal with a response that changes every hop, by overlap-add.

    The first hop fades in, as if the signal before it were unknown.

    Frame `i` is centred on sample `i * hop`, and its response at the bins of a DFT of `8 * hop`.

    Shape:
        - Input: ``(time,)``, ``(frame, freq)``; output: ``(time,)``
    """
    n_frames = response.shape[0]
    padded = np.zeros((n_frames + 4) * hop, dtype=np.float32)
    padded[2 * hop : 2 * hop + len(x)] = x[: (n_frames + 2) * hop]
    frames = np.lib.stride_tricks.sliding_window_view(padded, 4 * hop)[: n_frames * hop : hop]
    window = np.hanning(4 * hop + 1)[:-1].astype(np.float32) * 0.5
    spectra = np.asarray(fft.rfft(frames * window, 8 * hop, axis=-1)) * response
    pieces = np.asarray(fft.irfft(spectra, 8 * hop, axis=-1)).reshape(n_frames, 8, hop)
    out = np.zeros((n_frames + 8, hop), dtype=np.float32)
    for k in range(8):
        out[k : k + n_frames] += pieces[:, k]
    return out.reshape(-1)[2 * hop : 2 * hop + len(x)].astype(np.float64)
