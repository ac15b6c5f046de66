"""Speech as a vocoder sees it, cut into syllables: what a singer's lines are made of.

WORLD (Morise, Yokomori, Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system",
2016) splits speech into pitch, spectral envelope and aperiodicity every 5 ms. Envelopes are kept in
dB on a mel axis, in steps of 0.75 dB; a syllable is a peak of loudness, from the valley before it
to the valley after.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

Array = NDArray[np.float32]

FRAME_S = 0.005
N_BANDS = 72
LOWEST_HZ = 60.0
#: Frequencies at which aperiodicity is kept.
APERIODICITY_HZ = (500.0, 1500.0, 3000.0, 4500.0, 6000.0, 8000.0)
_STEP_DB = 0.75


def mel(f_hz: ArrayLike) -> NDArray[np.float64]:
    """Frequency on the mel scale."""
    return 1127 * np.log1p(np.asarray(f_hz, np.float64) / 700)


@dataclass(frozen=True)
class Utterance:
    """A spoken line.

    Attributes:
        top_hz: upper end of its envelopes, a little below half of the recording's rate.
        envelopes: power in dB, relative to the loudest of the line.
        aperiodicity: share of noise, 0 … 1, at :data:`APERIODICITY_HZ`.
        f0_hz: pitch; 0 where unvoiced.
        syllables: of each, the vocoder frames of its begin, of its nucleus' begin and end, and of
            its end.

    Shape:
        - envelopes: ``(frame, N_BANDS)``; aperiodicity: ``(frame, 6)``; f0_hz: ``(frame,)``
        - syllables: ``(syllable, 4)``
    """

    top_hz: float
    envelopes: Array
    aperiodicity: Array
    f0_hz: Array
    syllables: NDArray[np.int64]


def analyse(samples: NDArray[np.float64], sample_rate: int) -> Utterance | None:
    """Analyse a spoken line; None where it has fewer than three clear syllables."""
    import pyworld

    x = np.ascontiguousarray(samples, np.float64)
    f0, times = pyworld.dio(x, sample_rate, f0_floor=60, f0_ceil=600, frame_period=1e3 * FRAME_S)
    f0 = pyworld.stonemask(x, f0, times, sample_rate)
    power = pyworld.cheaptrick(x, f0, times, sample_rate)
    noise = pyworld.d4c(x, f0, times, sample_rate)
    f_hz = np.linspace(0, sample_rate / 2, power.shape[1])
    top_hz = 0.96 * sample_rate / 2
    at_hz = 700 * np.expm1(np.linspace(mel(LOWEST_HZ), mel(top_hz), N_BANDS) / 1127)
    envelopes = np.stack([np.interp(at_hz, f_hz, row) for row in 10 * np.log10(power + 1e-12)])
    speech = (f_hz > 250) & (f_hz < 3500)
    loudness = gaussian_filter1d(10 * np.log10(power[:, speech].sum(1) + 1e-12), 4)
    syllables = _find_syllables(loudness, envelopes, f0 > 0)
    if syllables is None:
        return None
    return Utterance(
        top_hz,
        (envelopes - envelopes.max()).astype(np.float32),
        np.stack([np.interp(APERIODICITY_HZ, f_hz, row) for row in noise]).astype(np.float32),
        f0.astype(np.float32),
        syllables,
    )


def _find_syllables(
    loudness: NDArray[np.float64], envelopes: NDArray[np.float64], voiced: NDArray[np.bool_]
) -> NDArray[np.int64] | None:
    peaks, _ = find_peaks(loudness, prominence=3.0, distance=16)
    peaks = [p for p in peaks if voiced[p] and loudness[p] > loudness.max() - 25]
    if len(peaks) < 3:
        return None
    heard = np.flatnonzero(loudness > loudness.max() - 38)
    valleys = [a + int(np.argmin(loudness[a:b])) for a, b in pairwise(peaks)]
    bounds = [max(heard[0] - 2, 0), *valleys, min(heard[-1] + 3, len(voiced))]
    change = np.abs(np.diff(envelopes, axis=0, prepend=envelopes[:1])).mean(1)
    change = gaussian_filter1d(change, 2)
    out = []
    for peak, begin, end in zip(peaks, bounds[:-1], bounds[1:], strict=True):
        if end - begin < 6:
            return None
        steady = voiced & (loudness > loudness[peak] - 5)
        first = last = peak
        while first > begin and steady[first - 1]:
            first -= 1
        while last < end - 1 and steady[last + 1]:
            last += 1
        # The vowel begins where the spectrum has stopped changing quickly.
        while first < peak - 3 and change[first] > 1.6 * np.median(change[begin:end]):
            first += 1
        if last - first < 4:
            first, last = max(peak - 2, begin), min(peak + 2, end - 1)
        out.append((begin, first, last, end))
    return np.array(out, np.int64)


def pack(utterances: list[Utterance]) -> bytes:
    """Utterances as one file of NumPy arrays, compressed: an ``.npz`` without a pickle.

    Envelopes stand as differences from vocoder frame to vocoder frame, band after band.
    """
    arrays: dict[str, Any] = {
        "n_frames": np.array([len(u.f0_hz) for u in utterances], np.int32),
        "n_syllables": np.array([len(u.syllables) for u in utterances], np.int32),
        "top_hz": np.array([u.top_hz for u in utterances], np.float32),
        "f0_hz": np.concatenate([u.f0_hz for u in utterances]).astype(np.float16),
        "syllables": np.concatenate([u.syllables for u in utterances]).astype(np.int16),
    }
    levels = np.concatenate([u.envelopes for u in utterances]) / _STEP_DB
    levels = np.clip(np.round(levels) + 100, -127, 127).astype(np.int16)
    arrays["envelopes"] = np.diff(levels.T, axis=1, prepend=0).astype(np.int16)
    noise = np.concatenate([u.aperiodicity for u in utterances])
    arrays["aperiodicity"] = np.round(100 * np.clip(noise, 0, 1)).astype(np.int8).T
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.save(data, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, data.getvalue(), zipfile.ZIP_LZMA)
    return file.getvalue()


def unpack(data: bytes) -> list[Utterance]:
    """The utterances of :func:`pack`, within half a step of what they were."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    levels = np.cumsum(arrays["envelopes"], axis=1, dtype=np.int32).T
    envelopes = ((levels - 100) * _STEP_DB).astype(np.float32)
    noise = (arrays["aperiodicity"].T / 100).astype(np.float32)
    frames = np.cumsum(arrays["n_frames"])[:-1]
    syllables = np.split(arrays["syllables"], np.cumsum(arrays["n_syllables"])[:-1])
    return [
        Utterance(float(top_hz), e, a, f0.astype(np.float32), s.astype(np.int64))
        for top_hz, e, a, f0, s in zip(
            arrays["top_hz"],
            np.split(envelopes, frames),
            np.split(noise, frames),
            np.split(arrays["f0_hz"], frames),
            syllables,
            strict=True,
        )
    ]
