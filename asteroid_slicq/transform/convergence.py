"""Speed of convergence of the inverse of the overlap-added layout.

Let A be the overlap-added analysis and R one pass of synthesis. R∘A is not quite the identity,
since the impulse responses of narrow bins are longer than the zero margin of a slice and wrap
around its ends. With E = I − R∘A, n passes of ``x ← x + R(c − A x)`` leave the error E^n x, so
‖E‖^n bounds it for every signal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from asteroid_slicq.transform.frame_config import FrameConfig
from asteroid_slicq.transform.operators import Maps

PRECISION_DB = {torch.complex64: 120.0, torch.complex128: 250.0}
"""The error that an inverse is to reach, in dB below the signal."""

SLOWEST = 0.9
"""The largest factor by which a pass may shrink the error."""

_ITERATIONS = 12
_USUAL_REMEDY = "use window='hann' and a larger min_width, or a longer slice_length"


def contraction(maps: Maps) -> float:
    """‖I − R∘A‖, by power iteration on E*E over noise of four slices.

    Below one for every frame that was tried (docs/overlap_add.md); the smaller, the fewer passes.
    The maps are ``slicqt.maps(torch.float64)``, on the CPU.
    """
    n_slices, length = 2 * 4 + 1, 4 * maps.layout.n_fft
    transposed = maps.transposed()

    def error(x: torch.Tensor, maps: Maps) -> torch.Tensor:
        return x - maps.synthesise(maps.analyse(x, n_slices), length)

    # From NumPy, for torch.func.vmap refuses random numbers.
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((1, length)))
    norm = 0.0
    for _ in range(_ITERATIONS):
        y = error(x / x.norm(), maps)
        norm = float(y.norm())
        x = error(y, transposed)  # (R A)* = A* R*
    return norm


def passes_needed(
    norm: float, decibels: float, remedy: Callable[[], str] = lambda: _USUAL_REMEDY
) -> int:
    """Passes after which ‖E‖^n lies so many decibels below the signal.

    Args:
        norm: what :func:`contraction` returned.
        decibels: the precision, above 0.
        remedy: what to do where the passes do not converge, in a clause.

    Raises:
        RuntimeError: when the passes do not converge.
    """
    if not norm < SLOWEST:
        raise RuntimeError(
            f"each pass of the overlap-added inverse multiplies the error by {norm:.3g} where "
            f"{SLOWEST} is the most allowed; {remedy()}"
        )
    return max(1, math.ceil(decibels / (-20 * math.log10(max(norm, 1e-300)))))


def remedy(config: FrameConfig, norm_of: Callable[[FrameConfig], float]) -> str:
    """One argument with which the passes of a frame converge, by their :func:`contraction`."""
    for name, value in _faster(config):
        try:
            norm = norm_of(replace(config, **{name: value}))
        except ValueError:  # no frame
            continue
        if norm < SLOWEST:
            return f"{name} = {value!r} works"
    return _USUAL_REMEDY


def _faster(config: FrameConfig) -> Iterator[tuple[str, Any]]:
    """Arguments that make the passes of a frame converge faster, one at a time."""
    for factor in (1, 1.5, 2, 3, 4):
        width = 4 * math.ceil(max(16, factor * config.min_width) / 4)
        if width > config.min_width:
            yield "min_width", width
    if config.transition_length is not None:
        yield "transition_length", None
    yield "window", "hann"
    yield "bandwidth_factor", max(1.0, 2 * config.bandwidth_factor)
