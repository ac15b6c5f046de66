"""Two commands at the same time beside one: what each loses when they share the processors.

``python benchmarks/processes.py`` prints the seconds of ``asteroid-slicq separate`` alone and of
two of them, and writes them to docs/benchmarks.md, in half a minute on two idle cores. Each does
half as much per second at best, where one alone keeps all of them busy.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import report
import soundfile

MOST_TIMES = 2.2
SAMPLE_RATE = 44100


def write_song(path: Path, seconds: float) -> None:
    """Stereo noise."""
    samples = np.random.default_rng(0).standard_normal((round(seconds * SAMPLE_RATE), 2))
    soundfile.write(path, 0.1 * samples, SAMPLE_RATE)


def seconds_of(n_processes: int, folder: Path) -> float:
    """Until as many commands, started together, have separated ``song.wav``."""
    # As from a shell in which nothing was set for the threads.
    names = ("OMP_", "GOMP_", "KMP_", "MKL_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(names)}
    command = [sys.executable, "-m", "asteroid_slicq", "separate", "song.wav", "-q", "--overwrite"]
    started = time.perf_counter()
    processes = [
        subprocess.Popen([*command, "-o", f"out-{i}"], cwd=folder, env=environment)
        for i in range(n_processes)
    ]
    codes = [process.wait() for process in processes]
    if any(codes):
        sys.exit(f"a command failed: {codes}")
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=80, help="of the song")
    parser.add_argument("--repetitions", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_song(folder / "song.wav", args.seconds)
        runs = {n: (lambda n=n: seconds_of(n, folder)) for n in (1, 2)}
        timed = report.time_side_by_side(runs, args.repetitions, budget_s=0, at_least=1)
    one, two = timed[1][0], timed[2][0]
    report.reached("two processes", two / one, "≤", MOST_TIMES)
    rows = [["1", f"{one:.1f}", ""], ["2", f"{two:.1f}", f"{two / one:.2f} × (≤ {MOST_TIMES})"]]
    text = report.table(["commands at a time", "s", "target"], rows)
    print(text)
    if args.seconds == 80:
        report.write_section(
            "processes",
            f"""## Two commands on the same processors

`python benchmarks/processes.py` on {report.machine()}:
`asteroid-slicq separate` of {args.seconds:.0f} s of stereo noise, one command alone and two that
start together, from start to end. Minima.

{text}
""",
        )
    report.end()


if __name__ == "__main__":
    main()
