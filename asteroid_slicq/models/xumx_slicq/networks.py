"""The networks of all blocks, which make the masks of a model, in PyTorch or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from asteroid_slicq.models.xumx_slicq.flat import Blocks, Placed
from asteroid_slicq.models.xumx_slicq.layers import MaskNetwork, PassThrough
from asteroid_slicq.models.xumx_slicq.lstm import RecurrentBlockNetwork
from asteroid_slicq.models.xumx_slicq.network_stream import NetworkStream
from asteroid_slicq.models.xumx_slicq.stacked import alike, stacked_logits
from asteroid_slicq.models.xumx_slicq.v1 import DilatedBlockNetwork
from asteroid_slicq.models.xumx_slicq.v2 import BlockNetwork
from asteroid_slicq.transform import Frame, check_choice, check_number

NETWORKS: dict[str, Callable[..., MaskNetwork]] = {
    "v1": DilatedBlockNetwork,
    "v2": BlockNetwork,
    "v1-lstm": partial(RecurrentBlockNetwork, overlap_added=True),
    "v2-lstm": RecurrentBlockNetwork,
}
"""The network of a block by name."""


class MaskStream(Protocol):
    """Masks of magnitudes that come slice by slice."""

    def push(self, magnitudes: Sequence[Tensor], last: bool = False) -> list[Tensor]:
        """Masks that are final by now: all but those of the last two slices, or all at the end.

        Args:
            magnitudes: of the next slices, one tensor a block.
            last: whether the stream ends with these.

        Shape:
            - magnitudes: ``(batch, channel, freq, slice, time)`` each, one slice or more
            - output: ``(batch, source, channel, freq, slice, time)`` each, with 0 or more slices
        """
        ...


class MaskBackend(Protocol):
    """The part of a model that computes the masks of all blocks from the magnitudes of the mix."""

    def masks(self, magnitudes: Iterable[Tensor]) -> Iterable[Tensor]:
        """Masks of each block; a backend may compute each when it is asked for.

        Shape:
            - magnitudes: ``(batch, channel, freq, slice, time)``, one tensor a block
            - output: ``(batch, source, channel, freq, slice, time)`` each
        """
        ...

    def stream(self) -> MaskStream:
        """The same for magnitudes that come slice by slice, of a causal model."""
        ...


class BlockNetworks(nn.ModuleList):
    """The backend in PyTorch: a :class:`MaskNetwork` for each block."""

    def __iter__(self) -> Iterator[MaskNetwork]:
        """The networks, low frequencies first."""
        return cast(Iterator[MaskNetwork], super().__iter__())

    def masks(self, magnitudes: Iterable[Tensor]) -> Iterator[Tensor]:
        """Masks of one block after the other: what it takes stays in the cache of a processor."""
        for network, block in zip(self, magnitudes, strict=True):
            yield network(block)

    def masks_at_once(self, magnitudes: Tensor, blocks: Blocks) -> Tensor:
        """Masks of all blocks, as few operations make them: for a GPU.

        Shape:
            - magnitudes: ``(batch, channel, place)``, all blocks on a flat axis; the ``blocks`` are
              bins, and coefficients in a slice, of each
            - output: ``(batch, source, channel, place)``
        """
        networks = list(self)
        n_slices = magnitudes.shape[-1] // sum(n * m for n, m in blocks)
        groups = alike(networks, blocks, len(magnitudes) * n_slices)
        stacked = {i for group in groups for i in group}
        parts = [
            stacked_logits([networks[i] for i in group], magnitudes, blocks, group)
            for group in groups
        ]
        start = 0
        for i, (n, m) in enumerate(blocks):
            stop = start + n * n_slices * m
            if i not in stacked and not isinstance(networks[i], PassThrough):
                block = magnitudes[..., start:stop].unflatten(-1, (n, n_slices, m))
                places = torch.arange(start, stop, device=magnitudes.device)
                parts.append((places, networks[i](block).flatten(3)))
            start = stop
        if not parts:
            shape = len(magnitudes), networks[0].n_sources, *magnitudes.shape[1:]
            return magnitudes.new_ones(()).expand(shape)
        places, masks = zip(*parts, strict=True)
        placed = Placed.apply(magnitudes.shape[-1], places, len(groups), *masks)
        return cast(Tensor, placed)

    def seen(self, magnitudes: Iterable[Tensor]) -> tuple[Tensor, ...]:
        """Magnitudes as the networks see them.

        Shape:
            - magnitudes: ``(batch, channel, freq, slice, time)``, one tensor a block
            - output: the same; ``(batch, channel, freq, time)`` where a network overlap-adds
        """
        return tuple(network.seen(block) for network, block in zip(self, magnitudes, strict=True))

    @torch.no_grad()
    def set_input_statistics(
        self, mean: Tensor, std: Tensor, bins_per_block: Sequence[int]
    ) -> None:
        """Set shift and scale of each bin, see :class:`asteroid_slicq.XUMXSliCQ`.

        Shape:
            - mean, std: ``(n_bins,)``, the sum of ``bins_per_block``

        Raises:
            ValueError: for the wrong number of bins, or what is not finite.
        """
        n_bins = sum(bins_per_block)
        if mean.shape != (n_bins,) or std.shape != (n_bins,):
            raise ValueError(
                f"mean and std must have shape ({n_bins},), got {tuple(mean.shape)} and "
                f"{tuple(std.shape)}"
            )
        if not (mean.isfinite().all() and std.isfinite().all()):
            raise ValueError("mean and std must be finite, they hold NaN or infinity")
        std = std.clamp(min=max(1e-4 * float(std.max()), 1e-8))
        sizes = list(bins_per_block)
        for network, m, s in zip(self, mean.split(sizes), std.split(sizes), strict=True):
            if not isinstance(network, PassThrough):
                cast(Tensor, network.shift).copy_(-m)
                cast(Tensor, network.scale).copy_(1 / s)

    def stream(self) -> NetworkStream:
        """A stream with the weights of now."""
        return NetworkStream(self)


def make_networks(
    frame: Frame,
    network: str,
    n_sources: int,
    n_channels: int,
    hidden_channels: Sequence[int] | None = None,
    causal: bool = False,
    bandwidth_hz: float | None = None,
) -> BlockNetworks:
    """Networks with random weights, see :class:`asteroid_slicq.XUMXSliCQ` for the arguments."""
    check_choice("network", network, list(NETWORKS))
    if causal and network != "v2":
        raise ValueError(f"causal must be False for the network {network}, got {causal}")
    if bandwidth_hz is not None and not check_number("bandwidth_hz", bandwidth_hz) > 0:
        raise ValueError(f"bandwidth_hz must be above 0 or None, got {bandwidth_hz}")
    options: dict[str, Any] = {"causal": True} if causal else {}
    if hidden_channels is not None:
        options["hidden_channels"] = hidden_channels
    return BlockNetworks(
        PassThrough(n_sources)
        if bandwidth_hz is not None and frequencies_hz[0] > bandwidth_hz
        else NETWORKS[network](*block, n_sources, n_channels, **options)
        for block, frequencies_hz in zip(frame.blocks, frame.frequency_hz(), strict=True)
    )
