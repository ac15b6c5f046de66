"""The network of a band-split model: coefficients of the mix in, masks out, in real numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asteroid_slicq.models.bandsplit.bands import BandGroup, Bands
from asteroid_slicq.models.bandsplit.layers import BandLinear, Recurrent, as_pairs, make_mixer

_EPS = 1e-10  # of squared amplitudes relative to the mix: −100 dB, above rounding errors
_EXPONENT = 0.3  # of the magnitudes


@dataclass
class StreamState:
    """What a causal model keeps of a stream.

    Attributes:
        power: sum over the network steps so far of the power of the mix.
        n_steps: their number.
        layers: states of the LSTMs along time, by the number of the layer.
    """

    power: Tensor | float = 0.0
    n_steps: int = 0
    layers: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)


class BandNetwork(nn.Module):
    """Bands to vectors, layers that mix them along time and along bands, vectors to masks.

    The features of a coefficient c, an amplitude relative to the level of the mix, are |c|^0.3 and
    the two parts of c·|c|^−0.7, shifted and scaled by statistics of its bin. All coefficients of a
    band in a network step make a vector. After the layers a head per source and band makes masks:
    a gated linear unit, a·σ(g) with one gate for both parts, if they are complex; a sigmoid if not.
    They start at one over the number of sources.

    Args:
        bands: of the transform.
        n_sources: number of sources; this and all others as of :class:`BandSplit`, but for the
            reach of attention along time, in network steps.

    Shape:
        - blocks: ``(batch, channel, freq, time, 2)`` each, real and imaginary part
        - output: ``(batch, source, channel, freq, time, 2)`` each; of real masks 1 for the 2
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        bands: Bands,
        n_sources: int,
        n_channels: int,
        width: int,
        n_layers: int,
        head_width: int,
        time_mixer: str,
        band_mixer: str,
        complex_input: bool,
        complex_masks: bool,
        band_dropout: float,
        layer_dropout: float,
        causal: bool = False,
        reach: int | None = None,
    ) -> None:
        super().__init__()
        self.bands, self.n_sources, self.n_channels = bands, n_sources, n_channels
        self.complex_input, self.complex_masks = complex_input, complex_masks
        self.band_dropout, self.layer_dropout = band_dropout, layer_dropout
        sizes = [n_channels * group.n_bins * group.rate for group in bands.groups]
        groups = list(zip((group.n_bands for group in bands.groups), sizes, strict=True))
        n_in, n_out = (3 if complex_input else 1), (3 if complex_masks else 1)
        self.embed = nn.ModuleList(BandLinear(n, n_in * size, width) for n, size in groups)
        kinds = [(time_mixer, "time"), (band_mixer, "bands")] * n_layers
        mixers = [make_mixer(kind, width, axis, causal, reach) for kind, axis in kinds]
        self.layers = nn.ModuleList(mixers)
        self.norm = nn.RMSNorm(width, eps=1e-5, elementwise_affine=False)
        self.heads_in = nn.ModuleList(
            BandLinear(n, width, n_sources * head_width) for n, _ in groups
        )
        heads = [BandLinear(n * n_sources, head_width, n_out * size) for n, size in groups]
        self.heads_out = nn.ModuleList(heads)
        with torch.no_grad():
            share = 1 / max(n_sources, 1.1)
            for head in heads:  # the gate of complex masks starts at a half
                bias = head.bias.unflatten(-1, (-1, n_out))
                bias[..., 0] = 2 * share if complex_masks else math.log(share / (1 - share))
        n_bins = sum(bands.bins_per_block)
        self.register_buffer("mean", torch.zeros(n_bins))
        self.register_buffer("std", torch.ones(n_bins))

    def forward(self, blocks: Sequence[Tensor], state: StreamState | None = None) -> list[Tensor]:
        """Masks, see the class.

        Args:
            blocks: coefficients of the mix, relative to its level.
            state: of a stream of a causal network, to go on from and to be updated.
        """
        features = self._features(blocks)
        dtype, batch, groups = self.mean.dtype, blocks[0].shape[0], self.bands.groups
        rows = [_cut(features[group.block], group).to(dtype) for group in groups]
        n_in, n_out = len(features[0]), 3 if self.complex_masks else 1
        x = torch.cat([layer(row, n_in) for layer, row in zip(self.embed, rows, strict=True)])
        x = x.view(x.shape[0], batch, -1, x.shape[2]).to(dtype)  # band batch step width
        if self.training and self.band_dropout:
            x = x * torch.empty_like(x[..., :1, :1]).bernoulli_(1 - self.band_dropout)
        for index, layer in enumerate(self.layers):
            if state is not None and isinstance(layer, Recurrent) and layer.along_time:
                x, state.layers[index] = layer.run(x, state.layers.get(index))
            else:
                x = self._passed_by(x, layer(x))
        parts = self.norm(x).flatten(1, 2).split([group.n_bands for group in groups])
        masks: list[list[Tensor]] = [[] for _ in blocks]
        for group, part, head_in, head_out in zip(
            groups, parts, self.heads_in, self.heads_out, strict=True
        ):
            # n band, r row (batch, step), j source, h feature of the head
            y = torch.tanh(head_in(part)).unflatten(-1, (self.n_sources, -1))
            y = head_out(y.permute(0, 2, 1, 3).flatten(0, 1), 1, n_out)  # (n j) r (k c f t)
            masks[group.block].append(self._mask(y, group, batch))
        joined = [torch.cat(parts, 3) if len(parts) > 1 else parts[0] for parts in masks]
        sizes = self.bands.bins_per_block
        return [mask[..., :n, :, :] for mask, n in zip(joined, sizes, strict=True)]

    def compressed(self, block: Tensor) -> Tensor:
        """Magnitudes as the network sees them before they are shifted and scaled.

        Shape:
            - block: ``(…, 2)``; output: ``(…)``
        """
        return _power(*block.unbind(-1)).pow(_EXPONENT / 2)

    @torch.no_grad()
    def set_input_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Set the mean and the standard deviation of each bin's :meth:`compressed` magnitudes.

        Shape:
            - mean, std: ``(n_bins,)``

        Raises:
            ValueError: for the wrong number of bins.
        """
        if mean.shape != self.mean.shape or std.shape != self.std.shape:
            raise ValueError(
                f"mean and std must have shape {tuple(self.mean.shape)}, got "
                f"{tuple(mean.shape)} and {tuple(std.shape)}"
            )
        self.mean.copy_(mean)
        self.std.copy_(std.clamp(min=0.01))

    def _features(self, blocks: Sequence[Tensor]) -> list[list[Tensor]]:
        """Features of the coefficients of each block, ``(batch, channel, freq, time)`` each."""
        sizes, features = self.bands.bins_per_block, []
        # E|c|^0.6 is the square of the mean plus that of the deviation, in two parts.
        std_part = ((self.mean.square() + self.std.square()) / 2).sqrt()
        statistics = (s[:, None].split(sizes) for s in (self.mean, self.std, std_part))
        for block, mean, std, part in zip(blocks, *statistics, strict=True):
            re, im = block.unbind(-1)
            power = _power(re, im)
            scaled = [(power.pow(_EXPONENT / 2) - mean) / std]
            if self.complex_input:
                factor = power.pow((_EXPONENT - 1) / 2) / part
                scaled += [re * factor, im * factor]
            features.append(scaled)
        return features

    def _mask(self, y: Tensor, group: BandGroup, batch: int) -> Tensor:
        """Output of the heads of a group as masks ``(batch, source, channel, freq, time, part)``.

        Shape:
            - y: ``(band · source, batch · step, part · channel · bin · rate)``
        """
        y = y.float() if y.dtype in (torch.float16, torch.bfloat16) else y
        if self.complex_masks:
            re, im, gate = y.unflatten(-1, (3, -1)).unbind(-2)
            gate = torch.sigmoid(gate)
            y = as_pairs(re * gate, im * gate)
        else:
            y = torch.sigmoid(y).unsqueeze(-1)
        y = y.view(
            *(group.n_bands, self.n_sources, batch, -1),
            *(self.n_channels, group.n_bins, group.rate, y.shape[-1]),
        )
        # n j b t c f r k -> b j c (n f) (t r) k
        return y.permute(2, 1, 4, 0, 5, 3, 6, 7).flatten(5, 6).flatten(3, 4)

    def _passed_by(self, x: Tensor, y: Tensor) -> Tensor:
        """What a layer made of x, but for the examples of a training that pass it by."""
        if not (self.training and self.layer_dropout):
            return y
        keep = torch.empty_like(x[:1, :, :1, :1]).bernoulli_(1 - self.layer_dropout)
        return x + (y - x) * keep / (1 - self.layer_dropout)


def _cut(features: Sequence[Tensor], group: BandGroup) -> Tensor:
    """Features of a group of bands.

    Shape:
        - features: ``(batch, channel, freq, time)`` each
        - output: ``(band, batch · step, feature · channel · bin · rate)``
    """
    views = []
    for x in features:
        missing = group.stop - x.shape[2]
        x = x[:, :, group.start : group.stop]
        if missing > 0:
            x = F.pad(x, (0, 0, 0, missing))
        x = x.unflatten(2, (group.n_bands, group.n_bins)).unflatten(-1, (-1, group.rate))
        views.append(x.permute(2, 0, 4, 1, 3, 5))  # b c n f t r -> n b t c f r
    return torch.stack(views, 3).flatten(3).flatten(1, 2)


def _power(re: Tensor, im: Tensor) -> Tensor:
    return re * re + im * im + _EPS
