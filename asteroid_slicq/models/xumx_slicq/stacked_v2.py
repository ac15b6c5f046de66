"""Networks of xumx-sliCQ V2 that run as one.

Weights are stacked when they are used, so that gradients reach each network's own: a layer of all
these blocks and sources is one batched product for each frame of its kernel. The outer layers see
half-slices as long as the longest; the weights behind the end of a shorter one are zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asteroid_slicq.models.xumx_slicq.flat import Blocks
from asteroid_slicq.models.xumx_slicq.matrices import TIME_KERNEL
from asteroid_slicq.models.xumx_slicq.v2 import BlockNetwork


class _Template(NamedTuple):
    """Places of some blocks that have as many bins, on a device.

    Attributes:
        starts: of the bins on the flat axis, in slices, ``(block, freq, 1)``.
        halves: half-slices of coefficients, ``(block, 1, 1)``.
        within: number of a coefficient in a half-slice, the last one again where that is shorter
            than the longest, ``(block, 1, time)``.
        inside: whether it is not, ``(block, 1, time)``.
        taps: the same two halves in the joined kernels of the outer layers, ``(block·2·time,)``.
    """

    starts: Tensor
    halves: Tensor
    within: Tensor
    inside: Tensor
    taps: Tensor


@lru_cache(maxsize=256)
def _template(blocks: Blocks, members: tuple[int, ...], device: torch.device) -> _Template:
    sizes = np.array([n * m for n, m in blocks])
    start = np.cumsum(sizes) - sizes
    starts = np.array([start[i] + np.arange(blocks[i][0]) * blocks[i][1] for i in members])
    halves = np.array([blocks[i][1] // 2 for i in members])[:, None, None]
    time = np.arange(halves.max())
    within = np.minimum(time, halves - 1)
    kernels = np.cumsum(2 * halves, 0) - 2 * halves
    taps = kernels + np.arange(2)[:, None] * halves + within
    arrays = starts[..., None], halves, within, time < halves, taps.ravel()
    with torch.inference_mode(False):
        return _Template(*(torch.from_numpy(array).to(device) for array in arrays))


def stacked_logits_v2(
    networks: Sequence[BlockNetwork], magnitudes: Tensor, blocks: Blocks, members: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Masks of some blocks before their sigmoid, see :func:`.stacked.stacked_logits`."""
    # k block, j source, b batch, c channel, f freq, n half-slices, h half of a slice, i and o
    # channels of a layer
    first = networks[0]
    j, c, causal = first.n_sources, first.n_channels, first.causal
    starts, halves, within, inside, taps = _template(blocks, tuple(members), magnitudes.device)
    k, f, _ = starts.shape
    batch, n_places, h = len(magnitudes), magnitudes.shape[-1], within.shape[-1]
    n_slices = n_places // sum(n * m for n, m in blocks)
    # A causal frame starts one coefficient late, behind zeros; a short input ends with zeros, too.
    n_lacking = max(0, TIME_KERNEL + (not causal) - 2 * n_slices)
    n = torch.arange(2 * n_slices, device=starts.device).view(-1, 1, 1, 1)
    places = known = n * halves + (starts * n_slices + within)  # n k f h
    unpadded = None
    if causal or n_lacking:
        n = torch.arange(2 * n_slices + causal + n_lacking, device=starts.device).view(-1, 1, 1, 1)
        time = n * halves + (within - (2 * halves - 1) if causal else within)
        nearest = time.clamp(min=0).minimum(2 * n_slices * halves - 1)
        known, unpadded = nearest + starts * n_slices, time == nearest
    x = magnitudes.to(first.shift.dtype).index_select(-1, known.flatten())
    x = x.view(batch, c, len(n), k, f, h)
    x = x + torch.cat([network.shift for network in networks]).view(k, f, 1)
    x = x * torch.cat([network.scale for network in networks]).view(k, f, 1)
    x = x if unpadded is None else torch.where(unpadded, x, 0)
    x = x.permute(3, 1, 5, 2, 0, 4).reshape(k, c * h, -1)
    rows = batch * f

    def outer(weights: list[Tensor]) -> Tensor:
        """Weights of the outer layers in half-slices: ``(o, c, k, 2, h)``."""
        weight = torch.cat(weights, -1).index_select(-1, taps)
        return weight.view(*weight.shape[:2], k, 2, h) * inside

    def inner(weights: list[Tensor]) -> Tensor:
        """Weights of the inner layers: ``(n, k·j, first, second)``."""
        weight = torch.cat(weights)
        weight = weight.view(k * j, -1, weight.shape[1], TIME_KERNEL)
        return weight.permute(3, 0, 1, 2).contiguous()

    weight = outer([network.encode_outer.weight for network in networks])
    weight = weight.permute(3, 2, 0, 1, 4).reshape(2, k, -1, c * h)
    x = _layer(x, weight, [network.norm_encode_outer for network in networks], rows)
    x = F.relu(x).view(k * j, -1, x.shape[-1])

    weight = inner([network.encode_inner.weight for network in networks])
    x = _layer(x, weight, [network.norm_encode_inner for network in networks], rows)
    x = F.relu(F.pad(x, (3 * rows, 3 * rows)))

    # A transposed convolution is a convolution whose kernel is turned round.
    weight = inner([network.decode_inner.weight for network in networks]).mT
    x = _layer(x, weight, [network.norm_decode_inner for network in networks], rows, True)
    x = F.relu(F.pad(x, (rows, rows)))

    weight = outer([network.decode_outer.weight for network in networks])
    weight = weight.unflatten(0, (j, -1)).permute(4, 3, 0, 1, 2, 5).reshape(2, k * j, -1, c * h).mT
    bias = torch.cat([cast(Tensor, network.decode_outer.bias) for network in networks])
    bias = bias.view(k * j, c, 1).expand(-1, -1, h).reshape(k * j, c * h, 1)
    x = _convolved(x, weight, bias, rows, turned=True)
    x = x.view(k, j, c, h, -1, batch, f)[:, :, :, :, : 2 * n_slices]
    x = x.permute(5, 1, 2, 4, 0, 6, 3).flatten(3)  # b j c (n k f h)

    places = torch.where(inside, places, n_places)
    return places.flatten(), x.to(magnitudes.dtype)


def _layer(
    x: Tensor,
    weight: Tensor,
    norms: Sequence[nn.BatchNorm2d],
    rows: int,
    turned: bool = False,
) -> Tensor:
    """A convolution and the batch norms behind it; shapes as of :func:`_convolved`."""
    shape = (*weight.shape[1:3], 1)
    gain = torch.cat([norm.weight for norm in norms])
    bias = torch.cat([norm.bias for norm in norms])
    if norms[0].training:
        return _batch_norm(_convolved(x, weight, None, rows, turned), gain, bias, norms)
    mean = torch.cat([cast(Tensor, norm.running_mean) for norm in norms])
    variance = torch.cat([cast(Tensor, norm.running_var) for norm in norms])
    gain = gain * (variance + norms[0].eps).rsqrt()
    bias = bias - gain * mean
    return _convolved(x, weight * gain.view(shape), bias.view(shape), rows, turned)


def _convolved(
    x: Tensor, weight: Tensor, bias: Tensor | None, rows: int, turned: bool = False
) -> Tensor:
    """Grouped convolutions along time as batched products, one for each frame of the kernel.

    The kernel of a transposed convolution, of an input padded on both sides, is ``turned`` round.

    Shape:
        - x: ``(g, i, n·rows)``, time before rows; weight: ``(frame, g, o, i)``; bias: ``(g, o, 1)``
        - output: ``(g, o, (n − frames + 1)·rows)``
    """
    n = x.shape[-1] - (len(weight) - 1) * rows
    parts = [x[..., i * rows : i * rows + n] for i in range(len(weight))]
    weights = weight.unbind()[::-1] if turned else weight.unbind()
    y = weights[0] @ parts[0] if bias is None else torch.baddbmm(bias, weights[0], parts[0])
    for of_frame, part in zip(weights[1:], parts[1:], strict=True):
        y = torch.baddbmm(y, of_frame, part)
    return y


def _batch_norm(x: Tensor, gain: Tensor, bias: Tensor, norms: Sequence[nn.BatchNorm2d]) -> Tensor:
    """Batch norms in training, which count what they see; of all channels of ``x``."""
    kept = [[cast(Tensor, norm.running_mean) for norm in norms]]
    kept += [[cast(Tensor, norm.running_var) for norm in norms]]
    running = [torch.cat(buffers) for buffers in kept]
    mean, variance = running
    momentum, eps = cast(float, norms[0].momentum), norms[0].eps
    y = F.batch_norm(x.view(1, -1, x.shape[-1]), mean, variance, gain, bias, True, momentum, eps)
    with torch.no_grad():
        for buffers, new in zip(kept, running, strict=True):
            torch.split_with_sizes_copy(new, [len(buffer) for buffer in buffers], out=buffers)
        seen = [cast(Tensor, norm.num_batches_tracked) for norm in norms]
        torch._foreach_add_(seen, 1)  # pyright: ignore[reportPrivateImportUsage]
    return y.view_as(x)
