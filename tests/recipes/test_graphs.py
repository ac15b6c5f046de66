"""CUDA graphs: a step that is replayed has the losses and gradients of one that is launched."""

from contextlib import nullcontext

import pytest
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.losses import XUMXLoss
from tests.helpers import RECIPES, ROOT
from tests.recipes.helpers import recipe_module

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


@pytest.fixture(autouse=True)
def recipes(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes/musdb18hq"))


def autocast(device, precision):
    if precision == "32-true":
        return nullcontext()
    return torch.autocast(device, torch.bfloat16)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_steps_are_captured_without_kept_casts(monkeypatch, precision):
    from common.graphs import capture

    kept = []

    def make_graphed(step, arguments, **_):  # refuses what the real one refuses, on a GPU
        if torch.is_autocast_enabled("cpu") and torch.is_autocast_cache_enabled():
            raise RuntimeError("make_graphed_callables does not support the autocast caching")
        step(*arguments)
        return step

    def losses(batch):
        kept.append(torch.is_autocast_enabled("cpu") and torch.is_autocast_cache_enabled())
        return {"loss": model(batch).float().square().mean()}

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", make_graphed)
    model, batch = torch.nn.Linear(4, 4), torch.ones(2, 4)
    with autocast("cpu", precision):
        graph = capture(model, losses, batch)
        assert graph.shape == batch.shape
        replayed, launched = graph(batch)["loss"], losses(batch)["loss"]
    assert kept[:2] == [False, False]
    torch.testing.assert_close(replayed, launched, rtol=1e-6, atol=0)
    model.weight.data.mul_(2)  # as an optimizer would
    with autocast("cpu", precision):
        torch.testing.assert_close(graph(batch)["loss"], losses(batch)["loss"], rtol=1e-6, atol=0)


@on_cuda
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_replayed_steps_equal_launched_ones(precision):
    from common.graphs import capture

    system_of = recipe_module(RECIPES / "xumx_slicq", "system").XUMXSystem
    torch.manual_seed(0)
    model = XUMXSliCQ.from_preset("small", wiener_iterations=0).cuda().train()
    system = system_of(model, None, XUMXLoss(mask_sum_weight=0.1), None, None)
    batches = 0.1 * torch.randn(3, 4, 4, 2, 44100, device="cuda")
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def steps(losses):
        out = []
        model.load_state_dict(state)
        for batch in batches:
            model.zero_grad()
            with autocast("cuda", precision):
                loss = losses(batch)["loss"]
            loss.backward()
            out.append((loss.item(), [p.grad.clone() for p in model.parameters()]))
        return out

    launched = steps(system.losses)
    model.load_state_dict(state)
    with autocast("cuda", precision):
        graph = capture(model, system.losses, batches[0])
    assert graph.shape == batches[0].shape
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    exact = precision == "32-true"
    for (loss, gradients), (again, repeated) in zip(launched, steps(graph), strict=True):
        assert again == pytest.approx(loss, rel=1e-4 if exact else 1e-2)
        for gradient, other in zip(gradients, repeated, strict=True):
            scale = float(gradient.abs().max())
            rtol, atol = (5e-3, 1e-5) if exact else (5e-2, 5e-2 * scale + 1e-5)
            torch.testing.assert_close(gradient, other, rtol=rtol, atol=atol)
