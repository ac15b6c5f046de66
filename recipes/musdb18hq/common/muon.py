"""Muon: steps along matrices that are made orthogonal; Adam for all that is no matrix.

Sources: Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), for the
steps and the polynomial; Liu et al., "Muon is scalable for LLM training" (arXiv:2502.16982), for
their size. PyTorch's own takes matrices alone, one by one, so no model with biases, norms, batches
of matrices or convolutions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from asteroid.engine import optimizers
from torch import Tensor, nn

_POLYNOMIAL = 3.4445, -4.7750, 2.0315  # of x, x³ and x⁵: singular values to about one in few steps
_N_STEPS = 5
_ROOT_MEAN_SQUARE = 0.2  # of a step, at a learning rate of one: about that of Adam
_EPS = 1e-7


class Muon(torch.optim.Optimizer):
    """Muon for matrices, and Adam at the same learning rate for other parameters.

    A parameter of two dimensions is a matrix; of three, a batch of matrices, such as the maps of
    all bands; of four or more a convolution, whose kernels are the rows, those of all groups in one
    matrix. A convolution along one axis is taken for a batch. Those with a single row or
    column are no matrices, nor are biases and norms. In short trainings 0.03 served where Adam had
    0.002 to 0.004 (recipes/comparison/README.md).

    Args:
        params: parameters, or groups of them.
        lr: learning rate; a tensor may change it.
        momentum: of matrices, by Nesterov.
        betas: of Adam.
        eps: of Adam.
        weight_decay: decoupled, as of AdamW.

    Raises:
        ValueError: when a value lies outside its range.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float | Tensor = 0.01,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        for name, value in {"lr": lr, "eps": eps, "weight_decay": weight_decay}.items():
            if not value >= 0:
                raise ValueError(f"{name} must be at least 0, got {value}")
        for name, value in {"momentum": momentum, "betas": betas[0], "betas[1]": betas[1]}.items():
            if not 0 <= value < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {value}")
        defaults = {"lr": lr, "momentum": momentum, "betas": tuple(betas), "eps": eps}
        super().__init__(params, {**defaults, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take a step, see :class:`torch.optim.Optimizer`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if group["weight_decay"]:
                for p in parameters:
                    p.mul_(1 - group["lr"] * group["weight_decay"])
            self._step_matrices([p for p in parameters if is_matrix(p)], group)
            for p in parameters:
                if not is_matrix(p):
                    self._step_other(p, group)
        return loss

    def _step_matrices(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        alike: dict[tuple[Any, ...], list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
        for p in parameters:
            state, momentum, gradient = self.state[p], group["momentum"], p.grad
            assert gradient is not None
            if not state:
                state["mean"] = torch.zeros_like(p)
            state["mean"].lerp_(gradient, 1 - momentum)
            ahead = as_matrices(gradient.lerp(state["mean"], momentum))
            alike[(*ahead.shape[-2:], p.dtype, p.device)].append((p, ahead))
        for same in alike.values():  # all of one size in one go
            steps = orthogonalised(torch.cat([ahead for _, ahead in same]))
            size = _ROOT_MEAN_SQUARE * max(steps.shape[-2:]) ** 0.5
            for (p, _), step in zip(same, steps.split([len(a) for _, a in same]), strict=True):
                p.sub_(group["lr"] * size * step.view_as(p))

    def _step_other(self, p: nn.Parameter, group: dict[str, Any]) -> None:
        state, (decay, decay_square) = self.state[p], group["betas"]
        gradient = p.grad
        assert gradient is not None
        if not state:
            state["n_steps"] = torch.zeros((), device=p.device)
            state |= {"mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
        state["n_steps"] += 1
        state["mean"].lerp_(gradient, 1 - decay)
        state["square"].lerp_(gradient.square(), 1 - decay_square)
        mean = state["mean"] / (1 - decay ** state["n_steps"])
        square = state["square"] / (1 - decay_square ** state["n_steps"])
        p.sub_(group["lr"] * mean / (square.sqrt() + group["eps"]))


def is_matrix(parameter: Tensor) -> bool:
    """Whether it is one or more matrices, of more than a row and a column each."""
    return parameter.ndim >= 2 and min(as_matrices(parameter).shape[-2:]) > 1


def as_matrices(parameter: Tensor) -> Tensor:
    """A parameter as a batch of matrices, see :class:`Muon`.

    Shape:
        - parameter: ``(row, column)``, ``(batch, row, column)`` or ``(row, …)``
        - output: ``(batch, row, column)``
    """
    if parameter.ndim == 3:
        return parameter
    return parameter.flatten(1)[None]


def orthogonalised(matrices: Tensor) -> Tensor:
    """Nearly orthogonal matrices of the same singular vectors: most singular values in 0.7 … 1.2.

    Shape:
        - matrices, output: ``(batch, row, column)``
    """
    a, b, c = _POLYNOMIAL
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if is_tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + _EPS)
    for _ in range(_N_STEPS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if is_tall else x


if not hasattr(optimizers, Muon.__name__):
    optimizers.register_optimizer(Muon)
