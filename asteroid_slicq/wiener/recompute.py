"""Trading time for memory in the backward pass."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recomputed(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """``function(*inputs)``, which keeps nothing but its inputs for the backward pass.

    It is called again there, so it must not depend on anything random. Where no gradient is asked
    for, this is the call itself.

    >>> x = torch.ones(3, requires_grad=True)
    >>> torch.autograd.grad(recomputed(lambda x: x.exp().log().sum(), x), x)
    (tensor([1., 1., 1.]),)
    """
    if not needs_gradient(*inputs):
        return function(*inputs)
    out = checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
    assert isinstance(out, Tensor)
    return out


def needs_gradient(*inputs: Tensor) -> bool:
    """Whether a function of these tensors will have a gradient."""
    return torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
