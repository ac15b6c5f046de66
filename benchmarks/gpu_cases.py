"""What is measured on a GPU: the transform, separators, training steps, and their kernels."""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import report
import torch
from gpu_bench import Bench, Run, autocast, autocast_of, first_line, made, ms, ratio
from separator_cases import DEFAULT, MODELS, ours, separate, song
from torch import Tensor
from transform_cases import TRANSFORMS, forward_inverse_backward

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.losses import XUMXLoss
from asteroid_slicq.separation import separate as separate_with
from asteroid_slicq.transform.fourier import TwoSteps, real_dft

RECIPES = Path(__file__).parents[1] / "recipes" / "musdb18hq"
RATE = 44100
LAYOUTS = ("sliced, ragged", "overlap-added, ragged", "overlap-added, piecewise")
SEPARATORS = (
    "Open-Unmix",
    "V2 realtime",
    "V2 offline",
    "V1, mix phase",
    DEFAULT,
    "BandSplit, small",
    "BandSplit",
)
TO_REACH = {"V2 offline": 0.2, "V2 realtime": 0.1}  # × Open-Unmix
LAYOUT_LIMITS = {"sliced, ragged": (4, 2), "overlap-added, ragged": (4, 2)}  # × stft, × istft
STEP_LIMITS_MS = {16: 60, 64: 100}


def transforms(bench: Bench) -> str:
    """Forward, inverse and all three passes of each layout, launched and replayed."""
    shapes = {"1 × 60 s": (2, 60 * RATE), "16 × 6 s": (16, 2, 6 * RATE)}
    if bench.quick:
        shapes = {"1 × 1 s": (2, RATE)}
    rows = []
    for label, shape in shapes.items():
        x = torch.randn(shape, device=bench.device)
        of: list[float] = []
        for name in ("STFT", *LAYOUTS):
            transform = made(name, shape[-1], bench.device)
            with torch.inference_mode():
                coefficients = transform(x)
                forward_s, _ = bench.seconds(name, partial(transform, x))
                inverse = partial(transform.inverse, coefficients, shape[-1])
                inverse_s, _ = bench.seconds(name, inverse)
                replayed_s = bench.replayed(name, transform, x)
            del coefficients, inverse
            step = forward_inverse_backward(transform, x)
            all_s, peak = bench.seconds(f"{name}, all three", step)
            is_judged = label == "16 × 6 s" and name in LAYOUT_LIMITS
            limits = LAYOUT_LIMITS[name] if is_judged else (None, None)
            of = of or [forward_s, inverse_s, all_s, replayed_s]
            cells = [
                ms(forward_s) + ratio(forward_s, of[0], limits[0]),
                ms(inverse_s) + ratio(inverse_s, of[1], limits[1]),
                ms(all_s) + ratio(all_s, of[2]),
                ms(replayed_s) + ratio(replayed_s, of[3]),
                "–" if math.isnan(peak) else f"{peak:.0f}",
            ]
            rows.append([name, label, *cells])
            print(*rows[-1], sep="\t", flush=True)
    header = ["transform", "stereo", "forward, ms", "inverse, ms", "all three, ms"]
    return report.table([*header, "forward replayed, ms", "peak of all three, MiB"], rows)


def kernels(bench: Bench) -> str:
    """What a GPU does in a pass: kernels by their time, and the time in which it waits for one."""
    seconds = 1 if bench.quick else 6
    batch = torch.randn(1 if bench.quick else 16, 2, seconds * RATE, device=bench.device)
    cases: dict[str, Run] = {}
    for name in ("STFT", *LAYOUTS):
        transform = made(name, batch.shape[-1], bench.device)
        with torch.inference_mode():
            coefficients = transform(batch)
        cases[f"{name}, forward"] = partial(transform, batch)
        cases[f"{name}, inverse"] = partial(transform.inverse, coefficients, batch.shape[-1])
    n = TRANSFORMS[LAYOUTS[0]](batch.shape[-1]).frame.slice_length
    for length in (n, 2 ** round(math.log2(n))):
        slices = torch.randn(64 if bench.quick else 1024, length, device=bench.device)
        cases[f"rfft of {len(slices)} × {length}"] = partial(torch.fft.rfft, slices)
        if isinstance(steps := real_dft(length, slices.dtype, torch.device("cpu")), TwoSteps):
            tensors = {k: v.to(bench.device) for k, v in vars(steps).items() if torch.is_tensor(v)}
            run = partial(replace(steps, **tensors).spectra, slices[None], None)
            cases[f"the same in two steps, {len(slices)} × {length}"] = run
    for name in [DEFAULT] if bench.quick else ["V2 realtime", "V2 offline", DEFAULT]:
        model = MODELS[name]().to(bench.device)
        cases[f"{name}, {seconds} s"] = partial(model, batch[:1])
    rows = []
    for name, run in cases.items():
        if time.perf_counter() > bench.until:
            bench.notes.append(f"{name}: no time was left")
            continue
        try:
            rows += kernels_of(bench, name, run)
        except Exception as error:
            bench.notes.append(f"{name}: {type(error).__name__}: {first_line(error)}")
    header = ["pass", "wall, ms", "kernels", "kernels, ms", "kernel", "calls", "ms", "share"]
    return report.table(header, rows)


def kernels_of(bench: Bench, name: str, run: Run, n_most: int = 5) -> list[list[str]]:
    """Rows of a pass, the kernels that take most of its time; without a GPU its operators."""
    kind = torch.profiler.ProfilerActivity
    with torch.inference_mode():
        wall_s, _ = bench.seconds(name, run, 1 / 5)
        with torch.profiler.profile(
            activities=[kind.CUDA if bench.is_gpu else kind.CPU]
        ) as profile:
            run()
            bench.wait()
    attribute = "self_device_time_total" if bench.is_gpu else "self_cpu_time_total"
    events = [(e.key, e.count, getattr(e, attribute) / 1e3) for e in profile.key_averages()]
    events = sorted((e for e in events if e[2] > 0), key=lambda e: -e[2])
    n_calls, total_ms = sum(e[1] for e in events), sum(e[2] for e in events)
    rows = []
    for i, (kernel, count, of_kernel_ms) in enumerate(events[:n_most]):
        first = [name, ms(wall_s), str(n_calls), f"{total_ms:.2f}"] if i == 0 else [""] * 4
        short = re.sub(r"void |at::native::|[|`]", "", kernel)[:100]
        share = f"{100 * of_kernel_ms / total_ms:.0f} %"
        rows.append([*first, f"`{short}`", str(count), f"{of_kernel_ms:.3f}", share])
    print(*rows[0], sep="\t", flush=True)
    return rows


def separators(bench: Bench) -> str:
    """A minute of noise from the memory of the processor and back."""
    mix = song(2 if bench.quick else 60)
    names = ["V2 realtime", DEFAULT] if bench.quick else SEPARATORS
    rows, of = [], math.nan
    for name in names:
        try:
            model: Any = MODELS[name]()
        except ImportError:
            bench.notes.append(f"{name}: not installed")
            continue
        model = model.to(bench.device)
        is_rival = name == "Open-Unmix"

        def usual(model: Any = model, **options: Any) -> object:
            with torch.inference_mode():
                return separate_with(model, mix, two_passes=False, **options)

        def rival(model: Any = model) -> object:
            with torch.inference_mode():
                return separate(model, mix.to(bench.device)).cpu()  # type: ignore[attr-defined]

        launch = rival if is_rival else lambda run=usual: run(cuda_graphs=False)
        launched, peak = bench.seconds(name, launch)
        replayed = replayed_peak = bf16 = math.nan
        if not is_rival:
            if bench.is_gpu:
                replayed, replayed_peak = bench.seconds(f"{name}, replayed", usual)
            bf16 = bench.seconds(f"{name}, bf16", autocast_of(bench, usual))[0]
        of = launched if is_rival else of
        best = min((s for s in (launched, replayed) if not math.isnan(s)), default=math.nan)
        peaks = [f"{p:.0f}" for p in (peak, replayed_peak) if not math.isnan(p)]
        cells = [ms(launched, 0), ms(replayed, 0), ms(bf16, 0)]
        beside = ratio(best, of, TO_REACH.get(name)).strip(" ()")
        rows.append([name, *cells, beside or "–", " / ".join(peaks) or "–"])
        print(*rows[-1], sep="\t", flush=True)
        del model, usual, rival, launch
    header = ["model", "launched, ms", "replayed, ms", "replayed, bf16, ms", "of Open-Unmix"]
    return report.table([*header, "peak, MiB, launched / replayed"], rows)


def training_steps(bench: Bench) -> str:
    """Losses, gradients and Adam of V2, launched and captured as the recipes do."""
    sizes = [1] if bench.quick else [16, 64]
    overrides: dict[str, Any] = {"hidden_channels": (2, 2)} if bench.quick else {}
    variants = {"V2 realtime": "v2-realtime", "V2 offline": "v2"}
    rows = []
    for name, preset in variants.items():
        for size in sizes:
            for precision in ("32", "bf16"):
                case = f"{name}, {size} × 2 s, {precision}"
                model = ours(preset, **overrides).to(bench.device).train()
                batch = 0.1 * torch.randn(size, 4, 2, RATE if bench.quick else 2 * RATE)
                step = make_step(bench, model, batch.to(bench.device), precision)
                launched, peak = bench.seconds(case, step(captured=False))
                captured = captured_peak = math.nan
                if bench.is_gpu:
                    captured, captured_peak = bench.seconds(
                        f"{case}, captured", step(captured=True)
                    )
                limit = STEP_LIMITS_MS.get(size)
                best = min((s for s in (launched, captured) if not math.isnan(s)), default=math.nan)
                target = "" if limit is None else f"≤ {limit} ms"
                if limit is not None and not math.isnan(best):
                    target += " reached" if 1e3 * best <= limit else " missed"
                peaks = [f"{p:.0f}" for p in (peak, captured_peak) if not math.isnan(p)]
                cells = [ms(launched, 1), ms(captured, 1), target, " / ".join(peaks) or "–"]
                rows.append([name, f"{size} × 2 s", precision, *cells])
                print(*rows[-1], sep="\t", flush=True)
                del model, step, batch
    header = ["model", "stems", "precision", "launched, ms", "captured, ms", "to reach"]
    return report.table([*header, "peak, MiB, launched / captured"], rows)


def make_step(
    bench: Bench, model: XUMXSliCQ, batch: Tensor, precision: str
) -> Callable[[bool], Run]:
    """A step of training on one batch, of which the losses may be captured."""
    sys.path[:0] = [p for p in (str(RECIPES),) if p not in sys.path]
    from common.graphs import capture

    loss = XUMXLoss()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def losses(stems: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            targets = model.transform(stems)
            mix = [block.sum(1) for block in targets]
        return {"loss": loss(model.estimate_from_coefficients(mix), targets).total}

    def of(captured: bool) -> Run:
        compute: Callable[[Tensor], dict[str, Tensor]] = losses
        if captured:
            with autocast(bench, precision):
                graph = capture(model, losses, batch)
            if graph.shape is None:
                raise RuntimeError("the capture failed")
            compute = graph

        def run() -> None:
            optimizer.zero_grad(set_to_none=True)
            with autocast(bench, precision):
                value = compute(batch)["loss"]
            value.backward()
            optimizer.step()

        return run

    def step(captured: bool) -> Run:
        made = lru_cache(lambda: of(captured))  # once it is measured, so that errors are told
        return lambda: made()()

    return step
