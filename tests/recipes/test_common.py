"""Parts that recipes have from ``common``: options, settings, scripts; a new recipe in full."""

import os
import re
import sys
from pathlib import Path

import pytest
import yaml
from asteroid.models import BaseModel
from common import prepare_data, scoring
from common.configuration import Variants

from tests.helpers import RECIPES, ROOT
from tests.recipes.helpers import STEMS, recipe_module, run, run_all, run_sh, write_stems

OPTIONS = {"xumx_slicq": "model", "mixin": "conf", "bandsplit": "model"}
VARIANTS = {
    "xumx_slicq": ["v2", "per_target", "quick", "small", "v1", "v2_haaqi", "v2_realtime", "v2_sdr"],
    "mixin": ["published", "quick"],
    "bandsplit": ["published", "large", "quick", "realtime", "small", "stft"],
}


@pytest.fixture(params=list(OPTIONS))
def recipe(request) -> Path:
    return RECIPES / request.param


def test_help_lists_every_option(recipe, tmp_path):
    done = run_sh(recipe, "--help", cwd=tmp_path)
    assert done.returncode == 0
    body = (RECIPES / "common" / "run.sh").read_text().partition("parse_options.sh")[0]
    text = (recipe / "run.sh").read_text() + body
    options = set(re.findall(r"^([a-z][a-z_]*)=", text, re.MULTILINE))
    assert {"stage", "tag", OPTIONS[recipe.name], "quick", "musdb", "fast", "repo"} <= options
    for option in options:
        assert f"--{option} " in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--no-such-option", "1"], "unknown option --no-such-option"),
        (["--PATH", "/"], "unknown option --PATH"),
        (["--RECIPE", "other"], "unknown option --RECIPE"),
        (["--tag"], "option --tag needs a value"),
        (["--quick", "yes"], "option --quick must be true or false"),
        (["train"], "unexpected argument 'train'"),
        (["--musdb", ""], "option --musdb must not be empty (is a variable not set?)"),
    ],
)
def test_wrong_options_are_refused(options, message, recipe, tmp_path):
    done = run_sh(recipe, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def test_scripts_refuse_an_empty_path(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["prepare_data.py", ""])
    for call in (
        prepare_data.main,
        lambda: scoring.main(["--exp_dir", "", "--data_dir", "."]),
        lambda: Variants(RECIPES / "mixin" / "local").parse("", ["--exp_dir", "a", "--data_dir="]),
    ):
        with pytest.raises(SystemExit) as caught:
            call()
        assert caught.value.code == 2
        assert "must not be empty (is a variable not set?)" in capsys.readouterr().err


def test_what_cannot_work_is_said_before_anything_is_written(recipe, tmp_path):
    option, base = OPTIONS[recipe.name], VARIANTS[recipe.name][0]
    for arguments, message in (
        (["--musdb", "nowhere"], f"no folder {tmp_path}/nowhere/train: --musdb must name the tree"),
        ([f"--{option}", "nothing"], f"--{option} must be {base}, the name of a file in local/"),
        (["--publish", "true"], "--publish true needs --repo USER/NAME"),
        (["--stage", "two"], "--stage must be 0, 1, 2 or 3, got two"),
        (["--stop_stage", "9"], "--stop_stage must be 0, 1, 2 or 3, got 9"),
        (["--stage", "2", "--stop_stage", "1"], "--stage 2 must not come after --stop_stage 1"),
        (["--jobs", "many"], "--jobs must be a number, got many"),
        (["--sounds", "real"], "--sounds must be procedural, sampled or both, got real"),
        (["--tag", "a/b"], "--tag must be a name without slashes, got 'a/b'"),
        (
            ["--stage", "2"],
            f"no {tmp_path}/exp/best_model.pth: train first (--stage 1), or name a --tag",
        ),
    ):
        done = run_sh(recipe, *arguments, "--expdir", "exp", cwd=tmp_path)
        assert done.returncode == 1
        assert message in done.stderr
        assert list(tmp_path.iterdir()) == []


def test_settings_are_complete_and_parse(recipe):
    settings = recipe_module(recipe, "train").SETTINGS
    assert settings.available() == VARIANTS[recipe.name]
    common = yaml.safe_load((RECIPES / "common" / "conf.yml").read_text())
    for name in settings.available():
        options = [f"--{settings.option}", name, "--exp_dir", "exp", "--max_time_s", "60"]
        conf = settings.parse("", options)
        assert {*common, "model", "main_args"} <= set(conf)
        assert conf["training"]["max_time_s"] == 60
        assert isinstance(conf["optim"]["lr"], float)
        assert isinstance(conf["optim"]["weight_decay"], float)
        keys = [key for section in conf.values() for key in section]
        assert len(keys) == len(set(keys))


def test_unknown_settings_are_named(recipe, tmp_path):
    settings = recipe_module(recipe, "train").SETTINGS
    file = tmp_path / "odd.yml"
    for text, message in (
        ("training:\n  epoch: 3\n", r"unknown key\(s\) \['epoch'\] in 'training'"),
        ("trainings:\n  epochs: 3\n", "unknown section 'trainings'"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=message):
            settings.load(str(file))
    with pytest.raises(ValueError, match=f"{settings.option} must be one of .*quick.* got 'huge'"):
        settings.load("huge")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--schedule", "foo"], "schedule must be one of none, plateau, cosine, got 'foo'"),
        (["--batch_size", "0"], "batch_size must be a number of at least 1, got 0"),
        (["--batch", "8"], "unrecognized arguments: --batch 8"),
        (["--epochs", "-3"], "epochs must be a number of at least 1, got -3"),
        (["--lr", "-1"], "lr must be a number of at least 0, got -1.0"),
        (["--lr", "nan"], "lr must be a number of at least 0, got nan"),
        (["--ema_decay", "1.0"], "ema_decay must be a number from 0 to 1, got 1.0"),
        (["--swap_channels", "2"], "swap_channels must be a number from 0 to 1, got 2.0"),
        (["--low_pass", "-1"], "low_pass must be a number from 0 to 1, got -1.0"),
    ],
)
def test_values_that_no_training_works_with_are_refused(options, message, recipe, capsys):
    settings = recipe_module(recipe, "train").SETTINGS
    with pytest.raises(SystemExit) as error:
        settings.parse("", ["--exp_dir", "exp", *options])
    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_numbers_that_yaml_reads_as_text_are_refused(recipe, tmp_path, capsys):
    settings, file = recipe_module(recipe, "train").SETTINGS, tmp_path / "my.yml"
    file.write_text("optim: {lr: 1e-3}\n")
    with pytest.raises(SystemExit):
        settings.parse("", ["--exp_dir", "exp", f"--{settings.option}", str(file)])
    assert "got '1e-3' (YAML reads 1e-3 as text, and 1.0e-3 as a number)" in capsys.readouterr().err


def test_a_file_may_be_over_another_one(recipe, tmp_path):
    settings = Variants(recipe / "local", option="model")
    file = tmp_path / "mine.yml"
    (tmp_path / "base.yml").write_text("optim: {lr: 0.5}\ntraining: {epochs: 3, batch_size: 5}\n")
    file.write_text("over: base.yml\ntraining: {epochs: 4}\n")
    conf = settings.load(str(file))
    assert (conf["optim"]["lr"], conf["training"]["epochs"]) == (0.5, 4)
    assert conf["training"]["batch_size"] == 5
    assert "over" not in conf
    file.write_text("over: none.yml\n")
    with pytest.raises(ValueError, match=r"over must name a file from here, got 'none\.yml'"):
        settings.load(str(file))


def test_lists_and_names_that_two_sections_have_are_options(recipe, tmp_path, capsys):
    settings = Variants(recipe / "local", option="model")
    file = tmp_path / "mine.yml"
    file.write_text("model: {width: 32, hidden: [1, 2], transform: {n: 1}}\n")
    first = ["--exp_dir", "exp", "--model", str(file), "--width", "0.25", "--hidden", "[3, 4]"]
    conf = settings.parse("", [*first, "--model_width", "64", "--transform", "{n: 2}"])
    assert (conf["augmentation"]["width"], conf["model"]["width"]) == (0.25, 64)
    assert conf["model"]["hidden"] == [3, 4]
    assert conf["model"]["transform"] == {"n": 2}
    assert "model_width" not in conf["model"]
    with pytest.raises(SystemExit):
        settings.parse("", [*first, "--hidden", "3"])
    assert "must be like '[1, 2]', got '3'" in capsys.readouterr().err


def test_options_of_scripts_are_written_out(recipe, monkeypatch, capsys):
    from common import scoring

    with pytest.raises(SystemExit):
        scoring.main(["--exp_dir", "exp", "--data_dir", "data", "--segment", "1"])
    assert "unrecognized arguments: --segment 1" in capsys.readouterr().err


@pytest.mark.slow
def test_stage_0_looks_whether_the_stems_fit_the_model(recipe, tmp_path):
    data = write_stems(tmp_path / "data", "train/a", "train/b", "test/c")  # at 8 kHz
    options = ("--musdb", data, "--expdir", "exp", "--stop_stage", "0")
    done = run_sh(recipe, *options, cwd=tmp_path)
    assert done.returncode == 1
    log = (tmp_path / "exp" / "logs" / "data.log").read_text()
    assert "train/a/bass.wav: sample rate is 8000 Hz, not 44100 Hz" in log
    assert "resample the files, or set another sample_rate" in log
    assert "Traceback" not in done.stdout + done.stderr
    (data / "test/c/bass.wav").unlink()
    assert run_sh(recipe, *options, cwd=tmp_path).returncode == 1
    log = (tmp_path / "exp" / "logs" / "data.log").read_text()
    assert f"1 problem(s) with {data}:" in log
    assert "test/c/bass.wav: missing" in log


@pytest.mark.slow
@pytest.mark.parametrize(("name", "script"), [("xumx_slicq", "train.py"), ("mixin", "eval.py")])
def test_scripts_run_by_hand_from_the_folder_of_the_recipe(name, script, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"..{os.pathsep}{ROOT}")
    done = run(sys.executable, script, "--help", cwd=RECIPES / name)
    assert done.returncode == 0, done.stderr
    assert "--exp_dir" in done.stdout


@pytest.mark.slow
def test_a_new_recipe_is_six_short_files(tmp_path):
    """Those of the README, through all stages."""
    readme = (RECIPES / "common" / "README.md").read_text().partition("## A new recipe")[2]
    files = dict(re.findall(r"^`(\S+)`:.*?^```\w+\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL))
    assert len(files) == 6
    (tmp_path / "common").symlink_to(RECIPES / "common")
    folder = tmp_path / "waveforms"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    assert sum(len(text.splitlines()) for text in files.values()) < 100

    (folder / "tiny.yml").write_text(
        "model: {sample_rate: 8000, hidden_channels: [2, 3], transform: {n_bins: 16, f_min_hz: 200}"
        "}\ndata: {samples_per_track: 4, validation_segments: 2, segment_s: 0.5}"
        "\ntraining: {epochs: 1, batch_size: 2}"
        "\nrun: {num_workers: 0, accelerator: cpu, preview_epochs: 1}\n"
    )
    data = write_stems(tmp_path / "data", "train/a", "train/b", "test/c")
    options = ("--conf", "waveforms/tiny.yml", "--trained_on", "procedural")
    experiment = run_all(folder, data, tmp_path, *options)
    model = BaseModel.from_pretrained(str(experiment / "best_model.pth"))
    assert (model.sources, model.sample_rate) == (list(STEMS), 8000)
    assert "# waveforms-tiny" in (experiment / "publish" / "README.md").read_text()
