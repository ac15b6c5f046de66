"""Speed and memory of the default sliCQT beside ``torch.stft`` (4096/1024, Hann), in one run.

``python benchmarks/transform.py`` prints the tables and writes them to docs/benchmarks.md;
``--quick`` measures the short inputs alone and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import report
import torch
from torch import Tensor

from asteroid_slicq import SliCQT

SAMPLE_RATE = 44100
INPUTS = {
    "1 s": (2, SAMPLE_RATE),
    "10 s": (2, 10 * SAMPLE_RATE),
    "60 s": (2, 60 * SAMPLE_RATE),
    "16 × 2 s": (16, 2, 2 * SAMPLE_RATE),
}
TARGETS = {
    ("1 s", "forward"): "6 ms",
    ("1 s", "inverse"): "6 ms",
    ("60 s", "forward"): "2.5 ×",
    ("60 s", "inverse"): "2 ×",
    ("16 × 2 s", "all three"): "3 ×",
}


class Stft:
    """``torch.stft`` with the interface of a transform here."""

    def __init__(self) -> None:
        self.window = torch.hann_window(4096)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.stft(x.flatten(0, -2), 4096, 1024, window=self.window, return_complex=True)

    def inverse(self, coefficients: Tensor, length: int) -> Tensor:
        return torch.istft(coefficients, 4096, 1024, window=self.window, length=length)


TRANSFORMS: dict[str, Callable] = {"sliCQT": SliCQT, "STFT": Stft}


def forward_inverse_backward(transform: Callable, x: Tensor) -> Callable[[], None]:
    """One gradient of a loss of the restored waveform, as training takes it."""
    leaf = x.clone().requires_grad_()

    def run() -> None:
        leaf.grad = None
        transform.inverse(transform(leaf), leaf.shape[-1]).square().sum().backward()

    return run


def backward_alone(transform: Callable, x: Tensor) -> Callable[[], None]:
    """The gradient of a sum over all coefficients, the graph kept."""
    leaf = x.clone().requires_grad_()
    blocks = transform(leaf)
    blocks = blocks if isinstance(blocks, tuple) else (blocks,)
    gradients = [torch.ones_like(block) for block in blocks]

    def run() -> None:
        torch.autograd.grad(blocks, leaf, gradients, retain_graph=True)

    return run


def measure(shape: tuple[int, ...], repetitions: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Seconds (minimum, median) of each direction and transform for one input."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    transforms = {name: make() for name, make in TRANSFORMS.items()}
    with torch.inference_mode():
        coefficients = {name: transform(x) for name, transform in transforms.items()}
        forward = {n: (lambda t=t: t(x)) for n, t in transforms.items()}
        inverse = {
            n: (lambda t=t, c=coefficients[n]: t.inverse(c, shape[-1]))
            for n, t in transforms.items()
        }
        seconds = {
            "forward": report.time_side_by_side(forward, repetitions),
            "inverse": report.time_side_by_side(inverse, repetitions),
        }
    del coefficients
    backward = {n: backward_alone(t, x) for n, t in transforms.items()}
    seconds["backward of forward"] = report.time_side_by_side(backward, max(3, repetitions // 4))
    del backward
    every = {n: forward_inverse_backward(t, x) for n, t in transforms.items()}
    seconds["all three"] = report.time_side_by_side(every, max(3, repetitions // 4))
    return seconds


def print_peak(transform: str, label: str, gradient: bool) -> None:
    """Peak memory above the input's and the imports', in MiB."""
    make = TRANSFORMS[transform]()
    small = torch.randn(2, 3000)
    make.inverse(make(small), 3000)  # libraries and their workspaces are loaded
    x = torch.randn(INPUTS[label])
    memory = report.PeakMemory()
    if gradient:
        forward_inverse_backward(make, x)()
    else:
        with torch.inference_mode():
            make.inverse(make(x), x.shape[-1])
    print(memory.above_start())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--peak", nargs=3, metavar=("TRANSFORM", "INPUT", "GRADIENT"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.peak:
        print_peak(args.peak[0], args.peak[1], args.peak[2] == "yes")
        return

    rows, memory = [], []
    labels = ["1 s"] if args.quick else list(INPUTS)
    for label in labels:
        for direction, seconds in measure(INPUTS[label], 15 if label == "60 s" else 40).items():
            (ours, ours_median), (peer, peer_median) = seconds["sliCQT"], seconds["STFT"]
            rows.append(
                [
                    label,
                    direction,
                    *(f"{1e3 * s:.1f}" for s in (ours, ours_median, peer, peer_median)),
                    f"{ours / peer:.2f} ×",
                    TARGETS.get((label, direction), ""),
                ]
            )
            print(*rows[-1], sep="\t", flush=True)
        if not args.quick:
            for gradient in ("no", "yes"):
                peak = {
                    name: report.peak_mib(__file__, "--peak", name, label, gradient)
                    for name in TRANSFORMS
                }
                what = "all three" if gradient == "yes" else "forward and inverse"
                memory.append([label, what, *(f"{peak[name]:.0f}" for name in TRANSFORMS)])
                print(*memory[-1], sep="\t", flush=True)
    header = ["input", "pass", "sliCQT min", "median", "STFT min", "median", "ratio", "target"]
    if args.quick:
        return
    report.write_section(
        "transform",
        f"""## The transform

`python benchmarks/transform.py` on {report.machine()}. Stereo at 44.1 kHz; the default sliCQT (262
Bark bins, redundancy {SliCQT().frame.redundancy:.2f}) beside `torch.stft` and `istft` (4096/1024,
Hann, redundancy 4.0), taking turns. Milliseconds; the ratio is that of the minima. "All three" is
forward, inverse and backward.

{report.table(header, rows)}

Peak memory above the input, MiB, each in a process of its own:

{report.table(["input", "pass", *TRANSFORMS], memory)}
""",
    )
    print(f"written to {report.PAGE}", file=sys.stderr)


if __name__ == "__main__":
    main()
