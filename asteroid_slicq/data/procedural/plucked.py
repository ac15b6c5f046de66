"""Plucked and struck strings: the Karplus-Strong loop, solved in frequency.

The loop `y = x + g·delay(y)` has the transfer function `1 / (1 - g(f) e^{-j phase(f)})`. Sampling
that on a circle of radius above one and inverting the DFT gives its impulse response, exactly in
tune, with any loss and any stiffness, and no loop over samples (Karplus & Strong 1983; Smith,
"Physical audio signal processing"). The radius keeps the response from wrapping around.
"""

import numpy as np

from asteroid_slicq.data.procedural.signal import Array


def next_size(length: int) -> int:
    """Find the power of two a sound of this length fits in."""
    return int(2 ** np.ceil(np.log2(max(length, 2))))


def pluck(
    f0_hz: float,
    duration_s: float,
    sample_rate: int,
    *,
    decay_s: float = 3.0,
    damping_hz: float = 3000.0,
    brightness_hz: float = 4000.0,
    position: float = 0.15,
    pickup: float | None = None,
    stiffness: float = 0.0,
    slope: float = 0.8,
    rng: np.random.Generator | None = None,
) -> Array:
    """Synthesise one string.

    Args:
        f0_hz: Fundamental, exact where the string has no stiffness.
        duration_s: Length of the sound.
        sample_rate: In Hz.
        decay_s: Time in which low partials fall by 60 dB.
        damping_hz: Frequency above which partials fall faster.
        brightness_hz: Corner of the low-pass on the excitation; soft or hard plectrum or hammer.
        position: Where along the string it is excited, in (0, 1).
        pickup: Where it is listened to, in (0, 1); none listens at the bridge.
        stiffness: Inharmonicity `B`: partial k lies at `k f0 sqrt(1 + B k²)`.
        slope: Partial k is weaker by `k ** -slope`; 0 is a blow, 1 a plucked string's velocity.
        rng: Adds the roughness of a real attack; none excites with a smooth pulse.

    Shape:
        - Output: ``(time,)``, of unit peak.
    """
    length = max(int(duration_s * sample_rate), 1)
    size = next_size(length + int(sample_rate / f0_hz) + 1)
    f = np.fft.rfftfreq(size, 1.0 / sample_rate)
    growth = 9.2 / size  # the response that wraps around is 80 dB down
    if stiffness > 0.0:
        inner = np.sqrt(1.0 + 4.0 * stiffness * (f / f0_hz) ** 2)
        order = np.sqrt(np.maximum((inner - 1.0) / (2.0 * stiffness), 0.0))
    else:
        order = f / f0_hz
    period = sample_rate / f0_hz
    loss = (6.91 / (decay_s * f0_hz)) * (1.0 + (f / damping_hz) ** 2)
    turn = np.exp(-(loss + growth * period) - 2j * np.pi * order)
    excite = 1.0 / (1.0 + (f / brightness_hz) ** 2) / (1.0 + 30.0 / np.maximum(f, 1.0))
    excite = excite * np.maximum(1.0 - (f / (0.48 * sample_rate)) ** 8, 0.0)
    excite = excite * np.maximum(order, 1.0) ** -slope
    if rng is not None:
        # A burst of noise one period long, beside the clean pulse.
        burst = rng.standard_normal(max(int(period), 2)) * 0.35 / np.sqrt(period)
        excite = excite * (1.0 + np.fft.rfft(burst, size) * np.sqrt(period) * 0.5)
    combs = 1.0 - np.exp(-2j * np.pi * order * position - growth * period * position)
    if pickup is not None:
        combs = combs * (1.0 - np.exp(-2j * np.pi * order * pickup - growth * period * pickup))
    spectrum = excite * combs / (1.0 - turn)
    spectrum[0] = 0.0
    out = np.fft.irfft(spectrum, size)[:length] * np.exp(growth * np.arange(length))
    tail = min(max(int(0.01 * sample_rate), 1), length)
    out[-tail:] *= np.linspace(1.0, 0.0, tail)
    return out / (np.abs(out).max() + 1e-12)
