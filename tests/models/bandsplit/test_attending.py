"""Attention that reaches so far and no farther, equal to the dense form under a mask."""

import pytest
import torch
from torch.nn import functional as F

from asteroid_slicq.models.bandsplit.attending import attend, attend_near
from tests.models.bandsplit.helpers import RATE, tiny


def triple(rows, heads, steps, features, dtype=torch.float64):
    generator = torch.Generator().manual_seed(steps)
    return [
        torch.randn(rows, heads, steps, features, generator=generator, dtype=dtype).requires_grad_()
        for _ in range(3)
    ]


@pytest.mark.parametrize("reach", [1, 4, 7])
@pytest.mark.parametrize("steps", [1, 2, 5, 12, 13, 21, 22, 28, 50])
def test_near_steps_see_each_other_alone(steps, reach):
    inputs = triple(3, 2, steps, 4)
    places = torch.arange(steps)
    mask = (places[:, None] - places).abs() <= reach
    expected = F.scaled_dot_product_attention(*inputs, attn_mask=mask)
    found = attend_near(*inputs, reach)
    torch.testing.assert_close(found, expected)
    weight = torch.linspace(-1, 1, found.numel(), dtype=found.dtype).view_as(found)
    gradients = torch.autograd.grad((weight * found).sum(), inputs)
    torch.testing.assert_close(gradients, torch.autograd.grad((weight * expected).sum(), inputs))


@pytest.mark.parametrize("reach", [None, 4])
def test_many_rows_are_attended_in_parts(reach, monkeypatch):
    inputs = triple(5, 2, 20, 4)

    def run():
        return attend(*inputs) if reach is None else attend_near(*inputs, reach)

    expected = run()
    monkeypatch.setattr("asteroid_slicq.models.bandsplit.attending._MAX_ROWS", 20)
    torch.testing.assert_close(run(), expected)


def test_bfloat16_is_that_of_the_values_alone():
    inputs = [x.detach().bfloat16() for x in triple(2, 2, 30, 8)]
    found = attend_near(*inputs, 5)
    assert found.dtype == torch.bfloat16
    expected = attend_near(*(x.double() for x in inputs), 5)
    torch.testing.assert_close(found.double(), expected, atol=0.01, rtol=0.01)


def test_a_change_of_the_mix_is_heard_as_far_as_layers_reach():
    """Two layers of 0.1 s: what lies 0.2 s and a slice away is as it was, and not nearer."""
    model = tiny(n_layers=2, attention_reach_s=0.1, transform="stft")
    mix = 0.1 * torch.randn(1, 2, 2 * RATE, generator=torch.Generator().manual_seed(0))
    steps = model.transform(mix)
    changed = [steps[0].clone()]
    place = 80  # a step of 100 samples
    changed[0][..., place] *= torch.exp(torch.tensor(1j))  # whose level is the same
    with torch.no_grad():
        _, before = model.masked(steps)
        _, after = model.masked(changed)
    heard = (before[0] != after[0]).flatten(0, -2).any(0).nonzero().flatten()
    assert heard.min() == place - 2 * 8
    assert heard.max() == place + 2 * 8


def test_a_mix_within_reach_is_heard_as_a_whole():
    mix = 0.1 * torch.randn(1, 2, RATE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        near, far = (tiny(attention_reach_s=s)(mix) for s in (5.0, None))
    assert torch.equal(near, far)


def test_a_model_built_without_memory_takes_weights():
    model = tiny()
    with torch.device("meta"):
        empty = tiny()
    empty.load_state_dict(model.state_dict(), assign=True)
    mix = 0.1 * torch.randn(1, 2, 3000)
    with torch.inference_mode():
        assert torch.equal(empty(mix), model(mix))
