"""``asteroid-slicq oracle``: what it scores, prints and writes, and what it refuses."""

import json
import math

import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.cli import main

RATE = 8000
SOURCES = ("vocals", "drums", "bass", "other")
FAST = ("--n-bins", 24, "--f-min", 100, "--device", "cpu")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("stems"), np.random.default_rng(0)
    time = np.arange(2 * RATE) / RATE
    for number in range(3):
        folder = root / ("train", "test", "test")[number] / f"song {number}"
        folder.mkdir(parents=True)
        total = 0
        for i, name in enumerate(SOURCES):
            wave = 0.05 * rng.standard_normal((len(time), 2)).cumsum(0) ** (i % 2 + 1)
            wave = wave / np.abs(wave).max() * (1 + np.sin((i + 2) * time))[:, None] / 8
            sf.write(folder / f"{name}.wav", wave, RATE, "FLOAT")
            total = total + wave
        sf.write(folder / "mixture.wav", total, RATE, "FLOAT")
    return root


def run(*argv):
    return main(["oracle", *map(str, argv)])


def refused(capsys, *argv):
    assert run(*argv) == 2
    captured = capsys.readouterr()
    reason, *_ = captured.err.splitlines()  # advice may follow
    return reason


def test_tables_and_json(tree, tmp_path, capsys):
    output = tmp_path / "o.json"
    assert run(tree, *FAST, "--stft", "512/128", "--sparsity", "-o", output) == 0
    out = capsys.readouterr().out
    assert out.startswith("sliCQT bark 24, 100 Hz up, blackman-harris, slices of ")
    assert "STFT 512/128, redundancy 4.02" in out
    report = json.loads(output.read_text())
    assert report["tracks"] == ["song 1", "song 2"]  # of test, not of train
    slicqt, stft = report["transforms"]
    assert slicqt["transform"]["n_bins"] == 24
    assert stft["transform"] == {"kind": "STFT", "n_fft": 512, "hop": 128, "redundancy": 514 / 128}
    for scores in (slicqt, stft):
        assert list(scores["sdr"]) == ["mix-phase", "irm1", "irm2", "ibm1", "ibm2", "mwf"]
        assert list(scores["sparsity"]) == ["gini", "renyi", "kurtosis", "ridge"]
        for kind in ("sdr", "sparsity"):
            for name, values in scores[kind].items():
                assert f"{values['mean']:.{2 if kind == 'sdr' else 3}f}" in out
                for source in SOURCES:
                    tracks = [t[kind][name][source] for t in scores["by_track"].values()]
                    assert values[source] == pytest.approx(np.median(tracks))


@pytest.mark.parametrize(
    ("argv", "tracks"),
    [
        ((), ["song 1", "song 2"]),
        (("--tracks", 1), ["song 1"]),
        (("--split", "train"), ["song 0"]),
    ],
)
def test_which_tracks(tree, tmp_path, argv, tracks):
    output = tmp_path / "o.json"
    arguments = ("--no-slicqt", "--stft", "512/128", "--oracles", "irm1", "-q", "-o", output)
    assert run(tree, *argv, *arguments) == 0
    assert json.loads(output.read_text())["tracks"] == tracks


@pytest.mark.parametrize(
    ("below", "tracks"), [("test", ["song 1", "song 2"]), ("train/song 0", ["song 0"])]
)
def test_a_folder_of_tracks_and_a_track(tree, tmp_path, monkeypatch, below, tracks):
    output = tmp_path / "o.json"
    arguments = ("--no-slicqt", "--stft", "512/128", "--oracles", "irm1", "-q", "-o", output)
    assert run(tree / below, *arguments) == 0
    assert json.loads(output.read_text())["tracks"] == tracks
    monkeypatch.chdir(tree / below)
    assert run(".", *arguments) == 0
    assert json.loads(output.read_text())["tracks"] == tracks


def test_a_silent_source_is_a_dash_and_null(tree, tmp_path, capsys):
    folder = tmp_path / "song"
    folder.mkdir()
    for name in SOURCES:
        wave, _ = sf.read(tree / "train" / "song 0" / f"{name}.wav")
        sf.write(folder / f"{name}.wav", wave * (name != "bass"), RATE, "FLOAT")
    output = tmp_path / "o.json"
    assert run(folder, *FAST, "--oracles", "irm1", "--sparsity", "-o", output) == 0
    assert "–" in capsys.readouterr().out
    scores = json.loads(output.read_text())["transforms"][0]
    assert scores["sparsity"]["gini"]["bass"] is None
    assert scores["sparsity"]["gini"]["vocals"] > 0


def test_a_search_can_be_gone_on_with(tree, tmp_path, capsys):
    options = ("--search", "random", "--objective", "gini", "--target", "bass", "--seed", 5)
    options += ("--f-min", 100, "--overlap-added", "--device", "cpu", "--max-redundancy", 3)
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    assert run(tree, *options, "--trials", 8, "-o", whole) == 0
    out = capsys.readouterr().out
    header, *trials = [json.loads(line) for line in whole.read_text().splitlines()]
    assert header["search"]["fixed"] == {"f_min_hz": 100.0, "overlap_added": True}
    valid = [trial for trial in trials if trial["value"] is not None]
    assert 0 < len(valid) < len(trials) == 8
    assert all("f_min_hz" not in trial["config"] for trial in trials)
    assert all(list(trial["values"]) == ["bass"] for trial in valid)
    assert all(trial["reason"] in out for trial in trials)
    winner = max(valid, key=lambda trial: trial["value"])
    assert f"best: trial {winner['number'] + 1}, gini {winner['value']:.3f} of bass" in out

    assert run(tree, *options, "--trials", 3, "-q", "-o", killed) in (0, 2)
    with open(killed, "a") as file:
        file.write('{"number": 3, "conf')  # a line cut short
    capsys.readouterr()
    assert run(tree, *options, "--trials", 8, "-o", killed) == 0
    assert capsys.readouterr().out.startswith(f"{killed}: goes on after 3 trials\n4/8 ")
    assert killed.read_bytes() == whole.read_bytes()


def test_the_frame_of_a_search_can_be_scored_alone(tree, tmp_path):
    """The value of a trial is that of the command with its settings."""
    journal, output = tmp_path / "j.jsonl", tmp_path / "o.json"
    fixed = ("--scale", "mel", "--min-bandwidth", 60, "--bandwidth-factor", 1.2, "--f-min", 100)
    fixed += ("--n-bins", 30, "--device", "cpu", "-q")
    argv = ("--search", "random", "--trials", 6, "-o", journal, "--objective", "mix-phase")
    assert run(tree, *fixed, *argv) == 0
    trials = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    trial = next(t for t in trials if t["value"] is not None and t["config"]["slice_length"])
    config = trial["config"]
    assert set(config) == {"window", "slice_length"}
    settings = ("--window", config["window"], "--slice-length", config["slice_length"])
    assert run(tree, *fixed, *settings, "--oracles", "mix-phase", "-o", output) == 0
    scores = json.loads(output.read_text())["transforms"][0]["sdr"]["mix-phase"]
    assert scores["mean"] == pytest.approx(trial["value"])
    assert math.isfinite(trial["value"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--stft", "512"), "must be N/HOP such as 4096/1024, got '512'"),
        (("--stft", "512/500"), "hop must lie in 1 … n_fft / 2 = 256, got 500"),
        (("--oracles", "irm3"), "got 'irm3'"),
        (("--tracks", "0"), "must be a whole number from 1 on, got '0'"),
        (("--no-slicqt",), "--no-slicqt leaves nothing to score without --stft"),
        (("--sources", "kazoo"), "kazoo.wav: missing"),
        (("--device", "abacus"), "device abacus: not available here"),
        (("--n-bins", "24", "--f-min", "5000"), "f_min_hz"),
        (("-o", "nowhere/o.json"), "cannot be written, there is no folder nowhere"),
        (("--search", "random"), "--search needs a journal, -o FILE"),
        (("--search", "random", "-o", "j", "--sparsity"), "do not go"),
        (("--search", "random", "-o", "j", "--target", "kazoo"), "--target must be all or of"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_sentence(tree, capsys, argv, message):
    assert message in refused(capsys, tree, *argv)


def test_what_holds_no_tracks_is_refused(tmp_path, capsys):
    assert "no such folder" in refused(capsys, tmp_path / "none")
    assert "missing" in refused(capsys, tmp_path)
    assert "no such folder" in refused(capsys, tmp_path, "--split", "train")


def test_without_optuna_one_sentence_says_so(tree, tmp_path, capsys, monkeypatch):
    find = __import__("importlib.util").util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *a: None if name == "optuna" else find(name, *a)
    )
    argv = ("--search", "bayesian", "-o", tmp_path / "j.jsonl", "--device", "cpu")
    assert "needs Optuna: pip install" in refused(capsys, tree, *argv)
