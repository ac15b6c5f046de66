"""The networks of MiXiN: one convolutional denoising autoencoder (CDAE) for each source.

Source: Grais, Plumbley, "Single channel audio source separation using convolutional denoising
autoencoders" (arXiv:1703.08019), in the shape that MiXiN gave it for the matrix of an NSGT.

Where this departs from the order of the layers as they are drawn, the numbers stay the same: a ReLU
commutes with the maximum before which it stands, and the last layer, 1×1, with the repetition
before it, so both run on a fifteenth of the coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POOL_OUTER = (3, 5)
"""Bins and coefficients that the first pooling takes together, and that the output shares."""
_POOL_INNER = (1, 5)
_CPU_MATRICES = 1  # at a time: what lies between the layers is then reused from the cache


class DenoisingAutoencoder(nn.Module):
    """Magnitudes of the mix → magnitudes of one source; 37 005 parameters.

    Weights start as in Keras (Glorot, uniform), but for those of the last layer, which start
    positive: with signs drawn at random, whole networks would start, and stay, behind a ReLU that
    lets nothing through.

    Shape:
        - input: ``(batch, freq, time)``, not negative
        - output: ``(batch, freq, time)``, not negative
    """

    def __init__(self) -> None:
        super().__init__()
        self.encode_outer = nn.Conv2d(1, 12, 3, padding=1)
        self.encode_inner = nn.Conv2d(12, 20, 3, padding=1)
        self.bottleneck_1 = nn.Conv2d(20, 30, 3, padding=1)
        self.bottleneck_2 = nn.Conv2d(30, 40, 3, padding=1)
        self.bottleneck_3 = nn.Conv2d(40, 30, 3, padding=1)
        self.bottleneck_4 = nn.Conv2d(30, 20, 3, padding=1)
        self.decode_inner = nn.Conv2d(20, 12, 3, padding=1)
        self.decode_outer = nn.Conv2d(12, 1, 1)
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(cast(Tensor, layer.bias))
        with torch.no_grad():
            self.decode_outer.weight.abs_()

    @property
    def layers(self) -> list[nn.Conv2d]:
        """The convolutions, first to last."""
        return [cast(nn.Conv2d, layer) for layer in self.children()]

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Estimate a source, see the class for the shapes."""
        coarse = run_together([self], magnitudes)[:, 0]
        return refine(coarse, magnitudes.shape[-2], magnitudes.shape[-1])

    def after_first_layer(self, x: Tensor) -> Tensor:
        """From the pooled output of the first convolution to the output before its repetition.

        Shape:
            - x: ``(batch, 12, freq / 3, time / 5)``
            - output: ``(batch, 1, freq / 3, time / 5)``, or up to four columns more
        """
        x = _pool_same(self.encode_inner(x.relu()), _POOL_INNER).relu()
        x = self.bottleneck_1(x).relu()
        x = self.bottleneck_2(x).relu()
        x = self.bottleneck_3(x).relu()
        x = self.bottleneck_4(x).relu()
        x = F.interpolate(x, scale_factor=_POOL_INNER, mode="nearest")
        return self.decode_outer(self.decode_inner(x).relu()).relu()


def run_together(networks: Sequence[DenoisingAutoencoder], magnitudes: Tensor) -> Tensor:
    """Several networks on the same magnitudes, at the resolution at which they estimate.

    The first layers, half of the memory traffic, are one convolution. The others run network by
    network, which is faster than groups of one convolution.

    Shape:
        - magnitudes: ``(batch, freq, time)``
        - output: ``(batch, network, ⌈freq / 3⌉, 5·⌈time / 25⌉)``; :func:`refine` repeats it
    """
    weight = torch.cat([network.encode_outer.weight for network in networks])
    bias = torch.cat([cast(Tensor, network.encode_outer.bias) for network in networks])
    size = _CPU_MATRICES if magnitudes.device.type == "cpu" else max(1, len(magnitudes))
    outputs = []
    for part in magnitudes.split(size):
        # One channel, with the strides of channels_last: PyTorch's own call leaves them as they are
        x = part.contiguous().unsqueeze(-1).permute(0, 3, 1, 2)
        x = _pool_same(F.conv2d(x, weight, bias, padding=1), POOL_OUTER)
        inputs = x.chunk(len(networks), 1)
        outputs.append(
            torch.cat(
                [
                    network.after_first_layer(own.contiguous(memory_format=torch.channels_last))
                    for network, own in zip(networks, inputs, strict=True)
                ],
                1,
            )
        )
    return torch.cat(outputs)


def refine(coarse: Tensor, n_bins: int, n_times: int) -> Tensor:
    """Repeat what the networks estimate 3 × 5 times, and crop it to the matrix.

    Shape:
        - coarse: ``(..., ⌈freq / 3⌉, 5·⌈time / 25⌉)``
        - output: ``(..., freq, time)``
    """
    f, t = coarse.shape[-2:]
    repeated = coarse[..., :, None, :, None].expand(
        *coarse.shape[:-2], f, POOL_OUTER[0], t, POOL_OUTER[1]
    )
    return repeated.flatten(-4, -3).flatten(-2)[..., :n_bins, :n_times]


def _pool_same(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Maximum over ``size``, padded as TensorFlow's "same" is: the smaller half in front."""
    missing = [math.ceil(n / k) * k - n for n, k in zip(x.shape[-2:], size, strict=True)]
    # ceil_mode lets the last window reach one further behind where the halves differ
    return F.max_pool2d(x, size, padding=[n // 2 for n in missing], ceil_mode=True)
