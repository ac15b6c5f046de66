"""Wiener-EM in part: what it refines, and what has the phase of the mix, in given shares."""

import numpy as np
import pytest
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.models import PerTarget

TINY = {"hidden_channels": (3, 4), "transform": {"n_bins": 14, "f_min_hz": 150.0}}


def made(**arguments) -> XUMXSliCQ:
    torch.manual_seed(0)
    return XUMXSliCQ(**{**TINY, **arguments}).eval()


def per_target(**arguments) -> PerTarget:
    torch.manual_seed(0)
    return XUMXSliCQ.per_target({}, wiener="stft", **{**TINY, **arguments}).eval()


def at_once(**arguments) -> XUMXSliCQ:
    model = made(**arguments)
    model.at_once = True
    return model


def on_stft(**arguments) -> XUMXSliCQ:
    return made(wiener="stft", **arguments)


MAKERS = [made, at_once, on_stft, per_target]


@pytest.mark.parametrize("make", MAKERS)
def test_shares_add_up(make):
    mix = torch.randn(1, 2, 30_000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        refined, plain = make()(mix), make(wiener_iterations=0)(mix)
        part = make(wiener_share=0.3)(mix)
    assert (refined - plain).abs().max() > 0.01
    torch.testing.assert_close(part, 0.3 * refined + 0.7 * plain, atol=5e-6, rtol=0)


@pytest.mark.parametrize("make", MAKERS)
def test_shares_of_a_song_in_two_passes(make):
    mix = np.random.default_rng(0).standard_normal((2, 50_000)).astype(np.float32)
    settings = {"wiener_share": 1.0}, {"wiener_iterations": 0}, {"wiener_share": 0.25}
    refined, plain, part = (make(**chosen).separate(mix, segment_s=0.5) for chosen in settings)
    assert np.abs(refined - plain).max() > 0.01
    np.testing.assert_allclose(part, 0.25 * refined + 0.75 * plain, atol=5e-6)


@pytest.mark.parametrize("make", MAKERS)
def test_gradients_are_those_of_the_mean(make):
    mix = torch.randn(1, 2, 8000, generator=torch.Generator().manual_seed(1))

    def gradients(model, waveforms):
        model.zero_grad()
        (waveforms() ** 3).mean().backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    model = make(wiener_share=0.5)
    found = gradients(model, lambda: model(mix))

    def mean():
        model.wiener_share = 1.0
        refined, model.wiener_iterations = model(mix), 0
        return (refined + model(mix)) / 2

    expected = gradients(model, mean)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("make", [made, per_target])
def test_the_share_is_an_argument_that_is_kept(make, tmp_path):
    model = make(wiener_share=0.5)
    assert type(model)(**model.get_model_args()).wiener_share == 0.5
    torch.save(model.serialize(), tmp_path / "model.pth")
    assert type(model).from_pretrained(str(tmp_path / "model.pth")).wiener_share == 0.5
    assert make().wiener_share == 1.0
    assert "wiener_share" not in make().get_model_args()  # as in files that know of none
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="wiener_share must lie in 0 … 1, got"):
            make(wiener_share=wrong)
    with pytest.raises(ValueError, match="wiener_share must be above 0, got 0; wiener_it"):
        make(wiener_share=0)
    with pytest.raises(TypeError, match="wiener_share must be a number"):
        make(wiener_share="half")


def test_what_passes_through_is_shared_out():
    with pytest.raises(ValueError, match=r"wiener_share must be 1 with bandwidth_hz, got 0\.5"):
        made(network="v1", bandwidth_hz=4000.0, wiener_share=0.5)
    made(network="v1", bandwidth_hz=4000.0)


def test_models_of_targets_have_no_share_of_their_own():
    for arguments in ({"wiener_share": 0.5}, {"wiener_share": 0.0}):
        with pytest.raises(ValueError, match=r"arguments must not hold wiener_share, .* its own"):
            PerTarget(["a", "b"], arguments={**TINY, **arguments})
    assert PerTarget(["a", "b"], arguments={**TINY, "wiener_share": 1.0}).wiener_share == 1.0


def test_exports_keep_it(tmp_path):
    from asteroid_slicq.models.xumx_slicq.onnx_export import export_onnx
    from asteroid_slicq.models.xumx_slicq.onnx_runtime import OnnxSeparator

    model = made(wiener_share=0.5)
    export_onnx(model, tmp_path / "model.onnx")
    assert OnnxSeparator(tmp_path / "model.onnx").wiener_share == 0.5
