"""The search for a frame: what it proposes, and that a killed one goes on with the same."""

import json

import pytest

from asteroid_slicq.evaluation.frame_search import (
    SPACE,
    Between,
    Choice,
    InvalidFrameError,
    Journal,
    best,
    propose_bayesian,
    propose_random,
    search_frames,
    without,
)
from tests.helpers import with_slow

METHODS = ["random", "bayesian"]
SEARCH = {"seed": 3, "objective": "gini"}


@pytest.fixture(autouse=True)
def _needs_optuna(request):
    if "bayesian" in request.node.name:
        pytest.importorskip("optuna")


def evaluate(config):
    """Best at many bins on the mel scale; some frames are invalid."""
    if config["slice_length"] == 8192:
        raise InvalidFrameError("slice_length is too short")
    bonus = 100 if config["scale"] == "mel" else 0
    return {"vocals": config["n_bins"] + bonus, "bass": config["n_bins"] - bonus / 2}


def search(path, n_trials, method="random", seed=3, **options):
    journal = Journal(path, SEARCH)
    new = list(search_frames(evaluate, journal, n_trials, method=method, seed=seed, **options))
    return journal, new


def test_proposals_lie_in_the_space():
    for number in range(200):
        config = propose_random(SPACE, 0, number)
        assert ("gamma_hz" in config) == (config["scale"] == "vqlog")
        for name, value in config.items():
            domain = SPACE[name]
            if isinstance(domain, Choice):
                assert value in domain.values
            else:
                assert domain.low <= value <= domain.high
                assert isinstance(value, int) == domain.is_whole


def test_a_random_trial_depends_on_seed_and_number_alone():
    assert propose_random(SPACE, 1, 5) == propose_random(SPACE, 1, 5)
    configs = [propose_random(SPACE, seed, number) for seed in (0, 1) for number in range(20)]
    assert len({json.dumps(config) for config in configs}) == 40


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_search_goes_on_with_the_same_proposals(tmp_path, method):
    whole, new = search(tmp_path / "whole.jsonl", 16, method)
    assert [trial.number for trial in new] == list(range(16))
    for n_before in (3, 13):
        path = tmp_path / f"{n_before}.jsonl"
        search(path, n_before, method)
        resumed, rest = search(path, 16, method)
        assert len(rest) == 16 - n_before
        assert resumed.trials == whole.trials
        assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize("method", METHODS)
def test_invalid_frames_are_skipped_with_their_reason(tmp_path, method):
    journal, _ = search(tmp_path / "j.jsonl", 40 if method == "random" else 15, method)
    invalid = [trial for trial in journal.trials if trial.value is None]
    assert invalid
    for trial in journal.trials:
        if trial.config["slice_length"] == 8192:
            assert trial.reason == "slice_length is too short"
        else:
            assert trial.value == pytest.approx(sum(trial.values.values()) / 2)
            assert trial.reason == ""


def test_values_that_are_no_numbers_are_no_values(tmp_path):
    journal = Journal(tmp_path / "j.jsonl", SEARCH)
    values = {"vocals": float("nan"), "bass": 1.0}
    (trial,) = search_frames(lambda _: values, journal, 1)
    assert trial.value is None
    assert trial.reason == "no value for vocals"


@pytest.mark.parametrize("maximise", with_slow([True, False], False))
def test_a_bayesian_search_finds_more_than_a_random_one(tmp_path, maximise):
    scores = []
    for method in ("random", "bayesian"):
        path = tmp_path / method
        journal, _ = search(path, 40, method, seed=0, maximise=maximise)
        late = [trial.value for trial in journal.trials[20:] if trial.value is not None]
        scores.append(sum(late) / len(late))
    assert (scores[1] > scores[0] + 100) if maximise else (scores[1] < scores[0] - 100)


def test_bayesian_proposals_lie_in_the_space(tmp_path):
    journal, _ = search(tmp_path / "j.jsonl", 12)
    for seed in range(8):
        config = propose_bayesian(SPACE, seed, journal.trials)
        assert ("gamma_hz" in config) == (config["scale"] == "vqlog")
        assert set(SPACE) - {"gamma_hz"} <= set(config)
        for name, value in config.items():
            domain = SPACE[name]
            if isinstance(domain, Between):
                assert domain.low <= value <= domain.high
                assert isinstance(value, int) == domain.is_whole


def test_the_best_trial(tmp_path):
    assert best([]) is None
    journal, _ = search(tmp_path / "j.jsonl", 20)
    values = [trial.value for trial in journal.trials if trial.value is not None]
    assert best(journal.trials).value == max(values)
    assert best(journal.trials, maximise=False).value == min(values)


def test_what_is_fixed_does_not_vary():
    assert "gamma_hz" in without(SPACE, {"n_bins": 5})
    assert "gamma_hz" in without(SPACE, {"scale": "vqlog"})
    space = without(SPACE, {"scale": "mel", "n_bins": 5})
    assert not {"scale", "n_bins", "gamma_hz"} & set(space)
    assert set(propose_random(space, 0, 0)) == set(space)


@pytest.mark.parametrize("cut", [1, 5, 12, 40, -1, -30])
def test_a_line_cut_short_is_dropped(tmp_path, cut):
    path = tmp_path / "j.jsonl"
    search(path, 4)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    search(path, 4)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"search": {"seed": 4, "objective": "gini"}}\n', "its seed is 4, not 3"),
        ('{"search": {"seed": 3}}\n', "its objective is None, not 'gini'"),
        ('{"search": {"seed": 3, "objective": "gini", "x": 1}}\n', "its x is 1, not None"),
        ("song,score\n", "is not the journal of a search"),
        ("song", "is not the journal of a search"),
        ('{"search": {"seed": 3, "objective": "gini"}}\n{}\n', "is not the journal of a search"),
    ],
)
def test_other_files_are_refused_and_left_alone(tmp_path, text, message):
    path = tmp_path / "j.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        Journal(path, SEARCH)
    assert path.read_text() == text


def test_wrong_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match="method must be one of random, bayesian, got 'grid'"):
        search(tmp_path / "j.jsonl", 1, "grid")
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        search(tmp_path / "j.jsonl", 1, seed=-1)


def test_without_optuna_one_sentence_says_so(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'asteroid-slicq\[search\]'"):
        propose_bayesian(SPACE, 0, [])
