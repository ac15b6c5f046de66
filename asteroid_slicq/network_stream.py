"""The networks of a causal xumx-sliCQ V2, run on slices as they come, each layer once a slice.

Everything is counted in half-slices of h = M/2 coefficients. A frame n of the first layer sees the
M coefficients that end with the first one of half-slice n. The kernel of 4 of the second layer sees
frames n … n + 3, that of the third n − 3 … n of its output, and the last layer writes half-slice n
from n − 1 and n. So half-slice n waits for the first coefficient of half-slice n + 3, and a slice
for the slice after the next. Each layer keeps the few frames that the next half-slice will see
again; nothing is computed twice.

A few half-slices at a time are too little work for convolutions: every layer is one matrix product,
see :mod:`asteroid_slicq.network_matrices`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from asteroid_slicq.network_matrices import BlockMatrices, layer
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
        self.matrices = BlockMatrices(network)
        self.tail: Tensor | None = None

    def push(self, magnitudes: Tensor, last: bool) -> Tensor:
        """Masks that are final by now."""
        matrices = self.matrices
        width, kernel, edge = matrices.width, matrices.kernel, matrices.kernel - 1
        x = matrices.normalised(magnitudes)
        if self.tail is None:
            self._begin(x)
        x = torch.cat([cast(Tensor, self.tail), x], dim=-1)
        self.tail = x[..., 1 - width :].clone()
        x = matrices.encode_frames(x)

        x = torch.cat([self.outer, x], dim=2)
        self.outer = x[:, :, -3:].clone()
        x = layer(x, matrices.encode_inner, 4, kernel).relu_()

        x = torch.cat([self.inner, x], dim=2)
        self.inner = x[:, :, -3:].clone()
        x = F.pad(x, (0, 0, edge, edge, 0, 3 if last else 0))
        x = layer(x, matrices.decode_inner, 4, kernel).relu_()

        x = torch.cat([self.decoded, x], dim=2)
        self.decoded = x[:, :, -1:].clone()
        x = F.pad(x, (0, 0, edge, edge))
        x = layer(x, matrices.decode_outer, 2, kernel).sigmoid_().to(magnitudes.dtype)
        x = rearrange(x, "j b n f (c h) -> b j c f (n h)", c=matrices.n_channels)

        x = torch.cat([self.odd, x], dim=-1)
        n_slices = x.shape[-1] // width
        self.odd = x[..., n_slices * width :].clone()
        return x[..., : n_slices * width].unflatten(-1, (n_slices, width))

    def _begin(self, x: Tensor) -> None:
        """Zeros before the first layer and the transposed ones, nothing before the second."""
        (batch, n_channels, f), (outer, inner) = x.shape[:3], self.matrices.widths
        j, edge = self.matrices.n_sources, self.matrices.kernel - 1
        self.tail = x.new_zeros(batch, n_channels, f, self.matrices.width - 1)
        self.outer = x.new_zeros(j, batch, 0, f - edge, outer)
        self.inner = x.new_zeros(j, batch, 3, f - 2 * edge, inner)
        self.decoded = x.new_zeros(j, batch, 1, f - edge, outer)
        self.odd = x.new_zeros(batch, j, n_channels, f, 0)
