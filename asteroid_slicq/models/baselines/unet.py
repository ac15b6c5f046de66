"""The singing-voice U-Net: a convolutional network that masks a spectrogram.

Source: Jansson, Humphrey, Montecchio, Bittner, Kumar, Weyde, "Singing voice separation with deep
U-Net convolutional networks" (ISMIR 2017).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asteroid_slicq import registration
from asteroid_slicq.models.baselines.spectral import SpectralModel
from asteroid_slicq.transform import check_integer, check_range
from asteroid_slicq.vocabulary import STEMS

_N_DROPPED = 3  # layers of the decoder behind which numbers drop out


class MaskUNet(nn.Module):
    """Magnitudes of the mix → mask of one source.

    Convolutions of 5 × 5 with a stride of 2, batch norm, leaky ReLU (0.2); transposed ones with
    batch norm, ReLU and, in the first three, dropout, each seeing what the encoder had there; a
    sigmoid at the end.

    Args:
        n_channels: of audio.
        hidden_channels: of the layers of the encoder, outermost first.
        dropout: probability in training.

    Shape:
        - magnitudes: ``(batch, channel, freq, time)``; output: the same, in 0 … 1
    """

    def __init__(self, n_channels: int, hidden_channels: Sequence[int], dropout: float) -> None:
        super().__init__()
        widths = [n_channels, *hidden_channels]
        options: dict[str, Any] = {"kernel_size": 5, "stride": 2, "padding": 2}
        self.encoder = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(n_in, n_out, **options), nn.BatchNorm2d(n_out), nn.LeakyReLU(0.2)
            )
            for n_in, n_out in pairwise(widths)
        )
        layers = []
        for i, n_out in enumerate(reversed(widths[:-1])):
            n_in = widths[-1 - i] * (1 if i == 0 else 2)
            parts = [nn.ConvTranspose2d(n_in, n_out, output_padding=1, **options)]
            if i < len(widths) - 2:
                parts += [nn.BatchNorm2d(n_out), nn.ReLU()]
                parts += [nn.Dropout(dropout)] if i < _N_DROPPED else []
            layers.append(nn.Sequential(*parts))
        self.decoder = nn.ModuleList(layers)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """The mask, see the class for the shapes."""
        n_bins, n_steps = magnitudes.shape[-2:]
        multiple = 2 ** len(self.encoder)
        x = F.pad(magnitudes, (0, -n_steps % multiple, 0, -n_bins % multiple))
        passed = []
        for layer in self.encoder:
            x = layer(x)
            passed.append(x)
        for i, layer in enumerate(self.decoder):
            x = layer(x if i == 0 else torch.cat([x, passed[-1 - i]], 1))
        return x[..., :n_bins, :n_steps].sigmoid()


class UNet(SpectralModel):
    """The singing-voice U-Net, one for each source, on an STFT or the matrix of a sliCQT.

    The networks see the magnitudes of the mix relative to their largest one, and their masks times
    the mix are the sources, as the paper has it for vocals and accompaniment. It is trained by the
    mean absolute error of magnitudes, :class:`asteroid_slicq.losses.MagnitudeL1Loss`.

    Args:
        sources: names of the sources, in the order of the output.
        n_channels: audio channels of the mix.
        sample_rate: in Hz; 8192 in the paper.
        transform: ``stft`` or ``slicqt``.
        transform_arguments: ``n_fft`` and ``hop`` of the STFT, where they differ from 93 ms and a
            quarter of it; or of :class:`asteroid_slicq.SliCQT`, where they differ from its defaults
            with Hann windows of at least 32 DFT bins.
        steps_per_s: columns that the network sees per second, at most.
        hidden_channels: of the layers of the encoder, outermost first; as published.
        dropout: probability in training, of the first three layers of the decoder.

    Shape:
        - mix: ``(batch, channel, time)``; ``(channel, time)`` and, of one channel, ``(time,)`` too
        - output: ``(batch, source, channel, time)``, without ``batch`` where the mix had none

    Raises:
        TypeError: when an argument is of a wrong type.
        ValueError: when one lies outside its range.

    Example:
        >>> model = UNet(["vocals", "accompaniment"], hidden_channels=(4, 8)).eval()
        >>> model(torch.zeros(1, 2, 4410)).shape
        torch.Size([1, 2, 2, 4410])
    """

    def __init__(
        self,
        sources: Sequence[str] = STEMS,
        n_channels: int = 2,
        sample_rate: float = 44100,
        transform: str = "stft",
        transform_arguments: Mapping[str, Any] | None = None,
        steps_per_s: float = 78.0,
        hidden_channels: Sequence[int] = (16, 32, 64, 128, 256, 512),
        dropout: float = 0.5,
    ) -> None:
        n_channels = check_integer("n_channels", n_channels, 1)
        super().__init__(
            sources, n_channels, sample_rate, transform, transform_arguments, steps_per_s, 1.0
        )
        hidden = [check_integer("hidden_channels", n, 1) for n in hidden_channels]
        if not hidden:
            raise ValueError("hidden_channels must hold at least one number, got none")
        check_range("dropout", dropout, 0.0, 0.9, "")
        self.networks = nn.ModuleList(MaskUNet(n_channels, hidden, dropout) for _ in self.sources)
        self._args |= {"hidden_channels": hidden, "dropout": dropout}

    def masks(self, seen: Tensor) -> Tensor:
        """Masks of all sources, see the base class."""
        peak = seen.amax((1, 2, 3), keepdim=True)
        relative = seen / peak.clamp(min=torch.finfo(seen.dtype).tiny)
        relative = relative.to(next(self.networks.parameters()).dtype)
        return torch.stack([network(relative) for network in self.networks], 1)


registration.register_model(UNet)
