"""Memory of every layout, and what length costs, a part of benchmarks/transform.py.

Each peak is that of a process of its own, which runs this file.
"""

from __future__ import annotations

import sys

import report
import torch
from transform_cases import (
    HANN,
    INPUTS,
    SAMPLE_RATE,
    TRANSFORMS,
    OnePass,
    forward_inverse_backward,
    tensors,
)


def print_peak(name: str, label: str, what: str) -> None:
    """Peak memory above the input's and the imports', and the coefficients', in MiB."""
    x = torch.randn(INPUTS[label])
    transform = TRANSFORMS[name](x.shape[-1])
    if not name.startswith("NSGT"):
        small = torch.randn(2, 3000)
        transform.inverse(transform(small), 3000)  # libraries and their workspaces are loaded
    memory = report.PeakMemory()
    if what == "all three":
        forward_inverse_backward(transform, x)()
    else:
        with torch.inference_mode():
            coefficients = transform(x)
            if what == "both":
                transform.inverse(coefficients, x.shape[-1])
    print(memory.above_start())


def memory_table(label: str) -> str:
    rows = []
    for name, make in TRANSFORMS.items():
        x = torch.randn(INPUTS[label])
        size = sum(c.numel() for c in tensors(make(x.shape[-1])(x))) * 8 / 2**20
        whats = ("forward", "both", "all three")
        peaks = [report.peak_mib(__file__, "peak", name, label, what) for what in whats]
        cells = [f"{peak:.0f} ({peak / size:.1f} ×)" for peak in peaks]
        rows.append([name, f"{size:.0f}", *cells])
        print(*rows[-1], sep="\t", flush=True)
    header = ["transform", "coefficients", "forward", "forward and inverse", "all three"]
    return report.table(header, rows)


def print_scaling(seconds_of_audio: int, chunk: int) -> None:
    """Milliseconds a second of audio, and what peak memory is more than input and coefficients."""
    x = torch.randn(2, seconds_of_audio * SAMPLE_RATE)
    transform = OnePass(overlap_added=True, chunk=chunk or None, **HANN)
    transform(x[:, :3000])
    repetitions = max(1, min(20, 120 // seconds_of_audio))
    with torch.inference_mode():
        memory = report.PeakMemory()
        coefficients = transform(x)
        size = sum(c.numel() for c in coefficients) * 8 / 2**20
        more = memory.above_start() - size
        runs = {
            "forward": lambda: transform(x),
            "inverse": lambda: transform.inverse(coefficients, x.shape[-1]),
        }
        timed = report.time_side_by_side(runs, repetitions)
    print(*(1e3 * timed[n][0] / seconds_of_audio for n in runs), max(0.0, more))


def scaling_table(lengths_s: list[int]) -> str:
    rows = []
    for chunk in (0, 8):
        for length_s in lengths_s:
            forward, inverse, more = report.numbers(__file__, "scaling", str(length_s), str(chunk))
            rows.append(
                [
                    str(chunk or "None"),
                    f"{length_s} s",
                    f"{forward:.2f}",
                    f"{inverse:.2f}",
                    f"{more:.0f}",
                ]
            )
            print(*rows[-1], sep="\t", flush=True)
    header = [
        "`chunk`", "input", "forward, ms a second", "synthesis, ms a second",
        "forward's peak beside input and coefficients, MiB",
    ]  # fmt: skip
    return report.table(header, rows)


def write_memory(labels: list[str], quick: bool) -> None:
    report.write_section(
        "transform memory",
        f"""### Memory

`python benchmarks/transform.py --only memory`: peak above the input at 60 s, MiB, each in a process
of its own; in brackets the ratio to the coefficients. Target for overlap-added, ragged: 3 ×.

{memory_table("60 s")}

### Length

Overlap-added, ragged: the cost per second of audio, and the memory for intermediate results, which
`chunk`, the number of slices computed at a time, bounds.

{scaling_table([1, 10, 60, 600, 1800])}
""",
    )


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    torch.set_num_threads(2)
    if kind == "peak":
        print_peak(*arguments)
    else:
        print_scaling(*map(int, arguments))
