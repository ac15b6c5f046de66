"""Mean absolute error of sums of sources, computed in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_CHUNK = 2**15  # numbers of a source at a time, so that their sums stay in the cache
_CHUNK_ELSEWHERE = 2**22


def membership(subsets: Sequence[tuple[int, ...]], n_sources: int, like: Tensor) -> Tensor:
    """Matrix of ones where a source is in a subset; times the sources, it is their sums.

    Shape:
        - output: ``(subset, source)``, of the dtype and device of ``like``, but real

    >>> membership([(0,), (0, 2)], 3, torch.zeros(()))
    tensor([[1., 0., 0.],
            [1., 0., 1.]])
    """
    return _membership(tuple(subsets), n_sources, like.real.dtype, like.device)


@cache
def _membership(
    subsets: tuple[tuple[int, ...], ...], n_sources: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    # Kept, since a CUDA graph may not copy from the processor's memory.
    rows = [[float(j in subset) for j in range(n_sources)] for subset in subsets]
    with torch.inference_mode(False):
        return torch.tensor(rows, dtype=dtype, device=device)


class MeanAbsoluteSums(torch.autograd.Function):
    """Mean modulus of the sums of errors that ``members`` tells.

    The sums are made once for the value and once more for the gradient: it is memory that costs
    time, and neither errors nor sums are ever in memory as a whole.

    Shape:
        - estimate, target: ``(source, group, sample)``, real or complex
        - members: ``(subset, source)``, see :func:`membership`
        - output: a real scalar
    """

    @staticmethod
    def forward(estimate: Tensor, target: Tensor, members: Tensor) -> Tensor:
        """The mean."""
        total = members.new_zeros(())
        with torch.autocast(estimate.device.type, enabled=False):
            for piece in _pieces(estimate):
                total += _moduli(_sums(members, estimate[piece] - target[piece])).sum()
        return total / (len(members) * estimate[0].numel())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """The gradient needs the inputs."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, Tensor | None, None]:
        """Sums of directions; that of a zero is zero."""
        with torch.autocast(grad_output.device.type, enabled=False):
            return MeanAbsoluteSums._gradients(ctx, grad_output)

    @staticmethod
    def _gradients(ctx: Any, grad_output: Tensor) -> tuple[Tensor, Tensor | None, None]:
        estimate, target, members = ctx.saved_tensors
        weights = members.T * (grad_output / (len(members) * estimate[0].numel()))
        gradient = torch.empty_like(estimate)
        smallest = torch.finfo(gradient.dtype).tiny ** 0.5  # whose square is not zero
        for piece in _pieces(estimate):
            sums = _sums(members, estimate[piece] - target[piece])
            if gradient.is_complex():
                sums /= _moduli(sums).clamp_(min=smallest).unsqueeze(1)
            else:
                sums.sign_()
            part = (weights @ sums.flatten(1)).view(len(estimate), *sums.shape[1:])
            if gradient.is_complex():
                part = torch.complex(*part.unbind(1))
            gradient[piece] = part.view(gradient[piece].shape)
        return gradient, -gradient if ctx.needs_input_grad[1] else None, None


def _pieces(x: Tensor) -> Iterator[tuple[slice, slice, slice]]:
    """Chunks of ``(source, group, sample)``."""
    n_groups, n_samples = x.shape[1:]
    chunk = _CHUNK if x.device.type == "cpu" else _CHUNK_ELSEWHERE
    groups, samples = max(1, chunk // max(1, n_samples)), min(chunk, max(1, n_samples))
    for g in range(0, n_groups, groups):
        for s in range(0, n_samples, samples):
            yield slice(None), slice(g, g + groups), slice(s, s + samples)


def _sums(members: Tensor, error: Tensor) -> Tensor:
    """Sums of the errors of each subset; real and imaginary parts are rows of their own.

    Shape:
        - output: ``(subset, number)`` or, of complex errors, ``(subset, 2, number)``
    """
    if not error.is_complex():
        return members @ error.flatten(1)
    rows = torch.stack([error.real.flatten(1), error.imag.flatten(1)], 1)
    return (members @ rows.flatten(1)).view(len(members), 2, -1)


def _moduli(sums: Tensor) -> Tensor:
    if sums.ndim == 2:
        return sums.abs()
    real, imaginary = sums.unbind(1)
    return torch.addcmul(real * real, imaginary, imaginary).sqrt_()
