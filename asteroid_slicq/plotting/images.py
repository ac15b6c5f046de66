"""Amplitudes of a waveform's sliCQT as an array of pixels, for pages that draw by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from asteroid_slicq.plotting.cells import cells_of, drawn_range_hz, slicqt_analysis
from asteroid_slicq.transform import Array, SliCQT, check_waveform


def amplitude_image(
    waveform: Any, transform: SliCQT, n_rows: int, n_columns: int
) -> tuple[Array, tuple[float, float]]:
    """The amplitude of each pixel of a sliCQT; it needs no matplotlib.

    Of cells that share a column, the loudest counts; a row has the bin at its centre.

    Args:
        waveform: real samples; leading axes, such as channels, count with their mean power.
        transform: for the waveform's sample rate, such as :func:`drawing_transform` gives.
        n_rows: of pixels, from low to high on a logarithmic axis.
        n_columns: of pixels, from the first sample to the last.

    Returns:
        Amplitudes of sines, and the lowest and highest frequency in Hz.

    Shape:
        - waveform: ``(..., time)``; output: ``(n_rows, n_columns)``

    Raises:
        ValueError: an empty waveform, or no rows or columns.

    Example:
        >>> amplitude, range_hz = amplitude_image(torch.zeros(2, 8000), SliCQT(), 4, 10)
        >>> amplitude.shape, amplitude.max()
        ((4, 10), np.float64(0.0))
    """
    if min(n_rows, n_columns) < 1:
        raise ValueError(f"n_rows and n_columns must be at least 1, got {n_rows} and {n_columns}")
    samples = check_waveform(torch.as_tensor(waveform).detach())
    duration_s = samples.shape[-1] / transform.frame.sample_rate
    analysis = slicqt_analysis(transform)
    low_hz, high_hz = drawn_range_hz(analysis.edges_hz)
    f_hz = low_hz * (high_hz / low_hz) ** ((np.arange(n_rows) + 0.5) / n_rows)
    t_s = (np.arange(n_columns) + 0.5) / n_columns * duration_s
    image = np.zeros((n_rows, n_columns))
    for cells in cells_of(samples, analysis, duration_s / n_columns, 0.0):
        edges_hz = cells.edges_hz
        rows = np.flatnonzero((f_hz >= edges_hz[0]) & (f_hz < edges_hz[-1]))
        bins = np.searchsorted(edges_hz, f_hz[rows], "right") - 1
        columns = np.searchsorted(cells.edges_s, t_s, "right") - 1
        columns = columns.clip(0, cells.amplitude.shape[1] - 1)
        image[rows] = cells.amplitude[np.ix_(bins, columns)]
    return image, (low_hz, high_hz)
