"""Losses: zero at the target, equal to brute force, finite gradients at silence."""

from functools import partial
from itertools import combinations, product
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from asteroid_slicq.losses import (
    XUMX_LOSS_PRESETS,
    XUMXLoss,
    combination_l1,
    combination_loss,
    combination_magnitude_mse,
    combination_mse,
    combination_si_sdr,
    combination_weighted_sdr,
    mask_sum_mse,
    source_combinations,
)
from tests.helpers import with_slow

ONE = torch.ones(1, 2, 3, dtype=torch.complex64)


class Estimate(NamedTuple):
    coefficients: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]


def random_blocks(n_sources: int, dtype: torch.dtype, seed: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(2, n_sources, 2, 3, 4, 5), (2, n_sources, 2, 7, 4, 6), (2, n_sources, 1, 1, 4, 9)]
    return tuple(torch.randn(shape, dtype=dtype, generator=generator) for shape in shapes)


def all_subsets(n_sources: int) -> list[tuple[int, ...]]:
    return [s for size in range(1, n_sources) for s in combinations(range(n_sources), size)]


def brute_force(estimates, targets, subsets="all", kind="complex") -> Tensor:
    blocks = []
    for estimate, target in zip(estimates, targets, strict=True):
        if kind == "magnitude":
            estimate, target = estimate.abs(), target.abs()
        values = []
        for subset in all_subsets(estimate.shape[1]) if subsets == "all" else subsets:
            error = sum(estimate[:, j] for j in subset) - sum(target[:, j] for j in subset)
            values.append((error.abs() ** (1 if kind == "l1" else 2)).mean())
        blocks.append(sum(values) / len(values))
    return sum(blocks) / len(blocks)


LOSSES = {
    "complex": combination_mse,
    "magnitude": combination_magnitude_mse,
    "l1": combination_l1,
}


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("n_sources", [2, 3, 4, 5])
def test_value_and_gradient_equal_brute_force(n_sources, dtype, kind):
    targets = random_blocks(n_sources, dtype, 1)
    results = []
    for loss in (LOSSES[kind], lambda e, t: brute_force(e, t, kind=kind)):
        estimates = tuple(block.requires_grad_() for block in random_blocks(n_sources, dtype, 0))
        value = loss(estimates, targets)
        results.append((value, *torch.autograd.grad(value, estimates)))
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("subsets", [[(2,)], [(0, 1), (3,), (1, 2, 3)], [(0, 1, 2, 3)]])
def test_any_set_of_combinations(subsets, kind):
    targets, estimates = (random_blocks(4, torch.complex128, seed) for seed in (1, 0))
    torch.testing.assert_close(
        LOSSES[kind](estimates, targets, subsets=subsets),
        brute_force(estimates, targets, subsets, kind),
        rtol=1e-12,
        atol=0,
    )


@pytest.mark.parametrize("kind", LOSSES)
def test_single_sources_and_all_combinations_by_name(kind):
    pair = [random_blocks(3, torch.complex128, seed) for seed in (1, 0)]
    for name, subsets in (("single", [(0,), (1,), (2,)]), ("all", all_subsets(3))):
        by_name = LOSSES[kind](*pair, subsets=name)
        torch.testing.assert_close(by_name, LOSSES[kind](*pair, subsets=subsets))


@pytest.mark.parametrize("kind", LOSSES)
def test_combinations_are_zero_at_the_target(kind):
    targets = random_blocks(4, torch.complex64, 0)
    assert LOSSES[kind](targets, targets).item() == 0


def test_l1_of_more_numbers_than_are_taken_at_a_time():
    """Long rows are cut, short ones taken together; both in one scalar."""
    for shape in ((2, 3, 40000), (40000, 3, 2), (7, 3), (3,)):
        dim = 1 if len(shape) > 1 else 0
        estimate, target = (
            torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            for seed in (0, 1)
        )
        results = []
        for loss in (combination_l1, partial(combination_loss, torch.nn.functional.l1_loss)):
            leaf = estimate.clone().requires_grad_()
            value = loss(leaf, target, sources_dim=dim)
            results.append((value, *torch.autograd.grad(value, leaf)))
        torch.testing.assert_close(*results)


def test_magnitudes_are_summed_not_the_complex_numbers():
    estimate = torch.tensor([[1.0, -1.0, 0.0]], dtype=torch.complex64)
    target = torch.zeros_like(estimate)
    # {0}, {1}, {0,2}, {1,2}: 1 each; {2}: 0; {0,1}: (1 + 1)².
    assert combination_magnitude_mse(estimate, target).item() == pytest.approx(8 / 6)


def test_combination_mse_equals_the_general_loss():
    estimate, target = random_blocks(4, torch.float64, 0)[0], random_blocks(4, torch.float64, 1)[0]
    general = combination_loss(torch.nn.functional.mse_loss, estimate, target)
    torch.testing.assert_close(combination_mse(estimate, target), general)


@pytest.mark.parametrize("loss", LOSSES.values())
@pytest.mark.parametrize("sources_dim", [0, 2, -1])
def test_sources_may_be_any_dimension(sources_dim, loss):
    estimate, target = (
        random_blocks(4, torch.complex128, 0)[0],
        random_blocks(4, torch.complex128, 1)[0],
    )
    moved = [x.movedim(1, sources_dim) for x in (estimate, target)]
    torch.testing.assert_close(loss(*moved, sources_dim=sources_dim), loss(estimate, target))


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
    assert parts._fields == ("total", "combination", "mask_sum", "time")
    assert [part.item() for part in parts] == [0.0, 0.0, 0.0, 0.0]


def test_loss_adds_its_weighted_parts():
    targets, estimates = random_blocks(4, torch.complex64, 0), random_blocks(4, torch.complex64, 1)
    masks = tuple(block.abs() for block in estimates)
    total, combination, mask_sum, time = XUMXLoss(mask_sum_weight=0.25)(
        Estimate(estimates, masks), targets
    )
    torch.testing.assert_close(combination, combination_mse(estimates, targets))
    torch.testing.assert_close(mask_sum, mask_sum_mse(masks))
    torch.testing.assert_close(total, combination + 0.25 * mask_sum)
    assert time == 0


def random_waveforms(seed: int) -> Tensor:
    return torch.randn(2, 4, 2, 100, generator=torch.Generator().manual_seed(seed))


def test_published_losses():
    targets, estimates = random_blocks(4, torch.complex64, 0), random_blocks(4, torch.complex64, 1)
    estimate = Estimate(estimates, tuple(block.abs() for block in estimates))
    waveforms = random_waveforms(0), random_waveforms(1)
    v1, v2 = XUMXLoss.from_preset("v1"), XUMXLoss.from_preset("v2")
    assert (v1.needs_waveforms, v2.needs_waveforms) == (True, False)
    torch.testing.assert_close(
        v1(estimate, targets, *waveforms).total,
        0.1 * combination_si_sdr(*waveforms) + combination_magnitude_mse(estimates, targets),
    )
    torch.testing.assert_close(
        v2(estimate, targets).total,
        combination_mse(estimates, targets) + mask_sum_mse(estimate.masks),
    )
    assert XUMXLoss.from_preset("v1", time_weight=0.5).time_weight == 0.5
    assert set(XUMX_LOSS_PRESETS) == {"v1", "v2", "v2-sdr", "v2-haaqi"}


def test_every_part_and_every_combination_can_be_chosen():
    targets, estimates = random_blocks(4, torch.complex64, 0), random_blocks(4, torch.complex64, 1)
    estimate = Estimate(estimates, tuple(block.abs() for block in estimates))
    waveforms = random_waveforms(0), random_waveforms(1)
    loss = XUMXLoss(
        domain="complex-l1",
        block_weights=[4.0, 1.0, 0.25],
        subsets=[[0], [1, 2]],
        mask_sum_weight=0.0,
        time_loss="wsdr",
        time_weight=2.0,
    )
    subsets = [(0,), (1, 2)]
    parts = loss(estimate, targets, *waveforms)
    torch.testing.assert_close(
        parts.combination,
        combination_l1(estimates, targets, block_weights=[2.0, 1.0, 0.5], subsets=subsets),
    )
    torch.testing.assert_close(parts.time, combination_weighted_sdr(*waveforms, subsets=subsets))
    torch.testing.assert_close(parts.total, parts.combination + 2 * parts.time)
    assert "wsdr" in repr(loss)


@pytest.mark.parametrize(
    ("domain", "preset"),
    with_slow(
        product(["complex", "magnitude", "complex-l1"], XUMX_LOSS_PRESETS),
        *(("magnitude", "v2-haaqi"), ("complex-l1", "v2-haaqi")),
    ),
)
def test_gradients_are_finite_at_silence(domain, preset):
    masks = tuple(torch.full((1, 4, 2, 3, 4, 5), 0.5, requires_grad=True) for _ in range(2))
    mix = torch.zeros(1, 1, 2, 3, 4, 5, dtype=torch.complex64)
    coefficients = tuple(mask * mix for mask in masks)
    targets = tuple(torch.zeros_like(block) for block in coefficients)
    waveforms = torch.stack([mask.mean() * torch.zeros(1, 4, 2, 5000) for mask in masks]).sum(0)
    loss = XUMXLoss.from_preset(preset, domain=domain)
    total = loss(Estimate(coefficients, masks), targets, waveforms, 0 * waveforms.detach()).total
    assert total.isfinite()
    total.backward()
    assert all(mask.grad is not None and mask.grad.isfinite().all() for mask in masks)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_l1_keeps_its_precision_under_autocast(dtype):
    estimates, targets = (random_blocks(4, torch.complex64, seed)[0] for seed in (0, 1))
    estimates.requires_grad_()
    expected = combination_l1(estimates, targets)
    (gradient,) = torch.autograd.grad(expected, estimates)
    with torch.autocast("cpu", dtype):
        found = combination_l1(estimates, targets)
        torch.testing.assert_close(torch.autograd.grad(found, estimates)[0], gradient)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("loss", LOSSES.values())
def test_gradcheck(loss):
    targets = random_blocks(3, torch.complex128, 1)[:1]
    estimates = random_blocks(3, torch.complex128, 0)[0][:1, :, :1, :2, :1, :2].clone()
    target = targets[0][:1, :, :1, :2, :1, :2]
    assert torch.autograd.gradcheck(lambda e: loss(e, target), estimates.requires_grad_())


def test_inputs_stay_unchanged():
    estimates, targets = random_blocks(4, torch.complex64, 0), random_blocks(4, torch.complex64, 1)
    for loss in LOSSES.values():
        loss(tuple(block.requires_grad_() for block in estimates), targets).backward()
    for block, fresh in zip(estimates, random_blocks(4, torch.complex64, 0), strict=True):
        assert torch.equal(block, fresh)


def once(values):
    """An iterator, which runs once."""
    return (value for value in values)


@pytest.mark.parametrize("subsets", ["all", [(0,), (1, 2)]])
@pytest.mark.parametrize("kind", LOSSES)
def test_iterators_are_as_good_as_lists(kind, subsets):
    estimates, targets = (random_blocks(3, torch.float64, seed) for seed in (0, 1))
    weights = [2.0, 1.0, 0.5]
    expected = LOSSES[kind](estimates, targets, block_weights=weights, subsets=subsets)
    found = LOSSES[kind](
        once(estimates),
        once(targets),
        block_weights=once(weights),
        subsets=subsets if isinstance(subsets, str) else once(map(once, subsets)),
    )
    torch.testing.assert_close(found, expected)


def test_a_loss_keeps_what_iterators_gave():
    blocks = random_blocks(3, torch.float64, 0)
    estimate = Estimate(blocks, tuple(block.abs() for block in blocks))
    targets = tuple(block + 1 for block in blocks)
    subsets, weights = [(0,), (1, 2)], [2.0, 1.0, 0.5]
    loss = XUMXLoss(block_weights=once(weights), subsets=once(map(once, subsets)))
    expected = XUMXLoss(block_weights=weights, subsets=subsets)(estimate, targets)
    for _ in range(2):
        torch.testing.assert_close(loss(estimate, targets).total, expected.total)
    torch.testing.assert_close(
        mask_sum_mse(once(estimate.masks)), mask_sum_mse(list(estimate.masks))
    )


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
        (
            lambda: XUMXLoss(mask_sum_weight=-1.0),
            "mask_sum_weight must not be .* got -1.0",
        ),
        (lambda: XUMXLoss(mask_sum_weight=float("nan")), "mask_sum_weight"),
        (lambda: XUMXLoss(time_weight=-2.0), "time_weight must not be negative, .* got -2.0"),
        (lambda: XUMXLoss(block_weights=[1.0, -1.0]), "block_weights"),
        (lambda: XUMXLoss(block_weights=iter([1.0, -1.0])), "block_weights"),
        (lambda: XUMXLoss(time_weight=float("inf")), "time_weight must not be .* got inf"),
        (lambda: XUMXLoss(domain="phase"), "domain must be one of complex, magnitude, .*'phase'"),
        (lambda: XUMXLoss(time_loss="sir"), "time_loss must be one of none, si-sdr, .*'sir'"),
        (lambda: XUMXLoss(subsets="some"), "subsets must be 'all', 'single' or .*'some'"),
        (lambda: XUMXLoss(subsets=[]), "subsets must hold at least one subset"),
        (
            lambda: XUMXLoss.from_preset("v3"),
            "name must be one of v1, v2, v2-sdr, .*'v3'",
        ),
        (
            lambda: XUMXLoss.from_preset("v1")(Estimate((ONE,), (ONE.abs(),)), (ONE,)),
            "waveforms and target_waveforms must be given",
        ),
        (lambda: combination_l1(ONE, ONE, subsets=[(0, 2)]), r"0 … 1, at least one, got \(0, 2\)"),
        (lambda: combination_l1(ONE, ONE, subsets=[(0, 0)]), r"distinct .* got \(0, 0\)"),
        (lambda: combination_mse(ONE, ONE, subsets=[()]), r"at least one, got \(\)"),
        (lambda: combination_mse(ONE, ONE, block_weights=[1.0, 2.0]), "1 blocks, got 2"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_l1_of_many_numbers_in_16_bits(dtype):
    estimates = torch.randn(1, 4, 2, 2**18, generator=torch.Generator().manual_seed(0)).to(dtype)
    targets = torch.zeros_like(estimates)
    found = combination_l1(estimates.requires_grad_(), targets)
    expected = combination_l1(estimates.double(), targets.double())
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=0.005, atol=0)
    mixed = combination_l1(estimates.float(), targets.double())
    torch.testing.assert_close(mixed, expected)
    assert torch.autograd.grad(found, estimates)[0].dtype == dtype


@pytest.mark.parametrize("loss", [combination_mse, combination_l1])
def test_real_and_complex_numbers_compare(loss):
    x, y = torch.randn(2, 2, 3, 20)
    as_complex = torch.complex(y, torch.zeros(()))
    torch.testing.assert_close(loss(x, as_complex), loss(x, y))
    torch.testing.assert_close(loss(as_complex, x), loss(y, x))


def test_functions_of_torch_func_pass():
    x, y = torch.randn(2, 2, 3, 20, dtype=torch.complex64)
    for loss in (combination_mse, combination_l1):
        estimate = x.clone().requires_grad_()
        expected = torch.autograd.grad(loss(estimate, y), estimate)[0]
        torch.testing.assert_close(torch.func.grad(loss)(x, y), expected)
