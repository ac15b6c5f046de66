"""Facts about the singing-voice U-Net and Wave-U-Net, and a test that they learn."""

import math

import pytest
import torch
from torch import nn

from asteroid_slicq.losses import MagnitudeL1Loss
from asteroid_slicq.models import UNet, WaveUNet
from asteroid_slicq.models.baselines.wave_unet import interpolated
from tests.helpers import noise
from tests.models.baselines.helpers import RATE, tiny


def test_the_u_net_is_that_of_the_paper():
    """Jansson et al.: six layers each way, 5 × 5, stride 2, 9.8 M parameters for a mono source."""
    (network,) = UNet(["vocals"], n_channels=1).networks
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert [m.out_channels for m in convolutions] == [
        16,
        32,
        64,
        128,
        256,
        512,
        256,
        128,
        64,
        32,
        16,
        1,
    ]
    assert {m.kernel_size for m in convolutions} == {(5, 5)}
    assert {m.stride for m in convolutions} == {(2, 2)}
    assert sum(isinstance(m, nn.Dropout) and m.p == 0.5 for m in network.modules()) == 3
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 11
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == 9.8
    assert network.eval()(torch.rand(1, 1, 512, 128)).shape == (1, 1, 512, 128)


def test_wave_u_net_is_that_of_the_paper():
    """Stoller et al.: 12 layers, each of 24 more features, kernels of 15 and 5."""
    model = WaveUNet()
    assert [m.out_channels for m in model.encoder] == [24 * i for i in range(1, 14)]
    assert {m.kernel_size for m in model.encoder} == {(15,)}
    assert {m.kernel_size for m in model.decoder} == {(5,)}
    assert model.last.out_channels == 3 * 2  # the fourth source is the difference
    assert model.segment_step_samples == 4096
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == 10.3


def test_interpolation_keeps_what_is_linear_and_starts_there_when_learned():
    ramp = torch.arange(5.0).expand(1, 3, 5)
    between = interpolated(ramp, torch.tensor(0.0).sigmoid().expand(3, 1))
    torch.testing.assert_close(between, torch.arange(9.0).expand(1, 3, 9) / 2)
    sided = interpolated(ramp, torch.ones(3, 1))
    assert torch.equal(sided[0, 0], torch.tensor([0.0, 0, 1, 1, 2, 2, 3, 3, 4]))
    mix = noise(1, 2, 900)
    learned = tiny("wave-unet", upsampling="learned")
    with torch.inference_mode():
        assert torch.equal(learned(mix), tiny("wave-unet")(mix))
    assert [weight.numel() for weight in learned.between] == [16, 12, 8]
    assert not tiny("wave-unet").between


def test_the_difference_makes_sources_sum_to_the_mix():
    mix = noise(2, 2, 1001)
    with torch.inference_mode():
        torch.testing.assert_close(tiny("wave-unet")(mix).sum(1), mix, atol=1e-6, rtol=0)
        rest = tiny("wave-unet-learned")(mix).sum(1) - mix
    assert rest.abs().max() > 1e-2


def stems_of(seed, n_samples=RATE):
    """Tones and noise, ``(batch, source, channel, time)``."""
    time = torch.arange(n_samples) / RATE
    generator = torch.Generator().manual_seed(seed)
    f_hz = 150 + 800 * torch.rand(8, 1, 1, generator=generator)
    tone = (0.1 * torch.sin(2 * math.pi * f_hz * time)).expand(-1, 2, -1)
    return torch.stack([tone, noise(8, 2, n_samples, seed=seed, scale=0.05)], 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["unet", "unet-slicqt", "wave-unet", "wave-unet-learned"])
def test_it_learns_to_tell_tones_from_noise(kind):
    """By the loss of its authors, on mixes that it has not heard."""
    options = {"output": "difference"} if kind.startswith("wave") else {}
    model = tiny(kind, sources=["tone", "noise"], **options)
    truth = stems_of(99)

    def sdr(estimate):
        return 10 * math.log10(truth.square().sum() / (estimate - truth).square().sum())

    mix = truth.sum(1)
    of_the_mix = sdr(mix.unsqueeze(1) / 2)
    optimizer = torch.optim.Adam(model.train().parameters(), 5e-3)
    losses = []
    for step in range(60):
        stems = stems_of(step)
        if kind.startswith("unet"):
            estimate = model.estimate(stems.sum(1))
            loss = MagnitudeL1Loss()(estimate.coefficients, model.analyse(stems))
        else:
            loss = (model(stems.sum(1)) - stems).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    with torch.inference_mode():
        assert sdr(model.eval()(mix)) > of_the_mix + 3
