"""Networks of blocks that run as one, on a device that runs many at once.

They differ in the length of their blocks alone, to the longest of which the others are padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from asteroid_slicq.models.xumx_slicq.flat import Blocks
from asteroid_slicq.models.xumx_slicq.stacked_v1 import stacked_logits_v1
from asteroid_slicq.models.xumx_slicq.stacked_v2 import stacked_logits_v2
from asteroid_slicq.models.xumx_slicq.v1 import DilatedBlockNetwork
from asteroid_slicq.models.xumx_slicq.v2 import BlockNetwork

_PADDED = 5 / 3  # the most coefficients of stacked blocks, with padding, for each of their own
_MOST = 2**25  # numbers in the widest layer of a stack, whose memory grows with it
_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)


def alike(networks: Sequence[nn.Module], blocks: Blocks, n_slices: int = 1) -> list[list[int]]:
    """Numbers of the networks that run as one.

    Left out are networks that run by themselves: those that look beyond a bin, those of V1 in
    training, those that hooks or other layers were added to, and those that none is like.

    Args:
        networks: one a block.
        blocks: bins, and coefficients in a slice, of each.
        n_slices: of all items of a batch.
    """
    groups: list[list[int]] = []
    latest: dict[tuple[object, ...], list[int]] = {}
    for i in sorted(range(len(blocks)), key=lambda i: -blocks[i][1]):
        kind = _kind(networks[i])
        if kind is None:
            continue
        group = latest.get(kind)
        sizes = [blocks[k] for k in (*(group or ()), i)]
        n_padded = sizes[0][1] * sum(n for n, _ in sizes)
        is_full = n_padded > _PADDED * sum(n * m for n, m in sizes)
        if group is None or is_full or n_slices * n_padded // 2 * _width(networks[i]) > _MOST:
            group = latest[kind] = []
            groups.append(group)
        group.append(i)
    return [group for group in groups if len(group) > 1]


def stacked_logits(
    networks: Sequence[nn.Module], magnitudes: Tensor, blocks: Blocks, members: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Masks of some blocks before their sigmoid.

    Args:
        networks: of these blocks, which are :func:`alike`.
        magnitudes: of all blocks on a flat axis.
        blocks: bins, and coefficients in a slice, of all.
        members: numbers of these blocks.

    Shape:
        - magnitudes: ``(batch, channel, place)``
        - output: places on the flat axis, ``(m,)``, and ``(batch, source, channel, m)``; there are
          some more, whose place is behind the last
    """
    if isinstance(networks[0], BlockNetwork):
        return stacked_logits_v2(
            cast(Sequence[BlockNetwork], networks), magnitudes, blocks, members
        )
    dilated = cast(Sequence[DilatedBlockNetwork], networks)
    return stacked_logits_v1(dilated, magnitudes, blocks, members)


def _kind(network: nn.Module) -> tuple[object, ...] | None:
    """What networks have in common that run as one; None where a network runs by itself."""
    v1, v2 = type(network) is DilatedBlockNetwork, type(network) is BlockNetwork
    if not (v1 or v2) or network._forward_hooks or network._forward_pre_hooks:
        return None
    kernel = cast(nn.Conv2d, network.encode_outer).kernel_size
    if kernel[0] > 1:
        return None
    kind: list[object] = []
    for layer in network.children():
        if type(layer) not in _LAYERS or layer._forward_hooks or layer._forward_pre_hooks:
            return None
        if isinstance(layer, nn.BatchNorm2d):
            if layer.momentum is None or not layer.track_running_stats:
                return None
            if layer.training and v1:
                return None
            kind += layer.training, layer.momentum, layer.eps
    shift = cast(Tensor, network.shift)
    # Bins of V1 are stacked, blocks of V2 with as many bins; the length of its kernels may differ.
    return type(network), kernel if v1 else shift.shape, shift.dtype, *kind


def _width(network: nn.Module) -> int:
    """Channels of the inner layer, for each number of the overlap-added stream."""
    if isinstance(network, DilatedBlockNetwork):
        return network.encode_inner.out_channels
    return 1
