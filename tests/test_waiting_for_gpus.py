"""A call of a model makes no GPU wait: no copy between devices, and no look at a value.

Else it could not be recorded as a CUDA graph. Tensors that PyTorch only pretends to have on a GPU
show it without one.
"""

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from asteroid_slicq import SeparatorStream, SliCQT
from asteroid_slicq.losses import XUMXLoss
from tests.test_devices import MODELS, made

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available() or torch.version.cuda is None,
    reason="needs a PyTorch for GPUs, and none",
)
pretending = FakeTensorMode(allow_non_fake_inputs=True)  # one, since constants are kept


class Copies(TorchDispatchMode):
    """Operators whose tensors lie on several devices, but for the fill with a number."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor)]
        name = func.overloadpacket.__name__
        if len({x.device.type for x in tensors}) > 1 and name != "fill_":
            self.found.append(name)
        return out


def on_a_gpu(module):
    return module._apply(
        lambda x: torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="cuda")
    )


def copies_of_the_second(call):
    """Copies in the second of two calls; constants are moved in the first one."""
    with torch.no_grad():
        call()
        with Copies() as seen:
            call()
    return seen.found


@pytest.mark.slow
@pytest.mark.parametrize(  # layers that are recurrent ask where their weights lie
    "name", sorted({*MODELS} - {"v2-lstm"})
)
def test_models(name):
    model = made(name)
    with pretending:
        on_a_gpu(model)
        mix = torch.randn(1, 2, int(0.2 * model.sample_rate), device="cuda")
        assert copies_of_the_second(lambda: model(mix)) == []


@pytest.mark.parametrize("overlap_added", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_transform(overlap_added):
    slicqt = SliCQT(n_bins=24, f_min_hz=60, overlap_added=overlap_added)
    with pretending:
        on_a_gpu(slicqt)
        x = torch.randn(2, 9000, device="cuda")
        assert copies_of_the_second(lambda: slicqt.synthesis(slicqt(x), 9000)) == []


@pytest.mark.slow
def test_a_stream():
    model = made("v2-realtime")
    with pretending, torch.no_grad():
        stream = SeparatorStream(on_a_gpu(model))
        mix = torch.randn(2, 27_000, device="cuda")
        stream.push(mix[:, :9000])
        with Copies() as seen:
            stream.push(mix[:, 9000:18_000])
            stream.push(mix[:, 18_000:])
    assert seen.found == []


@pytest.mark.slow
def test_losses_in_training():
    model, loss = made("v2").train(), XUMXLoss(mask_sum_weight=0.1)

    def value():
        targets = model.transform(stems)
        estimate = model.estimate_from_coefficients([block.sum(1) for block in targets])
        return loss(estimate, targets).total

    with pretending:
        on_a_gpu(model)
        on_a_gpu(loss)
        stems = torch.randn(2, 4, 2, 4000, device="cuda")
        value()
        with Copies() as seen:
            assert value().requires_grad
    assert seen.found == []


def test_a_copy_and_a_look_are_found():
    with pretending:
        x = torch.zeros(3, device="cuda")
        assert copies_of_the_second(lambda: x + torch.ones(3).to("cuda")) == ["_to_copy"]
        with pytest.raises(RuntimeError):
            copies_of_the_second(lambda: x.sum().item())
