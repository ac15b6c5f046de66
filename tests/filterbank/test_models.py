"""Asteroid's models with the sliCQT as their filterbank: the table of docs/filterbank.md."""

import numpy as np
import pytest
import torch
from asteroid import models
from asteroid.models.conv_tasnet import VADNet
from torch.nn import functional as F

from tests.filterbank.helpers import SMALL, error_db, traces
from tests.helpers import noise

# LSTM weights in a trace
of_models = pytest.mark.filterwarnings(
    "ignore:RNN module weights are not part of single:UserWarning"
)

FB = {"fb_name": "slicqt", **SMALL}
PATHS = {"n_repeats": 1, "chunk_size": 20, **FB}
CONV = {"n_blocks": 2, "n_repeats": 1, "bn_chan": 8, "hid_chan": 8, "skip_chan": 8, **FB}
SUDO = {"n_src": 2, "bn_chan": 8, "num_blocks": 1, "upsampling_depth": 2, **FB, "kernel_size": 9}
# name: (class, arguments, whether masks of ones give the input back)
MODELS = {
    "ConvTasNet": (models.ConvTasNet, {"n_src": 2, **CONV}, True),
    "VADNet": (VADNet, {"n_src": 1, **CONV}, False),
    "DPRNNTasNet": (models.DPRNNTasNet, {"n_src": 2, "bn_chan": 8, "hid_size": 8, **PATHS}, True),
    "DPTNet": (
        models.DPTNet,
        {"n_src": 2, "ff_hid": 8, "encoder_activation": "linear", **PATHS},
        True,
    ),
    "DPTNet, ReLU": (models.DPTNet, {"n_src": 2, "ff_hid": 8, **PATHS}, False),
    "SuDORMRFImprovedNet": (models.SuDORMRFImprovedNet, SUDO, True),
    "SuDORMRFNet": (models.SuDORMRFNet, SUDO, False),
    "LSTMTasNet": (models.LSTMTasNet, {"n_src": 2, "n_layers": 2, "hid_size": 8, **FB}, False),
    "DeMask": (models.DeMask, {"hidden_dims": [8], "sample_rate": 8000, **FB}, True),
    "DeMask, reim": (
        models.DeMask,
        {"hidden_dims": [8], "input_type": "cat", "output_type": "reim", **FB},
        True,
    ),
}


QUICK = ("ConvTasNet", "DeMask")


@pytest.fixture(
    params=[pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MODELS]
)
def model(request):
    torch.manual_seed(0)
    cls, arguments, _ = MODELS[request.param]
    return cls(**arguments)


@traces
@of_models
def test_model(model, tmp_path):
    """Train, save, load, trace."""
    x = noise(2, 1, 401)
    y = model(x)
    assert y.shape[-1] == 401
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    target, losses = 0.3 * x, []
    for _ in range(4):
        loss = F.mse_loss(model(x), target.expand_as(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]

    torch.save(model.serialize(), tmp_path / "model.pth")
    again = type(model).from_pretrained(str(tmp_path / "model.pth")).eval()
    model.eval()
    with torch.no_grad():
        assert torch.equal(again(x), model(x))
        traced = torch.jit.trace(model, x)
        for shape in ((1, 1, 401), (3, 1, 701), (2, 1, 1)):
            x = noise(*shape, seed=1)
            torch.testing.assert_close(traced(x), model(x), rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
def test_masks_of_ones(name):
    cls, arguments, gives_back = MODELS[name]

    class Ones(cls):
        def forward_masker(self, tf_rep):
            return torch.ones_like(super().forward_masker(tf_rep))

    x = noise(2, 1, 900)
    with torch.no_grad():
        y = Ones(**arguments).eval()(x)
    error = error_db(y, x.expand_as(y))
    assert error <= -100 if gives_back else error > -20


def test_host_interfaces():
    """A waveform of any shape that a model takes, and the host's own separate."""
    model = models.ConvTasNet(2, **CONV).eval()
    x = noise(2, 1, 900)
    with torch.no_grad():
        y = model(x)
        torch.testing.assert_close(model(x[0]), y[:1])
        torch.testing.assert_close(model(x[0, 0]), y[0])
    assert model.separate(x[:1].numpy()).shape == (1, 2, 900)


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [(models.DCUNet, ["mini"]), (models.DCCRNet, ["mini"]), (models.FasNetTAC, [2])],
)
def test_models_without_a_choice_of_filterbank(cls, arguments):
    with pytest.raises(TypeError, match="fb_name" if cls is not models.DCCRNet else None):
        cls(*arguments, fb_name="slicqt")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_model_built_without_memory_takes_weights(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        model = models.ConvTasNet(n_src=2, **CONV).eval()
        with torch.device("meta"):
            empty = models.ConvTasNet(n_src=2, **CONV).eval()
        empty.load_state_dict(model.state_dict(), assign=True)
        mix = noise(1, 1, 2000).to(dtype)
        with torch.inference_mode():
            found, expected = empty(mix), model(mix)
    finally:
        torch.set_default_dtype(before)
    assert found.dtype == dtype
    assert expected.any()
    assert torch.equal(found, expected)
