"""The ear at work: from a waveform to the envelopes and vibrations of its bands.

Every filter is linear and decays within milliseconds, so all are applied in the frequency domain,
on signals with a margin of silence. Where nothing is heard, values are those of the published
model, which are constant; gradients are those of a sound just heard, towards the reference, so
that a silent estimate has a way to become audible.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from asteroid_slicq.hearing import cochlea
from asteroid_slicq.hearing.cochlea import EAR_RATE, KNEE_HIGH_DB, LEVEL_DB, N_BANDS
from asteroid_slicq.hearing.signals import delayed, fast_length, lag

_MARGIN = EAR_RATE // 2
_DB = 20 / math.log(10)
_SMALL = 1e-30
_SILENT = 1e-6  # an amplitude far below the threshold of hearing
_ALIGNMENT_S = 0.1


class Sound(NamedTuple):
    """A waveform that reaches the ear.

    Attributes:
        spectrum: behind the middle ear: ``(batch, frequency)``.
        width: relative bandwidth of each band at its level: ``(batch, band)``.
        control_db: mean level of the control of each band, in dB SPL: ``(batch, band)``.
        n_time: samples, without the margin.
        length: samples of each item.
    """

    spectrum: Tensor
    width: Tensor
    control_db: Tensor
    n_time: int
    length: Tensor


class Heard(NamedTuple):
    """What some bands made of a sound.

    Attributes:
        envelope: in dB above the threshold, adapted.
        vibration: of the basilar membrane, with that envelope.
        square: mean square of the envelope before the compression.

    Shape:
        - envelope, vibration: ``(batch, band, time)``
        - square: ``(batch, band)``
    """

    envelope: Tensor
    vibration: Tensor
    square: Tensor


class _Responses(NamedTuple):
    """Responses of filters in the frequency domain, and the power that the control passes."""

    middle: Tensor
    smoothing: Tensor
    adaptation: Tensor
    delay: Tensor
    control: Tensor


class Ear(nn.Module):
    """An ear with some hearing loss.

    Args:
        loss_db: at :data:`~asteroid_slicq.hearing.AUDIOGRAM_HZ`, in dB HL.
    """

    outer_db: Tensor
    inner_db: Tensor
    width: Tensor
    knee_db: Tensor
    slope: Tensor
    widest: Tensor
    centre: Tensor
    decay: Tensor

    def __init__(self, loss_db: np.ndarray) -> None:
        super().__init__()
        bands = cochlea.bands_of(loss_db)
        values = {
            "outer_db": bands.outer_db,
            "inner_db": bands.inner_db,
            "width": bands.width,
            "knee_db": bands.knee_db,
            "slope": bands.slope,
            "widest": cochlea.widest(),
            "centre": 2 * np.pi * cochlea.centre_hz() / EAR_RATE,
            "decay": 2 * np.pi * 1.019 * cochlea.bandwidth_hz() / EAR_RATE,
        }
        for name, value in values.items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32), persistent=False)
        self._responses: tuple[tuple[Any, ...], _Responses] | None = None

    def listen(self, waveform: Tensor, length: Tensor) -> Sound:
        """Pass the middle ear, and set the bandwidths by the level in each band.

        Shape:
            - waveform: ``(batch, time)``, silent behind the ``length`` of each item
        """
        n_time = waveform.shape[-1]
        n = fast_length(n_time + _MARGIN)
        fixed = self._fixed(n, waveform)
        spectrum = torch.fft.fft(waveform, n) * fixed.middle
        power = spectrum.real.square() + spectrum.imag.square()
        control = power @ fixed.control / length.clamp(min=1).unsqueeze(-1)
        control = 10 * torch.log10(control.clamp(min=_SMALL)) + LEVEL_DB
        louder = ((control - 50) / 50).clamp(0, 1)
        width = self.width.to(waveform)
        width = width + louder * (self.widest.to(waveform) - width)
        return Sound(spectrum, width, control, n_time, length)

    def delays(self, width: Tensor) -> Tensor:
        """Samples by which each band is delayed, so that all have the same group delay.

        Shape:
            - width: ``(batch, band)``
            - output: the same, integers
        """
        a = torch.exp(-self.decay.to(width) * width)
        delay = ((4 * a + 8 * a * a) / (1 + 4 * a + 4 * a * a) + 4 * a / (1 - a)).round().long()
        return delay.amax(-1, keepdim=True) - delay

    def levels(self, sound: Sound, square: Tensor) -> Tensor:
        """Mean level of each band in dB above the threshold.

        Args:
            sound: what was heard.
            square: mean squares of the envelopes before the compression.

        Shape:
            - square, output: ``(batch, band)``
        """
        level = 10 * torch.log10(square.clamp(min=_SMALL)) + LEVEL_DB
        gain = self._gain_db(sound.control_db, slice(None), 0)
        return (level.clamp(min=0) + gain - self.inner_db.to(level)).clamp(min=0)

    def hear(
        self, reference: Sound, processed: Sound, bands: slice, delays: Tensor, align: bool
    ) -> tuple[Heard, Heard]:
        """What some of the bands make of a reference and of a processed sound.

        Args:
            reference: has no gradient.
            processed: is compared with it.
            bands: which ones.
            delays: of all bands.
            align: look for the delay of the processed sound in each band, up to 0.1 s.
        """
        shift = delays[:, bands]
        length = reference.length.unsqueeze(-1).expand_as(shift)
        with torch.no_grad():
            envelope, vibration, phase, square = self._compressed(reference, bands, None)
            moved = [delayed(x, shift, length) for x in (envelope, vibration)]
            first = Heard(*self._adapt(moved[0], moved[1], None, bands), square)
        other, moving, _, square = self._compressed(processed, bands, phase)
        back = shift, shift
        if align:
            most = round(_ALIGNMENT_S * EAR_RATE)
            # Behind the end of an item there is nothing to compare.
            inside = torch.arange(envelope.shape[-1], device=shift.device) < length.unsqueeze(-1)
            back = (
                shift - lag(envelope * inside, other * inside, most),
                shift - lag(vibration * inside, moving * inside, most),
            )
        toward = delayed(phase[0], shift)
        other, moving = (
            delayed(x, by, length, shift) for x, by in zip((other, moving), back, strict=True)
        )
        second = Heard(*self._adapt(other, moving, toward, bands), square)
        return first, second

    def _compressed(
        self, sound: Sound, bands: slice, toward: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor], Tensor]:
        """Envelope and vibration of bands, compressed; the phase; the mean square before.

        The phase is a pair, its cosine and its sine.

        Args:
            sound: which one.
            bands: which ones.
            toward: the phase in which an inaudible sound would grow.
        """
        n = sound.spectrum.shape[-1]
        spectrum = sound.spectrum.unsqueeze(1)
        widest = self.widest.to(sound.width).unsqueeze(0)
        control = torch.fft.ifft(spectrum * self._gammatone(n, bands, widest))
        control = _modulus(control[..., : sound.n_time], None)
        level = LEVEL_DB + _DB * torch.log(control.clamp(min=_SMALL))
        gain = torch.exp(self._gain_db(level, bands, -1) / _DB)
        smoothing = self._fixed(n, gain).smoothing
        gain = torch.fft.irfft(torch.fft.rfft(gain, n) * smoothing, n)[..., : sound.n_time]
        motion = torch.fft.ifft(spectrum * self._gammatone(n, bands, sound.width))
        motion = motion[..., : sound.n_time]
        envelope = _modulus(motion, toward)
        with torch.no_grad():
            safe = envelope.clamp(min=_SILENT)
            phase = motion.real / safe, motion.imag / safe
        square = (motion.real.square() + motion.imag.square()).sum(-1)
        square = square / sound.length.clamp(min=1).unsqueeze(-1)
        return gain * envelope, gain * motion.real, phase, square

    def _gain_db(self, level: Tensor, bands: slice, dim: int) -> Tensor:
        """Gain of the outer hair cells at levels in dB SPL, whose bands are at ``dim`` or last."""
        knee, slope, outer = (x.to(level)[bands] for x in (self.knee_db, self.slope, self.outer_db))
        if dim:
            knee, slope, outer = (x.unsqueeze(-1) for x in (knee, slope, outer))
        above = torch.minimum(level, level.new_tensor(KNEE_HIGH_DB)).maximum(knee) - knee
        return -outer - above * slope

    def _adapt(
        self, envelope: Tensor, vibration: Tensor, toward: Tensor | None, bands: slice
    ) -> tuple[Tensor, Tensor]:
        """In dB above the threshold, with the adaptation of the inner hair cells."""
        inner = self.inner_db.to(envelope)[bands].unsqueeze(-1)
        threshold = torch.exp((inner - LEVEL_DB) / _DB)
        decibel = _DB * torch.log(envelope.maximum(threshold) / threshold)
        if toward is not None:
            below = _DB * (envelope / threshold - 1).clamp(max=0)
            decibel = decibel + (below - below.detach())
        n_time = decibel.shape[-1]
        n = fast_length(n_time + _MARGIN)
        adapted = torch.fft.rfft(decibel, n) * self._fixed(n, decibel).adaptation
        adapted = torch.fft.irfft(adapted, n)[..., :n_time]
        adapted = torch.where(adapted < 0, 0, adapted)  # with a gradient at 0, unlike clamp
        carrier = vibration / envelope.clamp(min=_SILENT)
        if toward is not None:
            carrier = torch.where(envelope > _SILENT, carrier, toward)
        return adapted, carrier * adapted

    def _gammatone(self, n: int, bands: slice, width: Tensor) -> Tensor:
        """Responses of gammatone filters of fourth order: ``(batch, band, frequency)``.

        An impulse-invariant low pass of four equal poles, moved to the centre of the band; only one
        side of the spectrum passes, so what comes out is analytic.
        """
        fixed = self._fixed(n, width)
        return _gammatone(
            fixed.delay, self.centre.to(width)[bands], self.decay.to(width)[bands] * width[:, bands]
        )

    def _fixed(self, n: int, like: Tensor) -> _Responses:
        """What does not depend on the sound, for a length of the transform."""
        key = n, like.device, like.dtype
        if self._responses is None or self._responses[0] != key:
            # Kept, since a CUDA graph may not copy from the processor's memory.
            with torch.inference_mode(False), torch.no_grad():
                self._responses = key, self._design(n, like)
        return self._responses[1]

    def _design(self, n: int, like: Tensor) -> _Responses:
        full = np.asarray(2 * np.pi * np.fft.fftfreq(n), dtype=np.float64)
        half = np.abs(full[: n // 2 + 1])
        middle, smoothing, adaptation, delay = (
            torch.tensor(x).to(like.device, like.dtype.to_complex())
            for x in (
                cochlea.middle_ear(full),
                cochlea.gain_smoothing(half),
                cochlea.adaptation(half),
                np.exp(-1j * full),
            )
        )
        centre, decay = self.centre.to(like), (self.decay * self.widest).to(like)
        powers = []
        for band in range(N_BANDS):
            one = slice(band, band + 1)
            response = _gammatone(delay, centre[one], decay[one].unsqueeze(0))[0, 0]
            powers.append((response.real.square() + response.imag.square()) / n)
        return _Responses(middle, smoothing, adaptation, delay, torch.stack(powers, -1))


def _gammatone(delay: Tensor, centre: Tensor, decay: Tensor) -> Tensor:
    """Responses of low passes of four equal poles, moved to the centres of bands.

    Shape:
        - delay: ``(frequency,)``, of one sample
        - centre: ``(band,)``, in radians a sample
        - decay: ``(batch, band)``, minus the logarithm of the pole
        - output: ``(batch, band, frequency)``
    """
    a = torch.exp(-decay).unsqueeze(-1)
    z = delay * torch.polar(torch.ones_like(centre), centre).unsqueeze(-1)
    gain = 2 * (1 - a) ** 4 / (1 + 4 * a + 4 * a * a)
    pole = 1 - a * z
    square = pole * pole
    return gain * (1 + 4 * a * z * (1 + a * z)) / (square * square)


def _modulus(x: Tensor, toward: tuple[Tensor, Tensor] | None) -> Tensor:
    """Modulus of complex numbers; of inaudible ones, with a gradient in some direction."""
    square = x.real.square() + x.imag.square()
    audible = square > _SILENT**2
    modulus = torch.where(audible, square, 1).sqrt()
    if toward is None:
        return torch.where(audible, modulus, 0)
    return torch.where(audible, modulus, x.real * toward[0] + x.imag * toward[1])
