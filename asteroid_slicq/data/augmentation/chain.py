"""All augmentations of training items, each with its probability, from one random generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from asteroid_slicq.data.augmentation import levels, spectra

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the stems of training items. All but the rate are probabilities.

    Stems are changed one by one, except by ``bus_compression``, ``mono`` and ``codec``, which treat
    all stems of an item alike; the mix is the sum of the stems that come out. All draws come from
    the generator that is passed in, so items are a function of its seed. audiomentations and
    torch-audiomentations draw from global generators, and know no stems that must sum to a mix.

    The items may lie on any device: one in a worker of a loader, or a batch on a GPU.

    Attributes:
        sample_rate: of the stems in Hz; all others are probabilities.
        speed: played faster or slower by up to a fifth: pitch, tempo and formants together.
        tempo: played faster or slower by up to a fifth at the same pitch.
        pitch: higher or lower by up to three semitones at the same tempo. This and ``tempo`` cost
            more than the others.
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
        codec: MP3 or Vorbis, the same for all stems of an item; on the CPU alone.

    Raises:
        ValueError: when an attribute is no probability.
    """

    sample_rate: int
    speed: float = 0.0
    tempo: float = 0.0
    pitch: float = 0.0
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

    def draw_playing(self, rng: np.random.Generator) -> tuple[float, float]:
        """How many samples of the file make one of the item, and by what its pitch is shifted then.

        Both are 1 for an unchanged stem.
        """
        speed = spectra.log_uniform(rng, 1 / 1.2, 1.2) if rng.random() < self.speed else 1.0
        pitch = 1.0
        if self.tempo and rng.random() < self.tempo:
            tempo = spectra.log_uniform(rng, 1 / 1.2, 1.2)
            speed, pitch = speed * tempo, pitch / tempo
        if self.pitch and rng.random() < self.pitch:
            pitch *= 2 ** (rng.uniform(-3.0, 3.0) / 12)
        return float(speed), float(pitch)

    def __call__(self, items: Tensor, rng: np.random.Generator) -> Tensor:
        """Items after all changes but those of how stems are read: speed, tempo, pitch, double.

        Shape:
            - items, output: ``(batch, source, channel, time)``, float32

        Raises:
            ValueError: if there is a ``codec`` to go through and the items are not on the CPU.
        """
        stems = self.change_stems(items.flatten(0, 1), rng)
        return self.change_items(stems.unflatten(0, items.shape[:2]), rng)

    def change_stems(self, stems: Tensor, rng: np.random.Generator) -> Tensor:
        """Stems after the changes that concern each alone.

        Shape:
            - stems, output: ``(n, channel, time)``
        """
        rate, stems = self.sample_rate, stems.clone()

        def formants(x: Tensor) -> Tensor:
            return spectra.shift_formants(x, spectra.log_uniform(rng, 0.8, 1.25, len(x)), rate)

        changes: list[tuple[float, Callable[[Tensor], Tensor]]] = [
            (self.formants, formants),
            (self.saturation, lambda x: levels.saturate(rng, x)),
            (self.room, lambda x: levels.room(rng, x, rate)),
            (1.0, lambda x: self._change_spectra(x, rng)),
            (self.band_noise, lambda x: x + spectra.band_noise(rng, x, rate)),
            (self.gain_ride, lambda x: x * levels.gain_ride(rng, x, rate)),
            (self.width, lambda x: levels.widen(x, rng.uniform(0, 1.5, len(x)))),
        ]
        for probability, change in changes:
            _change_some(stems, rng.random(len(stems)) < probability, change)
        return stems

    def _change_spectra(self, stems: Tensor, rng: np.random.Generator) -> Tensor:
        """Equaliser and band limits, all in one pass through the DFT."""
        length = stems.shape[-1]
        f_hz = spectra.frequencies(length, self.sample_rate, stems.device)
        gains = torch.ones(len(stems), len(f_hz), device=stems.device)
        touched = np.zeros(len(stems), bool)
        for probability, curve in (
            (self.equaliser, spectra.equaliser),
            (self.low_pass, spectra.low_pass),
            (self.high_pass, spectra.high_pass),
        ):
            chosen = rng.random(len(stems)) < probability
            _change_some(gains, chosen, lambda x, curve=curve: x * curve(rng, f_hz, len(x)))
            touched |= chosen

        def filtered(x: Tensor) -> Tensor:
            gain = gains[torch.as_tensor(np.flatnonzero(touched), device=x.device)].unsqueeze(1)
            changed = torch.fft.irfft(torch.fft.rfft(x) * gain, length)
            return levels.same_power(changed, x, least=0.1)  # an equaliser is no fader

        _change_some(stems, touched, filtered)
        return stems

    def change_items(self, items: Tensor, rng: np.random.Generator) -> Tensor:
        """Items after the changes that concern their stems together.

        Shape:
            - items, output: ``(batch, source, channel, time)``
        """
        rate, items = self.sample_rate, items.clone()
        dropped = rng.random(items.shape[:2]) < self.drop
        dropped &= ~dropped.all(1, keepdims=True)
        if dropped.any():
            items *= torch.as_tensor(~dropped, device=items.device)[..., None, None]

        def compress(x: Tensor) -> Tensor:
            return x * levels.compressor_gain(rng, x.sum(1), rate).unsqueeze(1)

        _change_some(items, rng.random(len(items)) < self.bus_compression, compress)
        mono = rng.random(len(items)) < self.mono
        _change_some(items, mono, lambda x: x.mean(2, keepdim=True).expand_as(x))
        coded = rng.random(len(items)) < self.codec
        _change_some(items, coded, lambda x: self._recode(x, rng))
        return items

    def _recode(self, items: Tensor, rng: np.random.Generator) -> Tensor:
        if items.device.type != "cpu":
            raise ValueError(f"codec works on the CPU alone, not on {items.device}: set it to 0")
        coded = []
        for item in items.numpy():
            codec = str(rng.choice(list(levels.CODECS)))
            compression = rng.uniform(*levels.CODECS[codec][2])
            coded.append([levels.recode(s, self.sample_rate, codec, compression) for s in item])
        return torch.from_numpy(np.array(coded, np.float32))


def _change_some(x: Tensor, chosen: NDArray[Any], change: Callable[[Tensor], Tensor]) -> None:
    """Change the chosen rows, in place."""
    if chosen.all():
        x.copy_(change(x))
    elif chosen.any():
        rows = torch.as_tensor(np.flatnonzero(chosen), device=x.device)
        x[rows] = change(x[rows])


def play_at(stem: Audio, speed: float, length: int) -> Audio:
    """A stem played at another speed, resampled to a number of samples.

    Shape:
        - stem: ``(channel, about length · speed)``; output: ``(channel, length)``
    """
    played = soxr.resample(stem.T, speed, 1.0, quality="LQ").T[:, :length]
    return np.pad(played, ((0, 0), (0, length - played.shape[-1])))
