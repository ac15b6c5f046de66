"""What a GPU gains: the transform beside torch.stft, separators beside Open-Unmix, training steps.

One part lists the kernels that take most of a pass.

``python benchmarks/gpu.py`` measures on one NVIDIA GPU in less than six minutes, runs the tests
that need one, and writes a section of docs/benchmarks.md after every part, so that what was
measured is there whatever comes later; ``--only`` measures one part. ``pip install openunmix`` for
the rival. ``--quick`` takes short inputs and small networks; ``--device cpu --quick`` shows that
the script works.
"""

from __future__ import annotations

import argparse
import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import report
import torch
from gpu_bench import Bench
from gpu_cases import kernels, separators, training_steps, transforms

ROOT = Path(__file__).parents[1]
TESTS = "cuda or gpu or graphs"


def tests(bench: Bench) -> str:
    """The tests that need a GPU; without one they are only collected."""
    left_s = None if bench.quick else max(10.0, bench.until - time.perf_counter())
    where = "tests/separation/test_graphs.py" if bench.quick else "tests"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", where]
    command += ["--continue-on-collection-errors"]
    command += ["-k", TESTS, "-m", "not slow"]
    command += [] if bench.is_gpu else ["--collect-only"]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=left_s, check=False
        )
    except subprocess.TimeoutExpired:
        return f"Not done in {left_s} s."
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    summary = re.sub(r"=+", "", [f"exit code {done.returncode}", *lines][-1]).strip()
    print(done.stdout[-4000:], flush=True)
    return "\n".join([f"`pytest -k '{TESTS}' -m 'not slow'`: {summary}.", "", *failed]).strip()


PARTS: dict[str, tuple[Callable[[Bench], str], float]] = {
    # heading: (what measures it, seconds that it may take)
    "Transform": (transforms, 60),
    "Kernels": (kernels, 30),
    "Separation of 60 s": (separators, 90),
    "Training steps of xumx-sliCQ V2": (training_steps, 80),
    "Tests": (tests, 90),
}


def measured(bench: Bench, heading: str) -> str:
    """A part of the page: what was measured where, in which time, and what was left out."""
    measure, budget_s = PARTS[heading]
    start = time.perf_counter()
    bench.until, bench.notes = math.inf if bench.quick else start + budget_s, []
    try:
        text = measure(bench)
    except Exception as error:
        text = f"Not measured: {type(error).__name__}: {error}."
    where = "no GPU"
    if bench.is_gpu:
        torch.cuda.empty_cache()
        where = torch.cuda.get_device_name(bench.device)
    seconds = time.perf_counter() - start
    notes = "\n".join(f"- {note}" for note in dict.fromkeys(bench.notes))
    left_out = f"Left out:\n\n{notes}" if notes else ""
    return f"""### {heading}

On {where}, {report.machine()}, in {seconds:.0f} s, {bench.repeat_s} s a case.

{text}

{left_out}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=[heading.split()[0].lower() for heading in PARTS])
    parser.add_argument("--repeat_s", type=float, default=1.5, help="how long a case is repeated")
    parser.add_argument("--page", type=Path, default=report.PAGE, help="where it is written")
    args = parser.parse_args()
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("no GPU here that PyTorch can use; --device cpu --quick tries the script")
    bench = Bench(device, args.quick, repeat_s=args.repeat_s)
    report.write_section(
        "gpu",
        """## On a GPU

`python benchmarks/gpu.py` (`--only` a part, `--repeat_s` of each case). Random weights and noise;
least times of repeated runs, in brackets the ratio to `torch.stft`, `istft` (4096/1024) and
Open-Unmix in one call. "Replayed" and "captured" are CUDA graphs. Separators take a song in the
memory of the processor and put its stems there, in one pass over segments of 12 s, the recording of
the graph included.
""",
        args.page,
    )
    for heading in PARTS:
        name = heading.split()[0].lower()
        if args.only in (None, name):
            report.write_section(f"gpu {name}", measured(bench, heading), args.page)
    print(f"written to {args.page}", file=sys.stderr)


if __name__ == "__main__":
    main()
