"""Signals on their way to the ear: resampled, aligned, shifted and cut, each by its own amount."""

from __future__ import annotations

from functools import cache
from math import gcd
from typing import Any

import numpy as np
import torch
from scipy import signal
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional as F

from asteroid_slicq.hearing.cochlea import EAR_RATE

_scipy: Any = signal
_TINY = 1e-12


def fast_length(least: int) -> int:
    """A length of which Fourier transforms are fast."""
    return int(next_fast_len(least, real=True) or least)


def resample(x: Tensor, sample_rate: float) -> Tensor:
    """Resample to the ear's rate and keep the level in the ear's range, up to 10.5 kHz.

    As the index defines it, the input's rate counts in whole kilohertz.

    Shape:
        - x: ``(batch, time)``
    """
    khz = round(sample_rate / 1000)
    if 1000 * khz == EAR_RATE:
        return x
    up, down = (rate // gcd(khz, EAR_RATE // 1000) for rate in (EAR_RATE // 1000, khz))
    kernels, first = _polyphase(up, down)
    n_out = -(-x.shape[-1] * up // down)
    n_groups = -(-n_out // up)
    weight = x.new_tensor(kernels).unsqueeze(1)
    after = (n_groups - 1) * down + weight.shape[-1] + first - x.shape[-1]
    padded = F.pad(x, (-first, max(0, after))).unsqueeze(1)
    y = F.conv1d(padded, weight, stride=down)[..., :n_groups]
    y = y.transpose(1, 2).flatten(1)[:, :n_out]
    if 1000 * khz < EAR_RATE:
        before, now = x.square().mean(-1), y.square().mean(-1)
    else:
        before, now = _mean_square(x, khz), _mean_square(y, EAR_RATE // 1000)
    ratio = (before + _TINY) / (now + _TINY)
    return y * ratio.sqrt().unsqueeze(-1)


@cache
def _polyphase(up: int, down: int) -> tuple[np.ndarray, int]:
    """Kernels of a group of ``up`` outputs on the inputs from ``first``: ``(output, input)``."""
    half = 10 * max(up, down)
    taps = up * _scipy.firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", 5.0))
    first = -(half // up)
    last = ((up - 1) * down + half) // up
    kernels = np.zeros((up, last - first + 1))
    for output in range(up):
        at = output * down - up * np.arange(first, last + 1) + half
        inside = (at >= 0) & (at < len(taps))
        kernels[output, inside] = taps[at[inside]]
    return kernels, first


def _mean_square(x: Tensor, khz: int) -> Tensor:
    """Mean square of what a Chebyshev filter at 10.5 kHz passes: ``(batch,)``."""
    n = fast_length(x.shape[-1] + 1000)
    spectrum = torch.fft.rfft(x, n)
    power = spectrum.real.square() + spectrum.imag.square()
    return (power @ x.new_tensor(_below_10_5_khz(khz, n))) / x.shape[-1]


@cache
def _below_10_5_khz(khz: int, n: int) -> np.ndarray:
    omega = 2 * np.pi * np.arange(n // 2 + 1) / n
    response = _scipy.freqz(*_scipy.cheby2(7, 30, 21 / khz), worN=omega)[1]
    weights = np.abs(response) ** 2 * 2 / n
    weights[0] /= 2
    if n % 2 == 0:
        weights[-1] /= 2
    return weights


def delayed(
    x: Tensor, samples: Tensor, length: Tensor | None = None, start: Tensor | None = None
) -> Tensor:
    """Delay signals by whole samples, negative ones too; zeros come in.

    Args:
        x: the signals.
        samples: by how many, integers.
        length: of each signal, behind which there are zeros; None: all of it.
        start: of what comes out, before which there are zeros; None: where the signal starts.

    Shape:
        - x: ``(..., time)``
        - samples, length, start: ``(...)``
    """
    now = torch.arange(x.shape[-1], device=x.device)
    time = now - samples.unsqueeze(-1)
    end = x.shape[-1] if length is None else length.unsqueeze(-1)
    inside = (time >= 0) & (time < end)
    if start is not None:
        inside = inside & (now >= start.unsqueeze(-1))
    return x.gather(-1, time.clamp(0, x.shape[-1] - 1).expand(x.shape)) * inside


@torch.no_grad()
def lag(reference: Tensor, processed: Tensor, most: int | None = None) -> Tensor:
    """Delay of processed signals at the largest cross-correlation; 0 for silent ones.

    Args:
        reference: the signals.
        processed: delayed ones, of the same shape.
        most: the largest delay either way. None: any, and the largest modulus counts.

    Shape:
        - reference, processed: ``(..., time)``
        - output: ``(...)``, integers
    """
    n_time = reference.shape[-1]
    reach = n_time - 1 if most is None else min(most, n_time - 1)
    n = fast_length(n_time + reach + 1)
    spectra = torch.fft.rfft(processed, n) * torch.fft.rfft(reference, n).conj()
    correlation = torch.fft.irfft(spectra, n)
    correlation = torch.cat([correlation[..., n - reach :], correlation[..., : reach + 1]], -1)
    if most is None:
        correlation = correlation.abs()
    found = correlation.argmax(-1) - reach
    return torch.where(processed.abs().amax(-1) > 0, found, 0)


@torch.no_grad()
def extent(reference: Tensor) -> tuple[Tensor, Tensor]:
    """First sample and length of what is louder than −60 dB of the peak; 0 and 0 for silence.

    Shape:
        - reference: ``(batch, time)``
        - output: ``(batch,)`` each
    """
    magnitude = reference.abs()
    loud = (magnitude > 0.001 * magnitude.amax(-1, keepdim=True)).to(torch.int8)
    first, last = loud.argmax(-1), loud.shape[-1] - 1 - loud.flip(-1).argmax(-1)
    return first, torch.where(loud.amax(-1) > 0, last - first + 1, 0)


def filtered(x: Tensor, taps: Tensor, skip: int) -> Tensor:
    """Convolve with a filter, leave out the first samples of what comes out, keep the length."""
    n = fast_length(x.shape[-1] + len(taps))
    y = torch.fft.irfft(torch.fft.rfft(x, n) * torch.fft.rfft(taps, n), n)
    return F.pad(y, (0, skip))[..., skip : skip + x.shape[-1]]
