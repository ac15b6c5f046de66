"""Metrics: the numbers of museval, at once."""

import importlib.util
import warnings
from functools import partial

import numpy as np
import pytest

from asteroid_slicq.evaluation.metrics import (
    bsseval_v4,
    frame_sdr,
    nan_median,
    summarise_tracks,
    track_sdr,
    utterance_sdr,
)

RATE = 2000

needs_museval = pytest.mark.skipif(
    importlib.util.find_spec("museval") is None, reason="museval is not installed"
)


@pytest.fixture
def audio():
    """References and estimates of 3.5 frames, with a different error in every source."""
    rng = np.random.default_rng(0)
    references = rng.standard_normal((4, 2, 7 * RATE // 2))
    level = np.array([0.1, 0.3, 1.0, 2.0])[:, None, None]
    return references, references + level * rng.standard_normal(references.shape)


def museval_sdr(references, estimates, filter_length=16):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bsseval_v4(references, estimates, RATE, filter_length=filter_length)["SDR"]


@needs_museval
@pytest.mark.parametrize("filter_length", [1, 64])
def test_agrees_with_museval_whatever_its_filters(audio, filter_length):
    ours = frame_sdr(*audio, RATE)
    assert ours.shape == (4, 3)
    # museval squares its errors after a detour through convolutions.
    np.testing.assert_allclose(ours, museval_sdr(*audio, filter_length), atol=1e-6)


@needs_museval
def test_agrees_with_museval_on_silent_frames(audio):
    references, estimates = audio
    references[2, :, :RATE] = 0  # silent reference
    estimates[1, :, RATE : 2 * RATE] = 0  # silent estimate
    ours = frame_sdr(references, estimates, RATE)
    assert np.isnan(ours[:, :2]).all()
    np.testing.assert_allclose(ours, museval_sdr(references, estimates), atol=1e-6)


@needs_museval
def test_agrees_with_museval_on_signals_shorter_than_a_frame(audio):
    short = [x[..., : RATE // 2] for x in audio]
    ours = frame_sdr(*short, RATE)
    assert ours.shape == (4, 1)
    np.testing.assert_allclose(ours, museval_sdr(*short), atol=1e-6)


def test_sdr_of_a_known_error(audio):
    references, _ = audio
    estimates = 0.9 * references
    np.testing.assert_allclose(frame_sdr(references, estimates, RATE), 20.0)
    np.testing.assert_allclose(track_sdr(references, estimates, RATE), 20.0)
    np.testing.assert_allclose(utterance_sdr(references, estimates), 20.0)


def test_track_sdr_is_the_median_of_the_frames_that_count(audio):
    references, estimates = audio
    references[0, :, :RATE] = 0
    frames = frame_sdr(references, estimates, RATE)
    np.testing.assert_allclose(
        track_sdr(references, estimates, RATE), np.median(frames[:, 1:], axis=1)
    )


def test_silence_and_perfection_stay_finite_or_nan(audio):
    references, estimates = audio
    assert np.isnan(track_sdr(references, references, RATE)).all()
    assert np.isnan(track_sdr(0 * references, estimates, RATE)).all()
    assert np.isfinite(utterance_sdr(references, references)).all()
    np.testing.assert_array_equal(utterance_sdr(0 * references, 0 * references), 0.0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("measure", [partial(frame_sdr, sample_rate=RATE), utterance_sdr])
def test_what_is_not_finite_has_no_score(audio, measure, value):
    references, estimates = audio
    for name, wrong in (("references", references), ("estimates", estimates)):
        wrong[1, 0, 7] = value
        with pytest.raises(ValueError, match=f"^{name} must be finite, number 1 holds NaN"):
            measure(references, estimates)
        wrong[1, 0, 7] = 0.5


@needs_museval
@pytest.mark.parametrize("filter_length", [1, 8])
def test_museval_scores_stems_whose_matrix_is_singular(filter_length):
    """A constant: every delay and every channel of every stem is the same."""
    rng = np.random.default_rng(0)
    references = np.full((2, 2, 4000), 2.0**20)
    estimates = references + 2.0**10 * rng.standard_normal(references.shape)
    scores = bsseval_v4(references, estimates, 1000, filter_length=filter_length)
    expected = frame_sdr(references, estimates, 1000)
    np.testing.assert_allclose(scores["SDR"], expected, atol=1e-6)
    assert np.isfinite(scores["SAR"]).all()


def test_nan_median():
    nan = np.nan
    np.testing.assert_array_equal(
        nan_median([[1.0, nan, 3.0], [nan, nan, nan]], axis=1), [2.0, nan]
    )
    assert np.isnan(nan_median([nan]))
    assert nan_median([nan, 5.0]) == 5.0


def test_summary_is_the_median_over_tracks_and_their_mean():
    tracks = [{"a": 1.0, "b": 0.0}, {"a": 2.0, "b": np.nan}, {"a": 9.0, "b": 4.0}]
    assert summarise_tracks(tracks, ["a", "b"]) == {"a": 2.0, "b": 2.0, "mean": 2.0}
    assert summarise_tracks(tracks, ["a"], np.mean) == {"a": 4.0, "mean": 4.0}


def test_inputs_stay_unchanged(audio):
    copies = [x.copy() for x in audio]
    frame_sdr(*audio, RATE)
    utterance_sdr(*audio)
    for x, copy in zip(audio, copies, strict=True):
        np.testing.assert_array_equal(x, copy)


@pytest.mark.parametrize(
    ("references", "estimates", "frame_s", "message"),
    [
        (np.ones((2, 10)), np.ones((2, 10)), 1.0, "source, channel, time"),
        (np.ones((2, 1, 0)), np.ones((2, 1, 0)), 1.0, "not empty"),
        (np.ones((2, 1, 9)), np.ones((2, 1, 8)), 1.0, r"\(2, 1, 9\), got \(2, 1, 8\)"),
        (np.ones((2, 1, 9)), np.ones((2, 1, 9)), 0.0, "frame_s must be at least one sample"),
    ],
)
def test_wrong_arguments_are_named(references, estimates, frame_s, message):
    with pytest.raises(ValueError, match=message):
        frame_sdr(references, estimates, RATE, frame_s)
