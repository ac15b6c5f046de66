"""Speed and memory of the sliCQT in every layout beside ``torch.stft`` and other transforms.

``python benchmarks/transform.py`` prints the tables and writes them to docs/benchmarks.md;
``--quick`` measures one second alone and writes nothing. The other transforms are those that are
installed, see benchmarks/peers.py.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import report
import torch
from torch import Tensor
from transform_cases import INPUTS, TRANSFORMS, forward_inverse_backward, tensors
from transform_memory import write_memory
from transform_peers import write_peers

PASSES = ("forward", "inverse", "backward of forward", "backward of inverse", "all three")
TARGETS = [
    # (transform, input, pass, limit, what it is a multiple of; None: milliseconds)
    ("sliced, ragged", "1 s", "forward", 6, None),
    ("sliced, ragged", "1 s", "inverse", 6, None),
    ("sliced, ragged", "60 s", "forward", 2.5, "STFT"),
    ("sliced, ragged", "60 s", "inverse", 2, "STFT"),
    ("sliced, ragged", "16 × 2 s", "all three", 3, "STFT"),
    ("overlap-added, ragged", "60 s", "forward", 2, "STFT"),
    ("overlap-added, ragged", "60 s", "inverse", 2.5, "STFT"),
    *(
        (name, label, f"backward of {direction}", 1.5, direction)
        for name in ("sliced, ragged", "overlap-added, ragged")
        for label in INPUTS
        for direction in ("forward", "inverse")
    ),
]


def backward_of_forward(transform: Callable, x: Tensor) -> Callable[[], object]:
    leaf = x.clone().requires_grad_()
    blocks = tensors(transform(leaf))
    gradients = [torch.ones_like(block) for block in blocks]
    return lambda: torch.autograd.grad(blocks, leaf, gradients, retain_graph=True)


def backward_of_inverse(transform: Callable, x: Tensor) -> Callable[[], object]:
    coefficients = transform(x)
    leaves = [block.detach().requires_grad_() for block in tensors(coefficients)]
    y = transform.inverse(leaves[0] if torch.is_tensor(coefficients) else leaves, x.shape[-1])
    gradient = torch.ones_like(y)
    return lambda: torch.autograd.grad(y, leaves, gradient, retain_graph=True)


def measure(shape: tuple[int, ...], repetitions: int) -> dict[str, dict[str, float]]:
    """Seconds (minimum) of each pass and transform for one input, all taking turns."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    made = {name: make(shape[-1]) for name, make in TRANSFORMS.items()}
    seconds: dict[str, dict[str, float]] = {}

    def time(what: str, runs: dict[str, Callable], repeat: int) -> None:
        timed = report.time_side_by_side(runs, repeat, budget_s=12, at_least=4)
        seconds[what] = {name: s for name, (s, _) in timed.items()}

    with torch.inference_mode():
        coefficients = {name: transform(x) for name, transform in made.items()}
        time("forward", {n: (lambda t=t: t(x)) for n, t in made.items()}, repetitions)
        inverse = {
            n: (lambda t=t, c=coefficients[n]: t.inverse(c, shape[-1])) for n, t in made.items()
        }
        time("inverse", inverse, repetitions)
    del coefficients, inverse
    for what, make in (
        ("backward of forward", backward_of_forward),
        ("backward of inverse", backward_of_inverse),
        ("all three", forward_inverse_backward),
    ):
        time(what, {n: make(t, x) for n, t in made.items()}, max(3, repetitions // 4))
    return seconds


def speed_table(seconds: dict[str, dict[str, dict[str, float]]]) -> str:
    rows = []
    for name in TRANSFORMS:
        for label in seconds:
            times = {p: seconds[label][p] for p in PASSES}
            cells = [
                f"{1e3 * t[name]:.1f}"
                + (f" ({t[name] / t['STFT']:.2f} ×)" if name != "STFT" else "")
                for t in times.values()
            ]
            rows.append([name, label, *cells])
    return report.table(["transform", "input", *PASSES], rows)


def target_table(seconds: dict[str, dict[str, dict[str, float]]]) -> str:
    rows = []
    for name, label, what, limit, of in TARGETS:
        if label not in seconds:
            continue
        value = seconds[label][what][name]
        if of is None:
            measured, unit, text = 1e3 * value, "ms", "ms"
        else:
            peer = seconds[label][what]["STFT"] if of == "STFT" else seconds[label][of][name]
            measured, unit, text = value / peer, "×", f"× {of}"
        is_reached = report.reached(f"{name}, {label}, {what}", measured, "≤", limit)
        verdict = "reached" if is_reached else "missed"
        rows.append([name, label, what, f"≤ {limit} {text}", f"{measured:.2f} {unit}", verdict])
    return report.table(["transform", "input", "pass", "target", "measured", ""], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["speed", "peers", "memory"])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    labels = ["1 s"] if args.quick else list(INPUTS)
    for part, write in {"speed": write_speed, "peers": write_peers, "memory": write_memory}.items():
        if args.only in (part, None) and not (args.quick and part == "memory"):
            write(labels, args.quick)
    if not args.quick:
        print(f"written to {report.PAGE}", file=sys.stderr)
    report.end()


def write_speed(labels: list[str], quick: bool) -> None:
    seconds = {}
    for label in labels:
        seconds[label] = measure(INPUTS[label], 15 if label == "60 s" else 40)
        print(speed_table({label: seconds[label]}), flush=True)
    targets = target_table(seconds)
    print(targets, flush=True)
    if quick:
        return
    report.write_section(
        "transform",
        f"""## The transform

`python benchmarks/transform.py` on {report.machine()}. Stereo at 44.1 kHz, measured in turn
in one run: the default sliCQT (262 Bark bins; overlap-added with Hann windows and `min_width=32`)
in every layout beside `torch.stft` and `istft` (4096/1024, Hann). Milliseconds, minima; in brackets
the ratio to the STFT. "Inverse" of an overlap-added layout is the one-pass synthesis, unless marked
exact. "All three" is forward, inverse and backward.

{speed_table(seconds)}

Targets:

{targets}
""",
    )


if __name__ == "__main__":
    main()
