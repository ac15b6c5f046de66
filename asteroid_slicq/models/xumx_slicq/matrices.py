"""The network of a block of xumx-sliCQ V2 as four products of matrices, laid out for inference.

A convolution is the product of its windows over frames and bins with one matrix for each source.
Where a kernel covers a single bin, as in nearly all blocks, the windows are few times larger than
what they look at, and a processor multiplies matrices faster than it convolves. The weights, 60 MB
in all blocks, are joined with the batch norms and laid out once for many calls.

Source: Hanssian, "Music demixing with the sliCQ transform" (arXiv:2112.05509), for the network,
which is defined in :mod:`asteroid_slicq.models.xumx_slicq.v2` and lays out its own weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

TIME_KERNEL = 4
"""Frames of half a slice seen by the two inner convolutions."""

Layer = tuple[Tensor, Tensor]
"""Weight ``(source, frames · bins · channels of a window, output channels)`` and bias ``(source, 1,
output channels)``, with a source of 1 for the first layer, which all share."""


@dataclass
class BlockMatrices:
    """A ``BlockNetwork`` in evaluation mode, with the weights that it had.

    Args:
        shift, scale: of each bin, ``(freq, 1, 1)``.
        encode_outer, encode_inner, decode_inner, decode_outer: the layers.
        n_sources, n_channels: targets and audio channels.
        kernel: bins of a window.
        width: coefficients of a slice, M.
        causal: see the network.
    """

    shift: Tensor
    scale: Tensor
    encode_outer: Layer
    encode_inner: Layer
    decode_inner: Layer
    decode_outer: Layer
    n_sources: int
    n_channels: int
    kernel: int
    width: int
    causal: bool

    @property
    def half(self) -> int:
        """Coefficients of half a slice."""
        return self.width // 2

    def normalised(self, magnitudes: Tensor) -> Tensor:
        """Shifted and scaled, slices end to end: ``(..., slice, time)`` → ``(..., time)``."""
        x = (magnitudes.to(self.shift.dtype) + self.shift).mul_(self.scale)
        return x.flatten(-2)

    def encode_frames(self, x: Tensor) -> Tensor:
        """The first layer, on windows of M coefficients that hop by half of it.

        Shape:
            - x: ``(b, c, f, time)``; output: ``(source, b, n, f − kernel + 1, o)``
        """
        x = x.unfold(-1, self.width, self.half)
        x = layer(rearrange(x, "b c f n t -> 1 b n f (c t)"), self.encode_outer, 1, self.kernel)
        return rearrange(x.relu_(), "1 b n f (j o) -> j b n f o", j=self.n_sources)

    def masks(self, magnitudes: Tensor) -> Tensor:
        """Masks of a whole input, for a network whose kernel covers one bin.

        Shape:
            - magnitudes: ``(batch, channel, freq, slice, time)``
            - output: ``(batch, source, channel, freq, slice, time)``
        """
        batch, _, _, n_slices, width = magnitudes.shape
        x = self.normalised(magnitudes)
        zeros = padding(x.shape[-1], width, self.causal)
        x = self.encode_frames(F.pad(x, zeros) if any(zeros) else x)
        x = rearrange(x, "j b n f o -> j (b f) n 1 o")  # bins do not look at each other
        x = layer(x, self.encode_inner, 4, 1).relu_()
        x = layer(F.pad(x, (0, 0, 0, 0, 3, 3)), self.decode_inner, 4, 1).relu_()
        x = layer(F.pad(x, (0, 0, 0, 0, 1, 1)), self.decode_outer, 2, 1)
        x = x[:, :, : 2 * n_slices].unflatten(-1, (self.n_channels, self.half))
        x = rearrange(x, "j (b f) (s n) 1 c h -> b j c f s n h", b=batch, n=2)
        return x.contiguous().sigmoid_().flatten(-2).to(magnitudes.dtype)


def padding(n_coefficients: int, width: int, causal: bool) -> tuple[int, int]:
    """Zeros before and after: the inner kernel needs its 4 frames in a short input too."""
    before = width - 1 if causal else 0
    n_frames = (n_coefficients + before) // (width // 2) - 1
    return before, max(0, TIME_KERNEL - n_frames) * (width // 2)


def layer(x: Tensor, weight_and_bias: Layer, n_frames: int, n_bins: int) -> Tensor:
    """A convolution as a product of its windows with a matrix, for each source.

    Shape:
        - x: ``(source, batch, n, freq, i)``
        - output: ``(source, batch, n − n_frames + 1, freq − n_bins + 1, o)``, or with n of 0
    """
    weight, bias = weight_and_bias
    if x.shape[2] < n_frames:
        freq = x.shape[3] - n_bins + 1
        return x.new_zeros(*x.shape[:2], 0, freq, weight.shape[-1])
    windows = x.unfold(2, n_frames, 1).unfold(3, n_bins, 1)
    shape = windows.shape[:4]
    windows = rearrange(windows, "j b n f i u v -> j (b n f) (u v i)")
    return torch.baddbmm(bias, windows, weight).view(*shape, -1)


def with_norm(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Kernel and bias of a convolution and the batch norm behind it, ``(o, …)`` and ``(o,)``."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    factor = norm.weight / (variance + norm.eps).sqrt()
    return weight * factor[:, None, None, None], norm.bias - factor * mean


def as_matrices(weight: Tensor, bias: Tensor, n_sources: int) -> Layer:
    """A convolution of ``n_sources`` groups, laid out as :func:`layer` reads it.

    Shape:
        - weight: ``(source · o, i, n_bins, n_frames)``; bias: ``(source · o,)``
    """
    weight = rearrange(weight, "(j o) i k n -> j (n k i) o", j=n_sources)
    weight = weight.clone(memory_format=torch.contiguous_format)
    return weight, rearrange(bias, "(j o) -> j 1 o", j=n_sources)
