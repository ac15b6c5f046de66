"""Design of the unsliced frame behind :class:`asteroid_slicq.NSGT`, in NumPy float64.

Sources and notation are those of :mod:`asteroid_slicq.transform.nsgt`.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from numbers import Integral, Real

import numpy as np

from asteroid_slicq.transform.layout import FlatRow, flat_row
from asteroid_slicq.transform.scales import Array, Scale, design_scale
from asteroid_slicq.transform.windows import bell

RASTERS = ("none", "full")


@dataclass(frozen=True, eq=False)
class NSGTFrame:
    """Bins of an NSGT. Build it with :func:`design_nsgt_frame`.

    Attributes:
        sample_rate: in Hz.
        length: of the signal, n, in samples.
        window: name of the window of all bins.
        frequencies_hz: centre frequencies of all bins, DC first and Nyquist last.
        positions: ``p_k``, DFT bins of the signal.
        widths: ``L_k``, DFT bins that the window of each bin covers.
        lengths: ``M_k``, coefficients of each bin; the widths, unless rasterised.

    Shape:
        - ``frequencies_hz``, ``positions``, ``widths``, ``lengths``: ``(n_bins,)``
    """

    sample_rate: float
    length: int
    window: str
    frequencies_hz: Array
    positions: np.ndarray
    widths: np.ndarray
    lengths: np.ndarray

    @property
    def n_bins(self) -> int:
        """Number of bins, DC and Nyquist counted."""
        return len(self.widths)

    @property
    def redundancy(self) -> float:
        """Real numbers in the coefficients for each sample."""
        return 2 * int(self.lengths.sum()) / self.length

    @cached_property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """``(bins, coefficients)`` of each run of neighbours of one length."""
        edges = [0, *(np.flatnonzero(np.diff(self.lengths)) + 1).tolist(), self.n_bins]
        return tuple((b - a, int(self.lengths[a])) for a, b in pairwise(edges))

    def frequency_hz(self) -> list[Array]:
        """Centre frequency of each row of each block, in Hz.

        Shape:
            - output: ``(freq,)`` each
        """
        edges = np.cumsum([0, *(n for n, _ in self.blocks)]).tolist()
        return [self.frequencies_hz[a:b] for a, b in pairwise(edges)]

    def time_s(self) -> list[Array]:
        """Time of each coefficient of each block, in seconds; the signal begins at 0.

        Shape:
            - output: ``(time,)`` each
        """
        steps_s = ((m, self.length / m / self.sample_rate) for _, m in self.blocks)
        return [np.arange(m, dtype=np.float64) * step_s for m, step_s in steps_s]


def design_nsgt_frame(
    scale: Scale = "bark",
    n_bins: int = 262,
    f_min_hz: float = 32.9,
    f_max_hz: float | None = None,
    sample_rate: float = 44100,
    *,
    length: int,
    window: str = "hann",
    min_width: int = 4,
    min_bandwidth_hz: float = 0.0,
    bandwidth_factor: float = 1.0,
    gamma_hz: float = 0.0,
    rasterize: str = "none",
) -> NSGTFrame:
    """Compute an :class:`NSGTFrame`. Arguments and errors are those of :class:`NSGT`."""
    for name, size in (("length", length), ("min_width", min_width)):
        if not isinstance(size, Integral) or isinstance(size, bool):
            raise TypeError(f"{name} must be an integer, got {size!r}")
    check_range("sample_rate", sample_rate, 1e-3, 1e12, "Hz", below=44100)
    nyquist_hz = sample_rate / 2
    f_max_hz = nyquist_hz if f_max_hz is None else f_max_hz
    check_range("length", length, 4, 2**40, "samples")
    check_range("min_width", min_width, 1, length, "DFT bins", below=4)
    check_range("min_bandwidth_hz", min_bandwidth_hz, 0.0, nyquist_hz, "Hz")
    check_range("bandwidth_factor", bandwidth_factor, 1e-3, 1e6, "times the scale's", below=1.0)
    if f_max_hz > nyquist_hz:
        raise ValueError(
            f"f_max_hz must be at most sample_rate / 2, got {f_max_hz} Hz; "
            f"nearest that works: {nyquist_hz} Hz"
        )
    if rasterize not in RASTERS:
        near = difflib.get_close_matches(str(rasterize), RASTERS, n=1, cutoff=0)
        raise ValueError(
            f"rasterize must be one of {', '.join(RASTERS)}, got {rasterize!r}; "
            f"nearest that works: {near[0]!r}"
        )
    f_hz, _ = design_scale(scale, n_bins, f_min_hz, f_max_hz, gamma_hz=gamma_hz)
    check_range("gamma_hz", gamma_hz, 0.0, nyquist_hz, "Hz")
    inside = f_hz[(f_hz > 0) & (f_hz < nyquist_hz)]
    if not len(inside):
        raise ValueError(
            f"scale must have a bin between 0 Hz and sample_rate / 2 = {nyquist_hz} Hz, got bins "
            f"from {f_hz[0]} Hz to {f_hz[-1]} Hz; nearest that works: a bin at {nyquist_hz / 2} Hz"
        )
    centres_hz = np.concatenate([[0], inside, [nyquist_hz]])
    per_hz = length / sample_rate  # one product a frequency: another order rounds ties otherwise
    nu = np.append(centres_hz, sample_rate - inside[-1]) * per_hz  # with the last one's image
    raw = np.append(2 * nu[1], nu[2:] - nu[:-2])
    raw[1:-1] = (raw[1:-1] + gamma_hz * per_hz) * bandwidth_factor
    floor = max(int(min_width), math.ceil(min_bandwidth_hz * per_hz - 1e-6))
    widths = np.maximum(np.round(raw).astype(np.int64), floor)
    if widths.max() > length:
        most = math.floor(1e4 * bandwidth_factor * length / raw[1:-1].max()) / 1e4
        raise ValueError(
            f"bandwidth_factor must not make a bin wider than the {length} DFT bins of the signal, "
            f"got {bandwidth_factor}; nearest that works: {most}"
        )
    centres_hz[-2] = (centres_hz[-3] + centres_hz[-1]) / 2
    nu[-3] = (nu[-4] + nu[-2]) / 2
    return NSGTFrame(
        sample_rate=sample_rate,
        length=int(length),
        window=window,
        frequencies_hz=centres_hz,
        positions=np.round(nu[:-1]).astype(np.int64),
        widths=widths,
        lengths=widths if rasterize == "none" else np.full_like(widths, widths.max()),
    )


def check_range(
    name: str, value: float, least: float, most: float, unit: str, below: float | None = None
) -> None:
    """Refuse a number out of its range.

    ``below`` is what to advise under ``least``, where that need not work itself.
    """
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not least <= value <= most:
        near = most if value > most else least if below is None else below
        raise ValueError(
            f"{name} must lie in {least} … {most} {unit}, got {value}; nearest that works: {near}"
        )


def nsgt_row(frame: NSGTFrame, min_width: int) -> FlatRow:
    """The flat row, with the windows of analysis and synthesis."""
    n, lengths = frame.length, frame.lengths
    bells = [bell(frame.window, int(width)) for width in frame.widths]
    row = flat_row(n, frame.positions, lengths, bells, bells, np.ones(frame.n_bins), "local")
    analysis = row.windows[0]

    # How often the way back adds a slot to its DFT bin: DC and Nyquist their half alone, once;
    # other bins once where they stand and once at the mirror image, which meet at an edge.
    edge = (row.index == 0) | (2 * row.index == n)
    times = np.where(edge, 2.0, 1.0)
    for own in (slice(0, lengths[0]), slice(len(analysis) - lengths[-1], None)):
        times[own] = row.sign[own] > 0
    weighted = np.repeat(lengths, lengths) * analysis * times
    total = np.bincount(row.index, weighted * analysis, n // 2 + 1)
    holes = np.flatnonzero(total < 1e-10 * total.max())
    if len(holes):
        after = np.searchsorted(frame.positions, holes)
        before = frame.positions[np.maximum(after - 1, 0)]
        gap = int(np.minimum(frame.positions[after] - holes, holes - before).max())
        raise ValueError(
            f"min_width must let the bins cover every DFT bin of the signal, got {min_width}, and "
            f"none covers {holes[0]} … {holes[-1]} of 0 … {n // 2}; nearest that works: "
            f"{min(4 * gap + 4, n)}, or a larger bandwidth_factor"
        )
    # The layout itself counts an edge twice.
    synthesis = weighted / total[row.index] / (1 + edge)
    return replace(row, windows=np.stack([analysis, synthesis]))
