"""Changes of a stem in time and space: gain, saturation, compression, rooms, width, codecs."""

import io

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d
from scipy.signal import oaconvolve

from asteroid_slicq.data.augmentation.spectra import log_uniform

Audio = NDArray[np.float32]
Rng = np.random.Generator

#: Container, coding and the range of compression levels (0 is best, 1 smallest) of each codec.
CODECS = {
    "mp3": ("MP3", "MPEG_LAYER_III", (0.3, 0.95)),
    "vorbis": ("OGG", "VORBIS", (0.3, 1.0)),
}


def gain_ride(rng: Rng, length: int, sample_rate: float, range_db: float = 6.0) -> Audio:
    """A slow gain, as a hand on a fader: about one turn per second.

    Shape:
        - output: ``(time,)``
    """
    n = max(4, int(length / sample_rate * 1.5) + 3)
    knots_db = np.clip(rng.normal(0, range_db / 2, n), -range_db, range_db)
    gain_db = np.interp(np.linspace(0, n - 1, length), np.arange(n), knots_db)
    return (10 ** (gain_db / 20)).astype(np.float32)


def saturate(rng: Rng, stem: Audio) -> Audio:
    """A stem through a soft clipper of random drive, at the level that it had.

    Shape:
        - stem, output: ``(channel, time)``
    """
    peak = float(np.abs(stem).max())
    if peak < 1e-5:
        return stem
    drive, bias = log_uniform(rng, 0.7, 8.0), rng.uniform(0, 0.3)
    bent = np.tanh(drive * stem / peak + bias) - np.tanh(bias)
    power = np.square(bent).mean()
    return (bent * np.sqrt(np.square(stem).mean() / max(power, 1e-12))).astype(np.float32)


def compressor_gain(rng: Rng, mix: Audio, sample_rate: float) -> Audio:
    """The gain of a compressor of random settings that listens to a mix.

    Multiplied with every stem it acts as the bus of the mix does, and the stems still sum to it.

    Shape:
        - mix: ``(channel, time)``; output: ``(time,)``
    """
    length = mix.shape[-1]
    step = max(1, round(0.002 * sample_rate))
    level = np.abs(mix).max(0)
    level = np.pad(level, (0, -length % step)).reshape(-1, step).max(-1)
    hold = max(1, round(log_uniform(rng, 0.02, 0.3) * sample_rate / step))
    level = uniform_filter1d(maximum_filter1d(level, hold), hold)
    over_db = 20 * np.log10(np.maximum(level / max(level.max(), 1e-9), 1e-4)) - rng.uniform(-24, -6)
    gain_db = -np.maximum(over_db, 0) * (1 - 1 / rng.uniform(1.5, 8.0))
    at = (np.arange(len(level)) + 0.5) * step
    return np.interp(np.arange(length), at, 10 ** (gain_db / 20)).astype(np.float32)


def room(rng: Rng, stem: Audio, sample_rate: float) -> Audio:
    """A stem with the reverberation of a random room: decaying noise, darker as it fades.

    Shape:
        - stem, output: ``(channel, time)``
    """
    rt60_s = log_uniform(rng, 0.15, 1.5)
    length = max(64, min(int(rt60_s * sample_rate), stem.shape[-1]))
    t = np.arange(length) / sample_rate
    noise = rng.standard_normal((len(stem), length), dtype=np.float32)
    bright = noise * np.exp(-6.91 * t / (rt60_s * rng.uniform(0.3, 0.8)))
    dark = uniform_filter1d(noise, int(rng.integers(4, 16)), axis=-1) * 3
    response = bright * rng.uniform(0.2, 1.0) + dark * np.exp(-6.91 * t / rt60_s)
    response = np.pad(response, ((0, 0), (int(rng.uniform(0, 0.03) * sample_rate), 0)))
    response /= np.sqrt(np.square(response).sum(-1, keepdims=True)) + 1e-9
    wet = oaconvolve(stem, response.astype(np.float32), axes=-1)[:, : stem.shape[-1]]
    return (stem + 10 ** (rng.uniform(-20, -3) / 20) * wet).astype(np.float32)


def widen(stem: Audio, factor: float) -> Audio:
    """A stereo stem whose difference of channels is scaled; 0 is mono, 1 leaves it.

    Shape:
        - stem, output: ``(channel, time)``
    """
    middle = stem.mean(0, keepdims=True)
    return (middle + np.float32(factor) * (stem - middle)).astype(np.float32)


def recode(stem: Audio, sample_rate: int, codec: str, compression: float) -> Audio:
    """A stem that went through a lossy codec, in libsndfile.

    Args:
        stem: samples; beyond full scale they are scaled for the codec and back.
        sample_rate: in Hz; one that the codec knows.
        codec: a key of :data:`CODECS`.
        compression: from 0 (best) to 1 (smallest).

    Shape:
        - stem, output: ``(channel, time)``
    """
    container, coding, _ = CODECS[codec]
    if not stem.any():
        return stem
    length, scale = stem.shape[-1], max(1.0, float(np.abs(stem).max()) / 0.98)
    data = io.BytesIO()
    with soundfile.SoundFile(
        data, "w", sample_rate, len(stem), coding, format=container, compression_level=compression
    ) as file:
        for start in range(0, length, 2**15):  # libsndfile's Vorbis encoder overflows on long ones
            file.write(stem.T[start : start + 2**15] / scale)
    data.seek(0)
    coded = soundfile.read(data, dtype="float32", always_2d=True)[0].T[:, :length] * scale
    return np.pad(coded, ((0, 0), (0, length - coded.shape[-1])))
