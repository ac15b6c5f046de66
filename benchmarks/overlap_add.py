"""Accuracy of the inverse of the overlap-added transform, pass by pass, for many frames.

``python benchmarks/overlap_add.py`` writes the tables of docs/overlap_add.md.
"""

from __future__ import annotations

import math

import report
import torch

from asteroid_slicq import SliCQT
from asteroid_slicq.transform import PRECISION_DB, contraction, passes_needed

PAGE = report.PAGE.parent / "overlap_add.md"
HANN = {"window": "hann", "min_width": 32}
FRAMES: dict[str, dict] = {
    "Bark 262, Blackman–Harris, 16 (published)": {},
    "… 32": {"min_width": 32},
    "Bark 262, Hann, 16": {"window": "hann"},
    "**… 32**": HANN,
    "… 64": {"window": "hann", "min_width": 64},
    "… 32, matrix": {**HANN, "rasterize": "full"},
    "… 32, transition N/2": {**HANN, "transition_length": 9030},
    "… 32, transition N/64": {**HANN, "transition_length": 282},
    "Bark 262, sine, 32": {"window": "sine", "min_width": 32},
    "mel 600, 20 Hz up, Hann, ≥ 30 Hz": {
        "scale": "mel",
        "n_bins": 600,
        "f_min_hz": 20.0,
        "window": "hann",
        "min_bandwidth_hz": 30.0,
    },
    "mel 600, …, 32": {
        "scale": "mel",
        "n_bins": 600,
        "f_min_hz": 20.0,
        "min_bandwidth_hz": 30.0,
        **HANN,
    },
    "12 per octave from 55 Hz, Hann, 32": {
        "scale": "octave",
        "n_bins": 12,
        "f_min_hz": 55.0,
        **HANN,
    },
    "log 48 from 65 Hz, Blackman–Harris, 16": {"scale": "log", "n_bins": 48, "f_min_hz": 65.0},
    "linear 50 from 0 Hz, Blackman–Harris, 16": {"scale": "linear", "n_bins": 50, "f_min_hz": 0.0},
    "Bark 14 from 150 Hz, Blackman–Harris, 16": {"n_bins": 14, "f_min_hz": 150.0},
    "Bark 32 at 8 kHz, Hann, 32": {"n_bins": 32, "sample_rate": 8000, **HANN},
}
PASSES = {torch.float32: 5, torch.float64: 6}


def signal_to_error_db(restored: torch.Tensor, x: torch.Tensor) -> float:
    return -20 * math.log10(float((restored - x).norm() / x.norm()) + 1e-300)


def main() -> None:
    tables = {dtype: [] for dtype in PASSES}
    for name, arguments in FRAMES.items():
        slicqt = SliCQT(overlap_added=True, **arguments)
        norm = contraction(slicqt.maps(torch.float64))
        for dtype, n_passes in PASSES.items():
            slicqt = slicqt.to(dtype)
            length = 6 * slicqt.frame.slice_length + 77
            x = torch.randn(1, length, dtype=dtype, generator=torch.Generator().manual_seed(1))
            coefficients = slicqt(x)
            reached = [
                f"{signal_to_error_db(slicqt.inverse(coefficients, length, passes=n), x):.0f}"
                for n in range(1, n_passes + 1)
            ]
            default = passes_needed(norm, PRECISION_DB[torch.promote_types(dtype, torch.complex64)])
            exact = signal_to_error_db(slicqt.inverse(coefficients, length), x)
            row = [
                name,
                f"{slicqt.frame.redundancy:.2f}",
                f"{-20 * math.log10(norm):.1f}",
                *reached,
            ]
            tables[dtype].append([*row, str(default), f"{exact:.0f}"])
            print(*tables[dtype][-1], sep="\t", flush=True)
    text = [
        "## Measured",
        "",
        "`python benchmarks/overlap_add.py`: white noise, dB of signal to error.",
    ]
    for dtype, rows in tables.items():
        passes = ["1 pass", *(f"{n}" for n in range(2, PASSES[dtype] + 1))]
        header = ["frame", "redundancy", "bound, dB a pass", *passes, "default passes", "reaches"]
        title = {torch.float32: "Single precision", torch.float64: "Double precision"}[dtype]
        text += ["", f"### {title}", "", report.table(header, rows)]
    report.write_section("accuracy", "\n".join(text), PAGE)


if __name__ == "__main__":
    main()
