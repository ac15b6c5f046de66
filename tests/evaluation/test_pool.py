"""Many tracks: one that fails stops no other, and processes find what one finds."""

import multiprocessing
import os
import signal
from dataclasses import replace

import pytest

from asteroid_slicq.evaluation import pool as evaluation_pool
from asteroid_slicq.evaluation.pool import (
    EvaluationError,
    default_workers,
    score_in_pool,
    score_tracks,
)
from asteroid_slicq.evaluation.scoring import estimate
from tests.evaluation.helpers import needs_museval, tracks_of


def test_a_track_that_fails_does_not_stop_the_others(model, evaluation, data):
    evaluation = replace(evaluation, museval=False)
    tracks = tracks_of(data)
    (data / "test" / "b" / "bass.wav").write_bytes(b"RIFF")
    scored = score_tracks(evaluation, model, tracks, 0)
    assert [next(scored).track.name, next(scored).track.name] == ["c", "a"]
    with pytest.raises(EvaluationError, match=r"1 track\(s\) could not be scored:\n  b: .*bass"):
        next(scored)


@pytest.mark.slow
@needs_museval
def test_processes_and_this_one_find_the_same(model, evaluation, data, monkeypatch):
    """Of museval alone, as beside an accelerator, which stays with this process."""
    tracks = tracks_of(data)
    here = {s.track.name: s.scores for s in score_tracks(evaluation, model, tracks, 0)}
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    other = replace(evaluation, root=evaluation.root / "pool")
    outcomes = list(score_in_pool(other, model, tracks, 1, whole=False))
    there = {s.track.name: s.scores for s in outcomes}
    assert here == there
    assert all(other.load(track) == here[track.name] for track in tracks)
    assert "OMP_NUM_THREADS" not in os.environ


@needs_museval
def test_haaqi_is_added_without_museval_once_more(model, evaluation, data, monkeypatch):
    def haaqi_scores(*_):
        return {"model": dict.fromkeys(evaluation.sources, 0.5)}

    (track,) = tracks_of(data)[:1]
    (before,) = score_tracks(evaluation, model, [track], 0)
    file = evaluation.museval_file(track)
    written = file.read_bytes()
    monkeypatch.setattr(evaluation_pool, "haaqi_scores", haaqi_scores)
    monkeypatch.setattr(evaluation_pool, "museval_frames", lambda *_: pytest.fail("once more"))
    heard = replace(evaluation, haaqi="normal")
    (after,) = score_tracks(heard, model, [track], 0)
    haaqi = after.scores["model"].pop("haaqi")
    assert haaqi == {"bass": 0.5, "vocals": 0.5}
    assert after.scores == before.scores
    assert file.read_bytes() == written
    assert heard.load(track) is not None

    file.write_bytes(written + b" ")  # not what was measured
    assert heard.kept_museval(track) is None
    assert replace(evaluation, segment_s=5.0).kept_museval(track) is None


def test_default_workers_fit(data):
    tracks = tracks_of(data)
    assert default_workers([]) == 0
    assert default_workers(tracks[:1]) == 0
    assert default_workers(tracks) in range(len(tracks) + 1)
    endless = replace(tracks[0], track=replace(tracks[0].track, length_samples=10**12))
    assert default_workers([*tracks, endless]) == 0


def test_a_negative_number_of_processes_is_refused(model, evaluation):
    with pytest.raises(ValueError, match="n_workers must be 0 or more, got -1"):
        list(score_tracks(evaluation, model, [], -1))


@pytest.mark.slow
@needs_museval
def test_a_process_that_dies_is_explained(model, evaluation, data, monkeypatch):
    killed = []

    def estimate_and_kill(*args):
        for child in multiprocessing.active_children():
            killed.append(child.pid)
            os.kill(child.pid, signal.SIGKILL)
        return estimate(*args)

    monkeypatch.setattr(evaluation_pool, "estimate", estimate_and_kill)
    with pytest.raises(EvaluationError, match=r"a process died, .* fewer n_workers than 1"):
        list(score_in_pool(evaluation, model, tracks_of(data), 1, whole=False))
    assert killed
