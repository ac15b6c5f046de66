"""Evaluation: museval's numbers in museval's files, nothing twice, nothing half."""

import copy
import importlib.util
import json
import math
import multiprocessing
import os
import signal
import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.data.musdb import published_tracks
from asteroid_slicq.evaluation import (
    Evaluation,
    find_reference_tracks,
    json_text,
    nan_median,
)
from asteroid_slicq.evaluation import museval_format as museval_json
from asteroid_slicq.evaluation import pool as evaluation_pool
from asteroid_slicq.evaluation.pool import (
    EvaluationError,
    default_workers,
    score_in_pool,
    score_tracks,
)
from asteroid_slicq.evaluation.published_scores import MUSDB18_HQ_TEST
from asteroid_slicq.evaluation.report import Report, summarise
from asteroid_slicq.evaluation.scoring import (
    estimate,
    fast_scores,
    museval_frames,
    oracle_estimates,
    oracle_of,
)
from asteroid_slicq.models.mixin.model import MiXiN, soft_masks
from asteroid_slicq.plotting import plot_scores
from asteroid_slicq.separation import Separator, fingerprint
from tests.evaluation.helpers import RATE, SOURCES, strict, write_track

needs_museval = pytest.mark.skipif(
    importlib.util.find_spec("museval") is None, reason="museval is not installed"
)


@pytest.fixture
def data(tmp_path):
    for seed, name in enumerate(("a", "b", "c")):
        write_track(tmp_path / "data", name, 2.5 + seed, seed)
    return tmp_path / "data"


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return XUMXSliCQ.from_preset(
        "small",
        sources=SOURCES,
        sample_rate=RATE,
        hidden_channels=[2, 3],
        transform={"n_bins": 16, "f_min_hz": 200.0},
    ).eval()


@pytest.fixture
def evaluation(model, tmp_path):
    return Evaluation(
        tmp_path / "eval", "test", SOURCES, RATE, fingerprint(model), oracle=None, filter_length=4
    )


@pytest.fixture
def museval(monkeypatch):
    """The whole package, which imports musdb, which asks for ffmpeg, without that."""
    pytest.importorskip("pandas")
    if importlib.util.find_spec("museval") is None:
        pytest.skip("museval is not installed")
    monkeypatch.setitem(sys.modules, "musdb", ModuleType("musdb"))
    return importlib.import_module("museval")


def tracks_of(data, sources=SOURCES):
    return find_reference_tracks(data, "test", sources, RATE)


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


def random_frames(rng, n_frames, targets):
    frames = {
        target: {m: rng.normal(5, 3, n_frames) for m in museval_json.METRICS} for target in targets
    }
    for metrics in frames.values():
        for values in metrics.values():
            values[rng.random(n_frames) < 0.3] = np.nan
    frames[targets[0]]["SIR"][0] = np.inf
    return frames


def test_documents_are_those_of_museval(museval):
    frames = random_frames(np.random.default_rng(0), 7, ["bass", "vocals"])
    store = museval.TrackStore("song", win=1.0, hop=1.0)
    for target, metrics in frames.items():
        store.add_target(target, {m: list(v) for m, v in metrics.items()})
    document = museval_json.track_document(frames)
    # NaN differs from itself, its spelling does not.
    assert repr(json.loads(museval_json.dumps(document))) == repr(json.loads(store.json))


def test_documents_pass_museval_s_schema(museval):
    jsonschema = pytest.importorskip("jsonschema")
    document = museval_json.track_document(random_frames(np.random.default_rng(1), 3, ["bass"]))
    schema = museval.TrackStore("song").schema
    jsonschema.validate(document, schema)
    document["targets"][0]["frames"][0]["metrics"]["SDR"] = None
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_the_aggregate_is_that_of_museval(museval, evaluation, data):
    rng = np.random.default_rng(2)
    tracks = tracks_of(data)
    targets = (["bass", "vocals"], ["vocals"], ["bass", "vocals"])
    scores = {"model": {"sdr": dict.fromkeys(SOURCES, 0.0)}}
    saved = [
        evaluation.save(track, scores, random_frames(rng, 5 + i, targets[i]))
        for i, track in enumerate(tracks)
    ]
    store = museval.EvalStore()
    store.add_eval_dir(evaluation.folder)
    theirs = store.agg_frames_tracks_scores()
    documents = [json.loads(evaluation.museval_file(t).read_text()) for t in tracks]
    tracks_scores = [museval_json.track_scores(document, SOURCES) for document in documents]
    summary = summarise(saved, SOURCES)["model"]
    for metric in museval_json.METRICS:
        for source in SOURCES:
            ours = float(nan_median([scores[metric][source] for scores in tracks_scores]))
            assert ours == theirs[source][metric]
            assert summary[f"museval {metric}"][source] == ours
    methods = museval.MethodStore()
    methods.add_eval_dir(evaluation.folder)
    assert methods.df["track"].nunique() == 3


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


def test_a_track_that_fails_does_not_stop_the_others(model, evaluation, data):
    evaluation = replace(evaluation, museval=False)
    tracks = tracks_of(data)
    (data / "test" / "b" / "bass.wav").write_bytes(b"RIFF")
    scored = score_tracks(evaluation, model, tracks, 0)
    assert [next(scored).track.name, next(scored).track.name] == ["c", "a"]
    with pytest.raises(EvaluationError, match=r"1 track\(s\) could not be scored:\n  b: .*bass"):
        next(scored)


def test_an_estimate_that_is_not_finite_is_no_silence(model, evaluation, data):
    broken = copy.deepcopy(model)
    with torch.no_grad():
        for weights in broken.parameters():
            weights.fill_(torch.nan)
    with pytest.raises(EvaluationError, match=r"estimate of \w+ holds NaN or infinite samples"):
        list(score_tracks(evaluation, broken, tracks_of(data)[:1], n_workers=0))


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


def test_sources_of_mixin_are_sums_of_stems(data):
    track, *_ = tracks_of(data, ("harmonic", "percussive", "vocals"))
    assert track.files == (("bass", "other"), ("drums",), ("vocals",))
    _, stems = track.read()
    parts = [track.track.read(name) for name in ("bass", "other")]
    np.testing.assert_array_equal(stems[0], parts[0] + parts[1])


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


def test_a_mix_of_some_sources_is_another_track(data):
    track, *_ = find_reference_tracks(data, "test", ("harmonic", "percussive"), RATE, remix=True)
    mix, stems = track.read()
    np.testing.assert_array_equal(mix, stems.sum(0))
    assert track.fingerprint() != replace(track, remix=False).fingerprint()


def test_the_oracle_of_separate_stems_is_perfect(model):
    """With one source alone the mix has the phase of the truth."""
    rng = np.random.default_rng(0)
    stems = np.zeros((2, 2, 3 * RATE), np.float32)
    stems[1] = rng.standard_normal(stems.shape[1:])
    np.testing.assert_allclose(oracle_estimates(model, stems[1], stems), stems, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "mixture.wav").unlink(), "mixture.wav: missing"),
        (
            lambda f: soundfile.write(f / "bass.wav", np.zeros((10, 1)), RATE),
            r"bass.wav: has 1 channel\(s\) at 4000 Hz, its mixture has 2",
        ),
        (
            lambda f: soundfile.write(f / "bass.wav", np.zeros((10, 2)), 8000),
            "bass.wav: has 2 channel.* at 8000 Hz",
        ),
        (lambda f: (f / "bass.wav").unlink(), "no track under .* has a true 'bass'"),
    ],
)
def test_wrong_data_are_named(change, message, tmp_path):
    change(write_track(tmp_path, "a"))
    with pytest.raises(ValueError, match=message):
        tracks_of(tmp_path)


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


def test_a_box_stands_for_every_source_and_kind(tmp_path):
    pytest.importorskip("matplotlib")
    values = {"model": {"bass": [1.0, 2.0, math.nan], "vocals": [math.nan] * 3}}
    figure = plot_scores({**values, "mixture": values["model"]}, title="t")
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["bass", "vocals"]
    assert len(ax.patches) == 4
    figure.savefig(tmp_path / "boxes.png")
    with pytest.raises(ValueError, match="at least, got none"):
        plot_scores({})


def test_without_matplotlib_a_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(ValueError, match="drawing needs matplotlib"):
        plot_scores({"model": {"bass": [1.0]}})


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
