"""Reports: averages, beside published scores where they compare."""

import math

import numpy as np
import pytest

from asteroid_slicq.data.musdb import published_tracks
from asteroid_slicq.evaluation import json_text
from asteroid_slicq.evaluation.published_scores import MUSDB18_HQ_TEST
from asteroid_slicq.evaluation.report import Report, summarise
from tests.evaluation.helpers import SOURCES, strict

STEMS = ("bass", "vocals", "other", "drums")


def report_of(names, split="test"):
    rng = np.random.default_rng(0)
    tracks = {
        name: {
            "model": {
                measure: dict(zip(STEMS, rng.normal(4, 1, 4), strict=True))
                for measure in ("sdr", "usdr", "museval SDR")
            }
        }
        for name in names
    }
    return Report("mine", split, STEMS, tracks)


def test_the_report_stands_beside_published_scores():
    report = report_of(sorted(published_tracks()["test"]))
    assert report.is_musdb18_hq_test
    text = report.as_markdown()
    assert "Not comparable" not in text
    ours = report.summary["model"]["museval SDR"]
    assert report.columns == ["mean", "vocals", "drums", "bass", "other"]
    cells = " | ".join(f"{ours[c]:.3f}" for c in report.columns)
    assert f"| **mine** | {cells} | the 50 test tracks of MUSDB18-HQ |" in text
    assert "| xumx-sliCQ V2 | 4.4 | 4.791 | 4.846 | 4.69 | 3.273 |" in text
    assert all(f"| {other.model} | {other.mean:g} |" in text for other in MUSDB18_HQ_TEST)
    assert report.as_json()["dataset"] == "musdb18-hq"


def test_scores_of_other_data_are_not_comparable():
    names = sorted(published_tracks()["test"])
    for report in (report_of(names[:-1]), report_of(["a"]), report_of(names, "train")):
        assert "**Not comparable**" in report.as_markdown()
        assert report.as_json()["dataset"] is None


def test_a_mean_of_other_sources_is_compared_with_none():
    scores = {"model": {"sdr": {"harmonic": 3.0, "percussive": 4.0, "vocals": 5.0}}}
    sources = tuple(scores["model"]["sdr"])
    text = Report("m", "test", sources, {"a": scores}).as_markdown()
    assert "| **m** | 5.000 | 1 track of the split `test` |" in text
    assert "| X-UMX | 6.612 |" in text
    assert "8.84" not in text
    remixed = Report("m", "test", sources, {"a": scores}, remix=True).as_markdown()
    assert "mixed of harmonic, percussive and vocals alone. Nothing comparable" in remixed
    assert "X-UMX" not in remixed


def test_published_means_are_those_of_their_sources():
    for other in MUSDB18_HQ_TEST:
        if other.sources:
            assert other.mean == pytest.approx(np.mean(list(other.sources.values())), abs=0.01)


def test_the_summary_is_of_medians_and_means():
    nan = math.nan
    tracks = [
        {"model": {m: {"bass": value, "vocals": nan} for m in ("sdr", "usdr")}}
        for value in (1.0, 2.0, 9.0, nan)
    ]
    summary = summarise(tracks, SOURCES)["model"]
    assert (summary["sdr"]["bass"], summary["usdr"]["bass"]) == (2.0, 4.0)
    assert math.isnan(summary["sdr"]["vocals"])
    assert math.isnan(summary["sdr"]["mean"])
    assert strict(json_text(summary))["usdr"] == {"bass": 4.0, "vocals": None, "mean": None}
    text = Report("m", "test", SOURCES, {"a": tracks[0], "b": tracks[3]}).as_text()
    assert "–" in text
    assert "nan" not in text
