"""How a device is measured: times, peak memory, CUDA graphs, and how they stand in a table."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transform_cases import TRANSFORMS

from asteroid_slicq.separation import capture_cuda

Run = Callable[[], Any]


@dataclass
class Bench:
    """Where and how long to measure.

    Attributes:
        device: on which.
        quick: on short inputs.
        until: end of the part that is measured, of the clock ``time.perf_counter``.
        repeat_s: how long a case is repeated.
        notes: what could not be measured, and why.
    """

    device: torch.device
    quick: bool
    until: float = math.inf
    repeat_s: float = 1.5
    notes: list[str] = field(default_factory=list)

    @property
    def is_gpu(self) -> bool:
        return self.device.type == "cuda"

    def wait(self) -> None:
        if self.is_gpu:
            torch.cuda.synchronize(self.device)

    def seconds(self, what: str, run: Run, share: float = 1.0) -> tuple[float, float]:
        """The least seconds of a run and its peak memory in MiB; NaN where it fails."""
        try:
            if time.perf_counter() > self.until:
                raise TimeoutError("no time was left")
            run()  # warm up
            self.wait()
            if self.is_gpu:
                torch.cuda.reset_peak_memory_stats(self.device)
            best, end = math.inf, min(self.until, time.perf_counter() + share * self.repeat_s)
            while True:
                start = time.perf_counter()
                run()
                self.wait()
                best = min(best, time.perf_counter() - start)
                if self.quick or time.perf_counter() > end:
                    break
        except Exception as error:
            self.notes.append(f"{what}: {type(error).__name__}: {first_line(error)}")
            return math.nan, math.nan
        peak = torch.cuda.max_memory_allocated(self.device) / 2**20 if self.is_gpu else math.nan
        return best, peak

    def replayed(self, what: str, function: Callable[..., Any], *inputs: Tensor) -> float:
        """The same of a function that is recorded as a CUDA graph; NaN without a GPU."""
        if not self.is_gpu:
            return math.nan
        try:
            function(*inputs)
            replay = capture_cuda(lambda tensors: function(*tensors), inputs)
        except RuntimeError as error:
            self.notes.append(f"{what}, recorded: {first_line(error)}")
            return math.nan
        return self.seconds(f"{what}, replayed", lambda: replay(inputs), 1 / 3)[0]


def first_line(error: Exception) -> str:
    return [*str(error).splitlines(), ""][0]


def ms(seconds: float, digits: int = 2) -> str:
    return "–" if math.isnan(seconds) else f"{1e3 * seconds:.{digits}f}"


def ratio(seconds: float, of: float, limit: float | None = None) -> str:
    if math.isnan(seconds) or math.isnan(of):
        return "" if limit is None else f" (to reach: ≤ {limit} ×)"
    text = f"{seconds / of:.2f} ×"
    if limit is not None:
        text += f", ≤ {limit} × {'reached' if seconds / of <= limit else 'missed'}"
    return f" ({text})"


def made(name: str, length: int, device: torch.device) -> Any:
    """A transform by its name, for signals of a length, on a device."""
    transform: Any = TRANSFORMS[name](length)
    if isinstance(transform, nn.Module):
        return transform.to(device)
    transform.window = transform.window.to(device)
    return transform


def autocast_of(bench: Bench, run: Run) -> Run:
    def in_bf16() -> object:
        with autocast(bench):
            return run()

    return in_bf16


def autocast(bench: Bench, precision: str = "bf16") -> AbstractContextManager:
    if precision == "32":
        return nullcontext()
    return torch.autocast(bench.device.type, torch.bfloat16, cache_enabled=False)
