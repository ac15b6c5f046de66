"""Stage 2 of the recipe: what eval.py writes, and that it survives being killed."""

import importlib
import importlib.util
import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from common import scoring

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.hub import CardFacts, read_evaluation
from asteroid_slicq.hub.card import make_card
from asteroid_slicq.hub.publishing import describe
from tests.evaluation.helpers import RATE, SOURCES, strict, write_track
from tests.helpers import RECIPES, environment
from tests.recipes.helpers import run_script

RECIPE = RECIPES / "xumx_slicq"
NAMES = ("a", "b", "c", "d", "e")

pytestmark = pytest.mark.slow
needs_museval = pytest.mark.skipif(
    importlib.util.find_spec("museval") is None, reason="museval is not installed"
)


@pytest.fixture
def run(monkeypatch):
    """Run ``python eval.py`` in this process."""
    return partial(run_script, monkeypatch, RECIPE / "eval.py")


def save_model(exp_dir, seed=0):
    torch.manual_seed(seed)
    model = XUMXSliCQ.from_preset(
        "small",
        sources=SOURCES,
        sample_rate=RATE,
        hidden_channels=[2, 3],
        transform={"n_bins": 16, "f_min_hz": 200.0},
    )
    exp_dir.mkdir(exist_ok=True)
    torch.save(model.serialize(), exp_dir / "best_model.pth")
    return model


@pytest.fixture
def work(tmp_path):
    """A folder with data and a model that has not been trained."""
    for seed, name in enumerate(NAMES):
        write_track(tmp_path / "data", name, 1.5 + 0.5 * seed, seed)
    save_model(tmp_path / "exp")
    return tmp_path


def options_of(work):
    return ("--exp_dir", work / "exp", "--data_dir", work / "data", "--device", "cpu")


def files_of(work):
    return {
        path.relative_to(work): path.stat().st_mtime_ns for path in work.glob("exp/eval/**/*.json")
    }


def test_fast_scores_without_museval(work, run, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "museval", None)
    fast = (*options_of(work), "--fast", "true", "--n_workers", 0)
    run(*fast, "--n_tracks", 2)
    report = read_evaluation(work / "exp" / "metrics.json")
    assert (report["n_tracks"], report["sources"]) == (2, list(SOURCES))
    assert set(report["scores"]) == {"model", "mixture", "mix-phase oracle"}
    for kind in report["scores"].values():
        assert {measure: set(values) for measure, values in kind.items()} == {
            measure: {*SOURCES, "mean"} for measure in ("sdr", "usdr")
        }
    oracle, mixture = (report["scores"][kind]["sdr"] for kind in ("mix-phase oracle", "mixture"))
    assert oracle["mean"] > mixture["mean"]
    before = files_of(work)
    assert len(before) == 2

    capsys.readouterr()
    run(*fast)
    out = capsys.readouterr().out
    assert [f"{i}/5" in out for i in range(1, 7)] == [True] * 5 + [False]
    assert out.count("done before") == 2
    after = files_of(work)
    assert len(after) == 5
    assert before.items() <= after.items()
    assert "Not comparable" in out
    assert "| xumx-sliCQ V2 | 4.791 | 4.69 |" in (work / "exp" / "results.md").read_text()
    if importlib.util.find_spec("matplotlib"):
        assert (work / "exp" / "results.png").read_bytes().startswith(b"\x89PNG")

    # Another model has a folder of its own; the first one's is still there.
    save_model(work / "exp", seed=1)
    run(*fast, "--n_tracks", 1)
    assert "done before" not in capsys.readouterr().out
    assert after.items() <= files_of(work).items()
    assert read_evaluation(work / "exp" / "metrics.json")["n_tracks"] == 1


def test_no_track_is_none(work, run):
    with pytest.raises(SystemExit, match=r"eval.py: n_tracks must be at least 1, got 0"):
        run(*options_of(work), "--fast", "true", "--n_tracks", 0)


def test_shifts_are_an_option(work, run):
    scores = []
    for shifts in (1, 3):
        run(
            *options_of(work),
            "--fast",
            "true",
            "--n_workers",
            0,
            "--n_tracks",
            1,
            "--shifts",
            shifts,
        )
        scores.append(read_evaluation(work / "exp" / "metrics.json")["scores"])
    assert scores[0]["mixture"] == scores[1]["mixture"]
    assert scores[0]["model"] != scores[1]["model"]
    assert len(list((work / "exp" / "eval").iterdir())) == 2
    with pytest.raises(SystemExit, match=r"eval.py: shifts must be at least 1, got 0"):
        run(*options_of(work), "--fast", "true", "--shifts", 0)


def test_the_scores_go_into_a_card(work, run):
    run(*options_of(work), "--fast", "true", "--n_workers", 0, "--n_tracks", 1)
    evaluation = read_evaluation(work / "exp" / "metrics.json")
    facts = CardFacts("user/model", trained_on="procedural")
    card = str(make_card(describe(save_model(work / "exp")), facts, evaluation))
    mean = evaluation["scores"]["model"]["sdr"]["mean"]
    assert f"| **this model** | SDR | {mean:.2f} |" in card


def test_a_missing_stem_is_silence(work, run, capsys):
    (work / "data" / "test" / "a" / "bass.wav").unlink()
    run(*options_of(work), "--fast", "true", "--n_workers", 0, "--n_tracks", 2)
    assert "a: no file of bass, taken as silent" in capsys.readouterr().out
    report = strict((work / "exp" / "metrics.json").read_text())
    assert report["scores"]["model"]["sdr"]["bass"] is not None
    (work / "data" / "test" / "b" / "bass.wav").unlink()
    run(*options_of(work), "--fast", "true", "--n_workers", 0, "--n_tracks", 2)
    report = strict((work / "exp" / "metrics.json").read_text())
    assert report["scores"]["model"]["sdr"]["bass"] is None
    assert report["scores"]["model"]["sdr"]["vocals"] is not None


# Of a process and those that it starts: no record gets its name after the first one.
ONE_RECORD = """
import os, time
from pathlib import Path

def held(source, target):
    folder = Path(target).parent
    while folder.parent.name == "scores" and list(folder.glob("*.json")):
        time.sleep(0.02)
    replace(source, target)

replace, os.replace = os.replace, held
"""


@needs_museval
def test_a_killed_evaluation_goes_on_where_it_was(work, run, capsys):
    (work / "site").mkdir()
    (work / "site" / "sitecustomize.py").write_text(ONE_RECORD)
    command = [sys.executable, RECIPE / "eval.py", *options_of(work), "--n_workers", 1]
    process = subprocess.Popen(
        [str(part) for part in command],
        env=environment(work / "site", RECIPES),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    records = "exp/eval/*/scores/test/*.json"
    try:
        deadline = time.monotonic() + 300
        while not list(work.glob(records)):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        children = children_of(process.pid)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 300
    while any(map(is_running, children)):  # nothing is left behind
        assert time.monotonic() < deadline
        time.sleep(0.05)
    before = files_of(work)
    done = len(list(work.glob(records)))
    assert done == 1
    for path in before:
        json.loads((work / path).read_text())

    run(*options_of(work), "--n_workers", 0)
    out = capsys.readouterr().out
    assert out.count("done before") == done
    kept = {p: t for p, t in before.items() if p.parent.parent.name == "scores"}
    assert kept.items() <= files_of(work).items()
    scores = strict((work / "exp" / "metrics.json").read_text())["scores"]["model"]
    assert set(scores) == {"sdr", "usdr", *(f"museval {m}" for m in ("SDR", "SIR", "SAR", "ISR"))}
    for name in (*SOURCES, "mean"):
        assert scores["museval SDR"][name] == pytest.approx(scores["sdr"][name], abs=1e-5)
    assert len(list(work.glob("exp/eval/*/test/*.json"))) == len(NAMES)
    assert not list(work.glob("exp/**/.*.part"))


def children_of(pid):
    """Processes that a process has started, where the system tells."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_without_museval_a_sentence_says_so(work, run, monkeypatch):
    monkeypatch.setattr(scoring, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match=r"eval.py: museval is not installed: .* or --fast true"):
        run(*options_of(work))


def test_haaqi_without_pyclarity_and_for_nobody(work, run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "clarity.evaluator.haaqi", None)
    fast = (*options_of(work), "--fast", "true")
    with pytest.raises(SystemExit, match=r"eval.py: HAAQI needs pyclarity .* pip install"):
        run(*fast, "--haaqi", "mild")
    with pytest.raises(SystemExit):
        run(*fast, "--haaqi", "deaf")
    assert "audiogram must be one of normal, mild" in capsys.readouterr().err


def test_haaqi_stands_beside_the_other_scores(work, run, capsys):
    pytest.importorskip("clarity.evaluator.haaqi", reason="pyclarity is not installed")
    options = ("--fast", "true", "--n_workers", 0, "--n_tracks", 1, "--oracle", "false")
    run(*options_of(work), *options, "--haaqi", "20,20,25,35,45,50", "--haaqi_s", "0.5")
    assert "model HAAQI" in capsys.readouterr().out
    scores = read_evaluation(work / "exp" / "metrics.json")["scores"]
    assert all(0 < scores[kind]["haaqi"]["mean"] < 1 for kind in ("model", "mixture"))
    assert "## Tracks, HAAQI" in (work / "exp" / "results.md").read_text()


def test_errors_are_one_sentence(work, run):
    with pytest.raises(SystemExit, match=f"^eval.py: no folder {work}/data/valid"):
        run(*options_of(work), "--split", "valid", "--fast", "true")
