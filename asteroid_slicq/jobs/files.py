"""Songs separated from Python, any number of them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import nn

from asteroid_slicq.audio import AudioWarning
from asteroid_slicq.files import given_path
from asteroid_slicq.hub import load_model
from asteroid_slicq.jobs.crew import JobProgress
from asteroid_slicq.jobs.inputs import Job, collect_jobs
from asteroid_slicq.jobs.manifest import Manifest
from asteroid_slicq.jobs.remote import is_address
from asteroid_slicq.jobs.running import separate_jobs
from asteroid_slicq.jobs.work import Outcome, Work, refuse_collisions, refuse_replaced_songs
from asteroid_slicq.models.xumx_slicq import load_default_model
from asteroid_slicq.separation import FileOutput, Separator


def separate_files(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output_dir: str | os.PathLike[str],
    model: nn.Module | str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    skip_existing: bool = False,
    n_jobs: int | None = None,
    n_threads: int | None = None,
    ray: str | None = None,
    progress: JobProgress | None = None,
    **options: Any,
) -> list[Outcome]:
    """Separate songs into ``<output_dir>/<track>/<source>.<audio_format>``.

    What is wrong with one song does not stop the others. A run that was killed goes on where it
    was with ``skip_existing=True``: what is done is written down in the output folder.

    Args:
        inputs: files, folders, playlists, patterns, or addresses that ``fsspec`` knows, such as
            ``s3://bucket/album``.
        output_dir: folder of the stems, or its address.
        model: the model, what `asteroid_slicq.load_model` takes, or ``None`` for the one that
            ships with the package.
        overwrite: replace stems that exist, which would else be an error.
        skip_existing: keep the stems of songs that were separated with the same model and
            settings; do a song again that has changed, or of which a stem is missing.
        n_jobs: number of processes; ``None`` for this one or, with ``ray``, for as many workers
            as the cluster has room for. More than one need a script that is guarded by
            ``if __name__ == "__main__":``.
        n_threads: of each process; ``None`` for its share of the processors.
        ray: address of a cluster of Ray: ``"local"``, ``"auto"``, ``host:port`` or
            ``ray://host:port``.
        progress: called with a `Job`, the seconds of it that are done, and its seconds in all.
        **options: further arguments of `Separator` (``segment_s``, ``device`` …) and fields of
            `FileOutput` (``stems``, ``audio_format`` …).

    Returns:
        What came of each song; of an input that gave none, a failure.

    Raises:
        TypeError: an option that nobody knows.
        ValueError: an argument out of range, or no model.
        CrewError: there are no workers.
    """
    given = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    folder = output_dir if is_address(output_dir) else given_path(output_dir, "output_dir")
    if not isinstance(model, nn.Module):
        model = load_default_model() if model is None else load_model(model)
    names = {field.name for field in fields(FileOutput)}
    output = FileOutput(**{k: v for k, v in options.items() if k in names})
    separator = Separator(model, **{k: v for k, v in options.items() if k not in names})
    output.selection(separator.sources)  # refuses names that the model does not have
    work = Work(separator, output, folder if isinstance(folder, (str, Path)) else Path(folder))
    manifest = Manifest(work.folder)
    earlier = manifest if skip_existing else None
    jobs, problems = collect_jobs([os.fspath(path) for path in given], work.folder, earlier)
    refuse_collisions(work, jobs)
    if overwrite:
        refuse_replaced_songs(work, jobs)
    outcomes = [Outcome(Job(Path(), ""), "failed", reason=p, cause="file") for p in problems]
    outcomes += separate_jobs(
        work,
        jobs,
        manifest if len(jobs) > 1 or skip_existing or manifest.exists() else None,
        overwrite=overwrite,
        skip_existing=skip_existing,
        n_jobs=n_jobs,
        n_threads=n_threads,
        ray=ray,
        progress=progress,
    )
    told = [*(text for outcome in outcomes for text in outcome.warnings), manifest.problem]
    for text in filter(None, told):
        warnings.warn(text, AudioWarning, stacklevel=2)
    return outcomes
