"""Scores of a track: museval's numbers, silence apart, and oracles."""

import copy
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from asteroid_slicq.evaluation import Evaluation
from asteroid_slicq.evaluation import museval_format as museval_json
from asteroid_slicq.evaluation.pool import EvaluationError, score_tracks
from asteroid_slicq.evaluation.report import summarise
from asteroid_slicq.evaluation.scoring import (
    estimate,
    fast_scores,
    museval_frames,
    oracle_estimates,
    oracle_of,
)
from asteroid_slicq.models.mixin.model import MiXiN, soft_masks
from asteroid_slicq.separation import Separator
from tests.evaluation.helpers import RATE, SOURCES, needs_museval, strict, tracks_of, write_track


@needs_museval
def test_the_fast_sdr_is_that_of_museval(model, evaluation, data):
    scored = list(score_tracks(evaluation, model, tracks_of(data), n_workers=0))
    assert [s.track.name for s in scored] == ["c", "b", "a"]  # the longest first
    for _, scores, _ in scored:
        ours = scores["model"]
        for source in SOURCES:
            assert math.isfinite(ours["sdr"][source])
            assert ours["sdr"][source] == pytest.approx(ours["museval SDR"][source], abs=1e-5)
        assert set(scores) == {"model", "mixture"}


@needs_museval
def test_a_silent_source_has_no_score_and_leaves_the_others_theirs(model, evaluation, tmp_path):
    data = tmp_path / "data"
    write_track(data, "silent", silent=["bass"])
    (write_track(data, "missing", silent=["bass"]) / "bass.wav").unlink()
    write_track(data, "whole")
    tracks = {t.name: t for t in tracks_of(data)}
    assert tracks["missing"].missing == ["bass"]
    scored = {
        s.track.name: s.scores["model"]
        for s in score_tracks(evaluation, model, list(tracks.values()), 0)
    }
    for name in ("silent", "missing"):
        for measure in ("sdr", "usdr", "museval SDR", "museval SAR"):
            assert math.isnan(scored[name][measure]["bass"])
            assert math.isfinite(scored[name][measure]["vocals"])
        record = strict(evaluation.record_file(tracks[name]).read_text())
        assert record["scores"]["model"]["usdr"]["bass"] is None
        document = json.loads(evaluation.museval_file(tracks[name]).read_text())
        assert [t["name"] for t in document["targets"]] == ["vocals"]
    # The tracks that have a score make the summary.
    summary = summarise([{"model": s} for s in scored.values()], SOURCES)["model"]
    assert summary["usdr"]["bass"] == scored["whole"]["usdr"]["bass"]
    assert evaluation.load(tracks["silent"]) is not None


@needs_museval
def test_a_silent_estimate_leaves_no_frame(evaluation):
    stems = np.random.default_rng(0).standard_normal((2, 2, 3 * RATE)).astype(np.float32)
    estimates = stems * np.float32(0.9)
    estimates[0] = 0
    frames = museval_frames(evaluation, stems, estimates)
    assert {m: v.shape for m, v in frames["vocals"].items()} == dict.fromkeys(
        museval_json.METRICS, (3,)
    )
    assert np.isnan(frames["vocals"]["SDR"]).all()
    fast = fast_scores(evaluation, stems, estimates)
    assert math.isnan(fast["sdr"]["vocals"])
    assert fast["usdr"]["vocals"] == pytest.approx(20, abs=1e-4)
    assert museval_frames(evaluation, 0 * stems, estimates) == {}
    assert np.isnan(list(fast_scores(evaluation, 0 * stems, estimates)["usdr"].values())).all()


def test_estimates_are_averaged_over_shifts_in_time(model, evaluation, data):
    (track, *_) = tracks_of(data)
    mix, stems = track.read()
    shifted = replace(evaluation, shifts=4)
    scores, estimates = estimate(shifted, model, stems, mix)
    separator = Separator(model, segment_s=evaluation.segment_s)
    expected = np.zeros_like(stems)
    for delay in (0, RATE // 8, RATE // 4, 3 * RATE // 8):
        later = np.concatenate([np.zeros((2, delay), np.float32), mix], -1)
        expected += separator.separate_waveform(later, RATE)[..., delay:] / 4
    np.testing.assert_allclose(estimates, expected, atol=1e-6)
    once = estimate(evaluation, model, stems, mix)
    assert not np.allclose(once[1], expected, atol=1e-4)
    assert scores["mixture"] == once[0]["mixture"]

    assert shifted.folder != evaluation.folder == replace(evaluation, shifts=1).folder
    fast, record = replace(shifted, museval=False), shifted.record_file(track)
    fast.save(track, scores)
    assert fast.load(track) is not None
    evaluation.save(track, once[0])
    record.write_bytes(evaluation.record_file(track).read_bytes())
    assert fast.load(track) is None  # a record of other settings
    with pytest.raises(ValueError, match="shifts must be at least 1, got 0"):
        replace(evaluation, shifts=0)


def test_an_estimate_that_is_not_finite_is_no_silence(model, evaluation, data):
    broken = copy.deepcopy(model)
    with torch.no_grad():
        for weights in broken.parameters():
            weights.fill_(torch.nan)
    with pytest.raises(EvaluationError, match=r"estimate of \w+ holds NaN or infinite samples"):
        list(score_tracks(evaluation, broken, tracks_of(data)[:1], n_workers=0))


def test_mixin_is_scored_with_the_oracle_of_its_chunks(data, tmp_path):
    torch.manual_seed(0)
    model = MiXiN(sample_rate=RATE, transform={"n_bins": 24, "length": 4000}).eval()
    sources = tuple(model.sources)
    evaluation = Evaluation(tmp_path / "eval", "test", sources, RATE, "m", museval=False)
    mix, stems = tracks_of(data, sources)[0].read()
    mix = stems.sum(0)
    scores, estimates = estimate(evaluation, model, stems, mix)
    assert estimates.shape == stems.shape
    assert np.isfinite(list(scores["model"]["sdr"].values())).all()
    for source in sources:
        assert scores["mix-phase oracle"]["sdr"][source] > scores["mixture"]["sdr"][source] + 1


def test_the_oracle_of_a_mixin_is_that_of_its_mode(data):
    model = MiXiN(sample_rate=RATE, transform={"n_bins": 24, "length": 4000}).eval()
    assert oracle_of(model) == "irm2"
    _, stems = tracks_of(data, model.sources)[0].read()
    waveforms = torch.from_numpy(stems)
    coefficients = model.analyse(waveforms)
    masked = soft_masks(coefficients.abs(), 0) * coefficients.sum(0)
    expected = model.synthesise(masked, stems.shape[-1])
    ours = oracle_estimates(model, stems.sum(0), stems, "irm2")
    np.testing.assert_allclose(ours, expected.numpy(), atol=1e-4)
    model.single_model = True
    assert oracle_of(model) == "mix-phase"
    assert oracle_of(torch.nn.Identity()) is None


def test_the_oracle_of_separate_stems_is_perfect(model):
    """With one source alone the mix has the phase of the truth."""
    rng = np.random.default_rng(0)
    stems = np.zeros((2, 2, 3 * RATE), np.float32)
    stems[1] = rng.standard_normal(stems.shape[1:])
    np.testing.assert_allclose(oracle_estimates(model, stems[1], stems), stems, atol=1e-4)
