"""Speed of the loader beside a training step.

Items a second of the loader, from stems in the page cache of the system and from the disk, beside
what a training step consumes. Writes its section of docs/benchmarks.md; ``--device cuda`` measures
the step there and only prints.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import report
import soundfile
import torch
import yaml
from torch import Tensor
from torch.utils.data import DataLoader

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.data import Track, find_tracks
from asteroid_slicq.data.augmentation import Augmentation
from asteroid_slicq.data.datasets import EpochSampler, TrainingSegments

RATE = 44100
SOURCES = ["bass", "vocals", "other", "drums"]

#: Of each configuration: preset, seconds of a segment, segments of a batch, whether Wiener-EM runs
#: in training, and segments to time a step with, which are fewer where a batch takes much memory.
CONFIGURATIONS = {
    "v2": ("v2", 2.0, 64, True, 2),
    "small": ("small", 2.0, 8, False, 8),
    "quick": ("small", 1.0, 4, False, 4),
    "free": ("medium", 2.0, 64, False, 8),
}

#: Settings of the configuration "free": what all trainings of recipes/free_stems hear.
SONGS = Path(__file__).parents[1] / "recipes/free_stems/local/songs.yml"


def augmentation_of(name: str) -> Augmentation | None:
    """What a configuration changes of the stems."""
    if name != "free":
        return None
    return Augmentation(RATE, **yaml.safe_load(SONGS.read_text())["augmentation"])


def write_stems(root: Path, n_tracks: int, duration_s: float) -> list[Track]:
    """Noise in 16 bits, as MUSDB18-HQ is stored: what it sounds like makes no difference."""
    rng = np.random.default_rng(0)
    for i in range(n_tracks):
        folder = root / "train" / f"{i:03d}"
        folder.mkdir(parents=True)
        for source in SOURCES:
            noise = rng.integers(-3000, 3000, (round(duration_s * RATE), 2), dtype=np.int16)
            soundfile.write(folder / f"{source}.wav", noise, RATE, subtype="PCM_16")
    os.sync()  # only what is on the disk can leave the page cache
    return find_tracks(root, "train", SOURCES, RATE, 2)


def forget(root: Path) -> None:
    """Drop the stems from the page cache of the system."""
    for file in root.rglob("*.wav"):
        handle = os.open(file, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def loader_rate(
    tracks: list[Track], name: str, n_workers: int, cold: Path | None = None
) -> tuple[float, float]:
    """Items a second when nothing else runs, and seconds of this process's cores for each."""
    _, segment_s, batch_size, _, _ = CONFIGURATIONS[name]
    n_items = 3 * max(batch_size, 32)
    dataset = TrainingSegments(
        tracks,
        SOURCES,
        round(segment_s * RATE),
        -(-n_items // len(tracks)),
        seed=1,
        augmentation=augmentation_of(name),
    )
    sampler = EpochSampler(len(dataset), 1)
    loader = DataLoader(
        dataset, batch_size, sampler=sampler, num_workers=n_workers, drop_last=True,
        persistent_workers=n_workers > 0,
    )  # fmt: skip
    rates = []
    cpu_s = 0.0
    for epoch in range(2):
        if cold is not None:
            forget(cold)
        sampler.set_epoch(epoch)
        batches = iter(loader)
        if epoch == 0:
            next(batches)  # the workers have started
        start, cpu, n = time.perf_counter(), _cpu_seconds(), 0
        for batch in batches:
            n += len(batch)
        rates.append(n / (time.perf_counter() - start))
        cpu_s = (_cpu_seconds() - cpu) / n
    return max(rates), cpu_s


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def training_step(name: str, device: str, n_segments: int = 0) -> tuple[Callable[[], float], int]:
    """A step that runs to its end, and how many segments it takes.

    It has one squared error in place of all combinations', so that it asks the loader for more
    than a real one does.
    """
    preset, segment_s, _, wiener, n_timed = CONFIGURATIONS[name]
    n_segments = n_segments or n_timed
    model = XUMXSliCQ.from_preset(preset).to(device)
    if not wiener:
        model.wiener_iterations = 0
    optimizer = torch.optim.Adam(model.parameters())
    stems = torch.randn(n_segments, len(SOURCES), 2, round(segment_s * RATE)) * 0.05

    def step() -> float:
        with torch.no_grad():
            targets = model.transform(stems.to(device))
            mix = [block.sum(1) for block in targets]
        estimate = model.estimate_from_coefficients(mix)
        errors = [_squared(a - b) for a, b in zip(estimate.coefficients, targets, strict=True)]
        loss = torch.stack(errors).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, n_segments


def _squared(x: Tensor) -> Tensor:
    return torch.view_as_real(x).square().mean()


def step_rate(name: str, device: str, n_segments: int = 0) -> float:
    """Segments a second that a training step takes."""
    step, n_segments = training_step(name, device, n_segments)
    repetitions = 10 if device != "cpu" else 3
    timed = report.time_side_by_side({"step": step}, repetitions, budget_s=30)
    return n_segments / timed["step"][0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=2, help="of the training step")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--folder", help="for the stems, on the disk to measure (default: /tmp)")
    parser.add_argument("--step_segments", type=int, default=0, help="in the timed step")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    rows = []
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        tracks = write_stems(Path(folder), args.tracks, args.seconds)
        for name, (_, segment_s, batch_size, _, _) in CONFIGURATIONS.items():
            step = step_rate(name, args.device, args.step_segments)
            for n_workers in (1, 2):
                warm, _ = loader_rate(tracks, name, n_workers)
                cold, _ = loader_rate(tracks, name, n_workers, Path(folder))
                cells = [f"{warm:.0f}", f"{cold:.0f}", f"{step:.2f}", f"{warm / step:.0f} ×",
                         f"{cold / step:.0f} ×"]  # fmt: skip
                rows.append([name, f"{segment_s:.0f} s", str(batch_size), str(n_workers), *cells])
                print(*rows[-1], sep="\t", flush=True)
        _, core_s = loader_rate(tracks, "v2", 0)
        _, augmented_s = loader_rate(tracks, "free", 0)
    header = [
        "configuration", "segment", "batch", "workers", "loaded, page cache", "loaded, disk",
        "consumed by a step", "loaded / consumed, page cache", "disk",
    ]  # fmt: skip
    table = report.table(header, rows)
    print(table)
    if args.device != "cpu":
        return
    n_timed = CONFIGURATIONS["v2"][-1]
    report.write_section(
        "loader",
        f"""## The loader

`python benchmarks/loader.py` on {report.machine()}. Items per second that the recipe's loader
reads (four stems, stereo, 44.1 kHz, 16-bit WAV, of {args.tracks} tracks) when nothing else runs,
from the page cache and from the disk, and that a training step (transform, networks, one squared
error, backward pass, Adam) consumes. The step of v2 is timed with {n_timed} segments, to save
memory.

{table}

An item of 2 s takes {1e3 * core_s:.1f} ms of one core, a batch of 64 of them
{64 * core_s:.2f} s: the rate of one worker on a faster device. Augmented as in
recipes/free_stems (`free`), an item takes {1e3 * augmented_s:.0f} ms. A GPU trains faster than
workers augment: there `resident: true` keeps the songs in its memory and makes batches on it.
""",
    )
    print(f"written to {report.PAGE}", file=sys.stderr)


if __name__ == "__main__":
    main()
