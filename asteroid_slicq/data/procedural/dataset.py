"""Data sets of procedural songs on disk, in the tree of MUSDB18-HQ."""

import os
from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from asteroid_slicq.data.procedural.mixing import quantise
from asteroid_slicq.data.procedural.seeds import Seed, derive, generator
from asteroid_slicq.data.procedural.track import length_of, synthesize_track
from asteroid_slicq.files import given_path, library_path, whole_folder
from asteroid_slicq.processes import worker_pool
from asteroid_slicq.vocabulary import STEMS

Render = Callable[[Seed, float, int], dict[str, NDArray[np.float32]]]
MAX_SAMPLES = 3600 * 44100  # an hour

_ADJECTIVES = """
Amber Blue Broken Burning Cold Crimson Crooked Distant Electric Empty Fading Feral Gentle Golden
Hollow Hidden Iron Little Lonely Lucid Marble Midnight Northern Open Pale Paper Quiet Restless
Rolling Rusty Salt Second Silver Slow Southern Stolen Sudden Tender Velvet Wild
"""
_NOUNS = """
Anchor Avenue Bridge Canyon Carousel Cinema Comet Corner Echo Engine Ferry Garden Ghost Harbour
Highway Horizon Island Kite Ladder Lantern Letter Machine Meadow Mirror Morning Mountain Orchard
Parade Piano River Rooftop Shadow Signal Station Summer Sunday Tide Tower Valley Window
"""


@dataclass(frozen=True)
class Job:
    """One track to write: its split, folder, and the path of its seed."""

    folder: Path
    seed: int
    split: str
    index: int
    duration_s: float
    sample_rate: int
    render: Render = synthesize_track


def _natural(name: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def _is_for_tests(render: Render) -> bool:
    function: object = render
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "for_tests", False)


def track_name(seed: int, split: str, index: int) -> str:
    """Name a track, readably and for good: its split's letter, number, and a title."""
    rng = generator(seed, split, index, "name")
    title = f"{rng.choice(_ADJECTIVES.split())} {rng.choice(_NOUNS.split())}"
    return f"{split} {index:03d} - {title}"


def plan_dataset(
    root: str | os.PathLike[str],
    n_tracks: int,
    duration_s: float,
    seed: int = 0,
    *,
    n_test: int | None = None,
    sample_rate: int = 44100,
    render: Render = synthesize_track,
    label: str = "",
) -> list[Job]:
    """List the tracks of a data set; the arguments are those of `write_dataset`.

    Raises:
        ValueError: If a number is out of its range.
    """
    root = given_path(root, "root")
    n_tracks = _natural("n_tracks", n_tracks, 1)
    seed = _natural("seed", seed, 0)
    for_tests = _is_for_tests(render)
    if n_test is None:
        least = 1 if n_tracks >= 2 else 0
        n_test = n_tracks if for_tests else max(n_tracks // 3, least)
    n_test = _natural("n_test", n_test, 0)
    if n_test > n_tracks:
        raise ValueError(f"n_test must be at most n_tracks ({n_tracks}), got {n_test}")
    if for_tests and n_test != n_tracks:
        raise ValueError(
            f"n_test must be n_tracks ({n_tracks}) with sounds that are for tests alone, not to "
            f"train on, got {n_test}"
        )
    if not isinstance(duration_s, (int, float)) or isinstance(duration_s, bool):
        raise ValueError(f"duration_s must be a number, got {duration_s!r}")
    n_samples = length_of(float(duration_s), sample_rate)
    if n_samples > MAX_SAMPLES:
        raise ValueError(
            f"duration_s must be at most {MAX_SAMPLES / sample_rate:.0f} s, got {duration_s}"
        )
    jobs = []
    for split, count in (("train", n_tracks - n_test), ("test", n_test)):
        for index in range(count):
            name = track_name(seed, split, index) + (f" ({label})" if label else "")
            folder = root / split / name
            jobs.append(Job(folder, seed, split, index, float(duration_s), sample_rate, render))
    return jobs


def _write_track(job: Job) -> Path:
    # A split's tracks do not depend on how many there are, nor on the other split.
    stems = job.render(derive(job.seed, job.split, job.index), job.duration_s, job.sample_rate)
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the splits, so that what a killed run leaves is never taken for a track.
    with whole_folder(job.folder, hidden_in=job.folder.parent.parent) as folder:
        for name, x in quantise(stems).items():
            path = library_path(folder / f"{name}.wav")
            soundfile.write(path, x.T, job.sample_rate, subtype="PCM_16")
    return job.folder


def write_dataset(
    root: str | os.PathLike[str],
    n_tracks: int,
    duration_s: float,
    seed: int = 0,
    *,
    n_test: int | None = None,
    sample_rate: int = 44100,
    render: Render = synthesize_track,
    label: str = "",
    jobs: int = 1,
    progress: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Write procedural songs as ``{train,test}/<track>/{mixture,vocals,drums,bass,other}.wav``.

    Files are 16-bit stereo, and each mixture is the exact integer sum of its stems. A track appears
    under its name only once it is complete; a track already there is kept, so that an interrupted
    run goes on where it stopped, and a larger `n_tracks` adds to what exists.

    Args:
        root: Folder of the data set, made if missing.
        n_tracks: Tracks in all, at least 1.
        duration_s: Seconds a track.
        seed: Integer of at least 0.
        n_test: Tracks among them in ``test``; by default a third, at least one if there are two,
            and all where sounds are for tests alone.
        sample_rate: In Hz, at least 8000.
        render: Renders a track from its seed; where there are several processes, each gets it. One
            whose ``for_tests`` is true, a `functools.partial` of one too, renders no track to train
            on.
        label: Goes behind the names of the tracks, so that other renderings lie beside these.
        jobs: Processes at work, at least 1. The result does not depend on it.
        progress: Called with the folder of each track once it is there, in any order.

    Returns:
        The tracks' folders, train before test.

    Raises:
        ValueError: If a number is out of its range, or a track's folder exists and holds another
            track, of another length or rate or without all files.
        OSError: If the folder cannot be written.
    """
    todo = plan_dataset(
        root,
        n_tracks,
        duration_s,
        seed,
        n_test=n_test,
        sample_rate=sample_rate,
        render=render,
        label=label,
    )
    jobs = _natural("jobs", jobs, 1)
    Path(root).mkdir(parents=True, exist_ok=True)
    done = progress or (lambda folder: None)
    missing = []
    for job in todo:
        if job.folder.exists():
            _check_existing(job)
            done(job.folder)
        else:
            missing.append(job)
    if jobs == 1 or len(missing) < 2:
        for job in missing:
            done(_write_track(job))
    else:
        with worker_pool(min(jobs, len(missing))) as pool:
            for future in as_completed([pool.submit(_write_track, job) for job in missing]):
                done(future.result())
    return [job.folder for job in todo]


def _check_existing(job: Job) -> None:
    n_samples = length_of(job.duration_s, job.sample_rate)
    for name in ("mixture", *STEMS):
        path = job.folder / f"{name}.wav"
        if not path.is_file():
            raise ValueError(
                f"{job.folder} exists without {name}.wav; remove it or choose another root"
            )
        info = soundfile.info(library_path(path))
        if (info.frames, info.samplerate) != (n_samples, job.sample_rate):
            raise ValueError(
                f"{path} exists with {info.frames} samples at {info.samplerate} Hz, "
                f"not {n_samples} at {job.sample_rate}; remove it or choose another root"
            )
