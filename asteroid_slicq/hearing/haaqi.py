"""The Hearing-Aid Audio Quality Index of processed music, in PyTorch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from asteroid_slicq.hearing import features, signals
from asteroid_slicq.hearing.audiograms import Audiogram, hearing_loss
from asteroid_slicq.hearing.cochlea import EAR_RATE, LEVEL_DB, N_BANDS, NALR_TAPS, nalr
from asteroid_slicq.hearing.ear import Ear, Sound

_BACK = 48  # samples, 2 ms: what is aligned as a whole stays so much behind
_SHORTEST_S = 0.1
_LOWEST_RATE = 8000
_CHUNK = 2**22  # numbers of a band and its items at a time, see ``forward``


class HAAQIParts(NamedTuple):
    """The index and what it is made of, each from 0 to 1.

    Attributes:
        index: the quality.
        nonlinear: of envelopes and vibrations.
        linear: of the long-term spectra.
        cepstral: correlation of the modulations of the spectrum above 20 Hz.
        vibration: correlation of the basilar membrane.
        loudness: likeness of the spectra.
        spectrum: likeness of the spectra, band by band.

    Shape:
        - each: ``(batch,)``
    """

    index: Tensor
    nonlinear: Tensor
    linear: Tensor
    cepstral: Tensor
    vibration: Tensor
    loudness: Tensor
    spectrum: Tensor


class HAAQI(nn.Module):
    """Quality of processed music for a listener, from 0 to 1, differentiable.

    Kates & Arehart (2016), version 1 of the index. The reference is amplified by NAL-R, the rule of
    hearing aids for linear amplification, where there is a hearing loss, and so is the processed
    signal. The index does not know the polarity of a signal, and hardly its level.

    Values follow the published model. The gradient is that of the value, except where the processed
    signal is too soft to be heard and the value does not change: there it is that of a sound just
    heard, so a silent estimate has a finite one, towards the reference.

    Args:
        sample_rate: in Hz, at least 8000.
        audiogram: see :func:`~asteroid_slicq.hearing.hearing_loss`.
        level_db: level at which the reference is heard, in dB SPL. None: a root mean square of 1
            is heard at 65 dB SPL.
        align: look for the delay of the processed signal, as the index is defined. Where there is
            none, as after a separation, False saves some of the time.
        amplified: whether the processed signal has been amplified by NAL-R, as the output of a
            hearing aid has; False amplifies it like the reference.

    Raises:
        ValueError: if the audiogram or the sample rate is wrong.

    Example:
        >>> music = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))
        >>> HAAQI(16000, align=False)(music, music).index > 0.98
        tensor([True, True])
    """

    nalr: Tensor

    def __init__(
        self,
        sample_rate: float,
        audiogram: Audiogram = "normal",
        level_db: float | None = LEVEL_DB,
        align: bool = True,
        amplified: bool = False,
    ) -> None:
        super().__init__()
        if not sample_rate >= _LOWEST_RATE:
            raise ValueError(f"sample_rate must be at least {_LOWEST_RATE} Hz, got {sample_rate}")
        loss_db = hearing_loss(audiogram)
        self.sample_rate, self.level_db = float(sample_rate), level_db
        self.audiogram = audiogram if isinstance(audiogram, str) else loss_db.tolist()
        self.align, self.amplified = align, amplified
        self.ear = Ear(loss_db)
        taps = torch.tensor(nalr(loss_db, EAR_RATE), dtype=torch.float32)
        self.register_buffer("nalr", taps, persistent=False)

    def forward(self, processed: Tensor, reference: Tensor) -> HAAQIParts:
        """Rate processed signals beside their references.

        Args:
            processed: the signals.
            reference: what they should sound like; it gets no gradient. Where it is silent, the
                index is NaN.

        Shape:
            - processed, reference: ``(..., time)``
            - output: ``(...)`` each

        Raises:
            ValueError: if the shapes differ, or signals are shorter than 0.1 s.
        """
        if processed.shape != reference.shape or not processed.ndim:
            raise ValueError(
                "processed and reference must be (..., time) of one shape, got "
                f"{tuple(processed.shape)} and {tuple(reference.shape)}"
            )
        if processed.shape[-1] < _SHORTEST_S * self.sample_rate:
            raise ValueError(
                f"signals must be at least {_SHORTEST_S} s long, got {processed.shape[-1]} samples "
                f"at {self.sample_rate:g} Hz"
            )
        shape = processed.shape[:-1]
        pair = (x.reshape(-1, x.shape[-1]) for x in (processed, reference.detach()))
        with torch.autocast(processed.device.type, enabled=False):
            y, x = (v if v.dtype == torch.float64 else v.float() for v in pair)
            parts = self._rate(y, x)
        return HAAQIParts(*(part.view(shape) for part in parts))

    def _rate(self, processed: Tensor, reference: Tensor) -> HAAQIParts:
        x, y, length = self._arrive(processed, reference)
        silent = length == 0
        with torch.no_grad():
            first = self.ear.listen(x, length)
            delays = self.ear.delays(first.width)
        second = self.ear.listen(y, length)
        parts = []
        step = max(1, _CHUNK // x.numel())
        for start in range(0, N_BANDS, step):
            bands = slice(start, min(start + step, N_BANDS))
            if step < N_BANDS and torch.is_grad_enabled():
                # Only the bands at hand are kept for the backward pass.
                part = checkpoint(
                    self._compare, first, *second[:2], delays, bands, use_reentrant=False
                )
            else:
                part = self._compare(first, *second[:2], delays, bands)
            parts.append(part)
        x_smooth, y_smooth, x_square, y_square, *tiles = (
            torch.cat(part, 1) for part in zip(*parts, strict=True)
        )
        count = features.n_segments(length, features.SMOOTHING)
        cepstral = features.cepstral_index(x_smooth, y_smooth, count)
        vibration = features.vibration_index(features.Tiles(*tiles))
        loudness, spectrum = features.spectrum_indices(
            self.ear.levels(first, x_square), self.ear.levels(second, y_square)
        )
        nonlinear = 0.754 * cepstral**3 + 0.246 * vibration
        linear = 0.329 * loudness + 0.671 * spectrum
        index = 0.336 * nonlinear + 0.001 * linear + 0.501 * nonlinear**2 + 0.161 * linear**2
        values = index, nonlinear, linear, cepstral, vibration, loudness, spectrum
        return HAAQIParts(*(torch.where(silent, torch.nan, value) for value in values))

    def _arrive(self, processed: Tensor, reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Both signals at the ear, cut to where the reference sounds, and their lengths."""
        if self.level_db is not None:
            rms = reference.square().mean(-1, keepdim=True).sqrt()
            scale = 10 ** ((self.level_db - LEVEL_DB) / 20) / rms.clamp(min=1e-12)
            reference, processed = reference * scale, processed * scale
        x, y = (signals.resample(v, self.sample_rate) for v in (reference, processed))
        if self.align:
            centred = [v - v.mean(-1, keepdim=True) for v in (x, y)]
            y = signals.delayed(y, _BACK - signals.lag(centred[0], centred[1]))
        start, length = signals.extent(x)
        inside = torch.arange(x.shape[-1], device=x.device) < length.unsqueeze(-1)
        x, y = (signals.delayed(v, -start) * inside for v in (x, y))
        taps, middle = self.nalr.to(x), NALR_TAPS // 2
        # The published model leaves out the delay of the filter twice.
        x = signals.filtered(x, taps, 2 * middle if self.align else middle) * inside
        if not self.amplified:
            y = signals.filtered(y, taps, middle) * inside
        return x, y, length

    def _compare(
        self, first: Sound, spectrum: Tensor, width: Tensor, delays: Tensor, bands: slice
    ) -> tuple[Tensor, ...]:
        """Smoothed envelopes, mean squares, covariances and powers of some bands."""
        second = first._replace(spectrum=spectrum, width=width)
        x, y = self.ear.hear(first, second, bands, delays, self.align)
        tiles = features.covariances(
            x.vibration + features.noise(x.vibration, 0, bands.start),
            y.vibration + features.noise(y.vibration, 1, bands.start),
            first.length,
        )
        envelopes = (features.smoothed(v.envelope, first.length) for v in (x, y))
        return *envelopes, x.square, y.square, *tiles

    def extra_repr(self) -> str:
        """The settings, for ``repr``."""
        return (
            f"sample_rate={self.sample_rate:g}, audiogram={self.audiogram!r}, "
            f"level_db={self.level_db}, align={self.align}, amplified={self.amplified}"
        )
