"""Speed and memory of the sliCQT in every layout beside ``torch.stft`` and other transforms.

``python benchmarks/transform.py`` prints the tables and writes them to docs/benchmarks.md;
``--quick`` measures one second alone and writes nothing. The other transforms are those that are
installed, see benchmarks/peers.py.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable

import peers
import report
import torch
from torch import Tensor

from asteroid_slicq import NSGT, SliCQT

SAMPLE_RATE = 44100
INPUTS = {
    "1 s": (2, SAMPLE_RATE),
    "10 s": (2, 10 * SAMPLE_RATE),
    "60 s": (2, 60 * SAMPLE_RATE),
    "16 × 2 s": (16, 2, 2 * SAMPLE_RATE),
}
HANN = {"window": "hann", "min_width": 32}


class Stft:
    """``torch.stft`` with the interface of a transform here."""

    def __init__(self) -> None:
        self.window = torch.hann_window(4096)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.stft(x.flatten(0, -2), 4096, 1024, window=self.window, return_complex=True)

    def inverse(self, coefficients: Tensor, length: int) -> Tensor:
        return torch.istft(coefficients, 4096, 1024, window=self.window, length=length)


class OnePass(SliCQT):
    """An overlap-added sliCQT whose inverse is its one-pass synthesis."""

    def inverse(self, coefficients, length, passes=1):
        return super().inverse(coefficients, length, passes)


TRANSFORMS: dict[str, Callable[[int], Callable]] = {
    "STFT": lambda n: Stft(),
    "sliced, ragged": lambda n: SliCQT(),
    "sliced, piecewise": lambda n: SliCQT(rasterize="piecewise"),
    "sliced, matrix": lambda n: SliCQT(rasterize="full"),
    "overlap-added, ragged": lambda n: OnePass(overlap_added=True, **HANN),
    "overlap-added, ragged, exact inverse": lambda n: SliCQT(overlap_added=True, **HANN),
    "overlap-added, piecewise": lambda n: OnePass(
        overlap_added=True, rasterize="piecewise", **HANN
    ),
    "overlap-added, matrix": lambda n: OnePass(overlap_added=True, rasterize="full", **HANN),
    "NSGT (unsliced)": lambda n: NSGT(length=n),
}
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


def tensors(coefficients: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (coefficients,) if isinstance(coefficients, Tensor) else tuple(coefficients)


def forward_inverse_backward(transform: Callable, x: Tensor) -> Callable[[], None]:
    """One gradient of a loss of the restored waveform, as training takes it."""
    leaf = x.clone().requires_grad_()

    def run() -> None:
        leaf.grad = None
        transform.inverse(transform(leaf), leaf.shape[-1]).square().sum().backward()

    return run


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


def restored(peer: peers.Peer, coefficients: object, length: int) -> Tensor | None:
    if peer.inverse is None:
        return None
    return peer.inverse(coefficients).flatten(0, -2)[:, :length]


def peer_table(repetitions: int, labels: list[str]) -> str:
    """Forward and inverse of other transforms, each beside ours in one run."""
    rows, missing = [], set()
    ours = SliCQT()
    for label in labels:
        shape = INPUTS[label]
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        for name, make in peers.PEERS.items():
            if name.startswith("cqt_nsgt") and label == "60 s":
                continue  # it would take 4 GB and minutes to build
            try:
                with peers.on_current_numpy(), torch.inference_mode():
                    peer = make(shape, SAMPLE_RATE)
                    theirs = peer.forward(x)
                    back = restored(peer, theirs, shape[-1])
                    coefficients = ours(x)
                    runs = {"ours": lambda x=x: ours(x), "peer": lambda p=peer, x=x: p.forward(x)}
                    forward = report.time_side_by_side(runs, repetitions, budget_s=6, at_least=3)
                    inverse = None
                    if peer.inverse is not None:
                        runs = {
                            "ours": lambda c=coefficients, n=shape[-1]: ours.inverse(c, n),
                            "peer": lambda p=peer, c=theirs: p.inverse(c),
                        }
                        inverse = report.time_side_by_side(
                            runs, repetitions, budget_s=6, at_least=3
                        )
            except ImportError:
                missing.add(name)
                continue
            except Exception as error:
                rows.append([label, name, f"fails: {type(error).__name__}", "", "", ""])
                continue
            error_db = "–"
            if back is not None:
                rest = (back - x.view(-1, shape[-1])).norm() / x.norm()
                error_db = f"{-20 * math.log10(float(rest)):.0f} dB"
            rows.append(
                [
                    label,
                    name,
                    compare(forward),
                    "no inverse" if inverse is None else compare(inverse),
                    f"{peer.numbers(theirs) / x.numel():.1f}",
                    error_db,
                ]
            )
            print(*rows[-1], sep="\t", flush=True)
    header = ["input", "transform", "forward, ours / theirs", "inverse", "redundancy", "restores"]
    left_out = f"\n\nNot installed: {', '.join(sorted(missing))}." if missing else ""
    return report.table(header, rows) + left_out


def compare(seconds: dict[str, tuple[float, float]]) -> str:
    ours, theirs = seconds["ours"][0], seconds["peer"][0]
    return f"{1e3 * ours:.1f} / {1e3 * theirs:.1f} ({theirs / ours:.1f} × ours)"


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
        peaks = [report.peak_mib(__file__, "--peak", name, label, what) for what in whats]
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
            forward, inverse, more = report.numbers(
                __file__, "--scaling", str(length_s), str(chunk)
            )
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["speed", "peers", "memory"])
    parser.add_argument("--peak", nargs=3, metavar=("TRANSFORM", "INPUT", "WHAT"))
    parser.add_argument("--scaling", nargs=2, type=int, metavar=("SECONDS", "CHUNK"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.peak:
        print_peak(*args.peak)
        return
    if args.scaling:
        print_scaling(*args.scaling)
        return

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


def write_peers(labels: list[str], quick: bool) -> None:
    others = peer_table(5 if quick else 10, labels)
    if quick:
        return
    report.write_section(
        "transform peers",
        f"""### Beside other constant-Q transforms

`python benchmarks/transform.py --only peers`: the default sliCQT (redundancy
{SliCQT().frame.redundancy:.1f}, restores to 130 dB and more) and one other transform, measured
in turn; milliseconds. `benchmarks/peers.py` configures each.

{others}
""",
    )


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
    main()
