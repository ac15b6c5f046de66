"""The networks of a causal xumx-sliCQ V2, run on slices as they come, each layer once a slice.

Everything is counted in half-slices of h = M/2 coefficients. A frame n of the first layer sees the
M coefficients that end with the first one of half-slice n. The kernel of 4 of the second layer sees
frames n … n + 3, that of the third n − 3 … n of its output, and the last layer writes half-slice n
from n − 1 and n. So half-slice n waits for the first coefficient of half-slice n + 3, and a slice
for the slice after the next. Each layer keeps the few frames that the next half-slice will see
again; nothing is computed twice.

A few half-slices at a time are too little work for convolutions: every layer is one matrix product
of windows over frames and bins, with weights that are laid out, and joined with the batch norms,
once for a stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from asteroid_slicq.networks import LOOKAHEAD_SLICES, BlockNetwork, PassThrough

_MOST_SLICES = 16  # at a time, since windows take much more memory than what they look at


class NetworkStream:
    """Masks of all blocks, of magnitudes that come slice by slice.

    What ``push`` returns, joined along ``slice``, is what the networks make of all magnitudes at
    once, in evaluation mode, with the weights they have now. No gradient runs through it.

    Args:
        networks: one a block, each a causal ``BlockNetwork`` or a ``PassThrough``.
    """

    @torch.no_grad()
    def __init__(self, networks: Iterable[nn.Module]) -> None:
        self._blocks = [
            _PassThroughStream(network)
            if isinstance(network, PassThrough)
            else _BlockStream(cast(BlockNetwork, network))
            for network in networks
        ]

    @torch.no_grad()
    def push(self, magnitudes: Sequence[Tensor], last: bool = False) -> list[Tensor]:
        """Masks that are final by now: all but those of the last two slices, or all at the end.

        Args:
            magnitudes: of the next slices, one tensor a block.
            last: whether the stream ends with these.

        Shape:
            - magnitudes: ``(batch, channel, freq, slice, time)`` each, one slice or more
            - output: ``(batch, source, channel, freq, slice, time)`` each, with 0 or more slices
        """
        n_slices = magnitudes[0].shape[-2]
        parts = []
        for start in range(0, n_slices, _MOST_SLICES):
            stop = min(n_slices, start + _MOST_SLICES)
            ends = last and stop == n_slices
            parts.append(
                [
                    block.push(x[..., start:stop, :], ends)
                    for block, x in zip(self._blocks, magnitudes, strict=True)
                ]
            )
        if len(parts) == 1:
            return parts[0]
        return [torch.cat(masks, dim=-2) for masks in zip(*parts, strict=True)]


class _PassThroughStream:
    """Masks of one, as many and as late as those of the other blocks."""

    def __init__(self, network: PassThrough) -> None:
        self._network, self._n_waiting = network, 0

    def push(self, magnitudes: Tensor, last: bool) -> Tensor:
        n_known = self._n_waiting + magnitudes.shape[-2]
        self._n_waiting = 0 if last else min(LOOKAHEAD_SLICES, n_known)
        n_ready = n_known - self._n_waiting
        batch, n_channels, n_bins, _, width = magnitudes.shape
        shape = (batch, n_channels, n_bins, n_ready, width)
        return self._network(magnitudes.new_empty(()).expand(shape))


class _BlockStream:
    """The network of one block.

    Shape of what it keeps (j source, b batch, n half-slices, f bins, o channels of a layer):
        - tail: ``(b, channel, f, M − 1)``, the last coefficients, shifted and scaled
        - outer, inner, decoded: ``(j, b, n, f, o)``, the last 3, 3 and 1 frames of each layer
        - odd: ``(b, j, channel, f, 0 or M/2)``, masks of half a slice
    """

    def __init__(self, network: BlockNetwork) -> None:
        j = network.n_sources
        self.shift, self.scale = (x[:, None, None].clone() for x in (network.shift, network.scale))
        outer, inner = network.encode_outer, network.encode_inner
        self.n_sources, self.n_channels = j, network.n_channels
        self.kernel, self.width = cast(tuple[int, int], outer.kernel_size)
        self.widths = outer.out_channels // j, inner.out_channels // j
        # o channels of the result, i channels of what is seen, k bins and n frames of a window
        weight, bias = with_norm(outer.weight, network.norm_encode_outer)
        self.encode_outer = _matrix(rearrange(weight, "o i k t -> 1 (k t i) o")), bias
        weight, bias = with_norm(inner.weight, network.norm_encode_inner)
        weight = rearrange(weight, "(j o) i k n -> j (n k i) o", j=j)
        self.encode_inner = _matrix(weight), rearrange(bias, "(j o) -> j 1 o", j=j)
        # A transposed convolution is a convolution whose kernel is turned round.
        weight = rearrange(network.decode_inner.weight, "(j i) o k n -> (j o) i k n", j=j)
        weight, bias = with_norm(weight.flip(2, 3), network.norm_decode_inner)
        weight = rearrange(weight, "(j o) i k n -> j (n k i) o", j=j)
        self.decode_inner = _matrix(weight), rearrange(bias, "(j o) -> j 1 o", j=j)
        weight = rearrange(network.decode_outer.weight, "(j i) c k (n h) -> j i c k n h", j=j, n=2)
        weight = rearrange(weight.flip(3, 4), "j i c k n h -> j (n k i) (c h)")
        bias = repeat(
            cast(Tensor, network.decode_outer.bias), "(j c) -> j 1 (c h)", j=j, h=self.half
        )
        self.decode_outer = _matrix(weight), bias
        self.tail: Tensor | None = None

    @property
    def half(self) -> int:
        """Coefficients of half a slice."""
        return self.width // 2

    def push(self, magnitudes: Tensor, last: bool) -> Tensor:
        """Masks that are final by now."""
        n_new, edge = 2 * magnitudes.shape[-2], self.kernel - 1
        x = ((magnitudes.to(self.shift.dtype) + self.shift) * self.scale).flatten(-2)
        if self.tail is None:
            self._begin(x)
        x = torch.cat([cast(Tensor, self.tail), x], dim=-1)
        self.tail = x[..., 1 - self.width :].clone()
        x = x.unfold(-1, self.width, self.half)[..., :n_new, :]
        x = _layer(rearrange(x, "b c f n t -> 1 b n f (t c)"), self.encode_outer, 1, self.kernel)
        x = rearrange(x.relu_(), "1 b n f (j o) -> j b n f o", j=self.n_sources)

        x = torch.cat([self.outer, x], dim=2)
        self.outer = x[:, :, -3:].clone()
        x = _layer(x, self.encode_inner, 4, self.kernel).relu_()

        x = torch.cat([self.inner, x], dim=2)
        self.inner = x[:, :, -3:].clone()
        x = F.pad(x, (0, 0, edge, edge, 0, 3 if last else 0))
        x = _layer(x, self.decode_inner, 4, self.kernel).relu_()

        x = torch.cat([self.decoded, x], dim=2)
        self.decoded = x[:, :, -1:].clone()
        x = F.pad(x, (0, 0, edge, edge))
        x = _layer(x, self.decode_outer, 2, self.kernel).sigmoid_().to(magnitudes.dtype)
        x = rearrange(x, "j b n f (c h) -> b j c f (n h)", c=self.n_channels)

        x = torch.cat([self.odd, x], dim=-1)
        n_slices = x.shape[-1] // self.width
        self.odd = x[..., n_slices * self.width :].clone()
        return x[..., : n_slices * self.width].unflatten(-1, (n_slices, self.width))

    def _begin(self, x: Tensor) -> None:
        """Zeros before the first layer and the transposed ones, nothing before the second."""
        (batch, n_channels, f), (outer, inner) = x.shape[:3], self.widths
        j, edge = self.n_sources, self.kernel - 1
        self.tail = x.new_zeros(batch, n_channels, f, self.width - 1)
        self.outer = x.new_zeros(j, batch, 0, f - edge, outer)
        self.inner = x.new_zeros(j, batch, 3, f - 2 * edge, inner)
        self.decoded = x.new_zeros(j, batch, 1, f - edge, outer)
        self.odd = x.new_zeros(batch, j, n_channels, f, 0)


def _layer(x: Tensor, weight_and_bias: tuple[Tensor, Tensor], n_frames: int, n_bins: int) -> Tensor:
    """A convolution as a product of its windows with a matrix, for each source.

    Shape:
        - x: ``(source, batch, n, freq, i)``
        - weight: ``(source, n_frames · n_bins · i, o)``; bias: ``(source, 1, o)``
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


def _matrix(weight: Tensor) -> Tensor:
    """A copy, laid out as it is read."""
    return weight.clone(memory_format=torch.contiguous_format)
