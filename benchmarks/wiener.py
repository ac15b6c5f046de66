"""Speed of the closed form of Wiener-EM for two channels beside the general solver.

``python benchmarks/wiener.py`` writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
from functools import partial
from types import ModuleType

import report
import torch
from torch import Tensor

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.wiener import expectation, filter_masked, general, stereo

SOLVERS = {"general": general, "stereo": stereo}
SAMPLE_RATE = 44100


def blocks(seconds: float) -> tuple[list[Tensor], list[Tensor]]:
    """Masks and mix in the blocks of xumx-sliCQ V2: noise."""
    frame = XUMXSliCQ.from_preset("v2").transform.frame
    n_slices = frame.n_slices(int(seconds * SAMPLE_RATE))
    shapes = [(n_bins, n_slices, length) for n_bins, length in frame.blocks]
    mix = [torch.randn(1, 2, *shape, dtype=torch.complex64) for shape in shapes]
    return [torch.rand(1, 4, 2, *shape) for shape in shapes], mix


def forward(solver: ModuleType, masks: list[Tensor], mix: list[Tensor]) -> list[Tensor]:
    expectation.solver_of = lambda _: solver
    return [filter_masked(v, x) for v, x in zip(masks, mix, strict=True)]


def with_gradient(solver: ModuleType, masks: list[Tensor], mix: list[Tensor]) -> None:
    leaves = [v.detach().requires_grad_() for v in masks]
    refined = forward(solver, leaves, mix)
    torch.autograd.grad(refined, leaves, [torch.ones_like(y) for y in refined])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--peak", choices=list(SOLVERS))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.peak:
        data = blocks(30)
        memory = report.PeakMemory()
        with_gradient(SOLVERS[args.peak], *data)
        print(memory.above_start())
        return
    rows = []
    for seconds in (1,) if args.quick else (10, 60):
        data = blocks(seconds)
        for what, run in (("forward", forward), ("forward and backward", with_gradient)):
            runs = {name: partial(run, solver, *data) for name, solver in SOLVERS.items()}
            timed = report.time_side_by_side(runs, args.repetitions)
            slow, fast = timed["general"][0], timed["stereo"][0]
            rows.append([f"{seconds} s, {what}", f"{slow:.2f} s", f"{fast:.2f} s"])
            rows[-1].append(f"{slow / fast:.1f} ×")
            print(*rows[-1], sep="\t", flush=True)
    if args.quick:
        return
    peaks = [report.peak_mib(__file__, "--peak", name) for name in SOLVERS]
    rows.append(["30 s, peak memory", *(f"{peak:.0f} MiB" for peak in peaks)])
    rows[-1].append(f"{peaks[0] / peaks[1]:.1f} ×")
    report.write_section(
        "wiener",
        f"""## Wiener-EM of stereo

`python benchmarks/wiener.py` on {report.machine()}: one iteration from masks of four sources in the
70 blocks of xumx-sliCQ V2, by the closed form for two channels with its own gradient, and by the
general solver in complex arithmetic; taking turns, minima. Peak memory is that of forward and
backward above the masks and the mix.

{report.table(["", "general", "two channels", "gain"], rows)}
""",
    )


if __name__ == "__main__":
    main()
