"""Speed of convergence of the inverse of the overlap-added layout.

Let A be the overlap-added analysis and R one pass of synthesis. R∘A is not quite the identity,
since the impulse responses of narrow bins are longer than the zero margin of a slice and wrap
around its ends. With E = I − R∘A, n passes of ``x ← x + R(c − A x)`` leave the error E^n x, so
‖E‖^n bounds it for every signal.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from asteroid_slicq.transform.operators import Maps

PRECISION_DB = {torch.complex64: 120.0, torch.complex128: 250.0}
"""The error that an inverse is to reach, in dB below the signal."""

_ITERATIONS = 12


def contraction(maps: Maps) -> float:
    """‖I − R∘A‖, by power iteration on E*E over noise of four slices.

    Below one for every frame that was tried (docs/overlap_add.md); the smaller, the fewer passes.

    Args:
        maps: A and R in float64 on the CPU: ``slicqt.maps(torch.float64)``.
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


def passes_needed(norm: float, dtype: torch.dtype) -> int:
    """Passes after which ‖E‖^n lies below the precision of complex coefficients.

    Args:
        norm: what :func:`contraction` returned.
        dtype: complex64 or complex128.

    Raises:
        RuntimeError: when the passes do not converge.
    """
    if norm >= 0.9:
        raise RuntimeError(
            f"the passes of the overlap-added inverse shrink the error by {norm:.3f} alone; use "
            'window="hann" and a larger min_width, or a longer slice_length'
        )
    return max(1, math.ceil(PRECISION_DB[dtype] / (-20 * math.log10(norm))))
