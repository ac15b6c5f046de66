"""Frequency scales: where the bins of a constant-Q-like transform lie and how narrow they are.

A scale maps the bin index to a centre frequency. On an auditory or musical axis the bins are
equally spaced, so a scale is one warping function and its inverse:

    f_k = F(k) = warp⁻¹(warp(f_min) + k·step),    Q_k = F(k) / (2·F'(k)),

the quality factor of a filter as wide as the distance between its two neighbours. On the log scale
the derivative is taken as the difference F(k + ½) − F(k − ½), which makes Q = 1 / (4·sinh(step/2)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Warp:
    """A monotone frequency axis: ``forward`` in Hz → units, ``inverse`` and its derivative."""

    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    """d(Hz)/d(unit), given in units."""
    positive_f_min: bool = False


_ERB_CORNER_HZ = 1 / 0.00437  # Glasberg & Moore (1990): ERB(f) = 24.7·(0.00437·f + 1)

WARPS: dict[str, Warp] = {
    # Wang, Sekey, Gersho (1992)
    "bark": Warp(
        lambda f: 6 * np.arcsinh(f / 600),
        lambda z: 600 * np.sinh(z / 6),
        lambda z: 100 * np.cosh(z / 6),
    ),
    # O'Shaughnessy (1987)
    "mel": Warp(
        lambda f: 1127.01048 * np.log1p(f / 700),
        lambda z: 700 * np.expm1(z / 1127.01048),
        lambda z: 700 / 1127.01048 * np.exp(z / 1127.01048),
    ),
    "erb": Warp(
        lambda f: 9.264493 * np.log1p(f / _ERB_CORNER_HZ),
        lambda z: _ERB_CORNER_HZ * np.expm1(z / 9.264493),
        lambda z: _ERB_CORNER_HZ / 9.264493 * np.exp(z / 9.264493),
    ),
    "log": Warp(np.log, np.exp, np.exp, positive_f_min=True),
    "linear": Warp(lambda f: f, lambda z: z, np.ones_like),
}


def design_scale(scale: str, n_bins: int, f_min_hz: float, f_max_hz: float) -> tuple[Array, Array]:
    """Centre frequencies and quality factors of ``n_bins`` bins, both ends included.

    Args:
        scale: one of ``bark``, ``mel``, ``erb``, ``log`` (constant Q), ``linear``.
        n_bins: number of bins, at least 2.
        f_min_hz: lowest centre frequency in Hz; 0 is allowed except for ``log``.
        f_max_hz: highest centre frequency in Hz.

    Returns:
        ``(f_hz, q)``, float64.

    Shape:
        - output: ``(n_bins,)`` each.

    Raises:
        ValueError: for an unknown scale, fewer than 2 bins, or an empty frequency range.

    Example:
        >>> f_hz, q = design_scale("log", 13, 440.0, 880.0)
        >>> round(float(f_hz[7]), 2), round(float(q[7]), 2)
        (659.26, 8.65)
    """
    if scale not in WARPS:
        raise ValueError(f"scale must be one of {', '.join(sorted(WARPS))}, got {scale!r}")
    warp = WARPS[scale]
    if n_bins < 2:
        raise ValueError(f"n_bins must be at least 2, got {n_bins}")
    if not 0 <= f_min_hz < f_max_hz:
        raise ValueError(
            f"f_min_hz must lie in 0 ≤ f_min_hz < f_max_hz = {f_max_hz} Hz, got {f_min_hz} Hz"
        )
    if warp.positive_f_min and f_min_hz <= 0:
        raise ValueError(f"f_min_hz must be above 0 Hz on the {scale} scale, got {f_min_hz}")
    ends = warp.forward(np.array([f_min_hz, f_max_hz], dtype=np.float64))
    step = (ends[1] - ends[0]) / (n_bins - 1)
    units = ends[0] + step * np.arange(n_bins)
    f_hz = warp.inverse(units)
    f_hz[[0, -1]] = f_min_hz, f_max_hz  # free of rounding, on which a bin's width may hang
    if scale == "log":
        return f_hz, np.full_like(f_hz, 1 / (4 * np.sinh(step / 2)))
    return f_hz, f_hz / (2 * step * warp.derivative(units))
