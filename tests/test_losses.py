"""Losses: zero at the target, equal to brute force, finite gradients at silence."""

from itertools import combinations
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from asteroid_slicq.losses import (
    XUMXLoss,
    combination_loss,
    combination_mse,
    mask_sum_mse,
    source_combinations,
)


class Estimate(NamedTuple):
    coefficients: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]


def random_blocks(n_sources: int, dtype: torch.dtype, seed: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(2, n_sources, 2, 3, 4, 5), (2, n_sources, 2, 7, 4, 6), (2, n_sources, 1, 1, 4, 9)]
    return tuple(torch.randn(shape, dtype=dtype, generator=generator) for shape in shapes)


def brute_force(estimates, targets) -> Tensor:
    blocks = []
    for estimate, target in zip(estimates, targets, strict=True):
        n_sources = estimate.shape[1]
        values = []
        for size in range(1, n_sources):
            for subset in combinations(range(n_sources), size):
                error = sum(estimate[:, j] for j in subset) - sum(target[:, j] for j in subset)
                values.append((error.abs() ** 2).mean())
        blocks.append(sum(values) / len(values))
    return sum(blocks) / len(blocks)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("n_sources", [2, 3, 4, 5])
def test_combination_mse_equals_brute_force(n_sources, dtype):
    estimates, targets = random_blocks(n_sources, dtype, 0), random_blocks(n_sources, dtype, 1)
    torch.testing.assert_close(
        combination_mse(estimates, targets), brute_force(estimates, targets), rtol=1e-13, atol=0
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_combination_mse_has_the_gradient_of_brute_force(dtype):
    targets = random_blocks(4, dtype, 1)
    gradients = []
    for loss in (combination_mse, brute_force):
        estimates = tuple(block.requires_grad_() for block in random_blocks(4, dtype, 0))
        gradients.append(torch.autograd.grad(loss(estimates, targets), estimates))
    torch.testing.assert_close(*gradients)


def test_combination_mse_equals_the_general_loss():
    estimate, target = random_blocks(4, torch.float64, 0)[0], random_blocks(4, torch.float64, 1)[0]
    general = combination_loss(torch.nn.functional.mse_loss, estimate, target)
    torch.testing.assert_close(combination_mse(estimate, target), general)


@pytest.mark.parametrize("sources_dim", [0, 2, -1])
def test_sources_may_be_any_dimension(sources_dim):
    estimate, target = (
        random_blocks(4, torch.complex128, 0)[0],
        random_blocks(4, torch.complex128, 1)[0],
    )
    moved = [x.movedim(1, sources_dim) for x in (estimate, target)]
    torch.testing.assert_close(
        combination_mse(*moved, sources_dim=sources_dim), combination_mse(estimate, target)
    )


def test_blocks_count_equally():
    small, large = torch.ones(1, 2, 1), torch.zeros(1, 2, 1000)
    zeros = (torch.zeros_like(small), torch.zeros_like(large))
    # Two sources: the combinations are the sources themselves, both with an error of one.
    assert combination_mse((small, large), zeros).item() == pytest.approx(0.5)


def test_sources_are_summed_not_concatenated():
    """Errors that cancel within a subset vanish there and stay in the single sources."""
    error = torch.tensor([[1.0, -1.0, 0.0]]).unsqueeze(-1)
    # {0}, {1}: 1 each; {2}: 0; {0,1}: 0; {0,2}, {1,2}: 1 each. Concatenation would give 8 / 9.
    assert combination_mse(error, torch.zeros_like(error)).item() == pytest.approx(4 / 6)


def test_a_complex_coefficient_counts_as_one_number():
    target = torch.zeros(1, 2, 1, dtype=torch.complex64)
    assert combination_mse(target + (3 + 4j), target).item() == pytest.approx(25.0)


def test_four_sources_have_fourteen_combinations():
    subsets = list(source_combinations(4))
    assert len(subsets) == len(set(subsets)) == 14
    assert {len(s) for s in subsets} == {1, 2, 3}


def test_mask_sum_is_zero_for_masks_that_sum_to_one():
    masks = tuple(block.softmax(1) for block in random_blocks(4, torch.float64, 0))
    assert mask_sum_mse(masks).item() == pytest.approx(0.0, abs=1e-30)
    assert mask_sum_mse([2 * m for m in masks]).item() == pytest.approx(1.0)


def test_loss_is_zero_at_the_target():
    targets = random_blocks(4, torch.complex64, 0)
    masks = tuple(torch.full(block.shape, 0.25) for block in targets)
    parts = XUMXLoss()(Estimate(targets, masks), targets)
    assert [part.item() for part in parts] == [0.0, 0.0, 0.0]


def test_loss_adds_its_weighted_parts():
    targets, estimates = random_blocks(4, torch.complex64, 0), random_blocks(4, torch.complex64, 1)
    masks = tuple(block.abs() for block in estimates)
    total, combination, mask_sum = XUMXLoss(mask_sum_weight=0.25)(
        Estimate(estimates, masks), targets
    )
    torch.testing.assert_close(combination, combination_mse(estimates, targets))
    torch.testing.assert_close(mask_sum, mask_sum_mse(masks))
    torch.testing.assert_close(total, combination + 0.25 * mask_sum)


def test_gradients_are_finite_at_silence():
    masks = tuple(torch.full((1, 4, 2, 3, 4, 5), 0.5, requires_grad=True) for _ in range(2))
    mix = torch.zeros(1, 1, 2, 3, 4, 5, dtype=torch.complex64)
    coefficients = tuple(mask * mix for mask in masks)
    targets = tuple(torch.zeros_like(block) for block in coefficients)
    XUMXLoss()(Estimate(coefficients, masks), targets).total.backward()
    assert all(mask.grad is not None and mask.grad.isfinite().all() for mask in masks)


def test_gradcheck():
    targets = random_blocks(3, torch.complex128, 1)[:1]
    estimates = random_blocks(3, torch.complex128, 0)[0][:1, :, :1, :2, :1, :2].clone()
    target = targets[0][:1, :, :1, :2, :1, :2]
    assert torch.autograd.gradcheck(
        lambda e: combination_mse(e, target), estimates.requires_grad_()
    )


def test_inputs_stay_unchanged():
    estimates, targets = random_blocks(4, torch.complex64, 0), random_blocks(4, torch.complex64, 1)
    combination_mse(estimates, targets)
    for block, fresh in zip(estimates, random_blocks(4, torch.complex64, 0), strict=True):
        assert torch.equal(block, fresh)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: combination_mse((), ()), "estimates must hold at least one block"),
        (lambda: combination_mse(torch.zeros(1, 2, 3), ()), "targets must hold at least one"),
        (lambda: combination_mse([torch.zeros(1, 2)] * 2, [torch.zeros(1, 2)]), "2, got 1"),
        (lambda: combination_mse(torch.zeros(1, 2, 3), torch.zeros(1, 2, 4)), r"\(1, 2, 4\)"),
        (lambda: combination_mse(torch.zeros(1, 1, 3), torch.zeros(1, 1, 3)), "2 sources, got 1"),
        (lambda: list(source_combinations(1)), "2 sources, got 1"),
        (lambda: mask_sum_mse([]), "masks must hold at least one block"),
        (lambda: XUMXLoss(mask_sum_weight=-1.0), "mask_sum_weight must not be negative, got -1.0"),
        (lambda: XUMXLoss(mask_sum_weight=float("nan")), "mask_sum_weight"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
