"""LSTMs under autocast where a processor has none: what 32 bits give, in the precision asked."""

from contextlib import nullcontext

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from asteroid_slicq.models import recurrence
from asteroid_slicq.models.xumx_slicq.lstm import GroupedLSTM


@pytest.fixture(autouse=True)
def no_lstm_in_16_bits(request, monkeypatch):
    if "this_processor" not in request.fixturenames:
        monkeypatch.setattr(recurrence, "_has_lstm", lambda dtype: False)


@pytest.fixture
def this_processor():
    """LSTMs as they are here."""


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_under_autocast_it_is_the_lstm_of_32_bits(bidirectional, batch_first):
    torch.manual_seed(0)
    module = torch.nn.LSTM(4, 6, 2, batch_first=batch_first, bidirectional=bidirectional)
    x = torch.randn(3, 5, 4)
    expected, states = module(x)
    with torch.autocast("cpu", torch.bfloat16):
        found, after = recurrence.run_lstm(module, x)
        again, _ = recurrence.run_lstm(module, x, states)
    assert {t.dtype for t in (found, *after, again)} == {torch.bfloat16}
    torch.testing.assert_close(found, expected.bfloat16())
    torch.testing.assert_close(after[1], states[1].bfloat16())
    torch.testing.assert_close(again, module(x, states)[0].bfloat16())
    weights = list(module.parameters())
    gradients = torch.autograd.grad(found.float().square().sum(), weights)
    true = torch.autograd.grad(expected.square().sum(), weights)
    for gradient, one in zip(gradients, true, strict=True):
        assert (gradient - one).abs().max() < 0.02 * one.abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_groups_of_lstms(dtype):
    torch.manual_seed(0)
    module, x = GroupedLSTM(4, 6, 2).eval(), torch.randn(5, 2, 4, 3)
    with torch.autocast("cpu", dtype):
        found = module(x)
    assert found.dtype == dtype
    torch.testing.assert_close(found, module(x).to(dtype))


def test_it_drops_out_in_training_alone():
    torch.manual_seed(0)
    module, x = torch.nn.LSTM(4, 6, 2, dropout=0.5), torch.randn(3, 5, 4)
    for training in (True, False):
        module.train(training)
        with torch.autocast("cpu", torch.bfloat16):
            runs = [recurrence.run_lstm(module, x)[0] for _ in range(2)]
        assert torch.equal(*runs) is not training


def test_other_precisions_are_left_alone():
    module, x = torch.nn.LSTM(4, 6), torch.randn(3, 5, 4)
    assert torch.equal(recurrence.run_lstm(module, x)[0], module(x)[0])
    with torch.autocast("cpu", torch.bfloat16):
        assert recurrence.run_lstm(module.double(), x.double())[0].dtype == torch.float64
    assert recurrence.run_lstm(module.bfloat16(), x.bfloat16())[0].dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_on_this_processor(this_processor, dtype):
    """It has one just where PyTorch raises no error."""
    module, x = torch.nn.LSTM(4, 6), torch.randn(3, 5, 4)
    recurrence._found.cache_clear()
    with torch.autocast("cpu", dtype):
        found = recurrence.run_lstm(module, x)[0]
        raises = nullcontext() if recurrence._has_lstm(dtype) else pytest.raises(RuntimeError)
        with raises:
            module(x)
    torch.testing.assert_close(found.float(), module(x)[0], atol=0.02, rtol=0)


@pytest.mark.parametrize(
    "mode",
    [
        lambda: torch.device("meta"),
        FakeTensorMode,
        lambda: torch.autocast("cpu", torch.float16),
        torch.inference_mode,
    ],
)
def test_no_mode_of_the_first_caller_counts(this_processor, mode):
    recurrence._found.cache_clear()
    expected = recurrence._has_lstm(torch.bfloat16)
    recurrence._found.cache_clear()
    with mode():
        assert recurrence._has_lstm(torch.bfloat16) == expected


def test_a_model_is_compiled(this_processor):
    recurrence._found.cache_clear()
    torch.compiler.reset()
    module, x = torch.nn.LSTM(4, 6).eval(), torch.randn(3, 5, 4)
    compiled = torch.compile(lambda x: recurrence.run_lstm(module, x)[0], backend="aot_eager")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(compiled(x), recurrence.run_lstm(module, x)[0])
