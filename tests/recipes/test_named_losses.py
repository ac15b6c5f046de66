"""Losses of waveforms that the configuration of a training names."""

import json

import pytest
import torch
import yaml
from auraloss.freq import STFTLoss
from auraloss.time import SISDRLoss
from common.named_losses import make_time_loss

from asteroid_slicq.losses import XUMXLoss
from tests.helpers import RECIPES
from tests.recipes.helpers import RATE, recipe_module, run_all, run_sh, write_stems


def settings(name, **options):
    return {"time_loss": name, "time_options": options, "time_weight": 0.1}


def test_names_become_losses():
    made = make_time_loss(settings("auraloss.freq:STFTLoss", fft_size=256), RATE)
    assert isinstance(made["time_loss"], STFTLoss)
    assert (made["time_loss"].fft_size, made["time_loss"].sample_rate) == (256, RATE)
    assert made["time_options"] == {}
    assert isinstance(
        XUMXLoss(**make_time_loss(settings("auraloss.time:SISDRLoss"), RATE)).waveform_loss.loss,
        SISDRLoss,
    )
    assert make_time_loss(settings("si-sdr"), RATE) == settings("si-sdr")
    haaqi = make_time_loss(settings("haaqi", audiogram="mild"), RATE)
    assert haaqi["time_options"] == {"sample_rate": RATE, "audiogram": "mild"}


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("nowhere.at:All", {}, r"nowhere.at cannot be imported \(No module named 'nowhere'\)"),
        ("auraloss.time:SIRLoss", {}, "auraloss.time has no SIRLoss"),
        ("os:system", {}, "os is no class: system"),
        (":Loss", {}, "must be like package.module:Class, got ':Loss'"),
        ("auraloss.time:SISDRLoss", {"level": 1}, "with time_options {'level': 1}: .*'level'"),
        ("collections:OrderedDict", {}, "a OrderedDict cannot be called"),
    ],
)
def test_what_is_no_loss(name, options, said):
    with pytest.raises(ValueError, match=said):
        make_time_loss(settings(name, **options), RATE)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["xumx_slicq", "bandsplit"])
def test_variants_of_the_recipes_can_be_loaded(recipe):
    variants = recipe_module(RECIPES / recipe, "train").SETTINGS
    for name in variants.available():
        loss = variants.load(name)["loss"]
        assert isinstance(make_time_loss(loss, RATE)["time_options"], dict)


CONF = {
    "data": {"segment_s": 0.5, "samples_per_track": 2, "validation_segments": 2},
    "model": {
        "preset": "small",
        "sample_rate": RATE,
        "hidden_channels": [2, 3],
        "transform": {"n_bins": 16, "f_min_hz": 200.0},
    },
    "loss": {"time_loss": "torch.nn:SmoothL1Loss", "time_options": {"beta": 0.5}},
    "training": {"epochs": 1, "batch_size": 2, "wiener_in_training": False},
    "run": {"num_workers": 0, "n_threads": 1, "accelerator": "cpu", "log_every_s": 0.0},
}


@pytest.mark.slow
def test_a_training_with_a_loss_from_elsewhere_which_the_model_does_not_keep(tmp_path):
    data = write_stems(tmp_path / "data", "train/a", "train/b", "test/d", seconds=2)
    file = tmp_path / "other.yml"
    file.write_text(yaml.safe_dump(CONF))
    experiment = run_all(RECIPES / "xumx_slicq", data, tmp_path, "--model", file)
    assert "SmoothL1Loss" in (experiment / "conf.yml").read_text()
    saved = torch.load(experiment / "best_model.pth", weights_only=True)
    assert "SmoothL1Loss" not in json.dumps(saved["model_args"], default=str)

    file.write_text(yaml.safe_dump({**CONF, "loss": {"time_loss": "nowhere:Loss"}}))
    paths = ("--musdb", data, "--expdir", "refused", "--stage", 1, "--stop_stage", 1)
    done = run_sh(RECIPES / "xumx_slicq", *paths, "--model", file, cwd=tmp_path)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "time_loss nowhere:Loss: nowhere cannot be imported" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_step_of_the_variant_with_haaqi(tmp_path):
    train = recipe_module(RECIPES / "xumx_slicq", "train")
    conf = train.SETTINGS.load("v2_haaqi")
    conf["model"] = {**CONF["model"], "sample_rate": 8000}
    conf["data"]["statistics_segments"] = 0
    model = train.XUMXSystem.make_model(conf)
    loss = train.XUMXSystem.make_loss(conf, model, None, tmp_path)
    system = train.XUMXSystem(model, None, loss, None)
    torch.manual_seed(0)
    terms = system.losses(torch.randn(2, len(model.sources), 2, 4000))
    assert 0 < terms["time_loss"] < 1
    terms["loss"].backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)
