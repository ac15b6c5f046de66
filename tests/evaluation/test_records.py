"""Records of scores: of one model, one audio and one setting, whole or not there."""

from dataclasses import replace

import numpy as np
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.evaluation.pool import score_tracks
from asteroid_slicq.separation import fingerprint
from tests.evaluation.helpers import (
    SOURCES,
    needs_museval,
    random_frames,
    tracks_of,
    write_track,
)


def test_what_has_a_record_is_not_computed_again(model, evaluation, data):
    evaluation = replace(evaluation, museval=False, oracle="mix-phase")
    tracks = tracks_of(data)
    first = {s.track.name: s for s in score_tracks(evaluation, model, tracks[:2], 0)}
    again = list(score_tracks(evaluation, model, tracks, 0))
    assert [(s.track.name, s.seconds is None) for s in again] == [
        ("a", True),
        ("b", True),
        ("c", False),
    ]
    assert again[0].scores == first["a"].scores
    assert set(again[0].scores) == {"model", "mixture", "mix-phase oracle"}
    # Fewer things of the same model are in the record, too; more are not.
    assert replace(evaluation, oracle=None).load(tracks[0]) is not None
    assert replace(evaluation, oracle="irm2").load(tracks[0]) is None
    assert replace(evaluation, museval=True).load(tracks[0]) is None


def test_a_record_is_of_one_model_one_audio_and_one_setting(model, evaluation, data):
    evaluation = replace(evaluation, museval=False)
    track, *_ = tracks_of(data)
    list(score_tracks(evaluation, model, [track], 0))
    assert evaluation.load(track) is not None
    assert replace(evaluation, segment_s=5.0).load(track) is None
    assert replace(evaluation, model="another").load(track) is None
    write_track(data, "a", seed=9)
    assert evaluation.load(tracks_of(data)[0]) is None


def test_a_model_is_known_by_its_weights(model, tmp_path):
    torch.save(model.serialize(), tmp_path / "model.pth")
    same = XUMXSliCQ.from_pretrained(str(tmp_path / "model.pth"))
    assert fingerprint(same) == fingerprint(model)
    with torch.no_grad():
        next(iter(same.parameters())).view(-1)[0] += 1e-3
    assert fingerprint(same) != fingerprint(model)


@needs_museval
def test_half_a_file_is_not_taken_for_a_whole_one(evaluation, data):
    track, *_ = tracks_of(data)
    scores = {"model": {"sdr": dict.fromkeys(SOURCES, 1.0)}}
    frames = random_frames(np.random.default_rng(3), 4, list(SOURCES))
    for file in (evaluation.museval_file(track), evaluation.record_file(track)):
        evaluation.save(track, scores, frames)
        assert evaluation.load(track) is not None
        text = file.read_text()
        file.write_text(text[: len(text) // 2])
        assert evaluation.load(track) is None
    # Nor is an old one of museval for that of a new record without.
    evaluation.save(track, scores, frames)
    evaluation.save(track, scores)
    assert not evaluation.museval_file(track).exists()
