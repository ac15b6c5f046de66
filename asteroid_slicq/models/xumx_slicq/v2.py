"""The convolutional network of one block of xumx-sliCQ V2, for all targets at once.

Source: Hanssian, "Music demixing with the sliCQ transform" (arXiv:2112.05509) and its second
version: a denoising autoencoder of two convolutions and two transposed ones, whose outer kernels
are as long as a slice and hop by half of it.

The targets are groups of one convolution; only the first layer, whose input they share, is one
dense convolution. A kernel of M coefficients that hops by M/2 is a kernel of 2 over half-slices
of M/2 coefficients seen as channels, which turns 70 thin strided convolutions into matrix products.
Processors compute these convolutions, the transposed above all, up to twice as fast when the
channels are last in memory; the backward pass gains nothing by it. Where a kernel covers one bin,
as in all but three blocks, they multiply matrices faster still, once these are laid out.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from weakref import WeakKeyDictionary

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from asteroid_slicq.models.xumx_slicq.layers import (
    MaskNetwork,
    frequency_kernel,
    normalised,
    runs_channels_last,
)
from asteroid_slicq.models.xumx_slicq.matrices import (
    TIME_KERNEL,
    BlockMatrices,
    as_matrices,
    padding,
    with_norm,
)

LOOKAHEAD_SLICES = 2
"""Slices after a slice that the masks of a causal network wait for: the kernel, seen twice, makes
them 1.5 slices, to the first coefficient of the second."""


class BlockNetwork(MaskNetwork):
    """Convolutions that are as long as a slice and hop by half of it.

    Other arguments are those of :class:`MaskNetwork`.

    Args:
        hidden_channels: channels of the outer and the inner layer, for each target.
        causal: pad the first convolution on the left by M − 1 coefficients (realtime). The inner
            kernel still looks ahead: a mask depends on input up to 1.5 slices later, and on none
            after that.
    """

    def __init__(
        self,
        n_bins: int,
        n_coefficients: int,
        n_sources: int = 4,
        n_channels: int = 2,
        hidden_channels: tuple[int, int] = (50, 51),
        causal: bool = False,
    ) -> None:
        super().__init__(n_sources)
        self.n_channels, self.causal = n_channels, causal
        kernel = (frequency_kernel(n_bins), n_coefficients)
        outer, inner = (n_sources * n for n in hidden_channels)
        hop = (1, n_coefficients // 2)
        self.shift = nn.Parameter(torch.zeros(n_bins))
        self.scale = nn.Parameter(torch.ones(n_bins))
        self.encode_outer = nn.Conv2d(n_channels, outer, kernel, stride=hop, bias=False)
        self.encode_inner = nn.Conv2d(
            outer, inner, (kernel[0], TIME_KERNEL), groups=n_sources, bias=False
        )
        self.decode_inner = nn.ConvTranspose2d(
            inner, outer, (kernel[0], TIME_KERNEL), groups=n_sources, bias=False
        )
        self.decode_outer = nn.ConvTranspose2d(
            outer, n_sources * n_channels, kernel, stride=hop, groups=n_sources
        )
        self.norm_encode_outer = nn.BatchNorm2d(outer)
        self.norm_encode_inner = nn.BatchNorm2d(inner)
        self.norm_decode_inner = nn.BatchNorm2d(outer)

    def runs_as_matrices(self, device: torch.device) -> bool:
        """True where products of matrices are the same as the convolutions, and faster."""
        one_bin = self.encode_outer.kernel_size[0] == 1
        return one_bin and device.type == "cpu" and not any(m.training for m in self.modules())

    @torch.no_grad()
    def to_matrices(self) -> BlockMatrices:
        """The network in evaluation mode with its weights of now, laid out for inference."""
        kernel, width = cast(tuple[int, int], self.encode_outer.kernel_size)
        j = self.n_sources
        # o channels of the result, i channels of what is seen, k bins and n frames of a window
        first, bias = with_norm(self.encode_outer.weight, self.norm_encode_outer)
        # A transposed convolution is a convolution whose kernel is turned round.
        third = rearrange(self.decode_inner.weight, "(j i) o k n -> (j o) i k n", j=j).flip(2, 3)
        last = rearrange(self.decode_outer.weight, "(j i) c k (n h) -> (j c h) i k n", j=j, n=2)
        last_bias = cast(Tensor, self.decode_outer.bias).repeat_interleave(width // 2)
        return BlockMatrices(
            shift=self.shift[:, None, None].clone(),
            scale=self.scale[:, None, None].clone(),
            encode_outer=as_matrices(rearrange(first, "o c k t -> o (c t) k 1"), bias, 1),
            encode_inner=as_matrices(
                *with_norm(self.encode_inner.weight, self.norm_encode_inner), j
            ),
            decode_inner=as_matrices(*with_norm(third, self.norm_decode_inner), j),
            decode_outer=as_matrices(last.flip(2, 3), last_bias, j),
            n_sources=j,
            n_channels=self.n_channels,
            kernel=kernel,
            width=width,
            causal=self.causal,
        )

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Masks of all targets, see :class:`MaskNetwork` for the shapes."""
        matrices = None if torch.compiler.is_compiling() else _laid_out.matrices.get(self)
        if (
            matrices is not None
            and self.runs_as_matrices(magnitudes.device)
            and not (
                torch.is_grad_enabled()
                and any(x.requires_grad for x in (magnitudes, *self.parameters()))
            )
        ):
            return matrices.masks(magnitudes)
        # b batch, j source, c channel, f freq, s slice, t time, n half-slices, h half of a slice
        n_slices, width = magnitudes.shape[-2:]
        half, last = width // 2, runs_channels_last(self, magnitudes)
        x = (magnitudes.to(self.shift.dtype) + self.shift[:, None, None]) * self.scale[
            :, None, None
        ]
        x = x.flatten(-2)
        zeros = padding(x.shape[-1], width, self.causal)
        x = F.pad(x, zeros) if any(zeros) else x
        # A causal frame starts one coefficient late; what no frame reaches is left out.
        x = x[..., : x.shape[-1] // half * half]
        x = _as_channels(x.unflatten(-1, (-1, half)), last)
        weight = _as_channels(self.encode_outer.weight.unflatten(-1, (2, half)), last)
        x = normalised(self.encode_outer, self.norm_encode_outer, x, weight)
        x = normalised(self.encode_inner, self.norm_encode_inner, x)
        x = normalised(self.decode_inner, self.norm_decode_inner, x)
        # torch.compile (2.14) computes transposed groups wrongly from weights with channels last.
        last = last and not torch.compiler.is_compiling()
        weight = _as_channels(self.decode_outer.weight.unflatten(-1, (2, half)), last)
        bias = cast(Tensor, self.decode_outer.bias).repeat_interleave(half)
        x = F.conv_transpose2d(x, weight, bias, groups=self.n_sources)[..., : 2 * n_slices]
        channels = {"j": self.n_sources, "c": self.n_channels}
        x = rearrange(x, "b (j c h) f (s n) -> b j c f s (n h)", n=2, **channels)
        return x.sigmoid_().to(magnitudes.dtype)


class _LaidOut(threading.local):
    """Weights laid out while :func:`fixed_weights` holds: of a thread, not of the network."""

    def __init__(self) -> None:
        self.matrices: WeakKeyDictionary[BlockNetwork, BlockMatrices] = WeakKeyDictionary()


_laid_out = _LaidOut()


@contextmanager
def fixed_weights(model: nn.Module) -> Iterator[None]:
    """Lay out the weights of the networks in a model once, for all calls of this thread inside.

    They must not change there. It takes as much memory as the weights once more. The model itself
    is not changed.
    """
    known = _laid_out.matrices
    networks = [
        network
        for network in model.modules()
        if isinstance(network, BlockNetwork)
        and network not in known
        and network.runs_as_matrices(network.shift.device)
    ]
    try:
        for network in networks:
            known[network] = network.to_matrices()
        yield
    finally:
        for network in networks:
            known.pop(network, None)


def _as_channels(x: Tensor, channels_last: bool) -> Tensor:
    """Half-slices of coefficients as channels: ``(b, c, f, n, h)`` → ``(b, c·h, f, n)``.

    Of a weight ``(o, c, k, M)`` in halves, that is a kernel of 2 over such channels.
    """
    if channels_last:
        return x.permute(0, 2, 3, 1, 4).flatten(-2).movedim(-1, 1)
    return x.permute(0, 1, 4, 2, 3).flatten(1, 2)
