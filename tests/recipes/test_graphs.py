"""CUDA graphs: a step that is replayed has the losses and gradients of one that is launched."""

import pytest
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.losses import XUMXLoss
from tests.helpers import ROOT

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


def test_replayed_steps_equal_launched_ones(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes/musdb18hq"))
    monkeypatch.syspath_prepend(str(ROOT / "recipes/musdb18hq/xumx_slicq"))
    from common.graphs import capture
    from system import XUMXSystem

    torch.manual_seed(0)
    model = XUMXSliCQ.from_preset("small", wiener_iterations=0).cuda().train()
    system = XUMXSystem(model, None, XUMXLoss(mask_sum_weight=0.1), None, None)
    batches = 0.1 * torch.randn(3, 4, 4, 2, 44100, device="cuda")
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def steps(losses):
        out = []
        model.load_state_dict(state)
        for batch in batches:
            model.zero_grad()
            loss = losses(batch)["loss"]
            loss.backward()
            out.append((loss.item(), [p.grad.clone() for p in model.parameters()]))
        return out

    launched = steps(system.losses)
    model.load_state_dict(state)
    graph = capture(model, system.losses, batches[0])
    assert graph.shape == batches[0].shape
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    for (loss, gradients), (again, repeated) in zip(launched, steps(graph), strict=True):
        assert again == pytest.approx(loss, rel=1e-4)
        for gradient, other in zip(gradients, repeated, strict=True):
            torch.testing.assert_close(gradient, other, rtol=5e-3, atol=1e-5)
