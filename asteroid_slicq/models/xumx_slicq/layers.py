"""Parts that the networks of a block share: face, blocks left alone, normalised layers."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F


class MaskNetwork(nn.Module):
    """A network that maps magnitudes of one block of the mix to a mask for each target.

    A network is built from ``n_bins`` of the block, ``n_coefficients`` per slice of it (M, even),
    ``n_sources``, which are its targets, and ``n_channels`` of audio.

    Shape:
        - magnitudes: ``(batch, channel, freq, slice, time)``, real
        - output: ``(batch, source, channel, freq, slice, time)``, in 0 … 1, of the same dtype
    """

    def __init__(self, n_sources: int) -> None:
        super().__init__()
        self.n_sources = n_sources

    def seen(self, magnitudes: Tensor) -> Tensor:
        """The magnitudes as the network sees them: as they are, unless it says otherwise."""
        return magnitudes


class PassThrough(MaskNetwork):
    """A block that the model leaves alone: every target's mask is one."""

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Masks of all targets, see the base class for the shapes."""
        batch, *shape = magnitudes.shape
        return magnitudes.new_ones(()).expand(batch, self.n_sources, *shape)


def frequency_kernel(n_bins: int) -> int:
    """Kernel over the bins of a block: 1 below 10 bins, 3 below 20, else 5."""
    return 1 if n_bins < 10 else 3 if n_bins < 20 else 5


def runs_channels_last(network: nn.Module, x: Tensor) -> bool:
    """True where convolutions of ``x`` are faster with the channels last in memory."""
    return not network.training and x.device.type == "cpu"


def normalised(
    layer: nn.Conv2d | nn.ConvTranspose2d,
    norm: nn.BatchNorm2d,
    x: Tensor,
    frames: Tensor | None = None,
) -> Tensor:
    """Convolution, batch norm, ReLU; outside of training the norm is part of the convolution.

    The ``frames`` are the weight, where that is laid out otherwise, with a stride of 1.
    """
    weight = layer.weight if frames is None else frames
    transposed = isinstance(layer, nn.ConvTranspose2d)
    convolve = F.conv_transpose2d if transposed else F.conv2d
    options = {"dilation": layer.dilation, "groups": layer.groups}
    if norm.training:
        return F.relu(norm(convolve(x, weight, **options)))
    if x.numel() < weight.numel():  # then it is cheaper to scale what comes out
        return norm(convolve(x, weight, **options)).relu_()
    gain = norm.weight * (cast(Tensor, norm.running_var) + norm.eps).rsqrt()
    bias = norm.bias - gain * cast(Tensor, norm.running_mean)
    if transposed:
        # (in, out of a group, …): the rows of a group belong to its own outputs
        rows = gain.view(layer.groups, 1, -1).expand(-1, layer.in_channels // layer.groups, -1)
        weight = weight * rows.flatten(0, 1)[..., None, None]
    else:
        weight = weight * gain[:, None, None, None]
    return convolve(x, weight, bias, **options).relu_()
