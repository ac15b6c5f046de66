r"""The two linear maps under a transform, each the adjoint of the other up to its windows.

``analyse`` computes, for every slice s and bin k,

    c[s, k, m] = IDFT_{M_k} { X_s[p_k + j] · a_k[j] },     X_s = DFT_N { x_s · v },

and ``synthesise`` runs the same way back: DFT of every bin, windows, sum over bins into the half
spectrum, inverse real DFT, slicing window, overlap-add. With the analysis windows and the canonical
dual they are the transform and its inverse. With other windows they are each other's gradients:

    ⟨c, A x⟩ over (a_k, v)  =  ⟨A* c, x⟩,   A* = synthesis over (a_k · N / (2 M_k), v).

In the overlap-added layout A is followed by the sum of slices where they overlap, whose
adjoint cuts the stream into slices again; weights over the coefficients of a slice stand on both
sides alike. The NSGT is the case of one slice, of the whole signal, without v.

So the backward pass costs what a forward pass costs, and saves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asteroid_slicq.transform.layout import Layout, Windows
from asteroid_slicq.transform.slicing import Slicing, Unsliced


@dataclass(frozen=True)
class Maps:
    """Analysis and one pass of synthesis of a transform, as linear maps in one precision.

    They are the windows of either, and how a signal is cut.
    """

    slicing: Slicing
    analysis: Windows
    synthesis: Windows

    @property
    def layout(self) -> Layout:
        """Layout of the coefficients of a slice."""
        return self.slicing.layout

    def analyse(self, x: Tensor, n_slices: int) -> tuple[Tensor, ...]:
        """Coefficients of a signal, see :func:`analyse`."""
        return analyse(x, n_slices, self.slicing, self.analysis)

    def synthesise(self, blocks: Sequence[Tensor], length: int) -> Tensor:
        """Signal of coefficients, see :func:`synthesise`."""
        return synthesise(blocks, length, self.slicing, self.synthesis)

    def transposed(self) -> Maps:
        """The adjoint of the synthesis as analysis, and that of the analysis as synthesis."""
        return Maps(
            self.slicing,
            self.synthesis.adjoint_of_synthesis,
            self.analysis.adjoint_of_analysis,
        )


class _Analyse(torch.autograd.Function):
    @staticmethod
    def forward(x, n_slices, slicing, windows):
        return slicing.analyse(x, n_slices, windows)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.n_slices, ctx.slicing, ctx.windows = inputs
        ctx.length = x.shape[-1]

    @staticmethod
    def backward(ctx, *gradients):
        windows = ctx.windows.adjoint_of_analysis
        x = _Synthesise.apply(ctx.length, ctx.slicing, windows, *gradients)
        return x, None, None, None

    @staticmethod
    def jvp(ctx, x, *_):
        return _Analyse.apply(x, ctx.n_slices, ctx.slicing, ctx.windows)

    @staticmethod
    def vmap(info, in_dims, x, *rest):
        blocks = _Analyse.apply(x.movedim(in_dims[0], 0), *rest)
        return blocks, (0,) * len(blocks)


class _Synthesise(torch.autograd.Function):
    @staticmethod
    def forward(length, slicing, windows, *blocks):
        return slicing.synthesise(blocks, length, windows)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.length, ctx.slicing, ctx.windows, *blocks = inputs
        ctx.n_slices = ctx.slicing.n_slices(blocks)

    @staticmethod
    def backward(ctx, gradient):
        windows = ctx.windows.adjoint_of_synthesis
        blocks = _Analyse.apply(gradient, ctx.n_slices, ctx.slicing, windows)
        return None, None, None, *blocks

    @staticmethod
    def jvp(ctx, *tangents):
        return _Synthesise.apply(ctx.length, ctx.slicing, ctx.windows, *tangents[3:])

    @staticmethod
    def vmap(info, in_dims, length, slicing, windows, *blocks):
        blocks = [
            c.expand(info.batch_size, *c.shape) if dim is None else c.movedim(dim, 0)
            for c, dim in zip(blocks, in_dims[3:], strict=True)
        ]
        return _Synthesise.apply(length, slicing, windows, *blocks), 0


def analyse(
    x: Tensor, n_slices: int, slicing: Slicing | Unsliced, windows: Windows
) -> tuple[Tensor, ...]:
    """Coefficients of a signal, differentiable to any order, forwards too, and under ``vmap``.

    Shape:
        - x: ``(..., length)``, real
        - output: ``(..., freq, slice, time)`` complex, one a block; ``(..., freq, time)`` when
          overlap-added or unsliced
    """
    return _Analyse.apply(x, n_slices, slicing, windows)  # type: ignore[return-value]


def synthesise(
    blocks: Sequence[Tensor], length: int, slicing: Slicing | Unsliced, windows: Windows
) -> Tensor:
    """Signal of coefficients, differentiable to any order, forwards too, and under ``vmap``.

    Shape:
        - blocks: as ``analyse`` returns them
        - output: ``(..., length)``, real
    """
    return _Synthesise.apply(length, slicing, windows, *blocks)  # type: ignore[return-value]
