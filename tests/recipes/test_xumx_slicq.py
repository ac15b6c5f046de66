"""The recipe: all stages as a user runs them, its options and its configurations."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from asteroid.models import BaseModel

from asteroid_slicq import XUMXSliCQ  # which registers the models, too
from asteroid_slicq.losses import XUMXLoss, combination_si_sdr
from tests.data.musdb.stem_files import write_stem_file
from tests.helpers import RECIPES
from tests.recipes.helpers import RATE, STEMS, recipe_module, run_all, run_sh, write_stems

RECIPE = RECIPES / "xumx_slicq"
SETTINGS = recipe_module(RECIPE, "train").SETTINGS
SOURCES = list(STEMS)

TINY = {
    "data": {"segment_s": 0.5, "samples_per_track": 4, "validation_segments": 4},
    "model": {
        "preset": "small",
        "sample_rate": RATE,
        "hidden_channels": [2, 3],
        "transform": {"n_bins": 16, "f_min_hz": 200.0},
    },
    "loss": {"mask_sum_weight": 0.1, "normalize_blocks": True},
    "training": {
        "epochs": 2,
        "batch_size": 4,
        "ema_decay": 0.9,
        "gradient_clipping": 5.0,
        "wiener_in_training": False,
    },
    "run": {"num_workers": 0, "n_threads": 1, "accelerator": "cpu", "log_every_s": 0.0},
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A tree like that of MUSDB18-HQ: three tracks to train and validate on, one to test."""
    folders = ("train/a", "train/b", "train/c", "test/d")
    return write_stems(tmp_path_factory.mktemp("data"), *folders, seconds=2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("conf") / "tiny.yml"
    file.write_text(yaml.safe_dump(TINY))
    return file


@pytest.fixture(scope="module")
def experiment(data, tiny, tmp_path_factory) -> Path:
    options = ("--model", tiny, "--eval_options", "--segment_s 1.0")
    return run_all(RECIPE, data, tmp_path_factory.mktemp("work"), *options)


def test_stages_follow_the_settings(experiment):
    conf = yaml.safe_load((experiment / "conf.yml").read_text())
    assert conf["data"]["segment_s"] == 0.5
    assert conf["optim"]["lr"] == 0.001
    assert len(json.loads((experiment / "best_k_models.json").read_text())) == 2
    assert (experiment / "statistics").is_dir()


def test_stem_files_of_musdb18_are_unpacked_and_used(tiny, tmp_path):
    for number, name in enumerate(("train/a", "train/b", "test/c")):
        file = tmp_path / "musdb18" / f"{name}.stem.mp4"
        write_stem_file(file, 2.0, RATE, seed=number)
    paths = ("--musdb", "musdb18", "--data_dir", "wav", "--expdir", "exp", "--model", tiny)
    options = ("--fast", "true", "--stage", "0", "--eval_options", "--segment_s 1.0")
    done = run_sh(RECIPE, *paths, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    log = (tmp_path / "exp" / "logs" / "data.log").read_text()
    assert "unpack: 3 of 3 tracks" in log
    assert f"{tmp_path}/wav is sound" in log
    assert len(list(tmp_path.glob("wav/t*/?/*.wav"))) == 15
    report = json.loads((tmp_path / "exp" / "metrics.json").read_text())
    assert report["scores"]["mix-phase oracle"]["sdr"]["mean"] > 3  # each stem is its own
    card = (tmp_path / "exp" / "publish" / "README.md").read_text()
    assert "- musdb18\n" in card


def test_best_model_is_one_of_asteroid(experiment):
    model = BaseModel.from_pretrained(str(experiment / "best_model.pth")).eval()
    assert model.sources == SOURCES
    assert model.sample_rate == RATE
    assert model.wiener_iterations == 1  # the preset's, whatever was trained with
    mix = torch.randn(1, 2, RATE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        stems = model(mix)
    assert stems.shape == (1, 4, 2, RATE)
    assert stems.isfinite().all()


def test_best_model_has_the_averaged_weights_of_the_best_checkpoint(experiment):
    scores = json.loads((experiment / "best_k_models.json").read_text())
    best = torch.load(min(scores, key=lambda path: scores[path]), weights_only=True)
    written = torch.load(experiment / "best_model.pth", weights_only=True)["state_dict"]
    for name, value in written.items():
        assert torch.equal(value, best["state_dict"][f"model.{name}"]), name
    weight = "model.blocks.0.encode_outer.weight"
    assert not torch.equal(best["state_dict"][weight], best["current_model_state"][weight])


def test_input_scaling_starts_from_the_statistics_of_the_data(experiment):
    (file,) = (experiment / "statistics").iterdir()
    statistics = torch.load(file, weights_only=True)
    model = BaseModel.from_pretrained(str(experiment / "best_model.pth"))
    shift = torch.cat([p for n, p in model.named_parameters() if n.endswith(".shift")])
    assert statistics["mean"].shape == shift.shape
    assert (statistics["std"] > 0).all()
    # Six steps of at most 0.001 each away.
    torch.testing.assert_close(shift.detach(), -statistics["mean"], atol=0.01, rtol=0)


def test_metrics_hold_the_model_and_its_bounds(experiment):
    report = json.loads((experiment / "metrics.json").read_text())
    assert report["n_tracks"] == 1
    scores = report["scores"]
    assert set(scores) == {"model", "mixture", "mix-phase oracle"}
    for kind in scores.values():
        for measure in ("sdr", "usdr"):
            assert set(kind[measure]) == {*SOURCES, "mean"}
    (file,) = experiment.glob("eval/*/scores/test/d.json")
    track = json.loads(file.read_text())["scores"]
    assert track["mixture"]["sdr"]["bass"] == pytest.approx(scores["mixture"]["sdr"]["bass"])
    assert scores["mix-phase oracle"]["sdr"]["mean"] > scores["mixture"]["sdr"]["mean"] + 3


def test_the_published_losses(monkeypatch):
    """V1's compares the model's waveforms, too."""
    logged: dict[str, torch.Tensor] = {}
    for name, preset in (("v2", "v2"), ("v2_realtime", "v2"), ("v1", "v1")):
        settings = SETTINGS.parse("", ["--exp_dir", "exp", "--model", name])["loss"]
        assert settings.pop("normalize_blocks") is False
        for of_waveforms in ("stft_weight", "n_ffts"):
            del settings[of_waveforms]
        loss = XUMXLoss(**settings)
        assert repr(loss) == repr(XUMXLoss.from_preset(preset))
        torch.manual_seed(0)
        model = XUMXSliCQ(**{k: v for k, v in TINY["model"].items() if k != "preset"}).eval()
        system = recipe_module(RECIPE, "system").XUMXSystem(model, None, loss, None)
        monkeypatch.setattr(system, "log", lambda name, value, **_: logged.update({name: value}))
        stems = 0.1 * torch.randn(2, 4, 2, 4000)
        system.common_step(stems, 0).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        assert ("time_loss" in logged) == (name == "v1")
    with torch.no_grad():
        torch.testing.assert_close(
            logged["time_loss"].detach(), combination_si_sdr(model(stems.sum(1)), stems)
        )


@pytest.mark.parametrize(
    ("name", "preset", "segment_s", "batch_size"),
    [("v1", "v1", 1.0, 32), ("v2", "v2", 2.0, 64), ("v2_realtime", "v2-realtime", 2.0, 64)],
)
def test_the_published_settings(name, preset, segment_s, batch_size):
    conf = SETTINGS.load(name)
    assert conf["model"] == {"preset": preset}
    assert conf["optim"] == {"optimizer": "adam", "lr": 0.001, "weight_decay": 0.00001}
    assert (conf["data"]["segment_s"], conf["data"]["samples_per_track"]) == (segment_s, 64)
    training = conf["training"]
    assert (training["batch_size"], training["accumulate"]) == (batch_size, 1)
    assert (training["epochs"], training["seed"]) == (1000, 42)
    assert training["schedule"] == "plateau"
    assert (training["plateau_factor"], training["plateau_patience"]) == (0.3, 80)
    assert (training["patience"], training["wiener_in_training"]) == (1000, True)
    assert (training["ema_decay"], training["gradient_clipping"]) == (0.0, 0.0)


def test_a_frame_for_each_source_trains_on_a_common_stft(data, tmp_path):
    frames = {"bass": {"n_bins": 20, "f_min_hz": 200.0}, "drums": {"scale": "mel", "n_bins": 12}}
    changes = {
        **TINY,
        "model": {**TINY["model"], "transforms": frames},
        "loss": {"mask_sum_weight": 0.0, "time_loss": "sdr"},
        "training": {**TINY["training"], "epochs": 1},
    }
    file = tmp_path / "frames.yml"
    file.write_text(yaml.safe_dump(changes))
    options = ("--model", file, "--eval_options", "--segment_s 1.0")
    model = BaseModel.from_pretrained(
        str(run_all(RECIPE, data, tmp_path, *options) / "best_model.pth")
    )
    bins = {name: each.transform.frame.n_bins for name, each in model.networks.items()}
    assert bins["bass"] > bins["vocals"] == bins["other"] > bins["drums"]


def test_the_frames_that_were_found_are_those_of_the_comparison():
    conf = SETTINGS.load("per_target")
    frames = recipe_module(RECIPES.parent / "comparison", "frames").PER_TARGET
    assert conf["model"]["transforms"] == frames
