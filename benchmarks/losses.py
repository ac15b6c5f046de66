"""Cost of the losses beside brute force: one call per combination of sources.

``python benchmarks/losses.py`` writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.util import find_spec

import report
import torch
from auraloss.time import SDSDRLoss, SISDRLoss, SNRLoss
from torch import Tensor
from torch.nn.functional import l1_loss

from asteroid_slicq import SliCQT, evaluation, losses

SHAPE = (16, 4, 2, 2 * 44100)  # items, sources, channels, samples
INVERSE = "the inverse alone"

Loss = Callable[..., Tensor]


def weighted_sdr(estimate: Tensor, target: Tensor, mix: Tensor) -> Tensor:
    """Choi et al. (2019), as published."""

    def cosine(x: Tensor, y: Tensor) -> Tensor:
        return (x * y).sum(-1) / (x.norm(dim=-1) * y.norm(dim=-1) + 1e-8)

    energies = target.square().sum(-1), (mix - target).square().sum(-1)
    weight = energies[0] / (energies[0] + energies[1] + 1e-8)
    cosines = cosine(target, estimate), cosine(mix - target, mix - estimate)
    return -(weight * cosines[0] + (1 - weight) * cosines[1]).mean()


def brute_weighted_sdr(estimates: Tensor, targets: Tensor) -> Tensor:
    one = partial(weighted_sdr, mix=targets.sum(1))
    return losses.combination_loss(one, estimates, targets)


def brute_blocks(one: Loss, estimates: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    pairs = zip(estimates, targets, strict=True)
    return torch.stack([losses.combination_loss(one, e, t) for e, t in pairs]).mean()


def brute_magnitudes(estimates: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    magnitudes = ([block.abs() for block in blocks] for blocks in (estimates, targets))
    return brute_blocks(lambda e, t: (e - t).square().mean(), *magnitudes)


# name: ours, and one call for each of the 14 combinations
WAVEFORM_LOSSES: dict[str, tuple[Loss, Loss]] = {
    "SI-SDR": (losses.combination_si_sdr, partial(losses.combination_loss, SISDRLoss())),
    "SD-SDR": (losses.combination_sd_sdr, partial(losses.combination_loss, SDSDRLoss())),
    "SDR": (losses.combination_sdr, partial(losses.combination_loss, SNRLoss())),
    "weighted SDR": (losses.combination_weighted_sdr, brute_weighted_sdr),
    "L1": (losses.combination_l1, partial(losses.combination_loss, l1_loss)),
}
COEFFICIENT_LOSSES: dict[str, tuple[Loss, Loss]] = {
    "squared, complex": (
        losses.combination_mse,
        partial(brute_blocks, lambda e, t: (e - t).abs().square().mean()),
    ),
    "squared, magnitudes": (losses.combination_magnitude_mse, brute_magnitudes),
    "L1, complex": (
        losses.combination_l1,
        partial(brute_blocks, lambda e, t: (e - t).abs().mean()),
    ),
}


@cache
def inputs() -> tuple[SliCQT, Tensor, tuple[Tensor, ...], list[Tensor]]:
    """Transform, targets and their coefficients, coefficients of estimates."""
    targets, slicqt = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)), SliCQT()
    with torch.no_grad():
        estimates = slicqt(0.7 * targets + 0.1 * targets.sum(1, keepdim=True))
        return slicqt, targets, slicqt(targets), [block.requires_grad_() for block in estimates]


def step(loss: Loss | None, through_inverse: bool) -> tuple[float, float]:
    """Seconds forward and backward, from the coefficients of all sources and back.

    Args:
        loss: of waveforms or of coefficients; None is the inverse alone.
        through_inverse: whether it is one of waveforms.
    """
    slicqt, waveforms, coefficients, leaves = inputs()
    start = time.perf_counter()
    gradient = None
    if through_inverse:
        value = slicqt.inverse(leaves, length=SHAPE[-1])
        if loss is None:
            gradient = waveforms
        else:
            value = loss(value, waveforms)
    else:
        assert loss is not None
        value = loss(leaves, coefficients)
    middle = time.perf_counter()
    torch.autograd.grad(value, leaves, gradient)
    return middle - start, time.perf_counter() - middle


def find(name: str) -> dict[str, Callable[[], tuple[float, float]]]:
    """The steps of a row, ``ours`` and, but for the inverse alone, ``brute``."""
    if name == INVERSE:
        return {"ours": partial(step, None, True)}
    table = WAVEFORM_LOSSES if name in WAVEFORM_LOSSES else COEFFICIENT_LOSSES
    steps = [partial(step, loss, name in WAVEFORM_LOSSES) for loss in table[name]]
    return dict(zip(("ours", "brute"), steps, strict=True))


def speed(name: str, repetitions: int) -> list[str]:
    """A row of the table; ours and brute force take turns."""
    steps = find(name)
    seconds = {which: [run()] for which, run in steps.items()}  # warm up
    for _ in range(repetitions):
        for which, run in steps.items():
            seconds[which].append(run())
    both = {which: [sum(pair) for pair in pairs[1:]] for which, pairs in seconds.items()}
    forward, backward = zip(*seconds["ours"][1:], strict=True)
    cells = [min(forward), min(backward), min(both["ours"]), statistics.median(both["ours"])]
    cells = [f"{1e3 * s:.0f}" for s in cells]
    if "brute" in both:
        ratio = min(both["brute"]) / min(both["ours"])
        cells += [f"{1e3 * min(both['brute']):.0f}", f"{ratio:.1f} ×"]
    else:
        cells += ["", ""]
    print(name, *cells, sep="\t", flush=True)
    return [name, *cells]


def print_peak(name: str, which: str) -> None:
    """Peak memory above the inputs and the gradient, MiB."""
    size = sum(block.numel() * block.element_size() for block in inputs()[-1])
    memory = report.PeakMemory()
    find(name)[which]()
    print(max(0.0, memory.above_start() - size / 2**20))


def memory(name: str) -> list[str]:
    peaks = [report.peak_mib(__file__, "--peak", name, which) for which in find(name)]
    cells = [f"{peak:.0f}" for peak in peaks] + [""] * (2 - len(peaks))
    print(name, *cells, sep="\t", flush=True)
    return [name, *cells]


def haaqi(repetitions: int) -> list[list[str]]:
    """Processor time of HAAQI of two signals of 2 s: with and without a search for delays."""
    generator = torch.Generator().manual_seed(0)
    target = 0.1 * torch.randn(2, SHAPE[-1], generator=generator)
    estimate = target + 0.05 * torch.randn(target.shape, generator=generator)
    rows = []
    for align in (False, True):
        loss = losses.HAAQILoss(align=align)
        seconds = []
        for _ in range(1 + repetitions):
            leaf = estimate.clone().requires_grad_()
            start = time.process_time()
            value = loss(leaf, target)
            middle = time.process_time()
            value.backward()
            seconds.append((middle - start, time.process_time() - middle))
        forward, backward = (min(column) for column in zip(*seconds[1:], strict=True))
        rows.append([f"`HAAQILoss(align={align})`", f"{forward:.2f}", f"{backward:.2f}"])
    if find_spec("clarity"):
        pair = (x.numpy().astype(float)[:, None] for x in (target, estimate))
        references, estimates = pair
        evaluation.haaqi(references, estimates, 44100)  # which compiles
        start = time.process_time()
        evaluation.haaqi(references, estimates, 44100)
        rows.append(["`pyclarity`", f"{time.process_time() - start:.2f}", ""])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--haaqi", action="store_true", help="the cost of HAAQI instead")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="peak memory instead")
    parser.add_argument("--peak", nargs=2, metavar=("LOSS", "WHICH"))
    args = parser.parse_args()
    if args.peak:
        print_peak(*args.peak)
        return
    if args.haaqi:
        header = ["HAAQI of 2 × 2 s", "forward", "backward"]
        report.write_section(
            "losses haaqi",
            f"""`python benchmarks/losses.py --haaqi`: two signals of 2 s at 44.1 kHz, seconds
of one processor, minima; 64 stereo waveforms, as above, take 64 times that.

{report.table(header, haaqi(args.repetitions))}
""",
        )
        return
    names = [INVERSE, *WAVEFORM_LOSSES, *COEFFICIENT_LOSSES]
    if args.memory:
        rows = [memory(name) for name in names]
        report.write_section(
            "losses memory",
            f"""`python benchmarks/losses.py --memory`: peak memory of the same losses above inputs
and gradient, MiB, each in a process of its own.

{report.table(["loss", "ours", "brute force"], rows)}
""",
        )
        return
    rows = [speed(name, args.repetitions) for name in names]
    header = ["loss", "forward", "backward", "both", "median", "brute force, both", "ratio"]
    report.write_section(
        "losses",
        f"""## Losses

`python benchmarks/losses.py` on {report.machine()}. Over the 14 combinations of four sources, for
16 × 2 s of stereo at 44.1 kHz (64 stereo waveforms), from the coefficients of the default sliCQT
to the loss and back to their gradient. The first {1 + len(WAVEFORM_LOSSES)} rows go through
`SliCQT.inverse`, once for all sources. Milliseconds, minima, and the median of both. Brute force
sums the sources of each combination and calls `auraloss`, or the formula, 14 times, after the same
inverse.

{report.table(header, rows)}

The target was 500 ms for a backward pass through the inverse, for which the original took 44 s.
""",
    )


if __name__ == "__main__":
    main()
