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
        torch.testing.assert_close(make(wiener_share=0.0)(mix), plain, atol=1e-6, rtol=0)
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
def test_gradients_flow_through_both(make):
    model = make(wiener_share=0.5)
    model(torch.randn(1, 2, 8000)).square().mean().backward()
    found = [p.grad for p in model.parameters() if p.requires_grad]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in found)


@pytest.mark.parametrize("make", [made, per_target])
def test_the_share_is_an_argument_that_is_kept(make, tmp_path):
    model = make(wiener_share=0.5)
    assert type(model)(**model.get_model_args()).wiener_share == 0.5
    torch.save(model.serialize(), tmp_path / "model.pth")
    assert type(model).from_pretrained(str(tmp_path / "model.pth")).wiener_share == 0.5
    assert make().wiener_share == 1.0
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="wiener_share must lie in 0 … 1, got"):
            make(wiener_share=wrong)
    with pytest.raises(TypeError, match="wiener_share must be a number"):
        make(wiener_share="half")
