"""The networks of a causal xumx-sliCQ V2, run on slices as they come, each layer once a slice.

Everything is counted in half-slices of h = M/2 coefficients. A frame n of the first layer sees the
M coefficients that end with the first one of half-slice n. The kernel of 4 of the second layer sees
frames n … n + 3, that of the third n − 3 … n of its output, and the last layer writes half-slice n
from n − 1 and n. So half-slice n waits for the first coefficient of half-slice n + 3, and a slice
for the slice after the next. Each layer keeps the few frames that the next half-slice will see
again; nothing is computed twice.

A few half-slices at a time are too little work for convolutions: every layer is one matrix product,
see :mod:`asteroid_slicq.models.xumx_slicq.matrices`. The inner layers of all blocks with as many
bins are one product together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from asteroid_slicq.models.xumx_slicq.layers import PassThrough
from asteroid_slicq.models.xumx_slicq.matrices import Layer, layer
from asteroid_slicq.models.xumx_slicq.v2 import LOOKAHEAD_SLICES, BlockNetwork

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
        self._groups: list[tuple[list[int], _GroupStream | _PassThroughStream]] = []
        alike: dict[int, list[int]] = {}
        networks = list(networks)
        for i, network in enumerate(networks):
            if isinstance(network, PassThrough):
                self._groups.append(([i], _PassThroughStream(network)))
            else:
                alike.setdefault(cast(BlockNetwork, network).shift.numel(), []).append(i)
        for indices in alike.values():
            of_group = [cast(BlockNetwork, networks[i]) for i in indices]
            self._groups.append((indices, _GroupStream(of_group)))

    @torch.no_grad()
    def push(self, magnitudes: Sequence[Tensor], last: bool = False) -> list[Tensor]:
        """Masks that are final by now, see :class:`.networks.MaskStream`."""
        n_slices = magnitudes[0].shape[-2]
        parts: list[list[Tensor]] = [[] for _ in magnitudes]
        for start in range(0, n_slices, _MOST_SLICES):
            stop = min(n_slices, start + _MOST_SLICES)
            ends = last and stop == n_slices
            for indices, group in self._groups:
                new = [magnitudes[i][..., start:stop, :] for i in indices]
                for i, masks in zip(indices, group.push(new, ends), strict=True):
                    parts[i].append(masks)
        return [masks[0] if len(masks) == 1 else torch.cat(masks, dim=-2) for masks in parts]


class _PassThroughStream:
    """Masks of one, as many and as late as those of the other blocks."""

    def __init__(self, network: PassThrough) -> None:
        self._network, self._n_waiting = network, 0

    def push(self, magnitudes: Sequence[Tensor], last: bool) -> list[Tensor]:
        (x,) = magnitudes
        n_known = self._n_waiting + x.shape[-2]
        self._n_waiting = 0 if last else min(LOOKAHEAD_SLICES, n_known)
        n_ready = n_known - self._n_waiting
        batch, n_channels, n_bins, _, width = x.shape
        shape = (batch, n_channels, n_bins, n_ready, width)
        return [self._network(x.new_empty(()).expand(shape))]


class _GroupStream:
    """The networks of blocks that have as many bins.

    Shape of what it keeps (k block, j source, b batch, n half-slices, f bins, o channels of a
    layer):
        - tails: ``(b, channel, f, M − 1)`` each, the last coefficients, shifted and scaled
        - outer, inner, decoded: ``(k·j, b, n, f, o)``, the last 3, 3 and 1 frames of each layer
        - odd: ``(b, j, channel, f, 0 or M/2)`` each, masks of half a slice
    """

    def __init__(self, networks: Sequence[BlockNetwork]) -> None:
        self.matrices = [network.to_matrices() for network in networks]
        self.kernel = self.matrices[0].kernel
        self.encode_inner = _joined([m.encode_inner for m in self.matrices])
        self.decode_inner = _joined([m.decode_inner for m in self.matrices])
        for m in self.matrices:  # they stand in the joined ones
            del m.encode_inner, m.decode_inner
        self.tails: list[Tensor] | None = None

    def push(self, magnitudes: Sequence[Tensor], last: bool) -> list[Tensor]:
        """Masks that are final by now, of each block."""
        kernel, edge = self.kernel, self.kernel - 1
        normalised = [m.normalised(x) for m, x in zip(self.matrices, magnitudes, strict=True)]
        if self.tails is None:
            self._begin(normalised)
        frames = []
        for i, (m, x) in enumerate(zip(self.matrices, normalised, strict=True)):
            x = torch.cat([cast(list[Tensor], self.tails)[i], x], dim=-1)
            cast(list[Tensor], self.tails)[i] = x[..., 1 - m.width :].clone()
            frames.append(m.encode_frames(x))

        x = torch.cat([self.outer, torch.cat(frames)], dim=2)
        self.outer = x[:, :, -3:].clone()
        x = layer(x, self.encode_inner, 4, kernel).relu_()

        x = torch.cat([self.inner, x], dim=2)
        self.inner = x[:, :, -3:].clone()
        x = F.pad(x, (0, 0, edge, edge, 0, 3 if last else 0))
        x = layer(x, self.decode_inner, 4, kernel).relu_()

        x = torch.cat([self.decoded, x], dim=2)
        self.decoded = x[:, :, -1:].clone()
        x = F.pad(x, (0, 0, edge, edge))
        masks = []
        for i, (m, block) in enumerate(
            zip(self.matrices, x.chunk(len(self.matrices)), strict=True)
        ):
            y = layer(block, m.decode_outer, 2, kernel).sigmoid_().to(magnitudes[i].dtype)
            y = rearrange(y, "j b n f (c h) -> b j c f (n h)", c=m.n_channels)
            y = torch.cat([self.odd[i], y], dim=-1)
            n_slices = y.shape[-1] // m.width
            self.odd[i] = y[..., n_slices * m.width :].clone()
            masks.append(y[..., : n_slices * m.width].unflatten(-1, (n_slices, m.width)))
        return masks

    def _begin(self, normalised: Sequence[Tensor]) -> None:
        """Zeros before the first layer and the transposed ones, nothing before the second."""
        x, m = normalised[0], self.matrices[0]
        (batch, n_channels, f), edge = x.shape[:3], self.kernel - 1
        outer, inner = m.encode_outer[0].shape[-1] // m.n_sources, self.encode_inner[0].shape[-1]
        kj = len(self.matrices) * m.n_sources
        self.tails = [x.new_zeros(batch, n_channels, f, m.width - 1) for m in self.matrices]
        self.outer = x.new_zeros(kj, batch, 0, f - edge, outer)
        self.inner = x.new_zeros(kj, batch, 3, f - 2 * edge, inner)
        self.decoded = x.new_zeros(kj, batch, 1, f - edge, outer)
        self.odd = [x.new_zeros(batch, m.n_sources, n_channels, f, 0) for m in self.matrices]


def _joined(layers: Sequence[Layer]) -> Layer:
    """Weights and biases of layers that run together."""
    weights, biases = zip(*layers, strict=True)
    return torch.cat(weights), torch.cat(biases)
