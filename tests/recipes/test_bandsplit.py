"""The recipe of BandSplit: all stages as a user runs them, kills, precision, settings."""

import json
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest
import torch
import yaml
from asteroid.models import BaseModel

from asteroid_slicq import BandSplit  # which registers the models, too
from asteroid_slicq.losses import MultiResolutionLoss
from tests.helpers import RECIPES
from tests.models.bandsplit.helpers import TINY as TINY_MODEL
from tests.models.bandsplit.helpers import TINY_STFT
from tests.recipes.helpers import (
    RATE,
    STEMS,
    ask,
    curves_of,
    last_checkpoint,
    recipe_module,
    run_all,
    same,
    scores_of,
    serve,
    write_stems,
)

RECIPE = RECIPES / "bandsplit"
SETTINGS = recipe_module(RECIPE, "train").SETTINGS

TINY = {
    "data": {
        "segment_s": 0.5,
        "samples_per_track": 4,
        "validation_segments": 4,
        "statistics_segments": 4,
    },
    "model": {"preset": "bandsplit-small", **TINY_MODEL, "band_dropout": 0.1},
    "loss": {"n_ffts": [512, 128], "coefficient_weight": 0.5},
    "training": {"epochs": 2, "batch_size": 4, "ema_decay": 0.9, "warmup_steps": 2},
    "run": {
        "num_workers": 0,
        "n_threads": 1,
        "accelerator": "cpu",
        "log_every_steps": 1,
        "log_every_s": 0.0,
        "checkpoint_steps": 1,
    },
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folders = ("train/a", "train/b", "train/c", "test/d")
    return write_stems(tmp_path_factory.mktemp("data"), *folders, seconds=2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("conf") / "tiny.yml"
    file.write_text(yaml.safe_dump(TINY))
    return file


@pytest.fixture(scope="module")
def experiment(data, tiny, tmp_path_factory) -> Path:
    options = ("--model", tiny, "--train_options", "--preview_epochs 2")
    return run_all(RECIPE, data, tmp_path_factory.mktemp("work"), *options)


@pytest.mark.slow
def test_the_best_model_is_one_of_asteroid_with_the_statistics_of_the_data(experiment):
    model = BaseModel.from_pretrained(str(experiment / "best_model.pth")).eval()
    assert isinstance(model, BandSplit)
    assert model.sample_rate == RATE
    assert sorted(model.sources) == sorted(STEMS)
    (file,) = (experiment / "statistics").iterdir()
    statistics = torch.load(file, weights_only=True)
    assert torch.equal(model.network.mean, statistics["mean"])
    assert torch.equal(model.network.std, statistics["std"].clamp(min=0.01))
    with torch.no_grad():
        stems = model(0.1 * torch.randn(1, 2, RATE, generator=torch.Generator().manual_seed(0)))
    assert stems.shape == (1, 4, 2, RATE)
    assert stems.isfinite().all()


@pytest.mark.slow
def test_stages_follow_the_settings(experiment):
    conf = yaml.safe_load((experiment / "conf.yml").read_text())
    assert conf["run"]["precision"] == "bf16-mixed"
    assert conf["optim"]["optimizer"] == "adamw"
    curves = curves_of(experiment)
    for term in ("waveform_loss", "stft_loss", "coefficient_loss"):
        assert len(curves[term]) == 2 * 2
        assert f"val_{term}" in curves
    total = [
        w + 2 * s + 0.5 * c
        for (_, w), (_, s), (_, c) in zip(
            curves["waveform_loss"], curves["stft_loss"], curves["coefficient_loss"], strict=True
        )
    ]
    assert [value for _, value in curves["loss"]] == pytest.approx(total, rel=1e-4)
    weights = last_checkpoint(experiment)["state_dict"]
    assert all(value.dtype != torch.bfloat16 for value in weights.values())
    report = json.loads((experiment / "metrics.json").read_text())
    assert set(report["scores"]) == {"model", "mixture", "mix-phase oracle"}
    card = (experiment / "publish" / "README.md").read_text()
    assert "# bandsplit-tiny" in card
    assert "split into bands" in card


@pytest.fixture(scope="module")
def server() -> Iterator[Popen]:
    """Runs trainings that may be killed, see :mod:`tests.recipes.helpers`."""
    with serve(RECIPE) as process:
        yield process


@pytest.fixture
def train(server, data, tiny, tmp_path):
    def run(name: str, *options: object, moment: tuple[str, int] | None = None) -> int:
        arguments = ["--model", tiny, "--data_dir", data, "--exp_dir", tmp_path / name, *options]
        return ask(server, arguments, moment, tmp_path / f"{name}.log")

    return run


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_killed_training_ends_as_an_uninterrupted_one(train, tmp_path, optimizer):
    """With bands that drop out at random, in bfloat16."""
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    options = ("--optimizer", optimizer)
    for moment in (("step", 1), ("step", 3)):
        assert train("killed", *options, moment=moment) == -9
    assert train("killed", *options) == 0
    assert "continuing from" in (tmp_path / "killed.log").read_text()
    assert train("straight", *options) == 0
    ours, theirs = last_checkpoint(killed), last_checkpoint(straight)
    for key in ("global_step", "state_dict", "optimizer_states"):
        same(ours[key], theirs[key], key)
    assert curves_of(killed) == curves_of(straight)
    assert scores_of(killed) == scores_of(straight)


@pytest.mark.slow
def test_songs_may_lie_in_memory(train, tmp_path):
    assert train("resident", "--resident", "true", "--epochs", 1) == 0
    (loss,) = curves_of(tmp_path / "resident")["val_loss"]
    assert loss[1] > 0


@pytest.mark.parametrize("name", ["published", "small", "large", "realtime", "stft", "quick"])
def test_every_variant_makes_its_model_and_loss(name):
    conf = SETTINGS.load(name)
    system = recipe_module(RECIPE, "system").BandSplitSystem
    changes = TINY_MODEL if name != "stft" else TINY_STFT
    conf["model"].update({k: v for k, v in changes.items() if k not in ("width", "n_layers")})
    conf["model"]["width"] = 16
    conf["data"]["statistics_segments"] = 0
    model = system.make_model(conf)
    assert model.causal == (name == "realtime")
    loss = system.make_loss(conf, model, None, Path())
    assert (loss.waveform_weight, loss.stft_weight, loss.subsets) == (1.0, 2.0, "single")
    assert conf["training"]["ema_decay"] > 0
    assert conf["run"]["precision"] == "bf16-mixed"


@pytest.mark.parametrize("loss", [{}, {"coefficient_weight": 1.0}, {"subsets": "all"}])
@pytest.mark.parametrize("model", [TINY_MODEL, TINY_STFT], ids=["slicqt", "stft"])
def test_losses_of_a_batch_are_those_of_the_model(model, loss):
    torch.manual_seed(0)
    model, loss = BandSplit(**model).eval(), MultiResolutionLoss(n_ffts=[256], **loss)
    system = recipe_module(RECIPE, "system").BandSplitSystem(model, None, loss, None)
    stems = 0.1 * torch.randn(2, 4, 2, 3000)
    terms = system.losses(stems)
    estimate = model.estimate(stems.sum(1))
    expected = loss(estimate.waveforms, stems, estimate.coefficients, model.transform(stems))
    torch.testing.assert_close(terms["loss"], expected.total)
    assert ("coefficient_loss" in terms) == loss.needs_coefficients
    terms["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_frame_for_each_source_has_its_losses():
    torch.manual_seed(0)
    system = recipe_module(RECIPE, "system").BandSplitSystem
    frame = TINY_MODEL["transform_arguments"]
    frames = {"bass": {**frame, "n_bins": frame["n_bins"] // 2}}
    conf = SETTINGS.load("small")
    conf["model"] = {"preset": "bandsplit-small", **TINY_MODEL, "transforms": frames}
    conf["data"]["statistics_segments"] = 0
    conf["loss"].update(coefficient_weight=1.0, n_ffts=[256])
    model = system.make_model(conf)
    loss = system.make_loss(conf, model, None, Path())
    terms = system(model, None, loss, None).losses(0.1 * torch.randn(2, 4, 2, 3000))
    assert terms["coefficient_loss"] > 0
    terms["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
