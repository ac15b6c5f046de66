"""How fast the inverse of the overlap-added layout converges.

Let A be the overlap-added analysis and R one pass of synthesis. R∘A is not quite the identity,
since the impulse responses of narrow bins are longer than the zero margin of a slice and wrap
around its ends. With E = I − R∘A, n passes of ``x ← x + R(c − A x)`` leave the error E^n x, so
‖E‖^n bounds it for every signal.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from asteroid_slicq.transform.layout import Windows
from asteroid_slicq.transform.operators import analyse, synthesise

if TYPE_CHECKING:
    from asteroid_slicq.transform.slicqt import SliCQT

PRECISION_DB = {torch.complex64: 120.0, torch.complex128: 250.0}
"""What an inverse is to reach, in dB below the signal."""

_ITERATIONS = 12


def contraction(slicqt: SliCQT) -> float:
    """‖I − R∘A‖, by power iteration on E*E over noise of four slices, in float64.

    Below one for every frame that was tried (docs/overlap_add.md); the smaller, the fewer passes.
    """
    slicqt = copy.deepcopy(slicqt).cpu().double()
    slicing = slicqt._slicing()
    there, back = (
        of(torch.float64) for of in (slicqt._analysis_windows, slicqt._synthesis_windows)
    )
    length = 4 * slicqt.frame.slice_length
    n_slices = slicqt.frame.n_slices(length)

    def error(x: torch.Tensor, first: Windows, second: Windows) -> torch.Tensor:
        blocks = analyse(x, n_slices, slicing, first)
        return x - synthesise(blocks, length, slicing, second)

    # From NumPy, for torch.func.vmap refuses random numbers.
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((1, length)))
    norm = 0.0
    for _ in range(_ITERATIONS):
        y = error(x / x.norm(), there, back)
        norm = float(y.norm())
        x = error(y, back.transposed(), there.transposed())  # (R A)* = A* R*
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
