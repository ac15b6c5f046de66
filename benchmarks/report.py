"""Timing side by side, peak memory in a process of its own, and a section of docs/benchmarks.md."""

from __future__ import annotations

import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
MISSED: list[str] = []


def time_side_by_side(
    runs: Mapping[str, Callable[[], object]],
    repetitions: int,
    budget_s: float = 60.0,
    at_least: int = 5,
) -> dict[str, tuple[float, float]]:
    """Minimum and median seconds of each run; they take turns, so that noise hits all alike.

    After ``budget_s`` no further turn begins, once there were ``at_least``.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():  # warm up
        run()
    end = time.perf_counter() + budget_s
    for repetition in range(repetitions):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
        if repetition + 1 >= at_least and time.perf_counter() > end:
            break
    return {name: (min(s), statistics.median(s)) for name, s in seconds.items()}


def numbers(script: str, *arguments: str) -> list[float]:
    """The numbers on the last line that ``script`` prints, run in a fresh process."""
    command = [sys.executable, script, *arguments]
    out = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(word) for word in out.stdout.splitlines()[-1].split()]


def peak_mib(script: str, *arguments: str) -> float:
    """Peak memory above the input's, which ``script`` prints last, in a fresh process."""
    return numbers(script, *arguments)[-1]


class PeakMemory:
    """Peak resident memory from here on above what is resident now, in MiB; Linux alone.

    ``getrusage`` would not do: a new process starts with the peak of the one that started it.
    """

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak falls to what is resident
        self.before = self._read("VmRSS")

    def above_start(self) -> float:
        return self._read("VmHWM") - self.before

    @staticmethod
    def _read(field: str) -> float:
        status = Path("/proc/self/status").read_text()
        return int(status.split(f"{field}:")[1].split()[0]) / 1024


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def reached(what: str, measured: float, relation: str, limit: float) -> bool:
    """Whether a target (``≤`` or ``≥``) is reached; :func:`end` names those that are not."""
    is_reached = measured <= limit if relation == "≤" else measured >= limit
    if not is_reached:
        MISSED.append(f"{what}: {measured:.2f}, not {relation} {limit}")
    return is_reached


def end() -> None:
    """Exit with an error if a target was missed; the page is written by then."""
    if MISSED:
        sys.exit("\n".join(["targets missed:", *MISSED]))


def machine() -> str:
    """What the numbers were measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file() and (found := re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())):
        model = found[1]
    return (
        f"{model}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"Python {platform.python_version()}, float32"
    )


def write_section(name: str, text: str, path: Path = PAGE) -> None:
    """Replace the section of one script in a page of the documentation, or append it."""
    page = path.read_text() if path.is_file() else "# Benchmarks\n"
    section = f"<!-- {name} -->\n{text.strip()}\n<!-- end of {name} -->"
    pattern = re.compile(rf"<!-- {name} -->.*?<!-- end of {name} -->", re.DOTALL)
    page = pattern.sub(lambda _: section, page) if pattern.search(page) else f"{page}\n{section}\n"
    path.parent.mkdir(exist_ok=True)
    path.write_text(page)
