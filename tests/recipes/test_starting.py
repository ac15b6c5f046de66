"""What a training starts with: weights of another model, and a logger."""

import csv
import json
from pathlib import Path

import pytest
import torch
import yaml
from common.initial import start_from
from common.loggers import make_logger
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from asteroid_slicq import XUMXSliCQ
from tests.helpers import RECIPES
from tests.recipes.helpers import RATE, ask, recipe_module, serve, write_stems

RECIPE = RECIPES / "xumx_slicq"
PARSE = recipe_module(RECIPE, "train").SETTINGS.parse
MODEL = {"sample_rate": RATE, "hidden_channels": [2, 3]}
TRANSFORM = {"n_bins": 16, "f_min_hz": 200.0}


def make(preset: str = "small", seed: int = 0, **changes) -> XUMXSliCQ:
    torch.manual_seed(seed)
    return XUMXSliCQ.from_preset(preset, **{**MODEL, "transform": TRANSFORM, **changes})


@pytest.fixture
def file(tmp_path) -> str:
    torch.save(make(seed=1).serialize(), tmp_path / "model.pth")
    return str(tmp_path / "model.pth")


def test_weights_are_those_of_the_other_model(file):
    model, other = make(wiener_iterations=2), make(seed=1).state_dict()
    start_from(model, file)
    assert all(torch.equal(value, other[name]) for name, value in model.state_dict().items())
    assert model.wiener_iterations == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sources": ["drums", "bass", "vocals", "other"]}, "sources: "),
        ({"hidden_channels": [2, 4]}, r"hidden_channels: \[2, 3\], not \[2, 4\]"),
        ({"transform": {"n_bins": 12, "f_min_hz": 200.0}}, "transform: "),
    ],
)
def test_another_model_is_refused(changes, said, file):
    with pytest.raises(ValueError, match=rf"init: .*model\.pth is another model .*\n  {said}"):
        start_from(make(**changes), file)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "x.ckpt").write_bytes(b"none")
    with pytest.raises(ValueError, match="is no checkpoint of a training"):
        start_from(make(), str(tmp_path / "x.ckpt"))


def logger_of(tmp_path: Path, *options: str):
    return make_logger(PARSE("", ["--exp_dir", "exp", *options]), tmp_path, 7)


def test_loggers_are_a_setting(tmp_path):
    assert isinstance(logger_of(tmp_path), TensorBoardLogger)
    logger = logger_of(tmp_path, "--logger", "csv")
    assert isinstance(logger, CSVLogger)
    assert Path(logger.log_dir) == tmp_path / "csv" / "from_step_7"
    options = ("--logger", "pytorch_lightning.loggers:CSVLogger", "--logger_options")
    logger = logger_of(tmp_path, *options, "{save_dir: elsewhere, name: mine}")
    assert (logger.save_dir, logger.name) == ("elsewhere", "mine")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--logger", "nothing"], "logger must be tensorboard, csv, wandb or module:Class, got"),
        (["--logger", "no_such_module:Logger"], "no_such_module:Logger is not installed"),
        (["--logger", "json:Logger"], "json:Logger cannot be made: .* no attribute 'Logger'"),
        (["--logger", "csv", "--logger_options", "{x: 1}"], "csv cannot be made: .*'x'"),
        (["--logger", "csv", "--logger_options", "["], "logger_options must be like"),
        (["--logger", "csv", "--logger_options", "x"], "logger_options must be like"),
    ],
)
def test_wrong_loggers_are_refused(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        logger_of(tmp_path, *options)


@pytest.mark.slow
def test_fine_tuning_starts_where_another_training_ended(tmp_path):
    settings = {
        "data": {
            "segment_s": 0.25,
            "samples_per_track": 4,
            "validation_segments": 2,
            "statistics_segments": 4,
        },
        "model": {"preset": "small", **MODEL, "transform": TRANSFORM},
        "training": {"epochs": 1, "batch_size": 4, "wiener_in_training": False},
        "run": {"num_workers": 0, "accelerator": "cpu", "preview_epochs": 0, "logger": "csv"},
    }
    (tmp_path / "conf.yml").write_text(yaml.safe_dump(settings))
    data = write_stems(tmp_path / "data", "train/a", "train/b", "train/c")
    log = tmp_path / "log"
    with serve(RECIPE) as server:

        def train(name: str, *options: str) -> dict:
            arguments = ["--model", tmp_path / "conf.yml", "--data_dir", data, *options]
            assert ask(server, [*arguments, "--exp_dir", tmp_path / name], None, log) == 0
            return torch.load(tmp_path / name / "best_model.pth", weights_only=True)["state_dict"]

        first = train("first")
        for source in ("best_model.pth", "checkpoints/last.ckpt"):
            init = ("--init", str(tmp_path / "first" / source), "--lr", "1e-9")
            tuned = train(f"from {source}", *init)
            for name, value in tuned.items():
                if name.endswith("weight"):
                    torch.testing.assert_close(value, first[name], rtol=0, atol=1e-6)
        train(f"from {source}", *init, "--epochs", "2")  # goes on, and logs on
    rows = []
    for file in sorted((tmp_path / f"from {source}" / "csv").glob("*/metrics.csv")):
        rows += list(csv.DictReader(file.read_text().splitlines()))
    assert [int(row["step"]) for row in rows if row["val_loss"]] == [1, 3]
    assert json.loads((tmp_path / "first" / "best_k_models.json").read_text())
