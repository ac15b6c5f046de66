"""A run over many songs: what is done already, who does the rest, and the record of it."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from asteroid_slicq.jobs import remote
from asteroid_slicq.jobs.crew import JobProgress, separate_by_crew
from asteroid_slicq.jobs.inputs import Job
from asteroid_slicq.jobs.local_crew import LocalCrew
from asteroid_slicq.jobs.manifest import FileState, Manifest, Record
from asteroid_slicq.jobs.ray_crew import RayCrew, cluster
from asteroid_slicq.jobs.work import Outcome, Task, Work
from asteroid_slicq.processes import n_processors
from asteroid_slicq.separation import FileOutput, describe


def separate_jobs(
    work: Work,
    jobs: Sequence[Job],
    manifest: Manifest | None = None,
    *,
    overwrite: bool = False,
    skip_existing: bool = False,
    n_jobs: int | None = None,
    n_threads: int | None = None,
    ray: str | None = None,
    progress: JobProgress | None = None,
) -> Generator[Outcome, None, None]:
    """Separate songs; what is wrong with one does not stop the others.

    With ``skip_existing`` songs are kept whose stems were made from the same file, by the same
    model, with the same settings. Where one of these has changed, or a stem is missing, the song is
    done again and replaces its stems, if nobody has edited them since; else it fails, but for
    ``overwrite``. Stems of which nothing is known are kept if none is missing.

    Args:
        work: what to do with each.
        jobs: the songs.
        manifest: where to write down what is done; ``None`` for nowhere.
        overwrite: replace stems that exist, which would else be an error.
        skip_existing: keep them, see above.
        n_jobs: number of workers; ``None`` for this process or, with ``ray``, for as many as the
            cluster has room for.
        n_threads: of each; ``None`` for a share of the processors or, with ``ray``, one.
        ray: address of a cluster, see `cluster`; ``None`` for this machine.
        progress: called with a job, the seconds of it that are done, and its seconds in all.

    Yields:
        An outcome for each job, in any order.

    Raises:
        CrewError: there are no workers.
    """
    settings = {} if manifest is None else _settings(work)
    tasks: list[Task] = []
    again: dict[Job, str] = {}
    states: dict[Job, FileState] = {}
    for job in jobs:
        task, reason = Task(job, overwrite, resumes=skip_existing and not overwrite), ""
        if manifest is not None:
            try:
                states[job] = FileState.of(job.path)
            except OSError as error:
                yield Outcome(job, "failed", reason=str(error), cause="file")
                continue
            record = manifest.find(job.track) if skip_existing else None
            if record is not None:
                reason = _why_again(manifest, record, states[job], settings)
                if not reason:
                    stems = {k: _path(work.folder, s.path) for k, s in record.stems.items()}
                    yield Outcome(job, "kept", stems, audio_s=record.audio_s)
                    continue
                task = _task_again(manifest, record, task)
        tasks.append(task)
        again[job] = reason
    with ExitStack() as stack:
        if manifest is not None:
            stack.callback(manifest.close)
        work_done = _outcomes(work, tasks, n_jobs, n_threads, ray, progress)
        for outcome in stack.enter_context(closing(work_done)):
            job = outcome.job
            if outcome.status == "done":
                outcome = replace(outcome, reason=again[job])
                if manifest is not None:
                    stems = {k: _stem_state(work.folder, s) for k, s in outcome.stems.items()}
                    manifest.add(job, states[job], settings, stems, outcome.audio_s)
            yield outcome


def _outcomes(
    work: Work,
    tasks: Sequence[Task],
    n_jobs: int | None,
    n_threads: int | None,
    ray: str | None,
    progress: JobProgress | None,
) -> Generator[Outcome, None, None]:
    """Outcomes of tasks, by whoever is to do them."""
    with ExitStack() as stack:
        if ray is not None and tasks:
            stack.enter_context(cluster(ray))
            here = {str(_absolute(task.job.path)): task for task in tasks}
            given, work = work.folder, replace(work, folder=_absolute(work.folder))
            crew = stack.enter_context(RayCrew(work, n_threads, n_jobs).at_work())
            absolute = [replace(t, job=replace(t.job, path=_absolute(t.job.path))) for t in tasks]
            for outcome in separate_by_crew(crew, absolute, crew.n_workers, _there(progress, here)):
                stems = {k: _below(given, work.folder, stem) for k, stem in outcome.stems.items()}
                yield replace(outcome, job=here[str(outcome.job.path)].job, stems=stems)
        elif n_jobs is not None and n_jobs > 1 and len(tasks) > 1:
            n_jobs = min(n_jobs, len(tasks))
            n_threads = n_threads or max(1, n_processors() // n_jobs)
            crew = stack.enter_context(LocalCrew(work, n_threads).at_work())
            yield from separate_by_crew(crew, tasks, n_jobs, progress)
        else:
            for task in tasks:
                job = task.job

                def advance(done_s: float, total_s: float, job: Job = job) -> None:
                    if progress is not None:
                        progress(job, done_s, total_s)

                yield work.do(task, advance)


def _there(progress: JobProgress | None, here: dict[str, Task]) -> JobProgress | None:
    """The progress of jobs by their paths elsewhere."""
    if progress is None:
        return None
    return lambda job, done_s, total_s: progress(here[str(job.path)].job, done_s, total_s)


def _settings(work: Work) -> dict[str, Any]:
    """All that stems depend on but the song, in types that JSON has.

    Defaults of the output are left out, so that an option which is new changes nothing.
    """
    default = asdict(FileOutput())
    output = {key: v for key, v in asdict(work.output).items() if v != default[key]}
    return json.loads(json.dumps({**describe(work.separator), "output": output}, default=str))


def _why_again(manifest: Manifest, record: Record, mix: FileState, settings: dict[str, Any]) -> str:
    """What a record and the present differ in; empty where nothing is to be done."""
    if not record.mix.is_now(mix):
        return "the song has changed"
    if record.settings.get("model") != settings["model"]:
        return "another model"
    if record.settings != settings:
        return "other settings"
    missing = sorted(record.stems.keys() - manifest.present(record).keys())
    return f"{', '.join(missing)} missing" if missing else ""


def _task_again(manifest: Manifest, record: Record, task: Task) -> Task:
    """A task that may replace what an earlier run wrote, if nobody has changed it."""
    present = manifest.present(record)
    unchanged = {s.path for name, s in present.items() if record.stems[name].is_now(s)}
    return replace(task, replaceable=frozenset(unchanged), resumes=False)


def _stem_state(folder: Path | str, stem: Path | str) -> FileState:
    """The state of a stem that was just written, by its path in the folder."""
    if isinstance(stem, str):
        return FileState(stem.removeprefix(remote.join(str(folder), "")), remote.version(stem)[0])
    return FileState.of(stem, Path(os.path.relpath(stem, folder)).as_posix())


def _path(folder: Path | str, name: str) -> Path | str:
    return remote.join(folder, name) if isinstance(folder, str) else folder / name


def _below(given: Path | str, folder: Path | str, stem: Path | str) -> Path | str:
    """The path of a stem as seen from here, where the folder was given in another way."""
    if isinstance(given, str) or isinstance(folder, str):
        return stem
    return given / Path(stem).relative_to(folder)


def _absolute(path: Path | str) -> Path | str:
    return path if isinstance(path, str) else Path(os.path.abspath(path))
