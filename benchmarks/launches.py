"""Operator calls of one pass over four seconds of stereo: on a GPU, about the kernels to launch.

``python benchmarks/launches.py`` prints the table and writes it to docs/benchmarks.md; ``--quick``
prints it alone. A CPU suffices: it computes all blocks at once, as a GPU does, and torch.profiler
counts every operator that PyTorch calls, those within others too. Tests hold the targets.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any
from unittest import mock

import report
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from transform_cases import HANN, tensors

from asteroid_slicq import SliCQT, XUMXSliCQ
from asteroid_slicq.wiener import expectation

LENGTH = 4 * 44100
os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch.profiler tells when it starts and stops
Run = Callable[[], Any]


def operator_calls(run: Run) -> int:
    """Operators that a function calls, those within others too, once it is warm."""
    pieces = {"cpu": expectation._CHUNK_ELSEWHERE}  # of Wiener-EM, as large as on a GPU
    with mock.patch.dict(expectation._CHUNK, pieces):
        run()
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            run()
    return len(seen.events())


def transform(**arguments: Any) -> SliCQT:
    """A transform of all blocks at once, as it is on a GPU and not on this CPU."""
    slicqt = SliCQT(**arguments)
    slicqt.at_once = True
    return slicqt


def noise(batch: int = 1) -> Tensor:
    return torch.randn(batch, 2, LENGTH, generator=torch.Generator().manual_seed(0))


def forward(**arguments: Any) -> Run:
    slicqt, x = transform(**arguments), noise()
    return lambda: slicqt(x)


def synthesis(**arguments: Any) -> Run:
    slicqt, x = transform(**arguments), noise()
    blocks = slicqt(x)
    return lambda: slicqt.synthesis(blocks, LENGTH)


def backward(of: str, **arguments: Any) -> Run:
    slicqt, x = transform(**arguments), noise()
    if of == "forward":
        leaves = (x.requires_grad_(),)
        outputs = tensors(slicqt(x))
    else:
        leaves = tuple(block.detach().requires_grad_() for block in tensors(slicqt(x)))
        outputs = (slicqt.synthesis(leaves, LENGTH),)
    gradients = [torch.ones_like(output) for output in outputs]
    return lambda: torch.autograd.grad(outputs, leaves, gradients, retain_graph=True)


def at_once(preset: str) -> XUMXSliCQ:
    """A model that runs all blocks at once, as it does on a GPU and not on this CPU."""
    model = XUMXSliCQ.from_preset(preset)
    model.at_once = model.transform.at_once = True
    return model


def separate(preset: str) -> Run:
    model, x = at_once(preset).eval(), noise()
    return torch.no_grad()(lambda: model(x))


def training_estimate(preset: str) -> Run:
    model, x = at_once(preset).train(), noise()
    return lambda: model.estimate(x)


ADDED = {"overlap_added": True, **HANN}
CASES: dict[str, tuple[Callable[[], Run], int]] = {
    # name: (what makes the function to count, the most operator calls)
    "sliCQT, sliced: forward": (lambda: forward(), 400),
    "sliCQT, sliced: inverse": (lambda: synthesis(), 400),
    "sliCQT, sliced: backward of forward": (lambda: backward("forward"), 400),
    "sliCQT, sliced: backward of inverse": (lambda: backward("inverse"), 400),
    "sliCQT, overlap-added: forward": (lambda: forward(**ADDED), 500),
    "sliCQT, overlap-added: synthesis": (lambda: synthesis(**ADDED), 500),
    "sliCQT, overlap-added: backward of forward": (lambda: backward("forward", **ADDED), 500),
    "sliCQT, overlap-added: backward of synthesis": (lambda: backward("synthesis", **ADDED), 500),
    "xumx-sliCQ V2, offline": (lambda: separate("v2"), 6000),
    "xumx-sliCQ V2, training estimate": (lambda: training_estimate("v2"), 6000),
    "xumx-sliCQ V2, realtime": (lambda: separate("v2-realtime"), 6000),
    "xumx-sliCQ V2, realtime, training estimate": (lambda: training_estimate("v2-realtime"), 6000),
    "xumx-sliCQ V1": (lambda: separate("v1"), 4000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    rows = []
    for name, (make, most) in CASES.items():
        calls = operator_calls(make())
        reached = report.reached(name, calls, "≤", most)
        rows.append([name, str(calls), f"≤ {most}", "reached" if reached else "missed"])
        print(*rows[-1], sep="\t", flush=True)
    if not args.quick:
        report.write_section(
            "operator calls",
            f"""## Operator calls

`python benchmarks/launches.py`: operators that PyTorch calls in one pass over 4 s of stereo, those
within others counted too (torch.profiler on a CPU, torch {torch.__version__}), where all blocks are
computed at once as they are on a GPU, and Wiener-EM in pieces as large. There, most of them launch
a kernel, and their number is the time of short inputs. Ragged layouts: the default frame, and Hann
windows with `min_width=32` where overlap-added.

{report.table(["pass", "operator calls", "target", ""], rows)}
""",
        )
    report.end()


if __name__ == "__main__":
    main()
