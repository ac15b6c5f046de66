"""Losses between the sums of subsets of sources, of any tensors.

Which subsets is told by ``subsets``: ``"all"`` of 1 to ``J - 1`` sources, each ``"single"`` source
by itself, or any collection of tuples of source numbers, such as ``[(0,), (1,), (0, 1)]``. The loss
is always the mean over them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from asteroid_slicq.losses.absolute import MeanAbsoluteSums, membership
from asteroid_slicq.transform import check_integer, check_number

Blocks = Tensor | Sequence[Tensor]
Subsets = Literal["all", "single"] | str | Iterable[Sequence[int]]


def check_weight(name: str, value: Any) -> float:
    """The weight of a term of a loss.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is negative or not finite.
    """
    weight = check_number(name, value)
    if not 0 <= weight < math.inf:
        raise ValueError(f"{name} must not be negative, infinite or NaN, got {weight}")
    return weight


def source_combinations(n_sources: int) -> Iterator[tuple[int, ...]]:
    """All subsets of 1 to ``n_sources - 1`` sources, small ones first.

    Args:
        n_sources: number of sources, at least 2.

    Raises:
        ValueError: with fewer than two sources, where no such subset exists.

    >>> list(source_combinations(3))
    [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    """
    if n_sources < 2:
        raise ValueError(f"combinations need at least 2 sources, got {n_sources}")
    for size in range(1, n_sources):
        yield from combinations(range(n_sources), size)


def resolve_subsets(subsets: Subsets, n_sources: int) -> list[tuple[int, ...]]:
    """The subsets of sources that ``subsets`` names; a ``ValueError`` where it names none.

    >>> resolve_subsets("single", 3)
    [(0,), (1,), (2,)]
    """
    if isinstance(subsets, str):
        if subsets == "all":
            return list(source_combinations(n_sources))
        if subsets == "single":
            return [(j,) for j in range(n_sources)]
        raise ValueError(f"subsets must be 'all', 'single' or tuples of sources, got {subsets!r}")
    chosen = [tuple(check_integer("subsets", j) for j in subset) for subset in subsets]
    if not chosen:
        raise ValueError("subsets must hold at least one subset of sources, got none")
    for subset in chosen:
        known = all(0 <= j < n_sources for j in subset)
        if not subset or not known or len(set(subset)) != len(subset):
            raise ValueError(
                f"subsets must hold distinct sources of 0 … {n_sources - 1}, at least one, "
                f"got {subset}"
            )
    return chosen


def kept_subsets(subsets: Subsets) -> str | list[tuple[int, ...]]:
    """A name, or a list of tuples: ``subsets`` may be an iterator, which runs once."""
    return subsets if isinstance(subsets, str) else [tuple(subset) for subset in subsets]


def subset_sums(
    x: Tensor, subsets: Sequence[tuple[int, ...]], sources_dim: int
) -> Iterator[Tensor]:
    """The sum over each subset of sources, one addition for most of them."""
    sums: dict[tuple[int, ...], Tensor] = {
        (j,): source for j, source in enumerate(x.unbind(sources_dim))
    }
    for subset in subsets:
        for size in range(2, len(subset) + 1):
            part = subset[:size]
            if part not in sums:
                sums[part] = sums[part[:-1]] + sums[part[-1:]]
        yield sums[subset]


def combination_loss(
    loss: Callable[[Tensor, Tensor], Tensor],
    estimates: Tensor,
    targets: Tensor,
    sources_dim: int = 1,
    subsets: Subsets = "all",
) -> Tensor:
    """Mean over combinations of any loss between the summed estimates and the summed targets.

    It calls ``loss`` once for each combination (14 times for four sources). The other functions
    here give the same number from fewer passes over the data.

    Args:
        loss: a function of an estimate and a target, both without the sources' dimension, which
            returns a scalar; for instance ``auraloss.time.SISDRLoss()``.
        estimates: any tensor with a dimension of sources.
        targets: of the same shape.
        sources_dim: that dimension.
        subsets: see the module.

    Raises:
        ValueError: if the shapes differ, there are fewer than two sources, or by ``subsets``.
    """
    check_same_shape(estimates, targets)
    chosen = resolve_subsets(subsets, estimates.shape[sources_dim])
    sums = (subset_sums(x, chosen, sources_dim) for x in (estimates, targets))
    return torch.stack([loss(e, t) for e, t in zip(*sums, strict=True)]).mean()


def combination_mse(
    estimates: Blocks,
    targets: Blocks,
    sources_dim: int = 1,
    block_weights: Sequence[float] | None = None,
    subsets: Subsets = "all",
) -> Tensor:
    r"""Mean squared error over combinations of sources, for all of them in closed form.

    The error of complex coefficients is the mean of the squared modulus, ``|e|^2``: a complex
    coefficient counts as one number, not as two. Of blocks, each is averaged by itself and then
    all of them with equal weight, so a block of few coefficients counts as much as a large one.

    Args:
        estimates: a tensor with a dimension of sources, real or complex, or a sequence of such
            blocks, which may have different shapes.
        targets: like ``estimates``, with the same shapes.
        sources_dim: the dimension of the sources.
        block_weights: a factor for the error of each block; ``None`` for ones.
        subsets: see the module.

    Shape:
        - estimates, targets: ``(batch, source, ...)`` each block, for the default dimension
        - output: a real scalar

    Raises:
        ValueError: if the shapes or numbers of blocks or weights differ, there is no block, there
            are fewer than two sources, or by ``subsets``.
    """
    kept = kept_subsets(subsets)

    def block_mse(estimate: Tensor, target: Tensor) -> Tensor:
        if kept == "all":
            return _all_combinations_mse(estimate, target, sources_dim)
        return combination_loss(_mean_squared_error, estimate, target, sources_dim, kept)

    return _over_blocks(block_mse, estimates, targets, block_weights)


def combination_magnitude_mse(
    estimates: Blocks,
    targets: Blocks,
    sources_dim: int = 1,
    block_weights: Sequence[float] | None = None,
    subsets: Subsets = "all",
) -> Tensor:
    """Mean squared error of summed magnitudes over combinations of sources: that of X-UMX.

    The magnitudes of the sources of a subset are summed, ``sum_j |e_j|``, as X-UMX does, whose
    estimates are masked magnitudes of the mix; it is not the magnitude of the sum, ``|sum_j e_j|``.
    The gradient is zero where an estimate is. Arguments, shapes and errors are those of
    :func:`combination_mse`.
    """
    kept = kept_subsets(subsets)

    def block_mse(estimate: Tensor, target: Tensor) -> Tensor:
        pair = estimate.abs(), target.abs()
        return combination_mse(*pair, sources_dim, subsets=kept)

    return _over_blocks(block_mse, estimates, targets, block_weights)


def combination_l1(
    estimates: Blocks,
    targets: Blocks,
    sources_dim: int = 1,
    block_weights: Sequence[float] | None = None,
    subsets: Subsets = "all",
) -> Tensor:
    """Mean absolute error over combinations of sources, of real or complex numbers.

    Of a complex error it is the modulus, which, unlike the sum of the absolute real and imaginary
    part, does not depend on the origin of the phase. Blocks count equally. There is no gradient of
    the gradient. Arguments, shapes and errors are those of :func:`combination_mse`.
    """
    kept = kept_subsets(subsets)

    def block_l1(estimate: Tensor, target: Tensor) -> Tensor:
        n_sources = estimate.shape[sources_dim]
        given = torch.promote_types(estimate.dtype, target.dtype)
        dtype = torch.promote_types(given, torch.float32)  # many numbers are added up
        estimate, target = estimate.to(dtype), target.to(dtype)
        members = membership(resolve_subsets(kept, n_sources), n_sources, estimate)
        # source, batch, everything else; without a copy where sources are the second dimension
        moved = (x.movedim(sources_dim, 0) for x in (estimate, target))
        flat = (x.reshape(n_sources, x.shape[1:2].numel(), x.shape[2:].numel()) for x in moved)
        return cast(Tensor, MeanAbsoluteSums.apply(*flat, members)).to(given.to_real())

    return _over_blocks(block_l1, estimates, targets, block_weights)


def as_blocks(value: Blocks, name: str) -> list[Tensor]:
    """Blocks as a list, of one tensor a list of one; none is a ``ValueError``."""
    blocks = [value] if isinstance(value, Tensor) else list(value)
    if len(blocks) == 0:
        raise ValueError(f"{name} must hold at least one block, got none")
    return blocks


def check_same_shape(estimates: Tensor, targets: Tensor) -> None:
    """Refuse what would be broadcast."""
    if estimates.shape != targets.shape:
        raise ValueError(
            f"targets must have the shape of the estimates, {tuple(estimates.shape)}, "
            f"got {tuple(targets.shape)}"
        )


def _over_blocks(
    loss: Callable[[Tensor, Tensor], Tensor],
    estimates: Blocks,
    targets: Blocks,
    block_weights: Sequence[float] | None,
) -> Tensor:
    """Mean over blocks of a loss, each times its weight."""
    estimates, targets = as_blocks(estimates, "estimates"), as_blocks(targets, "targets")
    if len(estimates) != len(targets):
        raise ValueError(
            f"targets must have as many blocks as estimates, {len(estimates)}, got {len(targets)}"
        )
    for estimate, target in zip(estimates, targets, strict=True):
        check_same_shape(estimate, target)
    losses = [loss(e, t) for e, t in zip(estimates, targets, strict=True)]
    if block_weights is not None:
        block_weights = list(block_weights)
        if len(block_weights) != len(losses):
            raise ValueError(
                f"block_weights must be one for each of {len(losses)} blocks, "
                f"got {len(block_weights)}"
            )
        losses = [weight * loss for weight, loss in zip(block_weights, losses, strict=True)]
    return torch.stack(losses).mean()


def _all_combinations_mse(estimate: Tensor, target: Tensor, sources_dim: int) -> Tensor:
    # With the error e_j of source j, the sum over all subsets S is a quadratic form:
    #     sum_S |sum_{j in S} e_j|^2 = sum_{i,k} n_ik Re(e_i conj(e_k)),
    # n_ik the number of subsets that hold both i and k. Of the subsets of J sources, 2^(J-1) hold
    # i and 2^(J-2) hold i and k; one of them, the full set, is no combination. So
    # n_ii = 2^(J-1) - 1 and n_ik = 2^(J-2) - 1 elsewhere, and as the sum of all Re(e_i conj(e_k))
    # is |sum_j e_j|^2,
    #     sum_S |...|^2 = (n_ii - n_ik) sum_j |e_j|^2 + n_ik |sum_j e_j|^2
    #                   =    2^(J-2)    sum_j |e_j|^2 + (2^(J-2) - 1) |sum_j e_j|^2.
    # There are 2^J - 2 combinations to average over.
    n_sources = estimate.shape[sources_dim]
    n_combinations = len(resolve_subsets("all", n_sources))
    weight = 2 ** (n_sources - 2)
    # `sum_j |e_j|^2`, averaged over all other dimensions, is `n_sources` times the full mean.
    total = weight * n_sources * _mean_squared_error(estimate, target)
    if n_sources > 2:
        total = total + (weight - 1) * _mean_squared_error(
            estimate.sum(sources_dim), target.sum(sources_dim)
        )
    return total / n_combinations


def _mean_squared_error(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean of the squared modulus of the difference; its gradient is finite everywhere."""
    if estimate.is_complex() or target.is_complex():
        dtype = torch.promote_types(estimate.dtype, target.dtype)
        estimate, target = estimate.to(dtype), target.to(dtype)
        # What is conjugated lazily has no view as real numbers.
        estimate, target = estimate.resolve_conj(), target.resolve_conj()
        return 2 * mse_loss(torch.view_as_real(estimate), torch.view_as_real(target))
    return mse_loss(estimate, target)
