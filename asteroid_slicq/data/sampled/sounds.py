"""A sound on its way into a bank: trimmed and encoded."""

import io
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly


def trim(
    x: NDArray[np.floating], rate: int, longest_s: float = 3.0, n_fading: int = 2000
) -> NDArray[np.floating]:
    """Cut the silence around a sound, fade its end, and bring its peak to 0.95.

    Args:
        x: Mono sound.
        rate: In Hz.
        longest_s: Where it is cut.
        n_fading: Samples of the fade.
    """
    heard = np.flatnonzero(np.abs(x) > 0.003 * np.abs(x).max(initial=0.0))
    if not len(heard):
        return x[:1]
    begin = max(int(heard[0]) - 20, 0)
    x = x[begin : min(int(heard[-1]) + 200, begin + int(longest_s * rate))]
    fading = min(n_fading, len(x) // 4)
    gain = np.ones(len(x))
    gain[len(x) - fading :] = np.linspace(1.0, 0.0, fading)
    return x * gain * (0.95 / np.abs(x).max())


def encode_flac(x: NDArray, rate: int) -> bytes:
    """Encode a mono sound losslessly in 16 bits; the same samples give the same bytes."""
    buffer = io.BytesIO()
    soundfile.write(buffer, x, rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def encode_flac_file(path: Path, longest_s: float = 3.0, n_fading: int = 2000) -> tuple[bytes, int]:
    """Read a sound, mix it to mono, bring it to at most 48 kHz, trim and encode it.

    Returns:
        The bytes of a FLAC file, and its sample rate.
    """
    x, rate = soundfile.read(path, always_2d=True)
    mono = x.mean(axis=1)
    if rate > 48000:
        mono, rate = resample_poly(mono, 44100, rate), 44100
    return encode_flac(trim(mono, rate, longest_s, n_fading), rate), rate
