"""One song of many: what is done with it, and what comes of it, in whichever process."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from asteroid_slicq.audio import AudioError, AudioWarning, ExistsError, is_stem
from asteroid_slicq.files import real_path
from asteroid_slicq.jobs import remote
from asteroid_slicq.jobs.inputs import Job
from asteroid_slicq.separation import FileOutput, Separator

Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class Task:
    """A song that is given to a worker.

    Attributes:
        job: which.
        overwrite: replace whatever is there.
        replaceable: files that an earlier run wrote and nobody changed since, relative to the
            folder of the stems.
        resumes: whether an earlier attempt may have been broken off: stems that are all there are
            kept then, and some that nobody changed since are made again.
        attempt: counted from 1.
    """

    job: Job
    overwrite: bool = False
    replaceable: frozenset[str] = frozenset()
    resumes: bool = False
    attempt: int = 1


@dataclass(frozen=True)
class Outcome:
    """A song that is no longer to be done.

    Attributes:
        job: which.
        status: ``"done"``; ``"kept"`` where its stems were there; or ``"failed"``.
        stems: path or address of each stem, by name.
        reason: why it failed, was kept or was done again, in a sentence; else empty.
        cause: of a failure: ``"file"``, ``"memory"``, ``"model"`` or ``"process"``; else empty.
        warnings: sentences.
        audio_s: length of the song in seconds.
        trace: of a failure of the model, where it comes from.
    """

    job: Job
    status: str
    stems: dict[str, Path | str] = field(default_factory=dict)
    reason: str = ""
    cause: str = ""
    warnings: tuple[str, ...] = ()
    audio_s: float = 0.0
    trace: str = ""


@dataclass(frozen=True)
class Work:
    """What is done with every song.

    Attributes:
        separator: of the model.
        output: what is written of a song.
        folder: where it goes; a string is an address.
        overwrite_option: what messages call the option that replaces stems.
    """

    separator: Separator
    output: FileOutput
    folder: Path | str
    overwrite_option: str = "overwrite=True"

    def on_device(self, device: str) -> Work:
        """The same with a model that runs on another device."""
        return replace(self, separator=self.separator.on_device(device))

    def do(self, task: Task, progress: Progress | None = None) -> Outcome:
        """Separate a song. Whatever is wrong with it, an outcome tells."""
        audio_s = 0.0

        def advance(done_s: float, total_s: float) -> None:
            nonlocal audio_s
            audio_s = max(done_s, total_s)
            if progress is not None:
                progress(done_s, total_s)

        job, told = task.job, []
        try:
            with _warnings_into(told):
                outcome = self._separate(task, advance)
        except (AudioError, OSError) as error:
            outcome = Outcome(job, "failed", reason=str(error), cause="file")
        except (MemoryError, RuntimeError) as error:
            if _is_out_of_memory(error):
                reason = f"{job.name}: out of memory; a shorter segment needs less"
                outcome = Outcome(job, "failed", reason=reason, cause="memory")
            else:
                reason = f"{job.name}: the model fails ({[*str(error).splitlines(), ''][0]})"
                trace = traceback.format_exc()
                outcome = Outcome(job, "failed", reason=reason, cause="model", trace=trace)
        return replace(outcome, warnings=tuple(told), audio_s=audio_s)

    def _separate(self, task: Task, progress: Progress) -> Outcome:
        job = task.job
        with ExitStack() as stack:
            path, folder, store = job.path, self.folder, None
            if isinstance(path, str):
                path = stack.enter_context(remote.local_copy(path))
            if isinstance(folder, str):
                store = remote.RemoteFolder(folder)
                folder = stack.enter_context(store.mirrored())
                if not task.overwrite:
                    targets = self.separator.targets(path, folder, job.track, self.output)
                    store.mirror(folder, targets.values())
            try:
                outcome = self._write(task, path, folder, progress)
            except (AudioError, OSError) as error:
                # The names of copies tell nobody anything.
                text = str(error).replace(str(path), job.name)
                raise AudioError(text.replace(str(folder), str(self.folder))) from error
            if store is not None and outcome.status == "done":
                files = [Path(stem) for stem in outcome.stems.values()]
                addresses = store.store(folder, files)
                outcome = Outcome(job, "done", {**dict(zip(outcome.stems, addresses, strict=True))})
        return outcome

    def _write(self, task: Task, path: Path, folder: Path, progress: Progress) -> Outcome:
        job, options = task.job, vars(self.output)

        def separate(overwrite: bool) -> Outcome:
            stems = self.separator.separate_file(
                path, folder, track=job.track, overwrite=overwrite, progress=progress, **options
            )
            return Outcome(job, "done", dict(stems))

        try:
            return separate(task.overwrite)
        except ExistsError as error:
            known = {folder / name for name in task.replaceable}
            present = [file for file in error.present if file not in known]
            if task.replaceable and present:
                changed = ", ".join(str(file.relative_to(folder)) for file in present)
                raise AudioError(
                    f"{folder}: {changed} was changed since it was written; replacing must be "
                    f"asked for ({self.overwrite_option})"
                ) from error
            if task.resumes and not (error.missing or task.replaceable):
                if task.attempt > 1:  # the first one had written them when its process ended
                    return Outcome(job, "done", {file.stem: file for file in error.present})
                return Outcome(job, "kept", reason="nobody knows how its stems were made")
            # Of a copy of a folder elsewhere, whose files are empty, nothing tells a stem.
            is_ours = task.attempt > 1 and isinstance(self.folder, str)
            if not all(task.resumes and (is_ours or is_stem(file)) for file in present):
                raise error.with_option(self.overwrite_option) from error
        return separate(True)


def refuse_collisions(work: Work, jobs: Iterable[Job]) -> None:
    """Refuse names of files that stems would share; of tags, those of songs here are known.

    Raises:
        ValueError: they would.
    """
    output = work.output
    songs = {
        job.path: job.track for job in jobs if isinstance(job.path, Path) or not output.needs_tags
    }
    output.refuse_collisions(songs, Path(work.folder), work.separator.sources)


def refuse_replaced_songs(work: Work, jobs: Iterable[Job]) -> None:
    """Refuse that a song's stem replaces another song, which is yet to be read.

    Raises:
        ValueError: it would.
    """
    if isinstance(work.folder, str):
        return
    songs = {real_path(job.path): job for job in jobs if isinstance(job.path, Path)}
    for song, job in songs.items():
        try:
            targets = work.separator.targets(job.path, work.folder, job.track, work.output)
        except (AudioError, OSError):  # which its turn will tell
            continue
        for target in targets.values():
            real = real_path(target)
            if real in songs and real != song:
                raise ValueError(
                    f"{songs[real].name}: would be replaced by a stem of {job.name} before it is "
                    "separated; give the stems another folder"
                )


@contextmanager
def _warnings_into(told: list[str]) -> Iterator[None]:
    """Keep warnings of audio files as sentences, and drop others, which are for developers."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", AudioWarning)
        yield
    told.extend(str(warning.message) for warning in caught)


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return "allocate memory" in str(error) or "not enough memory" in str(error)
