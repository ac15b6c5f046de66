"""Design of the ear: bands, their compression under a hearing loss, and filters, in float64.

All numbers are those of Kates & Arehart (2016) and of the model of the periphery that it rests on
(Kates, "An auditory model for intelligibility and quality predictions", Proceedings of Meetings on
Acoustics 19, 2013). Filters are given by their response at frequencies, not by coefficients: they
are applied in the frequency domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from asteroid_slicq.hearing.audiograms import AUDIOGRAM_HZ

Array = NDArray[np.float64]
_scipy: Any = signal

EAR_RATE = 24000
"""Sample rate of the ear, in Hz."""

N_BANDS = 32
NALR_TAPS = 141
LEVEL_DB = 65.0
"""Level in dB SPL of a signal whose root mean square is 1."""

KNEE_HIGH_DB = 100.0

_EAR_Q, _MIN_BANDWIDTH_HZ = 9.26449, 24.7  # Moore and Glasberg (1983)
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 8000.0
_RAPID_S, _SHORT_S, _OVERSHOOT = 0.002, 0.06, 2.0


@dataclass(frozen=True)
class Bands:
    """The bands of an ear with some hearing loss; arrays of :data:`N_BANDS`.

    Attributes:
        outer_db: attenuation by lost outer hair cells.
        inner_db: attenuation by lost inner hair cells.
        width: bandwidth of the filters at low levels, relative to a normal ear.
        knee_db: level in dB SPL up to which the response is linear.
        slope: 1 less the inverse of the compression ratio above the knee.
    """

    outer_db: Array
    inner_db: Array
    width: Array
    knee_db: Array
    slope: Array


def centre_hz() -> Array:
    """Centre frequencies of the bands, equally spaced in equivalent rectangular bandwidths."""
    offset = _EAR_Q * _MIN_BANDWIDTH_HZ
    return np.geomspace(_LOWEST_HZ + offset, _HIGHEST_HZ + offset, N_BANDS) - offset


def bandwidth_hz() -> Array:
    """Equivalent rectangular bandwidths of the bands."""
    return _MIN_BANDWIDTH_HZ + centre_hz() / _EAR_Q


def bands_of(loss_db: Array) -> Bands:
    """Share a hearing loss out between outer and inner hair cells.

    Outer hair cells take four fifths of it, up to the loss that leaves no compression.
    """
    centres = centre_hz()
    ends = np.r_[centres[0], AUDIOGRAM_HZ, centres[-1]]
    loss = np.interp(centres, ends, np.r_[loss_db[0], loss_db, loss_db[-1]]).clip(min=0)
    ratio = np.linspace(1.25, 3.5, N_BANDS)
    most = 1.25 * 70 * (1 - 1 / ratio)  # the loss at which nothing of the compression is left
    outer = 0.8 * np.minimum(loss, most)
    knee = outer + 30
    impaired_ratio = (100 - knee) / (30 + 70 / ratio + outer - knee)
    return Bands(
        outer_db=outer,
        inner_db=loss - outer,
        width=1 + outer / 50 + 2 * (outer / 50) ** 6,
        knee_db=knee,
        slope=1 - 1 / impaired_ratio,
    )


def widest() -> Array:
    """Relative bandwidths of an ear without outer hair cells, which the control has."""
    return bands_of(np.full(len(AUDIOGRAM_HZ), 100.0)).width


def _response(coefficients: tuple[Array, Array], omega: Array) -> NDArray[np.complex128]:
    return _scipy.freqz(*coefficients, worN=omega)[1]


def middle_ear(omega: Array) -> NDArray[np.complex128]:
    """Response of the middle ear at angular frequencies in radians a sample."""
    low = _response(_scipy.butter(1, 5000, fs=EAR_RATE), omega)
    high = _response(_scipy.butter(2, 350, "high", fs=EAR_RATE), omega)
    return low * high


def gain_smoothing(omega: Array) -> NDArray[np.complex128]:
    """Response of the filter at 800 Hz that the gain of the compression passes."""
    return _response(_scipy.butter(1, 800, fs=EAR_RATE), omega)


def adaptation(omega: Array) -> NDArray[np.complex128]:
    """Response of the rapid and the short-term adaptation of the inner hair cells.

    A circuit of two capacitors and three resistors, in backward differences: with the voltages
    ``v1`` and ``v2`` of the capacitors and the input ``v0``, ``A (v1, v2) = B (v1', v2') + (r2 v0,
    0)``, a prime meaning a sample before; the output is ``(v0 - v1) / r1``.
    """
    r1 = 1 / _OVERSHOOT
    r2 = r3 = (1 - r1) / 2
    first = _RAPID_S * (r1 + r2) * EAR_RATE  # r1 r2 C1, in samples
    second = r2 * _SHORT_S / (r1 + r2) * EAR_RATE  # r2 r3 C2
    delay = np.exp(-1j * omega).astype(np.complex128)
    a11 = r1 + r2 + first * (1 - delay)
    a22 = r2 + r3 + second * (1 - delay)
    v1 = r2 * a22 / (a11 * a22 - r1 * r3)
    return ((1 - v1) / r1).astype(np.complex128)


def nalr(loss_db: Array, sample_rate: float, n_taps: int = NALR_TAPS) -> Array:
    """Filter of the linear amplification NAL-R for a hearing loss; a delay alone for none.

    Byrne & Dillon, "The National Acoustic Laboratories' new procedure for selecting the gain and
    frequency response of a hearing aid", Ear and Hearing 7(4), 1986.

    Args:
        loss_db: at the frequencies of an audiogram, in dB HL.
        sample_rate: in Hz.
        n_taps: odd; the delay is half of it.
    """
    taps = np.zeros(n_taps)
    taps[n_taps // 2] = 1
    if loss_db.max() <= 0:
        return taps
    mid = loss_db[1:4].sum()
    common = 0.05 * mid if mid <= 180 else 9 + 0.116 * (mid - 180)
    gain_db = (common + 0.31 * loss_db + [-17, -8, 1, -1, -2, -2]).clip(min=0)
    grid = np.linspace(0, sample_rate / 2, n_taps)
    gains = 10 ** (np.interp(grid, AUDIOGRAM_HZ, gain_db) / 20)
    return _scipy.firwin2(n_taps, grid, gains, fs=sample_rate)


def modulation_filters() -> Array:
    """Filters of the four modulation bands above 20 Hz, at 250 envelope samples a second."""
    edges = [20.0, 32.0, 50.0, 80.0]
    design = partial(_scipy.firwin, 129, window="hann", fs=250.0)
    passing = [design(pair, pass_zero="bandpass") for pair in pairwise(edges)]
    return np.stack([*passing, design(edges[-1], pass_zero="highpass")])


def cepstral_basis() -> Array:
    """Half cosines over the bands, of unit norm, without the constant one: ``(5, band)``."""
    basis = np.cos(np.outer(np.arange(1, 6), np.arange(N_BANDS)) * np.pi / (N_BANDS - 1))
    return basis / np.linalg.norm(basis, axis=1, keepdims=True)


def synchrony() -> Array:
    """Weights of the bands by the synchronisation of inner hair cells: 5 poles at 3.5 kHz."""
    return 1 / np.sqrt(1 + (centre_hz() / 3500.0) ** 10)
