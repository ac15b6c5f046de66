"""What holds for every baseline, as for every model."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from asteroid.models import BaseModel

from asteroid_slicq.losses import MagnitudeL1Loss
from asteroid_slicq.models import NMF, UNet
from tests import helpers
from tests.models.baselines.helpers import KINDS, RATE, channels, tiny

noise = partial(helpers.noise, scale=0.1)
LEARNING = [kind for kind in KINDS if not kind.startswith("nmf")]
SPECTRAL = [kind for kind in KINDS if not kind.startswith("wave")]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_serialises_in_plain_types(kind, tmp_path):
    model = tiny(kind, sources=["a", "b", "c"])
    torch.save(model.serialize(), tmp_path / "model.pth")
    torch.load(tmp_path / "model.pth", weights_only=True)
    again = BaseModel.from_pretrained(str(tmp_path / "model.pth")).eval()
    assert type(again) is type(model)
    assert again.get_model_args() == model.get_model_args()
    mix = noise(1, 2, 2000)
    with torch.inference_mode():
        assert torch.equal(again(mix), model(mix))


@pytest.mark.parametrize("kind", ["nmf", "unet-slicqt", "wave-unet-learned"])
def test_hub_files_hold_it(kind, tmp_path):
    model = tiny(kind)
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["n_parameters"] == sum(p.numel() for p in model.parameters()) > 0
    mix = noise(1, 2, 1000)
    with torch.inference_mode():
        assert torch.equal(type(model).from_pretrained(tmp_path)(mix), model(mix))


@pytest.mark.parametrize("shape", [(), (1,), (3, 2)])
def test_shapes(kind, shape):
    model = tiny(kind, sources=["a", "b"], **channels(kind, shape[-1] if shape else 1))
    for length in (1, 57, 3001):
        with torch.inference_mode():
            out = model(noise(*shape, length))
        expected = {0: (2, length), 1: (2, 1, length), 2: (3, 2, 2, length)}[len(shape)]
        assert out.shape == expected
        assert out.isfinite().all()


def test_separate_in_segments_keeps_stereo_and_silence(kind):
    model, song = tiny(kind), noise(2, 16000).numpy()
    separated = model.separate(song, segment_s=1.0, overlap_s=0.25)
    assert separated.shape == (4, 2, 16000)
    assert np.isfinite(separated).all()
    assert not model.separate(0 * song).any()
    assert model.separate(song[:1]).shape == (4, 1, 16000)


@pytest.mark.parametrize("kind", SPECTRAL)
def test_a_louder_mix_gives_the_same_stems_louder(kind):
    model, mix = tiny(kind).double(), noise(1, 2, 2000).double()
    with torch.inference_mode():
        expected = model(mix)
        assert expected.abs().max() > 1e-4
        for gain in (1e-4, 3.1, 1e3):
            torch.testing.assert_close(model(gain * mix) / gain, expected, atol=1e-9, rtol=0)
        assert not model(0 * mix).any()


def test_items_of_a_batch_are_separated_on_their_own(kind):
    model, mix = tiny(kind), noise(3, 2, 2000) * torch.tensor([1.0, 0.01, 3.0])[:, None, None]
    with torch.inference_mode():
        together = model(mix)
        for item in range(3):
            torch.testing.assert_close(together[item], model(mix[item]), atol=2e-5, rtol=0)


@pytest.mark.parametrize("kind", SPECTRAL)
def test_estimate_is_the_masked_mix(kind):
    model, mix = tiny(kind), noise(2, 2, 2500)
    with torch.inference_mode():
        waveforms, (coefficients,), (masks,) = model.estimate(mix)
        (block,) = model.analyse(mix)
        assert torch.equal(waveforms, model(mix))
    assert masks.shape == (2, 4, *block.shape[1:])
    assert 0 <= masks.min() < masks.max() <= 1
    assert torch.equal(coefficients, masks * block[:, None])
    # A mask holds for as many coefficients as the network saw as one.
    steps = masks[..., : 2 * model.pool].unflatten(-1, (2, -1))
    assert torch.equal(steps, steps[..., :1].expand_as(steps))


@pytest.mark.parametrize("kind", LEARNING)
def test_every_parameter_has_a_gradient_and_silence_a_finite_one(kind):
    model = tiny(kind).eval()  # in training, batch normalisation takes biases before it away
    model(noise(2, 2, 3000)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 1e-6, name
    model.train()
    mix = torch.zeros(2, 2, 3000, requires_grad=True)
    model(mix).sum().backward()
    assert mix.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("kind", LEARNING)
def test_bf16(kind):
    model, mix = tiny(kind), noise(2, 2, 2000)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        mixed = model(mix)
    with torch.no_grad():
        assert (mixed - model(mix)).abs().max() < 0.05 * mix.abs().max()


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (NMF, {"divergence": "euclid"}, "divergence must be one of itakura-saito, kullback"),
        (NMF, {"n_components": 0}, "n_components must be at least 1"),
        (UNet, {"hidden_channels": ()}, "hidden_channels must hold at least one number"),
        (UNet, {"dropout": 1.0}, "dropout must lie in"),
        (UNet, {"transform": "cqt"}, "transform must be one of stft, slicqt"),
        (UNet, {"steps_per_s": 0.0}, "steps_per_s must lie in"),
        (UNet, {"transform_arguments": {"sample_rate": 1}}, "must not hold sample_rate"),
        (KINDS["wave-unet"], {"kernel_up": 4}, "kernel_up must be odd, got 4; nearest .* 5"),
        (KINDS["wave-unet"], {"sources": ["a"]}, "output must be direct for one source"),
        (KINDS["wave-unet"], {"upsampling": "cubic"}, "upsampling must be one of linear, learned"),
        (KINDS["wave-unet"], {"sources": "ab"}, "sources must be distinct names"),
    ],
)
def test_wrong_arguments_are_named(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_magnitudes_are_compared_block_by_block():
    x, y = (helpers.complex_noise(2, 3, 1, 4, 5, seed=s) for s in range(2))
    loss, expected = MagnitudeL1Loss(), (x.abs() - y.abs()).abs().mean()
    torch.testing.assert_close(loss([x], [y]), expected)
    torch.testing.assert_close(loss([x, x], [y, -x]), expected / 2)
    with pytest.raises(ValueError, match="shape"):
        loss([x], [y[..., :3]])


def test_steps_are_as_many_as_asked_for():
    model = tiny("unet-slicqt", steps_per_s=50.0)
    frame = model.transform.frame
    per_s = frame.blocks[0][1] / frame.slice_length * RATE
    assert model.pool == round(per_s / 50) > 1
    assert tiny("unet-slicqt", steps_per_s=1e5).pool == 1


@pytest.mark.parametrize("kind", LEARNING)
def test_a_mix_of_another_precision_is_taken(kind):
    mix, model = noise(1, 2, 3000), tiny(kind)
    with torch.inference_mode():
        expected = model(mix)
        torch.testing.assert_close(model(mix.double()).float(), expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(model.double()(mix).float(), expected, atol=1e-5, rtol=1e-4)
        half = model.bfloat16()(mix)
    assert half.dtype == torch.float32
    assert (half - expected).norm() < 0.05 * expected.norm()
