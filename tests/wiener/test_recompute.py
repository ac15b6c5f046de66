"""Recomputation: the same gradients, and nothing kept but the inputs."""

import torch
from torch import Tensor

from asteroid_slicq.wiener.recompute import needs_gradient, recomputed


def kept_bytes(function, *inputs: Tensor) -> int:
    """Memory of tensors that autograd keeps for the backward pass of a call."""
    sizes: list[int] = []

    def pack(x: Tensor) -> Tensor:
        sizes.append(x.numel() * x.element_size())
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        out = function(*inputs)
    assert out.requires_grad
    return sum(sizes)


def test_gradients_are_those_of_the_call():
    x, y = torch.rand(5, dtype=torch.float64), torch.rand(5, dtype=torch.float64)
    leaves = x.requires_grad_(), y.requires_grad_()

    def function(x: Tensor, y: Tensor) -> Tensor:
        return (x.exp() * y.sin()).sum()

    value = recomputed(function, x, y)
    assert value == function(x, y)
    ours = torch.autograd.grad(value, leaves)
    torch.testing.assert_close(ours, torch.autograd.grad(function(x, y), leaves))
    assert torch.autograd.gradcheck(lambda x, y: recomputed(function, x, y), leaves)


def test_what_is_in_between_is_not_kept():
    def function(x: Tensor) -> Tensor:
        for _ in range(10):
            x = x.sin().exp()
        return x

    x = torch.rand(1000, requires_grad=True)
    assert kept_bytes(function, x) >= 10 * 4000
    assert kept_bytes(lambda x: recomputed(function, x), x) == 4000


def test_it_is_called_again_only_for_a_gradient():
    calls = []

    def function(x: Tensor) -> Tensor:
        calls.append(x.requires_grad)
        return x.square().sum()

    x = torch.ones(3, requires_grad=True)
    recomputed(function, x).backward()
    assert len(calls) == 2
    with torch.no_grad():
        recomputed(function, x)
    recomputed(function, x.detach())
    assert len(calls) == 4


def test_needs_gradient():
    x = torch.ones(3, requires_grad=True)
    assert needs_gradient(torch.ones(3), x)
    assert not needs_gradient(x.detach())
    with torch.no_grad():
        assert not needs_gradient(x)
