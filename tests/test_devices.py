"""Models, losses, filters and streams give on a device what processors give in float64."""

import copy

import pytest
import torch

from asteroid_slicq import BandSplit, MiXiN, SeparatorStream, XUMXSliCQ
from asteroid_slicq.losses import XUMXLoss
from asteroid_slicq.wiener import wiener_em, wiener_on_stft
from tests.helpers import complex_noise, noise, with_slow

RATE = 8000
XUMX = {"hidden_channels": (2, 3), "sample_rate": RATE, "transform": {"n_bins": 24}}
BANDS = {"sample_rate": RATE, "width": 8, "n_layers": 1}
MODELS = {
    "v2": lambda: XUMXSliCQ(**XUMX),
    "v2-realtime": lambda: XUMXSliCQ.from_preset("v2-realtime", **XUMX),
    "v1": lambda: XUMXSliCQ.from_preset("v1", **{**XUMX, "bandwidth_hz": None}),
    "v2-lstm": lambda: XUMXSliCQ.from_preset("v2-lstm", **XUMX),
    "bandsplit": lambda: BandSplit.from_preset("bandsplit-small"),
    "mixin": MiXiN,
}


@pytest.fixture(
    params=[
        "cpu",
        pytest.param(
            "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
        ),
    ]
)
def device(request):
    return torch.device(request.param)


def made(name):
    torch.manual_seed(0)
    return MODELS[name]().eval()


def mix_of(model, seconds=0.2):
    return 0.1 * noise(1, 2, int(seconds * model.sample_rate))


def error_db(found, expected):
    difference = found.detach().cpu().double() - expected.detach().double()
    return float(20 * (difference.norm() / expected.norm()).log10())


@pytest.mark.parametrize("name", with_slow(MODELS, "v2-lstm", "mixin"))
@torch.no_grad()
def test_models(device, name):
    model = made(name)
    mix = mix_of(model)
    expected = copy.deepcopy(model).double()(mix.double())
    there = model.to(device)
    assert error_db(there(mix.to(device)), expected) < -60
    with torch.autocast(device.type, torch.bfloat16):
        assert error_db(there(mix.to(device)).float(), expected) < -15


def test_gradients_of_a_loss(device):
    torch.manual_seed(0)
    model, loss = MODELS["v2"]().train(), XUMXLoss(mask_sum_weight=0.1)
    stems = 0.1 * noise(2, 4, 2, RATE // 2)
    found = []
    for there, where, dtype in (
        (copy.deepcopy(model).double(), "cpu", torch.float64),
        (model, device, torch.float32),
    ):
        there = there.to(where)
        targets = there.transform(stems.to(where, dtype))
        estimate = there.estimate_from_coefficients([block.sum(1) for block in targets])
        value = loss.to(where)(estimate, targets).total
        gradients = torch.autograd.grad(value, [p for p in there.parameters() if p.requires_grad])
        found.append((value, torch.cat([gradient.flatten() for gradient in gradients])))
    (expected, gradient), (value, other) = found
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)
    assert error_db(other, gradient.cpu()) < -40


@pytest.mark.parametrize("n_channels", [1, 2, 3])
def test_wiener_em(device, n_channels):
    y, x = complex_noise(1, 3, n_channels, 5, 40), complex_noise(1, n_channels, 5, 40, seed=1)
    expected = wiener_em(y.to(torch.complex128), x.to(torch.complex128), window_frames=15)
    found = wiener_em(y.to(device), x.to(device), window_frames=15)
    assert found.device.type == device.type
    assert error_db(torch.view_as_real(found), torch.view_as_real(expected)) < -60


def test_wiener_em_on_the_stft(device):
    mix = noise(1, 2, 20000)
    sources = torch.stack([0.3 * mix + 0.1 * noise(1, 2, 20000, seed=1), 0.7 * mix], 1)
    expected = wiener_on_stft(sources.double(), mix.double())
    assert error_db(wiener_on_stft(sources.to(device), mix.to(device)), expected) < -60


@torch.no_grad()
def test_streams(device):
    model = made("v2-realtime").to(device)
    mix = mix_of(model, 3.0)[0].to(device)
    stream = SeparatorStream(model)
    parts = [stream.push(part) for part in mix.split(5000, -1)] + [stream.flush()]
    assert {part.device.type for part in parts} == {device.type}
    assert error_db(torch.cat(parts, -1), model(mix[None])[0].cpu()) < -60
