"""Design of the unsliced frame behind :class:`asteroid_slicq.NSGT`, in NumPy float64.

Sources and notation are those of :mod:`asteroid_slicq.transform.nsgt`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from asteroid_slicq.transform.checks import check_choice, check_integer, check_range
from asteroid_slicq.transform.frame import Bins
from asteroid_slicq.transform.frame_config import FrameConfig
from asteroid_slicq.transform.layout import FlatRow, flat_row
from asteroid_slicq.transform.scales import Array
from asteroid_slicq.transform.windows import bell


@dataclass(frozen=True, eq=False)
class NSGTFrame(Bins):
    """Bins of an NSGT, in DFT bins of the signal, ``nsgt.frame``.

    Attributes:
        length: of the signal, n, in samples.
        window: name of the window of all bins.
    """

    length: int
    window: str

    @property
    def redundancy(self) -> float:
        """Real numbers in the coefficients for each sample."""
        return 2 * int(self.lengths.sum()) / self.length

    def time_s(self) -> list[Array]:
        """Time of each coefficient of each block, in seconds; the signal begins at 0."""
        steps_s = ((m, self.length / m / self.sample_rate) for _, m in self.blocks)
        return [np.arange(m, dtype=np.float64) * step_s for m, step_s in steps_s]


def nsgt_frame_of(config: FrameConfig, length: int) -> NSGTFrame:
    """The :class:`NSGTFrame` of a configuration, whose slices, layout and phase it ignores."""
    nyquist_hz = config.nyquist_hz
    length = check_integer("length", length)
    check_range("length", length, 4, 2**40, "samples")
    check_range("min_width", config.min_width, 1, length, "DFT bins")
    check_range("min_bandwidth_hz", config.min_bandwidth_hz, 0.0, nyquist_hz, "Hz")
    check_choice("rasterize", config.rasterize, ("none", "full"))
    f_hz, _ = config.scale_bins()
    check_range("gamma_hz", config.gamma_hz, 0.0, nyquist_hz, "Hz")
    inside = f_hz[(f_hz > 0) & (f_hz < nyquist_hz)]
    if not len(inside):
        raise ValueError(
            f"scale must have a bin between 0 Hz and sample_rate / 2 = {nyquist_hz} Hz, got bins "
            f"from {f_hz[0]} Hz to {f_hz[-1]} Hz; nearest that works: a bin at {nyquist_hz / 2} Hz"
        )
    centres_hz = np.concatenate([[0], inside, [nyquist_hz]])
    # One product a frequency: another order rounds ties otherwise.
    per_hz = length / config.sample_rate
    # With the image of the last one.
    nu = np.append(centres_hz, config.sample_rate - inside[-1]) * per_hz
    raw = np.append(2 * nu[1], nu[2:] - nu[:-2])
    raw[1:-1] = (raw[1:-1] + config.gamma_hz * per_hz) * config.bandwidth_factor
    floor = max(config.min_width, math.ceil(config.min_bandwidth_hz * per_hz - 1e-6))
    widths = np.maximum(np.round(raw).astype(np.int64), floor)
    if widths.max() > length:
        most = math.floor(1e4 * config.bandwidth_factor * length / raw[1:-1].max()) / 1e4
        raise ValueError(
            f"bandwidth_factor must not make a bin wider than the {length} DFT bins of the signal, "
            f"got {config.bandwidth_factor}; nearest that works: {most}"
        )
    centres_hz[-2] = (centres_hz[-3] + centres_hz[-1]) / 2
    nu[-3] = (nu[-4] + nu[-2]) / 2
    return NSGTFrame(
        sample_rate=config.sample_rate,
        length=length,
        window=config.window,
        frequencies_hz=centres_hz,
        positions=np.round(nu[:-1]).astype(np.int64),
        widths=widths,
        lengths=widths if config.rasterize == "none" else np.full_like(widths, widths.max()),
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
