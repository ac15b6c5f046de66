"""Memory of the program for an hour of music, from its start to its end.

``python benchmarks/long_song.py`` has a procedural minute composed, writes an hour of it, each time
a little softer or louder, to a temporary folder, separates it by ``asteroid-slicq separate`` with
one thread (``--threads``), and writes the peak of the program's resident memory to
docs/benchmarks.md; beside it what the imports take, which depends on the build of
PyTorch. ``--minutes 5 60`` shows whether it grows. Linux alone. Target: 1 GiB for an hour.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import report
import soundfile as sf

PROGRAM = [sys.executable, "-m", "asteroid_slicq"]
IMPORTS = [sys.executable, "-c", "import asteroid_slicq.cli.separate"]
LIMIT_MIB = 1024


def write_song(path: Path, minutes: int) -> None:
    """A FLAC of some minutes, of one that is repeated at other levels."""
    folder = path.parent / "minute"
    if not folder.is_dir():
        composed = ["synth", str(folder), "--tracks", "1", "--seconds", "60", "--seed", "1"]
        subprocess.run([*PROGRAM, *composed], check=True, stderr=subprocess.DEVNULL)
    minute, rate = sf.read(next(folder.glob("train/*/mixture.wav")), dtype="float32")
    levels = np.random.default_rng(0).uniform(0.25, 1.0, minutes)
    with sf.SoundFile(path, "w", rate, 2) as file:
        for level in levels:
            file.write(level * minute)


def peak_of(command: list[str]) -> tuple[float, float]:
    """Peak of a command's resident memory in MiB, and its seconds."""
    started, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        if "VmHWM:" in status:  # a process that has ended has none
            peak = max(peak, int(status.split("VmHWM:")[1].split()[0]) / 1024)
        time.sleep(0.05)
    if process.returncode:
        sys.exit(f"{command} failed")
    return peak, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, nargs="+", default=[5, 60])
    parser.add_argument("--threads", default="1", help="of the program (default: 1)")
    args = parser.parse_args()
    rows = [["the imports alone", f"{peak_of(IMPORTS)[0]:.0f}", ""]]
    with tempfile.TemporaryDirectory() as name:
        song, stems = Path(name) / "song.flac", Path(name) / "stems"
        for minutes in args.minutes:
            write_song(song, minutes)
            separated = ["separate", str(song), "-o", str(stems), "--overwrite"]
            mib, seconds = peak_of([*PROGRAM, *separated, "--threads", args.threads])
            rows.append([f"{minutes} minutes", f"{mib:.0f}", f"{seconds:.0f}"])
            print(*rows[-1], flush=True)
            report.reached(f"{minutes} minutes, MiB", mib, "≤", LIMIT_MIB)
    header = ["song", "peak of resident memory, MiB", "seconds"]
    text = f"""## A long song

`python benchmarks/long_song.py` on {report.machine()}: the program from its start to its end, with
{args.threads} thread(s) and the default model, in two passes, stems as 16-bit WAV. Target:
{LIMIT_MIB} MiB.

{report.table(header, rows)}"""
    report.write_section("long song", text)
    report.end()


if __name__ == "__main__":
    main()
