"""Sparsity of a source in a transform: measures that need no separation.

The fewer cells of the time-frequency plane hold the energy of a source, the less do sources
overlap there, which is what masks live on. All measures take cells of any size, by the *area* and
the energy *density* of each (:mod:`asteroid_slicq.evaluation.tiling`): a transform that cuts every
cell into two of half the area and the same density has the same measures, so redundancy and block
structure do not count, resolution does. None depends on the loudness. All are NaN where all is
silent, and a ``ValueError`` refuses negative densities, areas that are not above 0, and no cells.

======== ==========================================================================================
gini     Gini index of the magnitudes: Hurley, Rickard (2009), "Comparing measures of sparsity"
renyi    Rényi entropy of order 3 of the energy: Baraniuk, Flandrin, Janssen, Michel (2001),
         "Measuring time-frequency information content using the Rényi entropies"
kurtosis of the magnitudes about zero, mean |c|⁴ / (mean |c|²)²: 2 for Gaussian noise
ridge    energy on ridges less their area; ridges are local maxima along frequency, as in Carmona,
         Hwang, Torrésani (1999), "Multiridge detection and time-frequency reconstruction"; which
         maxima count, and how far their ridges reach, is our choice
======== ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from asteroid_slicq.transform import Array
from asteroid_slicq.vocabulary import SPARSITY_MEASURES

SPARSER_IS_LESS = frozenset({"renyi"})
"""Measures that fall with sparsity; all others rise."""


def gini_index(density: ArrayLike, area: ArrayLike | None = None) -> float:
    """Gini index of magnitudes √density: 0 for a constant, 1 − 1/n for one spike in n equal cells.

    Twice the area between the Lorenz curve (share of the sum of magnitudes against share of the
    area, weakest cells first) and the diagonal.
    """
    density, area = _cells(density, area)
    order = np.argsort(density)
    magnitude, area = np.sqrt(density[order]), area[order]
    mass = np.cumsum(magnitude * area)
    if not mass[-1] > 0:
        return float("nan")
    # Trapezia under the curve from (0, 0) to (1, 1).
    below = np.sum(area * (2 * mass - magnitude * area)) / (area.sum() * mass[-1])
    return float(1 - below)


def renyi_entropy(density: ArrayLike, area: ArrayLike | None = None, order: float = 3) -> float:
    """Rényi entropy in bits: log₂ n for energy spread evenly over n cells of area 1.

    ``log₂(Σ area·p^order) / (1 − order)``, with p the density divided by the whole energy. Of the
    time-frequency plane it is the logarithm of the area, in s × Hz, that the energy fills.
    """
    if not order > 0 or order == 1:
        raise ValueError(f"order must be above 0 and not 1, got {order}")
    density, area = _cells(density, area)
    energy = np.sum(area * density)
    if not energy > 0:
        return float("nan")
    # Relative to the loudest cell, whose share may be far from 1.
    peak = density.max()
    log_sum = np.log2(np.sum(area * (density / peak) ** order)) + order * np.log2(peak / energy)
    return float(log_sum / (1 - order))


def kurtosis(density: ArrayLike, area: ArrayLike | None = None) -> float:
    """Kurtosis about zero, mean |c|⁴ / (mean |c|²)²: 1 for a constant, n for a spike in n cells."""
    density, area = _cells(density, area)
    mean = np.average(density, weights=area)
    if not mean > 0:
        return float("nan")
    return float(np.average(np.square(density / mean), weights=area))


def ridge_concentration(density: ArrayLike, height: ArrayLike | None = None) -> float:
    """Share of the energy that lies on ridges, less the ridges' share of the area.

    A ridge is a local maximum along frequency of at least the mean density at its time, and the
    cells around it, falling away from it on either side, with at least half its density: so neither
    ripple that is too weak to matter counts, nor how finely a lobe is sampled. The area is that of
    each time, weighted by the energy there. 0 for a constant, and for a click, whose ridge runs
    along time; 1 − 1/n for a tone in one of n equal bins.

    Shape:
        - density: ``(freq, time)``; height of each row: ``(freq,)``; None for equal ones
    """
    grid = np.asarray(density, dtype=np.float64)
    if grid.ndim != 2:
        raise ValueError(f"density must be (freq, time), got {grid.shape}")
    rows = np.ones(len(grid)) if height is None else np.asarray(height, dtype=np.float64)
    if rows.shape != grid.shape[:1]:
        raise ValueError(f"height must be {grid.shape[:1]}, got {rows.shape}")
    _cells(grid, rows[:, None])
    energy = float(rows @ grid.sum(1))
    if not energy > 0:
        return float("nan")
    mean = rows @ grid / rows.sum()
    on_ridge = _ridges(grid, (1 - 1e-9) * mean)
    area = mean @ (rows @ on_ridge)
    return float(rows @ np.where(on_ridge, grid, 0).sum(1) - area) / energy


def measure(
    densities: Sequence[Array], areas: Sequence[Array], names: Sequence[str] = SPARSITY_MEASURES
) -> dict[str, float]:
    """The measures of a source in a transform.

    Args:
        densities: of the cells of each block, see :class:`asteroid_slicq.evaluation.tiling.Tiling`.
        areas: of the cells of each bin, in seconds × Hz.
        names: of :data:`asteroid_slicq.vocabulary.SPARSITY_MEASURES`.

    Returns:
        A number for each name, NaN where all is silent. The Rényi entropy is less the logarithm
        of the area of all cells: 0 for energy spread evenly, −8 where it fills 2⁻⁸ of the plane.

    Raises:
        ValueError: for an unknown name.

    Shape:
        - densities: ``(freq, time)`` each, of the same duration
        - areas: ``(freq,)`` each
    """
    density = np.concatenate([d.ravel() for d in densities])
    area = np.concatenate(
        [
            np.broadcast_to(a[:, None], d.shape).ravel()
            for d, a in zip(densities, areas, strict=True)
        ]
    )
    result = {}
    for name in names:
        if name == "gini":
            result[name] = gini_index(density, area)
        elif name == "renyi":
            result[name] = renyi_entropy(density, area) - float(np.log2(area.sum()))
        elif name == "kurtosis":
            result[name] = kurtosis(density, area)
        elif name == "ridge":
            result[name] = ridge_concentration(*_grid(densities, areas))
        else:
            raise ValueError(f"names must be of {', '.join(SPARSITY_MEASURES)}, got {name!r}")
    return result


def _cells(density: ArrayLike, area: ArrayLike | None) -> tuple[Array, Array]:
    density = np.asarray(density, dtype=np.float64)
    area = np.broadcast_to(np.float64(1) if area is None else area, density.shape)
    density, area = density.ravel(), area.astype(np.float64).ravel()
    if density.size == 0 or not density.min() >= 0:
        raise ValueError("density must hold numbers, none of them negative or NaN")
    if not area.min() > 0:
        raise ValueError(f"area must be above 0, got {area.min()}")
    return density, area


def _ridges(grid: Array, least: Array) -> np.ndarray:
    """Mask of the cells that are ridges.

    Shape:
        - grid: ``(freq, time)``; least maximum: ``(time,)``; output: ``(freq, time)``, boolean
    """
    n_bins, n_columns = grid.shape
    ways = (range(n_bins), range(n_bins - 1, -1, -1))
    peaks = (grid >= least) & (grid > 0)
    for rows in ways:
        # A maximum, of however many equal cells, is reached uphill from both sides.
        before, is_up = np.zeros(n_columns), np.ones(n_columns, dtype=bool)
        for k in rows:
            is_up = (grid[k] > before) | ((grid[k] == before) & is_up)
            before = grid[k]
            peaks[k] &= is_up
    found = peaks.copy()
    for rows in ways:
        before, threshold = np.zeros(n_columns), np.full(n_columns, np.inf)
        for k in rows:
            # Downhill from a maximum, to half of it.
            falls = (grid[k] <= before) & (grid[k] >= threshold)
            threshold = np.where(peaks[k], grid[k] / 2, np.where(falls, threshold, np.inf))
            before = grid[k]
            found[k] |= falls
    return found


def _grid(densities: Sequence[Array], areas: Sequence[Array]) -> tuple[Array, Array]:
    """All bins at the times of the finest, each cell repeated as often as it is longer.

    Shape:
        - output: ``(freq, time)`` and, the height of each row, ``(freq,)``
    """
    n_columns = max(d.shape[1] for d in densities)
    rows, heights = [], []
    for density, area in zip(densities, areas, strict=True):
        columns = (np.arange(n_columns) + 0.5) * (density.shape[1] / n_columns)
        rows.append(density[:, columns.astype(np.int64)])
        heights.append(area * density.shape[1])  # of one duration, areas of rows are heights
    return np.concatenate(rows), np.concatenate(heights)
