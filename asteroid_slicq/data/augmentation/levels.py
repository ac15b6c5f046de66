"""Changes of stems in time and space: gain, saturation, compression, rooms, width, codecs.

Like those of ``spectra``, they take several stems at once and draw settings for each.
"""

import io
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional as F

from asteroid_slicq.data.augmentation.spectra import along_time, column, log_uniform, white_noise

Rng = np.random.Generator

#: Container, coding and the range of compression levels (0 is best, 1 smallest) of each codec.
CODECS = {
    "mp3": ("MP3", "MPEG_LAYER_III", (0.3, 0.95)),
    "vorbis": ("OGG", "VORBIS", (0.3, 1.0)),
}


def gain_ride(rng: Rng, stems: Tensor, sample_rate: float, range_db: float = 6.0) -> Tensor:
    """Slow gains, as a hand on a fader: about one turn per second.

    Shape:
        - stems: ``(n, channel, time)``; output: ``(n, 1, time)``
    """
    n, length = len(stems), stems.shape[-1]
    n_knots = max(4, int(length / sample_rate * 1.5) + 3)
    knots_db = np.clip(rng.normal(0, range_db / 2, (n, 1, n_knots)), -range_db, range_db)
    knots = torch.as_tensor(knots_db.astype(np.float32), device=stems.device)
    return 10 ** (F.interpolate(knots, length, mode="linear", align_corners=True) / 20)


def saturate(rng: Rng, stems: Tensor) -> Tensor:
    """Stems through soft clippers of random drive, at the levels that they had.

    Shape:
        - stems, output: ``(n, channel, time)``
    """
    n = len(stems)
    drive = column(log_uniform(rng, 0.7, 8.0, n), stems).unsqueeze(-1)
    bias = column(rng.uniform(0, 0.3, n), stems).unsqueeze(-1)
    peak = stems.abs().amax((1, 2), keepdim=True).clamp(min=1e-9)
    bent = torch.tanh(drive * stems / peak + bias) - torch.tanh(bias)
    return same_power(bent, stems) * (peak > 1e-5)


def same_power(changed: Tensor, before: Tensor, least: float = 0.0) -> Tensor:
    """Changed stems at the power they had; what fell below ``least`` of it is raised no further.

    Shape:
        - changed, before, output: ``(n, channel, time)``
    """
    old, new = (x.square().mean((1, 2), keepdim=True) for x in (before, changed))
    return changed * (old / torch.maximum(new, least * old).clamp(min=1e-12)).sqrt()


def compressor_gain(rng: Rng, mixes: Tensor, sample_rate: float) -> Tensor:
    """The gains of compressors of random settings that listen to mixes, all of one speed.

    Multiplied with every stem it acts as the bus of the mix does, and the stems still sum to it.

    Shape:
        - mixes: ``(n, channel, time)``; output: ``(n, 1, time)``
    """
    n, _, length = mixes.shape
    step = max(1, round(0.002 * sample_rate))
    level = mixes.abs().amax(1, keepdim=True)
    level = F.max_pool1d(F.pad(level, (0, -length % step)), step)
    reach = max(1, round(log_uniform(rng, 0.02, 0.3) * sample_rate / step)) // 2
    window = 2 * reach + 1
    level = F.max_pool1d(level, window, 1, reach)
    level = F.avg_pool1d(F.pad(level, (reach, reach), mode="replicate"), window, 1)
    peak = level.amax(-1, keepdim=True).clamp(min=1e-9)
    threshold_db = column(rng.uniform(-24, -6, n), mixes).unsqueeze(-1)
    over_db = (20 * torch.log10((level / peak).clamp(min=1e-4)) - threshold_db).clamp(min=0)
    gain_db = -over_db * column(1 - 1 / rng.uniform(1.5, 8.0, n), mixes).unsqueeze(-1)
    return along_time(10 ** (gain_db / 20), step, length)


def room(rng: Rng, stems: Tensor, sample_rate: float) -> Tensor:
    """Stems with the reverberation of random rooms: decaying noise, darker as it fades.

    Shape:
        - stems, output: ``(n, channel, time)``
    """
    n, n_channels, length = stems.shape

    def each(values: Any) -> Tensor:
        return column(values, stems).unsqueeze(-1)

    rt60_s = log_uniform(rng, 0.15, 1.5, n)
    longest = max(64, min(int(1.5 * sample_rate), length))
    since_s = torch.arange(longest, device=stems.device) / sample_rate
    since_s = since_s - each(rng.uniform(0, 0.03, n))  # the first reflections come late
    noise = white_noise(rng, (n, n_channels, longest), stems.device)
    smooth = int(rng.integers(2, 8))
    dark = 3 * F.avg_pool1d(noise, 2 * smooth + 1, 1, smooth)
    response = each(rng.uniform(0.2, 1.0, n)) * noise * torch.exp(
        -6.91 * since_s / each(rt60_s * rng.uniform(0.3, 0.8, n))
    ) + dark * torch.exp(-6.91 * since_s / each(rt60_s))
    response = response * (since_s >= 0)
    response = response / (response.square().sum(-1, keepdim=True).sqrt() + 1e-9)
    n_fft = next_fast_len(length + longest, real=True)
    wet = torch.fft.irfft(torch.fft.rfft(stems, n_fft) * torch.fft.rfft(response, n_fft), n_fft)
    return stems + each(10 ** (rng.uniform(-20, -3, n) / 20)) * wet[..., :length]


def widen(stems: Tensor, factors: Any) -> Tensor:
    """Stereo stems whose difference of channels is scaled; 0 is mono, 1 leaves them.

    Shape:
        - stems, output: ``(n, channel, time)``
    """
    middle = stems.mean(1, keepdim=True)
    return middle + column(factors, stems).unsqueeze(-1) * (stems - middle)


def recode(
    stem: NDArray[np.float32], sample_rate: int, codec: str, compression: float
) -> NDArray[np.float32]:
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
