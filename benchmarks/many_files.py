"""Files a second by one worker and by two, on a cluster of Ray and as processes of this machine.

``python benchmarks/many_files.py`` separates the same songs by each in turn, with one thread a
worker, and writes to docs/benchmarks.md: the songs a second once all workers have their first one
behind them, and the seconds until then.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import report
import soundfile

from asteroid_slicq import load_default_model
from asteroid_slicq.jobs import Work, cluster, collect_jobs, separate_jobs
from asteroid_slicq.separation import FileOutput, Separator

SAMPLE_RATE = 44100


def write_songs(folder: Path, n_songs: int, seconds: float) -> None:
    """Stereo noise."""
    folder.mkdir()
    for number in range(n_songs):
        samples = np.random.default_rng(number).standard_normal((round(seconds * SAMPLE_RATE), 2))
        soundfile.write(folder / f"{number:03d}.wav", 0.1 * samples, SAMPLE_RATE)


def measure(songs: Path, folder: Path, n_workers: int, ray: str | None) -> tuple[float, float]:
    """Songs a second, and seconds until as many songs as there are workers are done."""
    work = Work(Separator(load_default_model()), FileOutput(), folder)
    jobs, _ = collect_jobs([str(songs)], folder)
    started, ends = time.perf_counter(), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for outcome in separate_jobs(work, jobs, n_jobs=n_workers, n_threads=1, ray=ray):
            assert outcome.status == "done", outcome.reason
            ends.append(time.perf_counter())
    first = ends[n_workers - 1]
    return (len(ends) - n_workers) / (ends[-1] - first), first - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20, help="of each song")
    parser.add_argument("--repetitions", type=int, default=2)
    args = parser.parse_args()
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    load = os.getloadavg()[1]
    best: dict[tuple[str, int], tuple[float, float]] = {}
    cases = [(w, ray, n) for w, ray in (("processes", None), ("Ray", "local")) for n in (1, 2)]
    with tempfile.TemporaryDirectory() as name, cluster("local"):
        songs = Path(name) / "songs"
        write_songs(songs, args.songs, args.seconds)
        for turn in range(args.repetitions):
            for where, ray, n_workers in cases:
                folder = Path(name) / f"{where}-{n_workers}-{turn}"
                rate, start_s = measure(songs, folder, n_workers, ray)
                before = best.get((where, n_workers), (0.0, math.inf))
                best[where, n_workers] = max(rate, before[0]), min(start_s, before[1])
                print(where, n_workers, f"{rate:.3f}", f"{start_s:.1f}", sep="\t", flush=True)
    rows = [
        [f"{n}", where, f"{rate:.3f}", f"{rate / best[where, 1][0]:.2f} ×", f"{start_s:.1f}"]
        for (where, n), (rate, start_s) in best.items()
    ]
    header = ["workers", "as", "songs a second", "of one", "s until each has done one"]
    report.write_section(
        "many_files",
        f"""## Many files

`python benchmarks/many_files.py` on {report.machine()}:
{args.songs} songs of {args.seconds:.0f} s of stereo noise by the default model, with one thread a
worker. The best of {args.repetitions} turns, with a load of {load:.0f} on the machine before.

{report.table(header, rows)}
""",
    )


if __name__ == "__main__":
    main()
