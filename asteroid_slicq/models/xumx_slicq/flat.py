"""Coefficients of all blocks on one flat axis, for a device that runs many at once.

Block follows block, each in the order of its ``(freq, slice, time)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

Blocks = tuple[tuple[int, int], ...]
"""Bins, and coefficients in a slice, of each block."""


def joined(blocks: Sequence[Tensor]) -> Tensor:
    """Complex blocks on a flat axis. Shape: ``(…, freq, slice, time)`` each → ``(…, place)``."""
    leading = blocks[0].shape[:-3]
    parts = [torch.view_as_real(c.resolve_conj() if c.is_conj() else c) for c in blocks]
    parts = [
        part.view(*leading, -1) if part.is_contiguous() else part.reshape(*leading, -1)
        for part in parts
    ]
    return torch.view_as_complex(torch.cat(parts, -1).unflatten(-1, (-1, 2)))


def separated(flat: Tensor, blocks: Blocks) -> tuple[Tensor, ...]:
    """The blocks on a flat axis, as views. Shape: ``(…, place)`` → ``(…, freq, slice, time)``."""
    n_slices = flat.shape[-1] // sum(n * m for n, m in blocks)
    leading, sizes = flat.shape[:-1], [n * n_slices * m for n, m in blocks]
    parts = flat.split(sizes, -1)
    return tuple(
        part.view(*leading, n, n_slices, m) for part, (n, m) in zip(parts, blocks, strict=True)
    )


class Placed(torch.autograd.Function):
    """Masks on a flat axis, put together: ``apply(n, places, n_logits, *parts)``.

    The first parts are masks before their sigmoid, of which nothing but the masks is kept.

    Shape:
        - places: ``(m,)`` each, of the parts; those of n are not wanted. Where none is, masks are
          one.
        - parts: ``(…, m)`` each; output: ``(…, n)``
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(n: int, places: Sequence[Tensor], n_logits: int, *parts: Tensor) -> Tensor:
        """See the class."""
        room = parts[0].new_ones((*parts[0].shape[:-1], n + 1))
        for i, (place, part) in enumerate(zip(places, parts, strict=True)):
            room.index_copy_(-1, place, part.sigmoid() if i < n_logits else part)
        return room[..., :n]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """The gradient needs the masks."""
        ctx.n, ctx.places, ctx.n_logits, *_ = inputs
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        """What became of the parts."""
        (masks,) = ctx.saved_tensors
        slope = gradient * masks * (1 - masks) if ctx.n_logits else gradient
        wanted = [pad(slope, (0, 1)), pad(gradient, (0, 1))]
        gradients = [
            wanted[i >= ctx.n_logits].index_select(-1, place) for i, place in enumerate(ctx.places)
        ]
        return None, None, None, *gradients

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        """The same, forwards."""
        (masks,) = ctx.saved_tensors
        slopes = pad(masks * (1 - masks), (0, 1))
        parts = [
            part * slopes.index_select(-1, place) if i < ctx.n_logits else part
            for i, (place, part) in enumerate(zip(ctx.places, tangents[3:], strict=True))
        ]
        return Placed.apply(ctx.n, ctx.places, 0, *parts)  # type: ignore[return-value]
