"""Analysis windows of a frame, their canonical dual, and the slicing window. NumPy float64.

Sources: Holighaus, Dörfler, Velasco, Grill (2013), arXiv:1210.0084, for plateaus and the slicing
window; Balazs et al. (2011), "Theory, implementation and applications of nonstationary Gabor
frames", for the dual in the painless case; Harris (1978) for the windows.
"""

from __future__ import annotations

import numpy as np

from asteroid_slicq.transform.checks import check_choice
from asteroid_slicq.transform.scales import Array

WINDOWS = {
    # Harris (1978), in the variant whose coefficients cancel exactly at the edge
    "blackman-harris": (0.35872, 0.48832, 0.14128, 0.01168),
    "hann": (0.5, 0.5),
    "sine": (),
}
"""Coefficients a_i of Σ_i a_i·cos(2π·i·j/M); the sine window, cos(π·j/M), is no such sum."""


def bell(window: str, width: int) -> Array:
    """A window at −width/2 ≤ j < width/2, one at 0; an unknown one is a ``ValueError``."""
    check_choice("window", window, list(WINDOWS))
    j = np.arange(width) - width // 2
    if window == "sine":
        return np.where(j == -width / 2, 0.0, np.cos(np.pi * j / width))
    terms = enumerate(WINDOWS[window])
    return np.sum([a * np.cos(2 * np.pi * i * j / width) for i, a in terms], axis=0)


def analysis_windows(widths: np.ndarray, window: str) -> tuple[Array, ...]:
    """One bell a bin; a plateau for a DC or Nyquist bin that is wider than its neighbour.

    A bell there would leave a hole between the two. The plateau's flanks are the neighbour's, Hann.
    """
    windows = [bell(window, int(m)) for m in widths]
    for end, neighbour in ((0, 1), (-1, -2)):
        m, flank = int(widths[end]), int(widths[neighbour])
        if m > flank:
            hann = bell("hann", flank)
            rise, fall = hann[: flank // 2], hann[flank // 2 :]
            windows[end] = np.concatenate([rise, np.ones(m - flank), fall])
    return tuple(windows)


def canonical_dual(
    windows: tuple[Array, ...], positions: np.ndarray, lengths: np.ndarray, n: int
) -> tuple[Array, ...]:
    """``M_k·g_k / Σ_j M_j·|g_j|²``, the sum over the full spectrum with its mirror image.

    The frame is painless: each window is no longer than its own IDFT, so the frame operator is
    multiplication by that sum, and dividing by it inverts the transform exactly. A DFT bin, of n,
    that no window covers is a ``ValueError``.
    """
    total = np.zeros(n)
    for k, (g, p, m) in enumerate(zip(windows, positions, lengths, strict=True)):
        bins = p + np.arange(len(g)) - len(g) // 2
        np.add.at(total, bins % n, m * g**2)
        if 0 < k < len(lengths) - 1:
            np.add.at(total, -bins % n, m * g**2)
    hole = np.flatnonzero(total < 1e-10 * total.max())
    if len(hole):
        raise ValueError(
            f"no bin covers the DFT bins {hole[0]} … {hole[-1]} of {n}: use more bins, a wider "
            "bandwidth_factor, or a longer slice"
        )
    return tuple(
        m * g / total[(p + np.arange(len(g)) - len(g) // 2) % n]
        for g, p, m in zip(windows, positions, lengths, strict=True)
    )


def tukey(t: Array, slice_length: int, transition_length: int) -> Array:
    """The slicing window at times ``t`` in samples, 0 ≤ t < slice_length, fractions allowed.

    Zero on the outer N/4 − tr/2 samples, half a Hann over tr samples around N/4, one between.
    Windows of slices half a slice apart sum to one at every t.
    """
    half = slice_length / 2
    late = t >= half
    u = np.clip((np.where(late, t - half, t) - half / 2) / transition_length + 0.5, 0, 1)
    rise = 0.5 * (1 - np.cos(np.pi * u))
    return np.where(late, 1 - rise, rise)
