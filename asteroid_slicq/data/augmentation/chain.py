"""All augmentations of a training item, each with its probability, from one random generator."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import soxr
from numpy.typing import NDArray

from asteroid_slicq.data.augmentation import levels, spectra

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the stems of a training item. All but the rate are probabilities.

    Stems are changed one by one, except by ``bus_compression`` and ``codec``, which treat all stems
    of an item alike; the mix is the sum of the stems that come out. All draws come from the
    generator that is passed in, so an item is a function of its seed. audiomentations and
    torch-audiomentations draw from global generators, and know no stems that must sum to a mix.

    Attributes:
        sample_rate: of the stems in Hz; all others are probabilities.
        speed: played faster or slower by up to a fifth: pitch, tempo and formants together.
        formants: spectral envelope stretched by up to a quarter, at the same pitch.
        equaliser: a random equaliser with a tilt.
        low_pass: a low-pass between 3 and 18 kHz, from a cliff to a slope.
        high_pass: a high-pass between 30 and 250 Hz.
        band_noise: noise above a random frequency that follows the stem: with ``low_pass`` it takes
            away what tells a source by where its spectrum ends.
        gain_ride: a slow gain of up to 6 dB.
        saturation: a soft clipper.
        room: reverberation.
        width: stereo width between none and 1.5 times the stem's.
        mono: all stems of an item mixed down.
        drop: a source is silent.
        double: a second stem of the same source is added.
        bus_compression: the gain of a compressor on the mix, on every stem.
        codec: MP3 or Vorbis, the same for all stems.

    Raises:
        ValueError: when an attribute is no probability.
    """

    sample_rate: int
    speed: float = 0.0
    formants: float = 0.0
    equaliser: float = 0.0
    low_pass: float = 0.0
    high_pass: float = 0.0
    band_noise: float = 0.0
    gain_ride: float = 0.0
    saturation: float = 0.0
    room: float = 0.0
    width: float = 0.0
    mono: float = 0.0
    drop: float = 0.0
    double: float = 0.0
    bus_compression: float = 0.0
    codec: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if not 0 <= value <= 1:
                raise ValueError(f"{field.name} must be a probability, got {value}")

    def draw_speed(self, rng: np.random.Generator) -> float:
        """How many samples of the file make one of the item; 1 for an unchanged stem."""
        return spectra.log_uniform(rng, 1 / 1.2, 1.2) if rng.random() < self.speed else 1.0

    def change_stem(self, stem: Audio, rng: np.random.Generator) -> Audio:
        """One stem after the changes that concern it alone.

        Shape:
            - stem, output: ``(channel, time)``
        """
        if not np.any(stem):
            return stem
        if rng.random() < self.formants:
            factor = spectra.log_uniform(rng, 0.8, 1.25)
            stem = spectra.shift_formants(stem, factor, self.sample_rate)
        if rng.random() < self.saturation:
            stem = levels.saturate(rng, stem)
        if rng.random() < self.room:
            stem = levels.room(rng, stem, self.sample_rate)
        stem = self._change_spectrum(stem, rng)
        if rng.random() < self.band_noise:
            stem = stem + spectra.band_noise(rng, stem, self.sample_rate)
        if rng.random() < self.gain_ride:
            stem = stem * levels.gain_ride(rng, stem.shape[-1], self.sample_rate)
        if rng.random() < self.width:
            stem = levels.widen(stem, rng.uniform(0, 1.5))
        return stem

    def _change_spectrum(self, stem: Audio, rng: np.random.Generator) -> Audio:
        """Equaliser and band limits, all in one pass through the DFT."""
        length = stem.shape[-1]
        f_hz = np.fft.rfftfreq(length, 1 / self.sample_rate)
        gains = [
            change(rng, f_hz)
            for change, probability in (
                (spectra.equaliser, self.equaliser),
                (spectra.low_pass, self.low_pass),
                (spectra.high_pass, self.high_pass),
            )
            if rng.random() < probability
        ]
        if not gains:
            return stem
        gain = np.prod(gains, axis=0).astype(np.float32)
        before = np.square(stem).mean()
        changed = spectra.irfft(spectra.rfft(stem) * gain, length)
        after = np.square(changed).mean()  # an equaliser is no fader
        return changed * np.float32(np.sqrt(before / max(after, before / 10, 1e-12)))

    def change_mix(self, stems: Audio, rng: np.random.Generator) -> Audio:
        """All stems of an item after the changes that concern them together.

        Shape:
            - stems, output: ``(source, channel, time)``
        """
        dropped = rng.random(len(stems)) < self.drop
        if dropped.any() and not dropped.all():
            stems = stems * ~dropped[:, None, None]
        if rng.random() < self.bus_compression:
            stems = stems * levels.compressor_gain(rng, stems.sum(0), self.sample_rate)
        if rng.random() < self.mono:
            stems = np.broadcast_to(stems.mean(1, keepdims=True), stems.shape)
        if rng.random() < self.codec:
            codec = str(rng.choice(list(levels.CODECS)))
            compression = rng.uniform(*levels.CODECS[codec][2])
            stems = np.stack(
                [
                    levels.recode(s, self.sample_rate, codec, compression) if s.any() else s
                    for s in stems
                ]
            )
        return stems


def play_at(stem: Audio, speed: float, length: int) -> Audio:
    """A stem played at another speed, resampled to a number of samples.

    Shape:
        - stem: ``(channel, about length · speed)``; output: ``(channel, length)``
    """
    played = soxr.resample(stem.T, speed, 1.0, quality="LQ").T[:, :length]
    return np.pad(played, ((0, 0), (0, length - played.shape[-1])))
