"""Frequency scales: centre frequencies and bandwidths of the bins of a constant-Q-like transform.

A scale maps the bin index to a centre frequency. On an auditory or musical axis the bins are
equally spaced, so a scale is one warping function and its inverse:

    f_k = F(k) = warp⁻¹(warp(f_min) + k·step),    Q_k = F(k) / (2·F'(k)),

the quality factor of a filter as wide as the distance between its two neighbours. On the log and
octave scales the derivative is taken as the difference F(k + ½) − F(k − ½), which makes
Q = 1 / (4·sinh(step/2)), where step = ln 2 / b at b bins per octave.

On the variable-Q scale the bins lie as on the log scale, and the bandwidth is that of Schörkhuber,
Klapuri, Holighaus, Dörfler (AES 2014), f_k·(2^(1/b) − 2^(−1/b)) + γ. Without γ that is the distance
between the neighbours themselves: the log scale's Q divided by cosh(step/2).
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asteroid_slicq.transform.checks import check_choice, check_integer, check_number
from asteroid_slicq.vocabulary import SCALES

Array = NDArray[np.float64]
Scale = str | Sequence[ArrayLike] | Callable[[], Sequence[ArrayLike]]
"""A name of ``vocabulary.SCALES``, a pair ``(f_hz, q)``, or an object that returns one."""


@dataclass(frozen=True)
class Warp:
    """A monotone frequency axis: ``forward`` in Hz → units, ``inverse`` and its derivative."""

    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    """d(Hz)/d(unit), given in units."""


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
    "log": Warp(np.log, np.exp, np.exp),
    "linear": Warp(lambda f: f, lambda z: z, np.ones_like),
}

_MARGIN = 1e-6  # f_min_hz / f_max_hz stays this far from 1, and from 0 on a log axis


def design_scale(
    scale: Scale, n_bins: int, f_min_hz: float, f_max_hz: float, *, gamma_hz: float = 0.0
) -> tuple[Array, Array]:
    """Centre frequencies and quality factors (centre frequency / bandwidth) of the bins.

    The arguments are those of :class:`FrameConfig`. Of a pair ``(f_hz, q)``, given or returned,
    which is the scale as it stands, all others are ignored. On ``bark``, ``mel``, ``erb`` and
    ``linear`` an ``f_min_hz`` of 0 is allowed, with a Q of 0 there. On ``octave`` the steps are
    exactly 2^(1/n_bins), and the last bin is the highest that is not above ``f_max_hz``. (``nsgt``
    narrows the steps until one meets it; its scale objects can be passed as ``scale``.)

    Shape:
        - output: ``(n_bins,)`` each, float64; on ``octave`` and from a pair, as many as there are

    Raises:
        TypeError: when an argument, or what a scale object returns, is of a wrong type.
        ValueError: for an unknown scale, too few bins, an empty frequency range, a ``gamma_hz``
            that is negative or on another scale than ``vqlog``, or a pair that is no scale. The
            message holds the nearest value that works.

    Example:
        >>> f_hz, q = design_scale("log", 13, 440.0, 880.0)
        >>> round(float(f_hz[7]), 2), round(float(q[7]), 2)
        (659.26, 8.65)
        >>> f_hz, q = design_scale("octave", 12, 440.0, 1000.0)
        >>> len(f_hz), round(float(f_hz[-1]), 2), round(float(q[-1]), 2)
        (15, 987.77, 8.65)
        >>> design_scale(([100.0, 200.0], [1.0, 2.0]), 0, 0, 0)
        (array([100., 200.]), array([1., 2.]))
    """
    if isinstance(scale, str):
        check_choice("scale", scale, sorted(SCALES))
    _check_gamma(scale, gamma_hz)
    if not isinstance(scale, str):
        return given_scale(scale)
    _check_range(scale, n_bins, f_min_hz, f_max_hz)

    if scale == "octave":
        step = np.log(2) / n_bins
        steps = n_bins * np.log2(f_max_hz / f_min_hz)
        n_steps = int(np.floor(steps + 1e-9))  # an f_max_hz on the grid stays, despite rounding
        f_hz = f_min_hz * np.exp2(np.arange(n_steps + 1) / n_bins)
        if abs(steps - n_steps) < 1e-9:
            f_hz[-1] = f_max_hz
        return f_hz, np.full_like(f_hz, 1 / (4 * np.sinh(step / 2)))

    warp = WARPS["log" if scale == "vqlog" else scale]
    ends = warp.forward(np.array([f_min_hz, f_max_hz], dtype=np.float64))
    step = (ends[1] - ends[0]) / (n_bins - 1)
    units = ends[0] + step * np.arange(n_bins)
    f_hz = warp.inverse(units)
    f_hz[[0, -1]] = f_min_hz, f_max_hz  # free of rounding, on which a bin's width may hang
    if scale == "log":
        return f_hz, np.full_like(f_hz, 1 / (4 * np.sinh(step / 2)))
    if scale == "vqlog":
        return f_hz, f_hz / (2 * np.sinh(step) * f_hz + gamma_hz)
    return f_hz, f_hz / (2 * step * warp.derivative(units))


def _check_gamma(scale: Scale, gamma_hz: float) -> None:
    check_number("gamma_hz", gamma_hz)
    if not 0 <= gamma_hz < np.inf:
        rule = "must be finite and at least 0 Hz"
    elif gamma_hz and not (isinstance(scale, str) and scale == "vqlog"):
        name = f"{scale!r}" if isinstance(scale, str) else "a scale given by its bins"
        rule = f"must be 0 Hz on every scale but 'vqlog', and this is {name}"
    else:
        return
    raise ValueError(f"gamma_hz {rule}, got {gamma_hz} Hz; nearest that works: 0.0 Hz")


def _check_range(scale: str, n_bins: int, f_min_hz: float, f_max_hz: float) -> None:
    check_integer("n_bins", n_bins)
    check_number("f_min_hz", f_min_hz)
    check_number("f_max_hz", f_max_hz)
    octave = scale == "octave"
    least = 1 if octave else 2
    if n_bins < least:
        raise ValueError(
            f"n_bins{' (per octave)' * octave} must be at least {least} on the {scale} scale, "
            f"got {n_bins}; nearest that works: {least}"
        )
    share = 2 ** (-1 / n_bins) if octave else 1 - _MARGIN  # most of f_max_hz that f_min_hz may be
    if not 0 < f_max_hz < np.inf:
        raise ValueError(
            f"f_max_hz must be finite, above 0 Hz and above f_min_hz = {f_min_hz} Hz, "
            f"got {f_max_hz} Hz; nearest that works: {max(1.0, float(f_min_hz)) / share} Hz"
        )
    lowest = float(f_max_hz * _MARGIN if scale in ("log", "vqlog", "octave") else 0)
    highest = float(f_max_hz * share)
    if not lowest <= f_min_hz <= highest * (1 + 1e-12):
        gap = f"a step of 2^(1/{n_bins}) or more " * octave
        raise ValueError(
            f"f_min_hz must lie {gap}below f_max_hz = {f_max_hz} Hz and be at least {lowest:.6g} "
            f"Hz on the {scale} scale, got {f_min_hz} Hz; "
            f"nearest that works: {highest if f_min_hz > highest else lowest} Hz"
        )


def given_scale(scale: Any) -> tuple[Array, Array]:
    """Frequencies and quality factors of a scale given by its bins, as new float64 arrays."""
    name, pair = "scale", scale
    if callable(scale):
        name = "what scale returns"
        try:
            pair = scale()
        except TypeError as error:
            raise TypeError(
                f"scale must return (f_hz, q) when called without arguments: {error}"
            ) from error
    if not isinstance(pair, tuple | list | np.ndarray) or len(pair) != 2:
        wanted = "a pair of arrays (f_hz, q)" + (
            ", a name or a callable that returns such a pair" * (name == "scale")
        )
        raise TypeError(f"{name} must be {wanted}, got {reprlib.repr(pair)}")
    f_hz, q = _vector(f"f_hz of {name}", pair[0]), _vector(f"q of {name}", pair[1])

    if len(f_hz) < 2 or len(q) != len(f_hz):
        raise ValueError(
            f"f_hz and q of {name} must have one length of at least 2, got {len(f_hz)} and "
            f"{len(q)}; nearest that works: {max(2, min(len(f_hz), len(q)))}"
        )
    if f_hz[0] < 0:
        raise ValueError(
            f"f_hz of {name} must be at least 0 Hz, got f_hz[0] = {f_hz[0]} Hz; "
            "nearest that works: 0.0 Hz"
        )
    for k in np.flatnonzero(np.diff(f_hz) <= 0)[:1]:
        raise ValueError(
            f"f_hz of {name} must increase strictly, got f_hz[{k}] = {f_hz[k]} Hz and "
            f"f_hz[{k + 1}] = {f_hz[k + 1]} Hz; nearest that works: f_hz[{k + 1}] above {f_hz[k]} "
            "Hz, or f_hz sorted, and q with it, without the repeats"
        )
    for k in np.flatnonzero((q < 0) | ((q == 0) & (f_hz > 0)))[:1]:
        usual = f_hz[k] / (2 * np.gradient(f_hz)[k])
        raise ValueError(
            f"q of {name} must be above 0 (at least 0 for a bin at 0 Hz), got q[{k}] = {q[k]}; "
            f"that of a bin as wide as its neighbours are apart works: {usual}"
        )
    return f_hz, q


def _vector(name: str, values: Any) -> Array:
    if hasattr(values, "detach"):  # a tensor, which may require gradients
        values = values.detach().cpu()
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array of numbers: {error}") from error
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be an array of real numbers, got {reprlib.repr(values)}")
    if array.ndim != 1:
        raise ValueError(
            f"{name} must have one dimension, got shape {array.shape}; "
            f"nearest that works: ({array.size},)"
        )
    for k in np.flatnonzero(~np.isfinite(array))[:1]:
        raise ValueError(f"{name} must be finite, got {array[k]} at index {k}: leave that bin out")
    return array.astype(np.float64)  # a copy
