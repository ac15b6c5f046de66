"""Many tracks scored in parallel processes, each once, also after a kill.

On the CPU a process scores a track from start to end. With an accelerator the main process
separates, and the processes run museval, which needs most of the time and knows no accelerator.
Every process has one thread: museval and small models gain nothing from more.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from asteroid.models import BaseModel

from asteroid_slicq.evaluation.records import HAAQI, Evaluation, Scores
from asteroid_slicq.evaluation.references import Audio, ReferenceTrack
from asteroid_slicq.evaluation.scoring import estimate, haaqi_scores, museval_frames
from asteroid_slicq.processes import memory_bytes, n_processors, threads_of_children, worker_pool

# Of museval, measured: 1.1 GB and 25 MB a second of four sources in stereo.
_BYTES, _BYTES_PER_S = 1.5e9, 25e6


class EvaluationError(RuntimeError):
    """Tracks that could not be scored; those that could are kept."""


class Scored(NamedTuple):
    """A track that is done, and the seconds that it took; None where it had been done before."""

    track: ReferenceTrack
    scores: Scores
    seconds: float | None


def default_workers(tracks: Sequence[ReferenceTrack]) -> int:
    """As many processes as there are tracks, processors, and memory for museval; 0 for one."""
    longest_s = max((track.duration_s for track in tracks), default=0.0)
    fitting = int(memory_bytes() / (_BYTES + _BYTES_PER_S * longest_s))
    n_workers = min(len(tracks), n_processors(), fitting)
    return n_workers if n_workers > 1 else 0


def score_tracks(
    evaluation: Evaluation,
    model: Any,
    tracks: Sequence[ReferenceTrack],
    n_workers: int | None = None,
) -> Iterator[Scored]:
    """Score every track that has no record yet; those that have come first.

    A track that fails does not stop the others.

    Args:
        evaluation: what to measure.
        model: in evaluation mode, on its device.
        tracks: of which the longest are scored first.
        n_workers: number of processes; 0 scores in this one; None decides by
            :func:`default_workers`.

    Yields:
        Tracks as they are done.

    Raises:
        ValueError: a negative number of processes.
        EvaluationError: at the end, with what went wrong; or when a process dies.
    """
    if n_workers is not None and n_workers < 0:
        raise ValueError(f"n_workers must be 0 or more, got {n_workers}")
    left = []
    for track in tracks:
        scores = evaluation.load(track)
        if scores is None:
            left.append(track)
        else:
            yield Scored(track, scores, None)
    left.sort(key=lambda track: track.duration_s, reverse=True)
    on_cpu = next(model.parameters()).device.type == "cpu"
    n_workers = default_workers(left) if n_workers is None else min(n_workers, len(left))
    slow = evaluation.museval or evaluation.haaqi is not None
    if n_workers == 0 or not (on_cpu or slow):
        outcomes = _score_here(evaluation, model, left)
    else:
        outcomes = score_in_pool(evaluation, model, left, n_workers, whole=on_cpu)
    failed = []
    for outcome in outcomes:
        if isinstance(outcome, str):
            failed.append(outcome)
        else:
            yield outcome
    if failed:
        listing = "\n  ".join(failed)
        raise EvaluationError(f"{len(failed)} track(s) could not be scored:\n  {listing}")


def _score_here(
    evaluation: Evaluation, model: Any, tracks: Sequence[ReferenceTrack]
) -> Iterator[Scored | str]:
    """Tracks as they are done, or why one could not be scored."""
    for track in tracks:
        try:
            outcome = _score(evaluation, model, track)
        except Exception as error:  # whatever it is, the other tracks are not to suffer
            outcome = _why(track, error)
        yield outcome


def score_in_pool(
    evaluation: Evaluation,
    model: Any,
    tracks: Sequence[ReferenceTrack],
    n_workers: int,
    whole: bool,
) -> Iterator[Scored | str]:
    """Tracks as they are done, or why one could not be scored, by processes.

    Where these do not score a track as a ``whole``, it is separated in this one.
    """
    pending: dict[Future[Scored], ReferenceTrack] = {}
    with _pool(n_workers, evaluation, model if whole else None) as pool:
        for track in tracks:
            # One track waits, so that no process has to; more would hold their audio.
            while len(pending) > n_workers:
                yield from _finished(pending)
            separated = None
            if not whole:
                try:
                    separated = _separate(evaluation, model, track)
                except Exception as error:
                    yield _why(track, error)
                    continue
            pending[pool.submit(_score_there, track, separated)] = track
        while pending:
            yield from _finished(pending)


def _finished(pending: dict[Future[Scored], ReferenceTrack]) -> Iterator[Scored | str]:
    """Outcomes of the futures that end next, which are taken from ``pending``."""
    for future in wait(pending, return_when=FIRST_COMPLETED).done:
        track, error = pending.pop(future), future.exception()
        if isinstance(error, BrokenProcessPool):
            raise error
        yield future.result() if error is None else _why(track, error)


@contextmanager
def _pool(n_workers: int, evaluation: Evaluation, model: Any | None) -> Iterator[Executor]:
    """Processes that know what to measure and, where they separate, the model.

    Raises:
        EvaluationError: when a process dies.
    """
    workers = worker_pool(n_workers, _start, (evaluation, None if model is None else _pack(model)))
    with threads_of_children(1):
        try:
            with workers as pool:
                yield pool
        except BrokenProcessPool as error:
            raise EvaluationError(
                "a process died, most likely of too little memory: the same again with fewer "
                f"n_workers than {n_workers} goes on with the tracks that are left"
            ) from error


Separated = tuple[Scores, Audio, float]  # fast scores, estimates for museval, seconds spent


def _separate(evaluation: Evaluation, model: Any, track: ReferenceTrack) -> Separated:
    started = time.monotonic()
    mix, stems = track.read()
    scores, estimates = estimate(evaluation, model, stems, mix)
    return scores, estimates, time.monotonic() - started


def _score(
    evaluation: Evaluation, model: Any, track: ReferenceTrack, separated: Separated | None = None
) -> Scored:
    scores, estimates, seconds = separated or _separate(evaluation, model, track)
    started = time.monotonic()
    frames = None
    if evaluation.museval or evaluation.haaqi is not None:
        mix, stems = track.read()
        if evaluation.museval:
            frames = evaluation.kept_museval(track) or museval_frames(evaluation, stems, estimates)
        if (audiogram := evaluation.haaqi) is not None:
            for method, values in haaqi_scores(
                evaluation, audiogram, stems, mix, estimates
            ).items():
                scores[method][HAAQI] = values
    scores = evaluation.save(track, scores, frames)
    return Scored(track, scores, seconds + time.monotonic() - started)


# In the processes.

_state: dict[str, Any] = {}


def _start(evaluation: Evaluation, packed: bytes | None) -> None:
    torch.set_num_threads(1)
    _state["evaluation"] = evaluation
    if packed is not None:
        conf = torch.load(io.BytesIO(packed), weights_only=True)
        _state["model"] = BaseModel.from_pretrained(conf).eval()


def _score_there(track: ReferenceTrack, separated: Separated | None) -> Scored:
    return _score(_state["evaluation"], _state.get("model"), track, separated)


def _pack(model: BaseModel) -> bytes:
    file = io.BytesIO()
    torch.save(model.serialize(), file)
    return file.getvalue()


def _why(track: ReferenceTrack, error: BaseException) -> str:
    return f"{track.name}: {' '.join(str(error).split()) or type(error).__name__}"
