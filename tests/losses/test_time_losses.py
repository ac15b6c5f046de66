"""Losses of waveforms by name, HAAQI's among them, and those of other packages."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from asteroid_slicq.hearing import HAAQI
from asteroid_slicq.losses import (
    HAAQILoss,
    MultiResolutionLoss,
    TimeLoss,
    XUMXLoss,
    combination_l1,
    combination_loss,
    combination_sd_sdr,
)

RATE = 24000


def waveforms(n_sources=2, n_samples=2400, seed=0):
    return torch.randn(1, n_sources, 1, n_samples, generator=torch.Generator().manual_seed(seed))


def coefficients(seed=0):
    block = torch.randn(1, 2, 1, 3, 4, 5, generator=torch.Generator().manual_seed(seed))
    return SimpleNamespace(coefficients=(block + 0j,), masks=(block.abs(),))


def test_a_function_is_called_for_each_combination():
    estimates, targets = waveforms(3), waveforms(3, seed=1)
    for subsets in ("all", "single", [(0, 2)]):
        found = TimeLoss(nn.L1Loss(), subsets)(estimates, targets)
        torch.testing.assert_close(found, combination_l1(estimates, targets, subsets=subsets))


def test_preset_of_the_sdr():
    estimates, targets = waveforms(), waveforms(seed=1)
    parts = XUMXLoss.from_preset("v2-sdr")(
        coefficients(), coefficients(1).coefficients, estimates, targets
    )
    torch.testing.assert_close(parts.time, combination_sd_sdr(estimates, targets))
    plain = XUMXLoss.from_preset("v2")(coefficients(), coefficients(1).coefficients)
    torch.testing.assert_close(parts.total, plain.total + 0.1 * parts.time)


@pytest.mark.slow
def test_preset_of_haaqi_rates_each_source():
    estimates, targets = waveforms(), waveforms(seed=1)
    estimates = (targets + 0.3 * estimates).requires_grad_()
    loss = XUMXLoss.from_preset("v2-haaqi", time_options={"sample_rate": RATE})
    parts = loss(coefficients(), coefficients(1).coefficients, estimates, targets)
    quality = HAAQI(RATE, align=False)(estimates, targets).index
    torch.testing.assert_close(parts.time, 1 - quality.mean())
    parts.total.backward()
    assert estimates.grad.isfinite().all()
    assert all(gradient.any() for gradient in estimates.grad[0])
    assert "time_loss='haaqi'" in repr(loss)


@pytest.mark.slow
def test_silent_targets_do_not_count_and_signals_are_drawn():
    loss = HAAQILoss(RATE, max_signals=2).eval()
    targets = waveforms(4)[0, :, 0]
    targets[0] = 0
    estimates = (targets + 0.5 * waveforms(4, seed=1)[0, :, 0]).requires_grad_()
    value = loss(estimates, targets)  # of the first and the last one
    torch.testing.assert_close(value, 1 - loss.index(estimates[3], targets[3]).index)
    value.backward()
    assert [bool(g.any()) for g in estimates.grad] == [False, False, False, True]
    silence = torch.zeros(1, 2, 2400, requires_grad=True)
    nothing = loss(silence, torch.zeros(1, 2, 2400))
    nothing.backward()
    assert nothing == 0
    assert not silence.grad.any()
    torch.manual_seed(0)
    drawn = {loss.train()(estimates, targets).item() for _ in range(8)}
    assert len(drawn) > 1


def test_a_multi_resolution_loss_with_another_one():
    estimates, targets = waveforms(3), waveforms(3, seed=1)
    plain = MultiResolutionLoss(n_ffts=[64], subsets="single")
    more = MultiResolutionLoss(n_ffts=[64], time_loss=nn.MSELoss(), time_weight=0.5)
    expected = combination_loss(nn.MSELoss(), estimates, targets, subsets="single")
    parts = more(estimates, targets)
    torch.testing.assert_close(parts.time, expected)
    torch.testing.assert_close(parts.total, plain(estimates, targets).total + 0.5 * expected)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: TimeLoss("sir"), "time_loss must be one of si-sdr, .*'sir'"),
        (lambda: TimeLoss("l1", options={"sample_rate": 1}), "time_options must be empty"),
        (lambda: XUMXLoss(time_options={"a": 1}), "time_options must be empty without a time_loss"),
        (lambda: TimeLoss("haaqi", options={"rate": 1}), "those of HAAQILoss: .*'rate'"),
        (lambda: TimeLoss("haaqi", options={"audiogram": "deaf"}), "audiogram must be one of"),
        (lambda: HAAQILoss(max_signals=0), "max_signals must be at least 1"),
        (
            lambda: TimeLoss(nn.L1Loss(reduction="none"))(waveforms(), waveforms()),
            "the loss L1Loss must return a scalar, got a value of shape",
        ),
    ],
)
def test_wrong_arguments(make, said):
    with pytest.raises(ValueError, match=said):
        make()
