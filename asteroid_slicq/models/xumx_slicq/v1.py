"""The convolutional network of one block of xumx-sliCQ V1, for all targets at once.

Source: Hanssian, "Music demixing with the sliCQ transform" (arXiv:2112.05509), first version: a
denoising autoencoder (Grais & Plumbley, arXiv:1703.08019) of two dilated convolutions and two
transposed ones over the overlap-added magnitudes.

The targets are groups of one convolution. On a CPU the inner convolutions, which hold nearly all of
the arithmetic, are fastest with the channels last, the thin transposed ones at the end with the
channels first.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from asteroid_slicq.models.xumx_slicq.layers import (
    MaskNetwork,
    frequency_kernel,
    normalised,
    runs_channels_last,
)
from asteroid_slicq.transform import overlap_add

_DILATION = (1, 2)
_UPSAMPLING = (1, 3)


def time_kernel(n_coefficients: int) -> int:
    """Kernel over the coefficients of a block: 7 up to 100 of them in a slice, else 13."""
    return 7 if n_coefficients <= 100 else 13


class DilatedBlockNetwork(MaskNetwork):
    """Dilated convolutions over overlap-added magnitudes.

    The last layer doubles the stream, which is then read as slices again: the mask at coefficient
    m of slice s of M stems from around position (s·M + m)/2 of the overlap-added stream, as
    published, though the coefficient itself lies at s·M/2 + m.

    Args:
        n_bins, n_coefficients, n_sources, n_channels: see :class:`MaskNetwork`.
        hidden_channels: channels of the outer and the inner layer, for each target.
    """

    def __init__(
        self,
        n_bins: int,
        n_coefficients: int,
        n_sources: int = 4,
        n_channels: int = 2,
        hidden_channels: tuple[int, int] = (25, 55),
    ) -> None:
        super().__init__(n_sources)
        kernel = (frequency_kernel(n_bins), time_kernel(n_coefficients))
        ends = n_sources * n_channels
        outer, inner = (n_sources * n for n in hidden_channels)
        layer = {"dilation": _DILATION, "groups": n_sources, "bias": False}
        self.shift = nn.Parameter(torch.zeros(n_sources, n_bins))
        self.scale = nn.Parameter(torch.ones(n_sources, n_bins))
        self.encode_outer = nn.Conv2d(ends, outer, kernel, **layer)
        self.encode_inner = nn.Conv2d(outer, inner, kernel, **layer)
        self.decode_inner = nn.ConvTranspose2d(inner, outer, kernel, **layer)
        self.decode_outer = nn.ConvTranspose2d(outer, ends, kernel, **layer)
        self.upsample = nn.ConvTranspose2d(ends, ends, _UPSAMPLING, stride=(1, 2), groups=n_sources)
        self.norm_encode_outer = nn.BatchNorm2d(outer)
        self.norm_encode_inner = nn.BatchNorm2d(inner)
        self.norm_decode_inner = nn.BatchNorm2d(outer)
        self.norm_decode_outer = nn.BatchNorm2d(ends)

    def seen(self, magnitudes: Tensor) -> Tensor:
        """The magnitudes as the network sees them: the overlap-added stream."""
        return overlap_add(magnitudes)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Masks of all targets, see :class:`MaskNetwork` for the shapes."""
        # b batch, j source, c channel, f freq, s slice, t time, n stream
        n_slices, width = magnitudes.shape[-2:]
        x = self.seen(magnitudes.to(self.shift.dtype)).unsqueeze(1)
        x = (x + self.shift[:, None, :, None]) * self.scale[:, None, :, None]
        # Two kernels must fit into a short input, too.
        missing = 4 * (self.encode_outer.kernel_size[1] - 1) + 1 - x.shape[-1]
        x = rearrange(F.pad(x, (0, max(0, missing))), "b j c f n -> b (j c) f n")
        if runs_channels_last(self, x):
            x = x.contiguous(memory_format=torch.channels_last)
        x = normalised(self.encode_outer, self.norm_encode_outer, x)
        x = normalised(self.encode_inner, self.norm_encode_inner, x)
        x = normalised(self.decode_inner, self.norm_decode_inner, x).contiguous()
        x = normalised(self.decode_outer, self.norm_decode_outer, x)
        x = self.upsample(x)[..., : n_slices * width]
        masks = torch.sigmoid(x).to(magnitudes.dtype)
        return rearrange(masks, "b (j c) f (s t) -> b j c f s t", j=self.n_sources, t=width)
