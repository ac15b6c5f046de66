"""Comparisons of what an ear heard of two sounds: envelopes, vibrations and long-term spectra.

Items of a batch may differ in length. Segments overlap by half; as the index defines them, the
first and the last of an item have half a window, and the second begins where the first ends.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.signal import correlate
from torch import Tensor
from torch.nn import functional as F

from asteroid_slicq.hearing import cochlea
from asteroid_slicq.hearing.cochlea import EAR_RATE, LEVEL_DB, N_BANDS

THRESHOLD_DB = 2.5
"""Level above the threshold from which segments and tiles count."""

SMOOTHING = 192
"""Samples of a segment of the envelope, 8 ms."""

_SEGMENT = 384  # of the vibration, 16 ms
_LAGS = EAR_RATE // 1000  # either way
_NOISE_DB = -10.0
_JUST_HEARD = 1.0  # dB², below which gradients do not grow any more


class Tiles(NamedTuple):
    """Segments of the vibration in bands.

    Attributes:
        covariance: of reference and processed sound, from 0 to 1.
        power: mean square of the envelope of the reference, in dB².

    Shape:
        - each: ``(batch, band, segment)``
    """

    covariance: Tensor
    power: Tensor


def n_segments(length: Any, size: int) -> Any:
    """Segments of a signal, or of several, by the length of a segment."""
    return 1 + length // size + (length - size // 2) // size


def smoothed(envelope: Tensor, length: Tensor) -> Tensor:
    """Mean of the envelope in segments of 8 ms, a value every 4 ms.

    Shape:
        - envelope: ``(batch, band, time)``
        - output: ``(batch, band, segment)``
    """
    half = SMOOTHING // 2
    window = np.hanning(SMOOTHING)
    rise, fall = window[:half], window[half:]
    nothing = np.zeros(half)
    kernels = np.stack([window, np.r_[fall, nothing], np.r_[rise, nothing]])
    kernels = envelope.new_tensor(kernels / kernels.sum(1, keepdims=True)).unsqueeze(1)
    whole, first, last = (
        F.conv1d(F.pad(envelope, (0, SMOOTHING)).flatten(0, 1).unsqueeze(1), kernels, stride=half)
        .unflatten(0, envelope.shape[:2])
        .unbind(2)
    )
    count, most = (n_segments(n, SMOOTHING) for n in (length, envelope.shape[-1]))
    index = torch.arange(most, device=envelope.device)
    is_last = (index == count.unsqueeze(-1) - 1).unsqueeze(1)
    chosen = torch.where(is_last, last[..., :most], whole[..., :most])
    return torch.where(index == 0, first[..., :most], chosen)


def covariances(reference: Tensor, processed: Tensor, length: Tensor) -> Tiles:
    """Largest normalised covariance within a lag of 1 ms, in segments of 16 ms.

    Its gradient in a tile where the processed sound is inaudible, and noise decides, is that at
    lag 0 of a sound just heard.

    Shape:
        - reference, processed: ``(batch, band, time)``
    """
    half = _SEGMENT // 2
    count, most = (n_segments(n, _SEGMENT) for n in (length, reference.shape[-1]))
    index = torch.arange(most, device=length.device)
    is_half = (index == 0) | (index == count.unsqueeze(-1) - 1)
    windows, supports, powers, lags = (reference.new_tensor(x) for x in _windows())
    kind = torch.where(index == 0, 1, torch.where(is_half, 2, 0))
    window, support = windows[kind].unsqueeze(1), supports[kind].unsqueeze(1)
    power, unbiased = powers[kind].unsqueeze(1), lags[is_half.long()].unsqueeze(1)

    def segments(x: Tensor) -> Tensor:
        frames = F.pad(x, (0, _SEGMENT)).unfold(-1, _SEGMENT, half)[..., :most, :]
        frames = frames * window
        mean = frames.sum(-1, keepdim=True) / support.sum(-1, keepdim=True)
        return frames - mean * support

    x, y = segments(reference), segments(processed)
    x_square, y_square = (v.square().sum(-1) * power for v in (x, y))
    n = 432  # above a segment and the lags
    products = torch.fft.rfft(x, n) * torch.fft.rfft(y, n).conj()
    correlation = torch.fft.irfft(products, n)
    correlation = torch.cat([correlation[..., -_LAGS:], correlation[..., : _LAGS + 1]], -1)
    correlation = correlation * unbiased
    peak = correlation.abs().amax(-1)
    tiny = torch.finfo(peak.dtype).tiny
    exact = (peak.detach() / (x_square * y_square.detach()).clamp(min=tiny).sqrt()).clamp(0, 1)
    heard = y_square.detach() > 0.01 * _JUST_HEARD
    signed = torch.where(heard, peak, correlation[..., _LAGS])
    soft = signed / (x_square * (y_square + _JUST_HEARD)).clamp(min=tiny).sqrt()
    valid = (index < count.unsqueeze(-1)).unsqueeze(1)
    covariance = torch.where(exact < 1, soft - soft.detach(), 0) + exact
    return Tiles(covariance * valid, 2 * x_square * valid)


@cache
def _windows() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of whole, first and last segments: windows, where they are, what their power is divided by.

    The fourth is what the correlation at each lag is, for whole segments and half ones.
    """
    half = _SEGMENT // 2
    window, nothing = np.hanning(_SEGMENT), np.zeros(half)
    windows = np.stack([window, np.r_[window[half:], nothing], np.r_[window[:half], nothing]])
    supports = np.ones_like(windows)
    supports[1:, half:] = 0
    powers = 1 / np.square(windows).sum(1)
    lags = []
    for w in (window, window[half:]):
        middle = len(w) - 1
        lags.append(1 / correlate(w, w)[middle - _LAGS : middle + _LAGS + 1])
    return windows, supports, powers, np.stack(lags)


def noise(x: Tensor, seed: int, first_band: int) -> Tensor:
    """Noise at the threshold, the same for all items and in every call.

    Shape:
        - x: ``(batch, band, time)``
        - output: ``(band, time)``
    """
    gain = 10 ** ((_NOISE_DB - LEVEL_DB) / 20)
    rows = []
    for band in range(first_band, first_band + x.shape[1]):
        generator = torch.Generator(x.device).manual_seed(seed * N_BANDS + band)
        rows.append(torch.randn(x.shape[-1], generator=generator, device=x.device, dtype=x.dtype))
    return gain * torch.stack(rows)


def vibration_index(tiles: Tiles) -> Tensor:
    """Mean covariance of the tiles that are heard, weighted by synchrony: ``(batch,)``."""
    level = tiles.power.sqrt()
    heard = loudness(level) > THRESHOLD_DB
    weights = tiles.power.new_tensor(cochlea.synchrony()).unsqueeze(-1)
    weights = weights * (level > THRESHOLD_DB) * heard.unsqueeze(1)
    total = weights.sum((1, 2))
    mean = (weights * tiles.covariance).sum((1, 2)) / total.clamp(min=1e-6)
    return mean * (heard.sum(-1) > 1)


def loudness(decibel: Tensor) -> Tensor:
    """Level of the mean amplitude over bands: ``(batch, segment)``."""
    return 20 * torch.log10((10 ** (decibel / 20)).mean(1))


def cepstral_index(reference: Tensor, processed: Tensor, count: Tensor) -> Tensor:
    """Correlation of the cepstra of the envelopes, in the modulations above 20 Hz: ``(batch,)``.

    Only segments in which the reference is heard count; the others are cut out.

    Args:
        reference: smoothed envelopes in dB.
        processed: those of the other sound.
        count: segments of each item.

    Shape:
        - reference, processed: ``(batch, band, segment)``
    """
    index = torch.arange(reference.shape[-1], device=count.device)
    heard = (loudness(reference) > THRESHOLD_DB) & (index < count.unsqueeze(-1))
    order = torch.argsort((~heard).to(torch.int8), dim=-1, stable=True)
    kept = heard.sum(-1)
    inside = (index < kept.unsqueeze(-1)).unsqueeze(1)
    number = kept.clamp(min=1).view(-1, 1, 1)
    basis = reference.new_tensor(cochlea.cepstral_basis())
    filters = reference.new_tensor(cochlea.modulation_filters()).unsqueeze(1)

    def modulations(envelope: Tensor) -> Tensor:
        """Without their mean: ``(batch, cepstrum, filter, segment)``."""
        cepstra = basis @ envelope.gather(-1, order.unsqueeze(1).expand_as(envelope))
        cepstra = (cepstra - (cepstra * inside).sum(-1, keepdim=True) / number) * inside
        bands = F.conv1d(cepstra.flatten(0, 1).unsqueeze(1), filters, padding="same")
        bands = bands.unflatten(0, cepstra.shape[:2]) * inside.unsqueeze(1)
        mean = bands.sum(-1, keepdim=True) / number.unsqueeze(1)
        return (bands - mean) * inside.unsqueeze(1)

    x, y = modulations(reference), modulations(processed)
    xy, xx, yy = ((a * b).sum(-1) for a, b in ((x, y), (x, x), (y, y)))
    product = torch.where(xy < 0, -xy, xy) / ((xx + 1e-12) * (yy + _JUST_HEARD)).sqrt()
    silent = (xx < 1e-12) | (yy < 1e-12)
    exact = torch.where(silent, 0, xy.abs() / (xx * yy).clamp(min=1e-24).sqrt()).detach()
    correlation = product - product.detach() + exact
    return correlation.mean((1, 2)) * (kept > 1)


def spectrum_indices(reference: Tensor, processed: Tensor) -> tuple[Tensor, Tensor]:
    """Likeness of long-term spectra, absolute and relative in each band: ``(batch,)`` each.

    Shape:
        - reference, processed: levels in dB above the threshold, ``(batch, band)``
    """
    x, y = (10 ** (level / 20) for level in (reference, processed))
    x, y = x / x.sum(-1, keepdim=True), y / y.sum(-1, keepdim=True)
    difference, relative = x - y, (x - y) / (x + y)

    def deviation(values: Tensor) -> Tensor:
        return (values.var(-1, correction=0) + 1e-20).sqrt() * N_BANDS

    return (
        (1 - deviation(difference) / 2.5).clamp(0, 1),
        (1 - deviation(relative) / 25).clamp(0, 1),
    )
