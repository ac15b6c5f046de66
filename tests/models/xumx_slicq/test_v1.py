import numpy as np
import pytest
import torch
from asteroid.models import BaseModel

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.hub import convert_v1_state
from asteroid_slicq.models.xumx_slicq.layers import PassThrough
from tests.helpers import golden
from tests.reference_inverse import reference_inverse

TRANSFORM = {"n_bins": 14, "f_min_hz": 150.0}


def tiny(**arguments) -> XUMXSliCQ:
    torch.manual_seed(0)
    defaults = {"hidden_channels": (3, 4), "transform": TRANSFORM}
    return XUMXSliCQ.from_preset("v1", **{**defaults, **arguments})


def test_default_has_the_published_number_of_parameters():
    model = XUMXSliCQ.from_preset("v1")
    statistics = [p for n, p in model.named_parameters() if n.endswith(("shift", "scale"))]
    n_statistics = sum(p.numel() for p in statistics)
    assert n_statistics == 1944
    assert sum(p.numel() for p in model.parameters()) - n_statistics == 6_669_912


def test_equals_the_reference_with_converted_weights():
    """Magnitudes, overlap-added magnitudes, masks and waveforms; on all of the bandwidth."""
    reference = np.load(golden("xumx_v1_bark14.npz"))
    state = torch.load(golden("xumx_v1_bark14_state.pth"), weights_only=True)
    model = XUMXSliCQ.from_preset(
        "v1", transform=TRANSFORM, bandwidth_hz=None, wiener_iterations=0
    ).eval()
    model.load_state_dict(convert_v1_state(state))
    mix = torch.from_numpy(reference["x"])
    with torch.inference_mode():
        coefficients, masks = model.estimate(mix)
        waveforms = model(mix)
        mixed = model.transform(mix)
        seen = model.network_input(mixed)
    for b, block in enumerate(coefficients):
        stream = reference[f"overlap_added_mag_{b:02d}"]
        assert np.abs(seen[b].numpy() - stream).max() < 1e-6 * stream.max()
        for j, name in enumerate(model.sources):
            magnitude = torch.from_numpy(reference[f"mag_{name}_{b:02d}"])
            assert (block[:, j].abs() - magnitude).abs().max() < 1e-6 * magnitude.max()
            # The reference stores no masks: they are what it multiplied the mix with.
            loud = mixed[b].abs() > 0.05 * mixed[b].abs().max()
            expected = magnitude[loud] / mixed[b].abs()[loud]
            assert (masks[b][:, j][loud] - expected).abs().max() < 1e-5
    blocks = [block.numpy() for block in coefficients]
    theirs = reference_inverse(model.transform.frame, blocks, mix.shape[-1], "v1")
    for j, name in enumerate(model.sources):
        expected = reference[f"wav_{name}"]
        peak = np.abs(expected).max()
        # The reference leaves out the mirror image of a bin that crosses DC, ours does not …
        assert np.abs(waveforms[:, j].numpy() - expected).max() < 2e-3 * peak
        # … and that is all that differs.
        assert np.abs(theirs[:, j] - expected).max() < 1e-6 * peak


def test_every_source_gets_the_mix_above_the_bandwidth():
    model = tiny(wiener_iterations=0).eval()
    frequencies = model.transform.frame.frequency_hz()
    above = [f[0] > 16000 for f in frequencies]
    assert [isinstance(block, PassThrough) for block in model.blocks] == above
    assert 0 < sum(above) < len(above)
    mix = torch.randn(1, 2, 3000)
    with torch.inference_mode():
        estimate, mixed = model.estimate(mix), model.transform(mix)
    for passes, block, x in zip(above, estimate.coefficients, mixed, strict=True):
        same = all(torch.equal(block[:, j], x) for j in range(4))
        assert same == passes
    assert not any(isinstance(b, PassThrough) for b in tiny(bandwidth_hz=None).blocks)


@pytest.mark.parametrize("wiener", ["stft", "slicqt", None])
def test_serialises_and_loads_under_weights_only(tmp_path, wiener):
    model = tiny(wiener=wiener).eval()
    torch.save(model.serialize(), tmp_path / "model.pth")
    torch.load(tmp_path / "model.pth", weights_only=True)
    loaded = BaseModel.from_pretrained(str(tmp_path / "model.pth")).eval()
    assert loaded.get_model_args() == model.get_model_args()
    mix = torch.randn(1, 2, 3000)
    with torch.inference_mode():
        assert torch.equal(loaded(mix), model(mix))


def test_filters_differ_and_none_is_the_phase_of_the_mix():
    mix = torch.randn(1, 2, 6000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        outs = {w: tiny(wiener=w).eval()(mix) for w in ("stft", "slicqt", None)}
        assert torch.equal(tiny(wiener_iterations=0).eval()(mix), outs[None])
    assert not torch.allclose(outs["stft"], outs["slicqt"], atol=1e-3)
    assert not torch.allclose(outs["stft"], outs[None], atol=1e-3)


@pytest.mark.parametrize("wiener", ["stft", None])
def test_every_parameter_has_a_finite_gradient(wiener):
    model = tiny(wiener=wiener)
    for mix in (torch.randn(2, 2, 3000), torch.zeros(1, 2, 3000)):
        model.zero_grad()
        model(mix).square().sum().backward()
        for name, p in model.named_parameters():
            assert p.grad is not None, name
            assert p.grad.isfinite().all(), name


@pytest.mark.parametrize("length", [1, 457, 3001])
def test_silence_stays_silent(length):
    with torch.inference_mode():
        assert not tiny().eval()(torch.zeros(1, 2, length)).any()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"network": "v3"}, "network must be one of v1, v2"),
        ({"causal": True}, "causal"),
        ({"bandwidth_hz": 0}, "bandwidth_hz"),
        ({"wiener": "istft"}, "wiener must be slicqt, stft or None"),
    ],
)
def test_wrong_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        tiny(**arguments)
