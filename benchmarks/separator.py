"""Separators with random weights beside Open-Unmix, in one run: speed, memory, arithmetic.

``pip install openunmix "asteroid-slicq[onnx]"``, then ``python benchmarks/separator.py`` prints the
table and writes it to docs/benchmarks.md, in ten minutes. ``--seconds 20`` is quicker and writes
nothing. ``--bandsplit`` measures BandSplit and the default model instead, ``--lstm`` the recurrent
networks, which take long, and ``--compile`` what ``torch.compile`` makes of the convolutions, which
takes longer still; ``--stages`` where V2 spends its time.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import report
import soundfile
import torch
from arithmetic import multiply_adds
from separator_cases import DEFAULT, MODELS, SAMPLE_RATE, Streamed, separate, song
from torch import nn

from asteroid_slicq import BandSplit, MiXiN, SeparatorStream, XUMXSliCQ
from asteroid_slicq.models.xumx_slicq import OnnxSeparator
from asteroid_slicq.separation import separate as separate_with
from asteroid_slicq.wiener import filter_masked

LONG_SONG_S = 300
MOST_MEMORY_MIB = 700
TARGETS = {
    # model: (limit, as a multiple of)
    "V2 realtime": (0.5, "Open-Unmix"),
    "V2 offline": (0.4, "Open-Unmix, one Wiener iteration"),
    "V1, mix phase": (2.2, "Open-Unmix"),
}


def giga_multiply_adds(name: str) -> float:
    """Of the networks alone, for a second of audio."""
    if name.startswith("V2 realtime,"):
        name = "V2 realtime"
    model = MODELS[name]()
    if isinstance(model, MiXiN | BandSplit):
        return counted(lambda: model(song(10)[None]), model) / 10
    if not isinstance(model, XUMXSliCQ):
        # A recurrent or dense layer uses each of its weights once a frame.
        return used_once(cast(nn.Module, model)) * SAMPLE_RATE / 1024 / 1e9
    if "lstm" in model.get_model_args()["network"]:
        seen = model.network_input(model.transform(song(10)[None]))
        pairs = zip(model.blocks, seen, strict=True)
        return sum(used_once(network) * x[0, 0, 0].numel() for network, x in pairs) / 10 / 1e9
    model.wiener_iterations = 0
    coefficients = model.transform(song(10)[None])
    return counted(lambda: model.estimate_from_coefficients(coefficients)) / 10


def used_once(network: nn.Module) -> int:
    """Weights of matrices."""
    return sum(p.numel() for p in network.parameters() if p.ndim > 1)


def counted(run: Callable[[], object], model: nn.Module | None = None) -> float:
    """G multiply-adds of convolutions, matrix products, attention and recurrent layers."""
    return multiply_adds(run, model) / 1e9


def n_parameters(name: str) -> int:
    model = MODELS["V2 realtime" if name.startswith("V2 realtime") else name]()
    return sum(p.numel() for p in cast(nn.Module, model).parameters())


def machine_giga_multiply_adds() -> float:
    """What a large matrix product reaches here, per second: the machine's limit."""
    a = torch.randn(2048, 2048)
    (best, _) = report.time_side_by_side({"product": lambda: a @ a}, 10)["product"]
    return 2048**3 / best / 1e9


def print_peak(name: str, seconds: float) -> None:
    """Peak resident memory above that of the imports, and in all, in MiB.

    Ours separate a file, which they read and write as a stream; Open-Unmix takes the waveform.
    """
    if name.startswith("Open-Unmix"):
        import openunmix.model  # noqa: F401
    memory = report.PeakMemory()
    model = MODELS[name]()
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        if isinstance(model, Streamed):
            stream = SeparatorStream(model.model)
            for _ in range(round(seconds)):
                for block in song(1).split(1024, dim=-1):
                    stream.push(block)
        elif isinstance(model, XUMXSliCQ | OnnxSeparator | MiXiN | BandSplit):
            mix = Path(folder) / "mix.wav"
            with soundfile.SoundFile(mix, "w", SAMPLE_RATE, 2) as file:
                for _ in range(round(seconds)):
                    file.write(song(1).T.numpy())
            separate_with(model, mix)
        else:
            separate(model, song(seconds))
    above = memory.above_start()
    print(above, memory.before + above)


def time_compiled(repetitions: int) -> None:
    """Seconds for one segment of 10 s with and without ``torch.compile``, of every network."""
    # Every block is a shape of its own; by default, torch.compile gives up after 8 of them.
    torch._dynamo.config.recompile_limit = 128
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # what an earlier run compiled
    mix = song(10)[None]
    rows = []
    for name in ("V2 realtime", "V1, mix phase"):
        model, compiled = cast(XUMXSliCQ, MODELS[name]()), cast(XUMXSliCQ, MODELS[name]())
        with torch.inference_mode(), model.fixed_weights():
            start = time.perf_counter()
            for network in compiled.blocks:
                network.compile(dynamic=False)
            difference = (compiled(mix) - model(mix)).abs().max()
            first = time.perf_counter() - start
            runs = {"eager": lambda m=model: m(mix), "compiled": lambda m=compiled: m(mix)}
            timed = report.time_side_by_side(runs, repetitions)
        eager, faster = timed["eager"][0], timed["compiled"][0]
        ratio = f"{eager / faster:.2f} ×"
        rows.append(
            [name, f"{eager:.3f}", f"{faster:.3f}", ratio, f"{first:.0f}", f"{difference:.0e}"]
        )
        print(*rows[-1], sep="\t", flush=True)
    header = [
        "model",
        "as it is, s",
        "compiled, s",
        "faster",
        "first call, s",
        "largest difference",
    ]
    report.write_section(
        "compiled",
        f"""## What torch.compile gains

`python benchmarks/separator.py --compile` on {report.machine()}:
one segment of 10 s of stereo, every network compiled by `torch.compile(dynamic=False)`, beside the
uncompiled model, whose weights are laid out beforehand as for a song. Minima.

{report.table(header, rows)}
""",
    )


def time_stages(repetitions: int) -> None:
    """Milliseconds for a second of audio that V2 spends in each stage of a segment of 15 s."""
    seconds, rows = 15, []
    for name in ("V2 realtime", "V2 offline"):
        model, mix = cast(XUMXSliCQ, MODELS[name]()), song(15)[None]
        n_iterations = model.wiener_iterations
        with torch.inference_mode(), model.fixed_weights():
            blocks = model.transform(mix)
            magnitudes = [block.abs() for block in blocks]
            masks = [network(x) for network, x in zip(model.blocks, magnitudes, strict=True)]
            sources = model.estimate_from_coefficients(blocks).coefficients

            def networks(model=model, magnitudes=magnitudes) -> None:
                for network, x in zip(model.blocks, magnitudes, strict=True):
                    network(x)

            def filtered(masks=masks, blocks=blocks, n=n_iterations) -> None:
                for mask, block in zip(masks, blocks, strict=True):
                    filter_masked(mask, block, n)

            def inverse(model=model, sources=sources) -> object:
                return model.transform.inverse(sources, length=seconds * SAMPLE_RATE)

            runs = {
                "all": lambda m=model, x=mix: m(x),
                "transform": lambda m=model, x=mix: m.transform(x),
                "magnitudes": lambda b=blocks: [block.abs() for block in b],
                "networks": networks,
                "phase of the mix, Wiener-EM": filtered,
                "inverse": inverse,
            }
            timed = report.time_side_by_side(runs, repetitions)
        rows.append([name, *(f"{1e3 * best / seconds:.1f}" for best, _ in timed.values())])
        print(*rows[-1], sep="\t", flush=True)
    report.write_section(
        "stages",
        f"""## Where V2 spends its time

`python benchmarks/separator.py --stages` on {report.machine()}:
milliseconds per second of stereo, in a segment of {seconds} s. Minima.

{report.table(["model", *runs], rows)}
""",
    )


def names_of(kind: str | None) -> list[str]:
    """Open-Unmix, and the models of a run: of a kind and the default one, or all without a kind."""
    if kind is None:
        return [name for name in MODELS if "LSTM" not in name and "BandSplit" not in name]
    beside = ["Open-Unmix", *([DEFAULT, "medium"] if kind == "BandSplit" else [])]
    return [*beside, *(name for name in MODELS if kind in name)]


HEADER = [
    "model", "parameters", "seconds a second", "of Open-Unmix", "target",
    "G multiply-adds a second", "of the machine's limit", "peak, MiB",
]  # fmt: skip


def times(names: Sequence[str], args: argparse.Namespace) -> dict[str, float]:
    """Seconds that each model takes for the song, in turn in one run."""
    mix = song(args.seconds)
    models = {name: MODELS[name]() for name in names}
    with torch.inference_mode():
        runs = {name: (lambda m=model: separate(m, mix)) for name, model in models.items()}
        timed = report.time_side_by_side(runs, args.repetitions, budget_s=180)
    return {name: best for name, (best, _) in timed.items()}


def peaks(name: str, args: argparse.Namespace) -> list[list[float]]:
    """Peak memory for the song, and of ours for a long one, see :func:`print_peak`."""
    lengths = [args.seconds]
    if args.seconds == 60 and not name.startswith("Open-Unmix"):
        lengths.append(LONG_SONG_S)
    arguments = ("--peak", name, "--threads", str(args.threads), "--seconds")
    return [report.numbers(__file__, *arguments, str(length)) for length in lengths]


def row_of(
    name: str, seconds: dict[str, float], limit: float, args: argparse.Namespace
) -> list[str]:
    """A row of the table; says whether a target is reached."""
    arithmetic = giga_multiply_adds(name)
    of_limit = arithmetic / limit * args.seconds / seconds[name]
    of_memory = peaks(name, args)
    target = ""
    if name in TARGETS:
        most, of = TARGETS[name]
        report.reached(name, seconds[name] / seconds[of], "≤", most)
        target = f"{seconds[name] / seconds[of]:.2f} × {of} (≤ {most})"
    if not name.startswith("Open-Unmix"):
        highest = max(above for above, _ in of_memory)
        report.reached(f"{name}, MiB", highest, "≤", MOST_MEMORY_MIB)
    return [
        name,
        f"{n_parameters(name) / 1e6:.2f} M",
        f"{seconds[name] / args.seconds:.4f}",
        f"{seconds[name] / seconds['Open-Unmix']:.2f} ×",
        target,
        f"{arithmetic:.2f}",
        f"{100 * of_limit:.0f} %",
        ", ".join(f"{above:.0f} ({total:.0f})" for above, total in of_memory),
    ]


def report_separators(args: argparse.Namespace) -> None:
    """Measure all models of the run, and write their section where the song has 60 s."""
    limit = machine_giga_multiply_adds()
    names = names_of("LSTM" if args.lstm else "BandSplit" if args.bandsplit else None)
    seconds, rows = times(names, args), []
    for name in names:
        rows.append(row_of(name, seconds, limit, args))
        print(*rows[-1], sep="\t", flush=True)
    if args.seconds != 60:
        return
    table = report.table(HEADER, rows)
    if args.lstm:
        report.write_section(
            "recurrent separators",
            f"""## Recurrent separators

`python benchmarks/separator.py --lstm` on {report.machine()}:
the same for the presets `v2-lstm` and `v1-lstm`, in a run of their own.

{table}
""",
        )
    elif args.bandsplit:
        report.write_section(
            "bandsplit separators",
            f"""## BandSplit and the default model

`python benchmarks/separator.py --bandsplit` on {report.machine()}:
the same for BandSplit and for the preset of the default model, in a run of their own.

{table}
""",
        )
    else:
        report.write_section(
            "separator",
            f"""## Separators

`python benchmarks/separator.py` on {report.machine()}: 60 s of stereo noise, random weights,
measured in turn in one run; seconds of work per second of audio, minima. Ours separate in segments,
as for files; the stream gets 1024 samples at a time; Open-Unmix gets the song in one call.
G multiply-adds are those of the networks per second of audio, without transforms and Wiener-EM;
the machine's limit is the rate of a product of matrices of size 2048: {limit:.0f} G a second.

Peak memory is the resident memory of a process of its own, above that of the imports, and in
brackets the total. It includes model, input and output, but not the imports, whose size depends on
the build of PyTorch. Ours separate a file of 60 s, and one of
{LONG_SONG_S} s: it does not grow with the song. Target: {MOST_MEMORY_MIB} MiB.

{table}
""",
        )
    report.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--lstm", action="store_true")
    parser.add_argument("--bandsplit", action="store_true")
    parser.add_argument("--peak", metavar="MODEL")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--stages", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.peak:
        print_peak(args.peak, args.seconds)
        return
    if args.stages:
        time_stages(args.repetitions)
        return
    if args.compile:
        time_compiled(args.repetitions)
        return
    report_separators(args)


if __name__ == "__main__":
    main()
