"""HAAQI in an evaluation: its value by pyclarity, its columns, and what is said without it."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from asteroid_slicq.evaluation import (
    Report,
    haaqi,
    listener,
    require_pyclarity,
    score_tracks,
)
from asteroid_slicq.evaluation.records import HAAQI, MIXTURE, MODEL
from asteroid_slicq.hearing import amplify
from tests.evaluation.helpers import SOURCES, tracks_of
from tests.hearing.test_parity import noise, pyclarity, tones


@pytest.fixture
def stand_in(monkeypatch):
    """An index that is the level of the estimate relative to that of the reference, once heard."""

    def index(true, rate, estimate, same_rate, listener, equalisation, level):
        assert rate == same_rate
        assert equalisation == 1
        assert level + 20 * np.log10(np.sqrt(np.mean(true**2))) == pytest.approx(65)
        return [np.sqrt(np.mean(estimate**2) / np.mean(true**2)), len(true), listener.levels]

    modules = SimpleNamespace(haaqi_v1=index), SimpleNamespace(Audiogram=SimpleNamespace)
    monkeypatch.setattr(listener, "require_pyclarity", lambda: modules)


def test_channels_count_alike_and_silent_references_do_not(stand_in):
    true = np.random.default_rng(0).standard_normal((3, 2, 8000))
    true[1, 0] = true[2] = 0
    factors = np.array([[0.2, 0.4], [0.3, 0.5], [1, 1]])
    values = haaqi(true, true * factors[..., None] + (true == 0), 8000, seconds=0.5)
    np.testing.assert_allclose(values, [0.3, 0.5, np.nan])


def test_estimates_are_amplified_for_a_hearing_loss(stand_in):
    true = np.random.default_rng(0).standard_normal((1, 1, 8000))
    amplified = amplify(true, "moderate", 8000)
    assert amplified.shape == true.shape
    expected = np.sqrt(np.mean(amplified**2) / np.mean(true**2))
    assert expected > 1.5
    assert haaqi(true, true, 8000, "moderate") == pytest.approx(expected)
    assert haaqi(true, true, 8000, "normal") == pytest.approx(1)


def test_amplification_has_no_delay():
    impulse = np.zeros(2001)
    impulse[1000] = 1
    for rate in (24000, 44100):
        response = amplify(impulse, "moderate", rate)
        assert response.argmax() == 1000
        np.testing.assert_allclose(response, response[::-1], atol=1e-12)


def test_columns_of_an_evaluation(model, evaluation, data, stand_in):
    settings = {**vars(evaluation), "haaqi": "mild", "haaqi_s": 1.0, "museval": False}
    with_haaqi = type(evaluation)(**settings)
    tracks = tracks_of(data)[:2]
    scores = {s.track.name: s.scores for s in score_tracks(with_haaqi, model, tracks, 0)}
    assert all(
        scores[name][method][HAAQI][source] > 0
        for name in scores
        for method in (MODEL, MIXTURE)
        for source in SOURCES
    )
    report = Report("a model", "test", SOURCES, scores)
    text = report.as_text()
    assert text.startswith("dB, or 0 … 1")
    assert "model HAAQI" in text
    assert "## Tracks, HAAQI" in report.as_markdown()
    mean = np.mean([scores[name][MODEL][HAAQI]["bass"] for name in scores])
    assert report.as_json()["scores"][MODEL][HAAQI]["bass"] == pytest.approx(mean)
    # Scored once for this listener, and anew for another.
    assert [s.seconds for s in score_tracks(with_haaqi, model, tracks, 0)] == [None, None]
    other = type(evaluation)(**{**settings, "haaqi": (0, 0, 0, 10, 20, 30)})
    assert other.load(tracks[0]) is None


def test_without_pyclarity_a_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "clarity.evaluator.haaqi", None)
    with pytest.raises(ValueError, match=r"HAAQI needs pyclarity .*pip install"):
        require_pyclarity()


@pytest.mark.slow
def test_the_value_is_that_of_pyclarity():
    pytest.importorskip("clarity.evaluator.haaqi", reason="pyclarity is not installed")
    stem, rng = tones(0, 24000)
    degraded = noise(20)(stem, 0, rng)
    pair = (x[None, None] for x in (stem, degraded))
    expected = pyclarity(stem, degraded, "normal", 24000)
    assert haaqi(*pair, 24000)[0] == pytest.approx(expected, abs=1e-3)
