"""What a separator is trained to minimise.

The losses of X-UMX (Sawata et al., "All for one and one for all", arXiv:2010.04228) for ragged
time-frequency coefficients. With ``J`` sources, a *combination* is a subset of 1 to ``J - 1`` of
them; estimates and targets are summed over the subset and compared. The ``2^J - 2`` combinations
tie the sources together: what one estimate leaves out, another one must hold.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

Blocks = Tensor | Sequence[Tensor]


class _Estimate(Protocol):
    """What the losses read of a model's estimate."""

    @property
    def coefficients(self) -> Sequence[Tensor]: ...

    @property
    def masks(self) -> Sequence[Tensor]: ...


def source_combinations(n_sources: int) -> Iterator[tuple[int, ...]]:
    """All subsets of 1 to ``n_sources - 1`` sources, small ones first.

    Args:
        n_sources: number of sources, at least 2.

    Raises:
        ValueError: with fewer than two sources, where no such subset exists.

    >>> list(source_combinations(3))
    [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    """
    _check_n_sources(n_sources)
    for size in range(1, n_sources):
        yield from combinations(range(n_sources), size)


def combination_loss(
    loss: Callable[[Tensor, Tensor], Tensor],
    estimates: Tensor,
    targets: Tensor,
    sources_dim: int = 1,
) -> Tensor:
    """Mean over all combinations of any loss between the summed estimates and summed targets.

    It calls ``loss`` once for each combination (14 times for four sources). For squared errors
    :func:`combination_mse` gives the same number from one pass.

    Args:
        loss: a function of an estimate and a target, both without the sources' dimension, which
            returns a scalar; for instance ``auraloss.time.SISDRLoss()``.
        estimates: any tensor with a dimension of sources.
        targets: of the same shape.
        sources_dim: that dimension.

    Raises:
        ValueError: if the shapes differ or there are fewer than two sources.
    """
    _check_same_shape(estimates, targets)
    values = []
    for subset in source_combinations(estimates.shape[sources_dim]):
        index = torch.tensor(subset, device=estimates.device)
        values.append(
            loss(
                estimates.index_select(sources_dim, index).sum(sources_dim),
                targets.index_select(sources_dim, index).sum(sources_dim),
            )
        )
    return torch.stack(values).mean()


def combination_mse(
    estimates: Blocks,
    targets: Blocks,
    sources_dim: int = 1,
    block_weights: Sequence[float] | None = None,
) -> Tensor:
    r"""Mean squared error over all combinations of sources, in closed form.

    The error of complex coefficients is the mean of the squared modulus, ``|e|^2``: a complex
    coefficient counts as one number, not as two. Of blocks, each is averaged by itself and then
    all of them with equal weight, so a block of few coefficients counts as much as a large one.

    Args:
        estimates: a tensor with a dimension of sources, real or complex, or a sequence of such
            blocks, which may have different shapes.
        targets: like ``estimates``, with the same shapes.
        sources_dim: the dimension of the sources.
        block_weights: a factor for the error of each block; ``None`` for ones.

    Shape:
        - estimates, targets: ``(batch, source, ...)`` each block, for the default dimension
        - output: a real scalar

    Raises:
        ValueError: if the shapes or numbers of blocks or weights differ, there is no block, or
            there are fewer than two sources.
    """
    estimates, targets = _paired_blocks(estimates, targets)
    losses = [_combination_mse(e, t, sources_dim) for e, t in zip(estimates, targets, strict=True)]
    if block_weights is not None:
        if len(block_weights) != len(losses):
            raise ValueError(
                f"block_weights must be one for each of {len(losses)} blocks, "
                f"got {len(block_weights)}"
            )
        losses = [weight * loss for weight, loss in zip(block_weights, losses, strict=True)]
    return torch.stack(losses).mean()


def _combination_mse(estimate: Tensor, target: Tensor, sources_dim: int) -> Tensor:
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
    _check_n_sources(n_sources)
    weight = 2 ** (n_sources - 2)
    # `sum_j |e_j|^2`, averaged over all other dimensions, is `n_sources` times the full mean.
    total = weight * n_sources * _mean_squared_error(estimate, target)
    if n_sources > 2:
        total = total + (weight - 1) * _mean_squared_error(
            estimate.sum(sources_dim), target.sum(sources_dim)
        )
    return total / (2**n_sources - 2)


def mask_sum_mse(masks: Blocks, sources_dim: int = 1) -> Tensor:
    """Mean squared distance of the sum of all sources' masks from one.

    Args:
        masks: a real tensor with a dimension of sources, or a sequence of such blocks. Blocks
            count with equal weight.
        sources_dim: the dimension of the sources.

    Shape:
        - masks: ``(batch, source, ...)`` each block, for the default dimension
        - output: a scalar

    Raises:
        ValueError: if there is no block.
    """
    blocks = _blocks(masks, "masks")
    return torch.stack([(m.sum(sources_dim) - 1).square().mean() for m in blocks]).mean()


class XUMXLossParts(NamedTuple):
    """The loss and the terms it is made of (before their weights), for logs."""

    total: Tensor
    combination: Tensor
    mask_sum: Tensor


class XUMXLoss(nn.Module):
    """The loss of xumx-sliCQ V2: squared errors over combinations, and masks that sum to one.

    ``total = combination_mse + mask_sum_weight * mask_sum_mse``.

    The energy of music falls steeply with frequency, and with it the first term of a block, but
    not the second. Weights of one over the mean power of the mix in each block make up for it.

    Args:
        mask_sum_weight: weight of the second term, at least 0.
        block_weights: a factor for the first term of each block; ``None`` for ones, as published.

    Raises:
        ValueError: if a weight is negative.
    """

    def __init__(self, mask_sum_weight: float = 1.0, block_weights: Sequence[float] | None = None):
        super().__init__()
        if block_weights is not None and not all(weight >= 0 for weight in block_weights):
            raise ValueError("block_weights must not be negative")
        self.block_weights = None if block_weights is None else list(block_weights)
        if not mask_sum_weight >= 0:
            raise ValueError(f"mask_sum_weight must not be negative, got {mask_sum_weight}")
        self.mask_sum_weight = mask_sum_weight

    def forward(self, estimate: _Estimate, targets: Sequence[Tensor]) -> XUMXLossParts:
        """Compare a model's estimate with the coefficients of the true sources.

        Args:
            estimate: what ``model.estimate(mix)`` returns: ``coefficients`` and ``masks``.
            targets: complex coefficients of the true sources, ``model.transform(sources)``.

        Shape:
            - targets: blocks of ``(batch, source, channel, freq, slice, time)``
            - output: scalars

        Raises:
            ValueError: if the blocks do not have the same shapes.
        """
        combination = combination_mse(
            estimate.coefficients, targets, block_weights=self.block_weights
        )
        mask_sum = mask_sum_mse(estimate.masks)
        return XUMXLossParts(combination + self.mask_sum_weight * mask_sum, combination, mask_sum)

    def extra_repr(self) -> str:
        """The weight, for ``repr``."""
        return f"mask_sum_weight={self.mask_sum_weight}"


def _mean_squared_error(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean of the squared modulus of the difference; its gradient is finite everywhere."""
    if estimate.is_complex():
        return 2 * mse_loss(torch.view_as_real(estimate), torch.view_as_real(target))
    return mse_loss(estimate, target)


def _blocks(value: Blocks, name: str) -> Sequence[Tensor]:
    blocks = (value,) if isinstance(value, Tensor) else value
    if len(blocks) == 0:
        raise ValueError(f"{name} must hold at least one block, got none")
    return blocks


def _paired_blocks(estimates: Blocks, targets: Blocks) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    estimates, targets = _blocks(estimates, "estimates"), _blocks(targets, "targets")
    if len(estimates) != len(targets):
        raise ValueError(
            f"targets must have as many blocks as estimates, {len(estimates)}, got {len(targets)}"
        )
    for estimate, target in zip(estimates, targets, strict=True):
        _check_same_shape(estimate, target)
    return estimates, targets


def _check_same_shape(estimates: Tensor, targets: Tensor) -> None:
    if estimates.shape != targets.shape:
        raise ValueError(
            f"targets must have the shape of the estimates, {tuple(estimates.shape)}, "
            f"got {tuple(targets.shape)}"
        )


def _check_n_sources(n_sources: int) -> None:
    if n_sources < 2:
        raise ValueError(f"combinations need at least 2 sources, got {n_sources}")
