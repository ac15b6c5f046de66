"""Ratios of waveforms: equal to one call of auraloss for each combination, finite at silence."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from auraloss.time import SDSDRLoss, SISDRLoss, SNRLoss
from torch import Tensor

from asteroid_slicq import SliCQT
from asteroid_slicq.losses import (
    combination_l1,
    combination_loss,
    combination_sd_sdr,
    combination_sdr,
    combination_si_sdr,
    combination_weighted_sdr,
)
from tests.helpers import double_noise as noise


def pair(n_sources: int = 4, error: float = 0.5) -> tuple[Tensor, Tensor]:
    """Estimates and targets, with an offset that the ratios are to ignore."""
    targets = noise(2, n_sources, 2, 60, seed=0) + 0.3
    return targets + error * noise(2, n_sources, 2, 60, seed=1), targets


def weighted_sdr(estimate: Tensor, target: Tensor, mix: Tensor) -> Tensor:
    """Equation 8 of the paper, one channel at a time."""
    values = []
    for e, t, x in zip(*(v.flatten(0, 1) for v in (estimate, target, mix)), strict=True):
        z, z_hat = x - t, x - e
        share = t.dot(t) / (t.dot(t) + z.dot(z))
        first = t.dot(e) / (t.norm() * e.norm())
        values.append(-share * first - (1 - share) * z.dot(z_hat) / (z.norm() * z_hat.norm()))
    return torch.stack(values).mean()


def brute_weighted_sdr(estimates: Tensor, targets: Tensor, subsets="all") -> Tensor:
    one = partial(weighted_sdr, mix=targets.sum(1))
    return combination_loss(one, estimates, targets, subsets=subsets)


LOSSES: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "si-sdr": (combination_si_sdr, partial(combination_loss, SISDRLoss())),
    "sd-sdr": (combination_sd_sdr, partial(combination_loss, SDSDRLoss())),
    "sdr": (combination_sdr, partial(combination_loss, SNRLoss())),
    "wsdr": (combination_weighted_sdr, brute_weighted_sdr),
}
RATIOS = ["si-sdr", "sd-sdr", "sdr"]


def value_and_gradients(loss, estimates: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
    leaves = [x.clone().requires_grad_() for x in (estimates, targets)]
    value = loss(*leaves)
    return value.detach(), *torch.autograd.grad(value, leaves)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("n_sources", "error"), [(2, 0.5), (3, 2.0), (4, 0.5), (4, 1e-3)])
def test_value_and_gradients_equal_brute_force(name, n_sources, error):
    ours, brute = (value_and_gradients(loss, *pair(n_sources, error)) for loss in LOSSES[name])
    tolerance = 1e-7 if name == "wsdr" else 1e-10  # its eps is not where the paper has none
    torch.testing.assert_close(ours, brute, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", LOSSES)
def test_chosen_subsets_equal_brute_force(name):
    subsets = [(0,), (1, 3), (0, 1, 2)]
    ours, brute = (loss(*pair(), subsets=subsets) for loss in LOSSES[name])
    torch.testing.assert_close(ours, brute, rtol=1e-7, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_waveforms_that_depend_on_each_other_equal_brute_force(name):
    """Estimates that sum to the mix, two equal targets: the inner products are singular."""
    estimates, targets = pair()
    targets[:, 1] = targets[:, 0]
    estimates = estimates + (targets - estimates).mean(1, keepdim=True)
    ours, brute = (value_and_gradients(loss, estimates, targets) for loss in LOSSES[name])
    torch.testing.assert_close(ours, brute, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_single_precision_holds_close_to_the_target(name):
    estimates, targets = (x.float() for x in pair(error=1e-4))
    exact = value_and_gradients(LOSSES[name][0], estimates.double(), targets.double())
    single = value_and_gradients(LOSSES[name][0], estimates, targets)
    assert single[0].dtype == torch.float32
    torch.testing.assert_close(single[0].double(), exact[0], rtol=1e-5, atol=1e-6)
    error = (single[1] - exact[1]).norm() / exact[1].norm()
    assert error < (1e-2 if name == "wsdr" else 1e-4)  # a cosine is flat there


def test_at_the_target():
    _, targets = pair()
    sums = [s - s.mean(-1, keepdim=True) for s in (targets[:, 0], targets[:, 1])]
    energies = torch.stack(sums, 1).square().sum(-1)
    for loss in (combination_si_sdr, combination_sd_sdr, combination_sdr):
        lowest = -10 * torch.log10(energies / 1e-8).mean()
        assert loss(targets, targets, subsets=[(0,), (1,)]).item() == pytest.approx(lowest.item())
    assert combination_weighted_sdr(targets, targets).item() == pytest.approx(-1)
    assert combination_l1(targets, targets).item() == 0


def test_si_sdr_ignores_the_scale_and_the_others_do_not():
    estimates, targets = pair()
    scaled = 0.5 * estimates
    assert combination_si_sdr(scaled, targets).item() == pytest.approx(
        combination_si_sdr(estimates, targets).item(), abs=1e-6
    )
    for loss in (combination_sd_sdr, combination_sdr):
        assert loss(scaled, targets) > loss(estimates, targets) + 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", [*LOSSES, "l1"])
@pytest.mark.parametrize(
    ("estimate_gain", "target_gain"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
)
def test_silence_is_finite_with_its_gradient(name, dtype, estimate_gain, target_gain):
    """Of all sources, or of the first one alone."""
    loss = combination_l1 if name == "l1" else LOSSES[name][0]
    for silent in (slice(None), slice(0, 1)):
        estimates, targets = (x.to(dtype) for x in pair())
        estimates[:, silent] *= estimate_gain
        targets[:, silent] *= target_gain
        values = value_and_gradients(loss, estimates, targets)
        assert all(value.isfinite().all() for value in values)


@pytest.mark.parametrize("name", RATIOS)
def test_silent_targets_cost_what_auraloss_says(name):
    estimates, targets = pair()
    ours, brute = (loss(estimates, torch.zeros_like(targets)) for loss in LOSSES[name])
    assert ours.item() == pytest.approx(80)
    assert brute.item() == pytest.approx(80)


@pytest.mark.parametrize("name", LOSSES)
def test_gradcheck(name):
    estimates, targets = (x[:1, :3, :1, :8].clone() for x in pair())
    loss = LOSSES[name][0]
    leaves = [x.requires_grad_() for x in (estimates, targets)]
    assert torch.autograd.gradcheck(loss, leaves)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_through_the_inverse_transform(name):
    slicqt = SliCQT(n_bins=12, f_min_hz=200.0, sample_rate=8000).double()
    mix = noise(1, 2, 3000, seed=2)
    targets = noise(1, 3, 2, 3000, seed=3)
    gradients = []
    for loss in LOSSES[name]:
        masks = [
            (0.2 + 0.1 * noise(1, 3, *block.shape[1:], seed=4)).requires_grad_()
            for block in slicqt(mix)
        ]
        masked = [mask * block.unsqueeze(1) for mask, block in zip(masks, slicqt(mix), strict=True)]
        value = loss(slicqt.inverse(masked, length=3000), targets)
        gradients.append(torch.autograd.grad(value, masks))
    assert all(gradient.any() for gradient in gradients[0])
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-10)


def test_inputs_stay_unchanged():
    estimates, targets = pair()
    for loss, _ in LOSSES.values():
        value_and_gradients(loss, estimates, targets)
    for after, before in zip((estimates, targets), pair(), strict=True):
        assert torch.equal(after, before)


@pytest.mark.parametrize("loss", [ours for ours, _ in LOSSES.values()])
@pytest.mark.parametrize(
    ("shapes", "dtype", "message"),
    [
        (((1, 2, 2, 9), (1, 2, 2, 8)), torch.float32, r"\(1, 2, 2, 8\)"),
        (((2, 2, 9), (2, 2, 9)), torch.float32, r"must be \(batch, source, channel, time\)"),
        (((1, 2, 2, 0), (1, 2, 2, 0)), torch.float32, "not empty"),
        (((1, 2, 2, 9), (1, 2, 2, 9)), torch.complex64, "real"),
        (((1, 1, 2, 9), (1, 1, 2, 9)), torch.float32, "2 sources, got 1"),
    ],
)
def test_wrong_arguments_are_named(loss, shapes, dtype, message):
    with pytest.raises(ValueError, match=message):
        loss(*(torch.ones(shape, dtype=dtype) for shape in shapes))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_the_loss_of_what_is_not_finite_is_nan(value):
    targets = torch.randn(2, 3, 1, 50, generator=torch.Generator().manual_seed(0))
    estimates = (targets + 0.1).requires_grad_()
    broken = targets.clone()
    broken[1, 2, 0, 7] = value
    for loss in (combination_si_sdr, combination_sd_sdr, combination_sdr, combination_weighted_sdr):
        assert loss(broken, targets).isnan()
        total = loss(estimates, broken)
        assert total.isnan()
        assert torch.autograd.grad(total, estimates)[0][1].isnan().any()
        assert loss(estimates, targets).isfinite()
