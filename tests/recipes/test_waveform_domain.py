"""xumx-sliCQ trained by the errors of waveforms and of their STFTs, in place of coefficients."""

from copy import deepcopy

import pytest
import torch
import yaml

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.losses import MultiResolutionLoss
from tests.recipes.helpers import RATE, RECIPES, TINY_TRAINING, recipe_module, run_all, write_stems

RECIPE = RECIPES / "xumx_slicq"
LOSS = {"domain": "waveform", "stft_weight": 3.0, "n_ffts": [256, 64]}


def settings_of(**changes):
    conf = recipe_module(RECIPE, "train").SETTINGS.load("v2")
    for section in ("data", "model", "training"):
        conf[section] |= deepcopy(TINY_TRAINING[section])
    conf["loss"] |= LOSS | changes
    return conf


def system_of(conf):
    torch.manual_seed(0)
    made = recipe_module(RECIPE, "system").XUMXSystem
    model = made.make_model(conf)
    return made(model, None, made.make_loss(conf, model, None, None), None, None)


def test_the_loss_is_that_of_the_models_waveforms():
    system = system_of(settings_of())
    batch = 0.1 * torch.randn(2, 4, 2, 2000)
    terms = system.losses(batch)
    estimate = system.model(batch.sum(1))
    parts = MultiResolutionLoss(1.0, 3.0, n_ffts=[256, 64])(estimate, batch)
    assert set(terms) == {"loss", "waveform_loss", "stft_loss"}
    torch.testing.assert_close(terms["loss"], parts.total)
    torch.testing.assert_close(terms["stft_loss"], parts.stft)
    terms["loss"].backward()
    found = [p.grad for p in system.model.parameters() if p.requires_grad]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in found)


def test_a_loss_of_waveforms_adds_up():
    conf = settings_of(time_loss="sdr", time_weight=0.5)
    batch = 0.1 * torch.randn(2, 4, 2, 2000)
    terms = system_of(conf).losses(batch)
    expected = terms["waveform_loss"] + 3 * terms["stft_loss"] + 0.5 * terms["time_loss"]
    torch.testing.assert_close(terms["loss"], expected)


@pytest.mark.slow
def test_a_training(tmp_path):
    data = write_stems(tmp_path / "data", "train/a", "train/b", "test/d", seconds=2)
    file = tmp_path / "waveform.yml"
    file.write_text(yaml.safe_dump(deepcopy(TINY_TRAINING) | {"loss": LOSS}))
    experiment = run_all(RECIPE, data, tmp_path, "--model", file)
    assert "val_stft_loss" in (experiment / "logs" / "train.log").read_text()
    assert isinstance(XUMXSliCQ.from_pretrained(str(experiment / "best_model.pth")), XUMXSliCQ)
    assert XUMXSliCQ.from_pretrained(str(experiment / "best_model.pth")).sample_rate == RATE
