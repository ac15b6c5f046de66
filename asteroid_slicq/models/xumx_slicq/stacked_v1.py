"""Networks of xumx-sliCQ V1 that run as one, in evaluation mode.

Their kernels cover one bin, so bins do not look at each other: each bin and target is a group of
one convolution, with the weights of its block. The streams of shorter blocks end with zeros: what
layers make of these is set to zero again where the next one would mix it with the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asteroid_slicq.models.xumx_slicq.flat import Blocks
from asteroid_slicq.models.xumx_slicq.v1 import DilatedBlockNetwork


def stacked_logits_v1(
    networks: Sequence[DilatedBlockNetwork],
    magnitudes: Tensor,
    blocks: Blocks,
    members: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Masks of some blocks before their sigmoid, see :func:`.stacked.stacked_logits`."""
    # k bin, j source, b batch, c channel, n stream
    first, device = networks[0], magnitudes.device
    j, reach = first.n_sources, 2 * (first.encode_outer.kernel_size[1] - 1)
    n_places, batch = magnitudes.shape[-1], len(magnitudes)
    n_slices = n_places // sum(n * m for n, m in blocks)
    starts, halves, owners = _bins(blocks, tuple(members), device)
    k, starts = len(owners), starts * n_slices
    ends = (n_slices + 1) * halves
    padded = ends.clamp(min=2 * reach + 1)  # two kernels must fit into a short input, too
    longest = max(blocks[i][1] for i in members) // 2
    n = torch.arange(max((n_slices + 1) * longest, 2 * reach + 1), device=device)

    # A half-slice of the stream is the first half of its slice and the second one of that before.
    number, inside = n // halves, n < ends
    early = starts + 2 * number.clamp(max=n_slices - 1) * halves + n % halves
    late = starts + (2 * number.clamp(1, n_slices) - 1) * halves + n % halves
    x = magnitudes.to(first.shift.dtype)
    parts = [
        torch.where(known, x.index_select(-1, place.flatten()).view(batch, -1, k, len(n)), 0)
        for place, known in ((early, number < n_slices), (late, number > 0))
    ]
    x = (parts[0] + parts[1]).transpose(1, 2).unsqueeze(2)  # b k 1 c n
    x = x + torch.cat([network.shift for network in networks], 1).mT[..., None, None]
    x = x * torch.cat([network.scale for network in networks], 1).mT[..., None, None]
    x = torch.where(inside[:, None, None], x, 0).reshape(batch, -1, 1, len(n))

    def of_bins(parameters: Tensor) -> Tensor:
        """Parameters of each bin, of those of each block."""
        of_blocks = parameters.unflatten(0, (len(networks), -1))
        return of_blocks.index_select(0, owners).flatten(0, 1)

    def layer(name: str, x: Tensor, end: Tensor | None = None) -> Tensor:
        layers = [getattr(network, name) for network in networks]
        norms = [getattr(network, f"norm_{name}") for network in networks]
        weight, bias = (of_bins(each) for each in _folded(layers, norms))
        options = {"dilation": layers[0].dilation, "groups": k * j}
        transposed = isinstance(layers[0], nn.ConvTranspose2d)
        x = F.relu((F.conv_transpose2d if transposed else F.conv2d)(x, weight, bias, **options))
        if end is None:
            return x
        within = torch.arange(x.shape[-1], device=device) < end  # k n
        return torch.where(within[:, None], x.view(batch, k, -1, x.shape[-1]), 0).view_as(x)

    x = layer("encode_outer", x)
    x = layer("encode_inner", x, padded - 2 * reach)
    x = layer("decode_inner", x, padded - reach)
    x = layer("decode_outer", x)
    up = [network.upsample for network in networks]
    weight = of_bins(torch.cat([convolution.weight for convolution in up]))
    bias = of_bins(torch.cat([cast(Tensor, convolution.bias) for convolution in up]))
    x = F.conv_transpose2d(x, weight, bias, up[0].stride, groups=k * j)
    n = torch.arange(2 * n_slices * longest, device=device)
    x = x[..., : len(n)].reshape(batch, k, j, -1, len(n)).permute(0, 2, 3, 1, 4).flatten(3)
    places = torch.where(n < 2 * n_slices * halves, starts + n, n_places)
    return places.flatten(), x.to(magnitudes.dtype)


@lru_cache(maxsize=256)
def _bins(
    blocks: Blocks, members: tuple[int, ...], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Bins of some blocks: starts on the flat axis, in slices; coefficients of half-slices; blocks.

    Shape:
        - output: ``(bin, 1)``, ``(bin, 1)``, and ``(bin,)``, number among the members
    """
    sizes = np.array([n * m for n, m in blocks])
    first = np.cumsum(sizes) - sizes
    owners = np.repeat(np.arange(len(members)), [blocks[i][0] for i in members])
    halves = np.array([blocks[i][1] // 2 for i in members])[owners]
    starts = np.concatenate([first[i] + np.arange(blocks[i][0]) * blocks[i][1] for i in members])
    arrays = starts[:, None], halves[:, None], owners
    with torch.inference_mode(False):
        starts, halves, owners = (torch.from_numpy(array).to(device) for array in arrays)
    return starts, halves, owners


def _folded(
    layers: Sequence[nn.Conv2d | nn.ConvTranspose2d], norms: Sequence[nn.BatchNorm2d]
) -> tuple[Tensor, Tensor]:
    """Weights and biases of convolutions and the batch norms behind them."""
    weight = torch.cat([layer.weight for layer in layers])
    variance = torch.cat([cast(Tensor, norm.running_var) for norm in norms])
    mean = torch.cat([cast(Tensor, norm.running_mean) for norm in norms])
    gain = torch.cat([norm.weight for norm in norms]) * (variance + norms[0].eps).rsqrt()
    bias = torch.cat([norm.bias for norm in norms]) - gain * mean
    if isinstance(layers[0], nn.Conv2d):
        return weight * gain[:, None, None, None], bias
    # (in, out of a group, …): the rows of a group belong to its own outputs
    groups = len(layers) * layers[0].groups
    weight = weight.unflatten(0, (groups, -1)) * gain.view(groups, 1, -1, 1, 1)
    return weight.flatten(0, 1), bias
