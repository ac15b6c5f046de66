"""Separators with random weights beside Open-Unmix, in one run: speed, memory, arithmetic.

``pip install openunmix``, then ``python benchmarks/separator.py`` prints the tables and writes them
to docs/benchmarks.md. ``--seconds 10`` is quicker and writes nothing.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable

import report
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from asteroid_slicq import XUMXSliCQ

SAMPLE_RATE = 44100


def open_unmix(iterations: int) -> nn.Module:
    """The published architecture of UMX-HQ with random weights."""
    from openunmix.model import OpenUnmix, Separator

    torch.manual_seed(0)
    targets = {
        name: OpenUnmix(nb_bins=2049, nb_channels=2, hidden_size=512, max_bin=1487)
        for name in ("vocals", "drums", "bass", "other")
    }
    return Separator(targets, niter=iterations, n_fft=4096, n_hop=1024, nb_channels=2).eval()


def ours(preset: str, **overrides: object) -> nn.Module:
    torch.manual_seed(0)
    return XUMXSliCQ.from_preset(preset, **overrides).eval()


MODELS: dict[str, Callable[[], nn.Module]] = {
    "Open-Unmix": functools.partial(open_unmix, 0),
    "Open-Unmix, one Wiener iteration": functools.partial(open_unmix, 1),
    "V2 realtime": functools.partial(ours, "v2-realtime"),
    "V2 offline": functools.partial(ours, "v2"),
    "V1, mix phase": functools.partial(ours, "v1", wiener_iterations=0),
    "V1, Wiener on the STFT": functools.partial(ours, "v1"),
    "small (the default model)": functools.partial(ours, "small"),
}
TARGETS = {
    # model: (limit, as a multiple of)
    "V2 realtime": (0.5, "Open-Unmix"),
    "V2 offline": (0.4, "Open-Unmix, one Wiener iteration"),
    "V1, mix phase": (2.2, "Open-Unmix"),
}


def separate(model: nn.Module, mix: Tensor) -> object:
    """The whole file in bounded memory where the model can, else in one call."""
    if isinstance(model, XUMXSliCQ):
        return model.separate(mix)
    return model(mix[None])


def song(seconds: float) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(2, int(seconds * SAMPLE_RATE), generator=generator)


def giga_multiply_adds(model: nn.Module) -> float:
    """Of convolutions, matrix products and LSTMs for a second of audio."""
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        model(song(10)[None])
    return counter.get_total_flops() / 2e9 / 10


def machine_giga_multiply_adds() -> float:
    """What a large matrix product reaches here, per second: the machine's limit."""
    a = torch.randn(2048, 2048)
    (best, _) = report.time_side_by_side({"product": lambda: a @ a}, 10)["product"]
    return 2048**3 / best / 1e9


def print_peak(name: str, seconds: float) -> None:
    model = MODELS[name]()
    with torch.inference_mode():
        separate(model, song(1))
        mix = song(seconds)
        memory = report.PeakMemory()
        separate(model, mix)
    print(memory.above_start())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--peak", metavar="MODEL")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.peak:
        print_peak(args.peak, args.seconds)
        return

    models = {name: make() for name, make in MODELS.items()}
    mix = song(args.seconds)
    with torch.inference_mode():
        runs = {name: (lambda m=model: separate(m, mix)) for name, model in models.items()}
        timed = report.time_side_by_side(runs, args.repetitions, budget_s=240)
    seconds = {name: best for name, (best, _) in timed.items()}
    limit = machine_giga_multiply_adds()
    rows = []
    for name, model in models.items():
        arithmetic = giga_multiply_adds(model) if isinstance(model, XUMXSliCQ) else None
        bound = arithmetic and arithmetic / limit * args.seconds / seconds[name]
        peak = report.peak_mib(__file__, "--peak", name, "--seconds", str(args.seconds))
        target = TARGETS.get(name)
        ratio = seconds[name] / seconds[target[1]] if target else None
        rows.append(
            [
                name,
                f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M",
                f"{seconds[name] / args.seconds:.4f}",
                f"{seconds[name] / seconds['Open-Unmix']:.2f} ×",
                f"{ratio:.2f} × {target[1]} (≤ {target[0]})" if target else "",
                f"{arithmetic:.2f}" if arithmetic else "",
                f"{100 * bound:.0f} %" if bound else "",
                f"{peak:.0f}",
            ]
        )
        print(*rows[-1], sep="\t", flush=True)
    header = [
        "model", "parameters", "seconds a second", "of Open-Unmix", "target",
        "G multiply-adds a second", "of the machine's limit", "peak, MiB",
    ]  # fmt: skip
    if args.seconds != 60:
        return
    report.write_section(
        "separator",
        f"""## Separators

`python benchmarks/separator.py` on {report.machine()}: 60 s of stereo noise, random weights, all in
one run, taking turns; seconds of work for a second of audio, minima. Ours separate in segments, as
they do with files; Open-Unmix takes the song in one call. Peak memory is that above the model's and
the input's. The machine's limit is what a product of matrices of 2048 reaches:
{limit:.0f} G multiply-adds a second.

{report.table(header, rows)}
""",
    )


if __name__ == "__main__":
    main()
