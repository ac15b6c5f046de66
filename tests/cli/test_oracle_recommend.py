"""``asteroid-slicq oracle --recommend``: what it prints and writes, and what it refuses."""

import json

import pytest
import soundfile as sf
import torch

from asteroid_slicq import SliCQT
from asteroid_slicq.cli import oracle_recommend
from tests.cli.test_oracle import RATE, run, tree  # noqa: F401
from tests.cli.test_oracle import refused as refused_by

FEW = (
    {"scale": "bark", "n_bins": 24, "f_min_hz": 100.0, "window": "hann"},
    {"n_fft": 512, "hop": 128},
    {"n_fft": 64, "hop": 16},
)


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch):
    monkeypatch.setattr(oracle_recommend, "CANDIDATES", FEW)


def test_a_frame_is_recommended_with_its_uncertainty(tree, tmp_path, capsys):  # noqa: F811
    output = tmp_path / "r.json"
    assert run(tree, "--recommend", "vocals", "--oracles", "irm1", "-o", output) == 0
    out = capsys.readouterr().out
    assert out.startswith("vocals: 2 tracks, 4 windows of 1 s")
    assert "bark 24, 100 Hz up, hann" in out
    assert "Few windows" in out
    report = json.loads(output.read_text())
    assert report["tracks"] == ["song 1", "song 2"]
    assert [c["name"] for c in report["candidates"]][1:] == ["STFT 512/128", "STFT 64/16"]
    for measure in ("irm1", "gini", "renyi", "kurtosis", "ridge"):
        standings = [c["measures"][measure] for c in report["candidates"]]
        best = report["favoured"][measure]["best"]
        pick = min if measure == "renyi" else max
        value = pick(s["value"] for s in standings)
        assert best == next(
            c["name"] for c in report["candidates"] if c["measures"][measure]["value"] == value
        )
        for standing in standings:
            low, high = standing["interval"]
            assert low <= standing["value"] <= high or low == pytest.approx(high)
            assert standing["behind"] >= 0
    assert report["recommended"] in out
    assert report["lighter"] is None or f"with less data: {report['lighter']}" in out
    call = report["candidates"][0]["call"]
    made = eval(call, {"SliCQT": SliCQT})
    assert (made.config["n_bins"], made.config["overlap_added"]) == (24, True)


def test_json_and_frames_of_the_users_own(tree, capsys):  # noqa: F811
    options = ("--n-bins", 30, "--f-min", 90, "--stft", "256/64", "--tracks", 1, "--json")
    assert run(tree / "test" / "song 1", "--recommend", "drums", *options) == 0
    report = json.loads(capsys.readouterr().out)
    names = [c["name"] for c in report["candidates"]]
    assert names[0].startswith("bark 30, 90 Hz up")
    assert names[-1] == "STFT 256/64"
    assert list(report["candidates"][0]["measures"])[:2] == ["mix-phase", "irm1"]
    assert report["n_tracks"] == 1
    assert run(tree, "--n-bins", 24, "--f-min", 100, "--tracks", 1, "--json") == 0
    assert json.loads(capsys.readouterr().out)["transforms"][0]["sdr"]


def test_stems_by_any_names_in_a_folder_with_spaces(tmp_path, capsys):
    folder = tmp_path / "my stems" / "a song"
    folder.mkdir(parents=True)
    for name in ("voice", "piano"):
        noise = torch.randn(2 * RATE, 1, generator=torch.Generator().manual_seed(len(name)))
        sf.write(folder / f"{name}.wav", 0.1 * noise.numpy(), RATE)
    for path in (tmp_path / "my stems", folder):
        assert run(path, "--recommend", "voice", "--oracles", "irm1") == 0
        out = capsys.readouterr().out
        assert out.startswith("voice: 1 track, 2 windows")
        assert "One track: the uncertainty is that of its windows" in out


def test_what_is_refused(tree, tmp_path, capsys):  # noqa: F811
    refused = lambda *argv: refused_by(capsys, *argv)  # noqa: E731
    assert "--recommend must be one of vocals, drums" in refused(tree, "--recommend", "flute")
    assert "no folder of WAV files" in refused(tmp_path, "--recommend", "vocals")
    assert "no such folder" in refused(tmp_path / "none", "--recommend", "vocals")
    assert "--search goes without --recommend" in refused(
        tree, "--recommend", "vocals", "--search", "random", "-o", tmp_path / "s.jsonl"
    )
    alone = tmp_path / "alone"
    alone.mkdir()
    sf.write(alone / "vocals.wav", torch.zeros(RATE, 1).numpy(), RATE)
    assert "there is no stem beside vocals" in refused(alone, "--recommend", "vocals")
    sf.write(alone / "rest.wav", 0.1 * torch.ones(RATE, 1).numpy(), RATE)
    assert "vocals is silent" in refused(alone, "--recommend", "vocals", "--oracles", "irm1")
