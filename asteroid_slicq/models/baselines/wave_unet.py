"""Wave-U-Net: waveforms in, waveforms out.

Source: Stoller, Ewert, Dixon, "Wave-U-Net: a multi-scale neural network for end-to-end audio source
separation" (arXiv:1806.03185).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asteroid_slicq import registration
from asteroid_slicq.separation import Separable, check_sources, from_batch, mix_to_batch
from asteroid_slicq.transform import check_choice, check_integer, check_number
from asteroid_slicq.vocabulary import STEMS


class WaveUNet(Separable, registration.Shareable):
    """Wave-U-Net: convolutions over waveforms that are decimated and interpolated again.

    Layer i of the encoder has i times ``n_features``, and every other sample of what comes out goes
    on. The decoder interpolates, and sees what the encoder had there. Waveforms are padded to a
    multiple of 2^``n_layers`` and one more, so that interpolated samples lie exactly between those
    that were kept. It is trained by squared errors of waveforms.

    Args:
        sources: names of the sources, in the order of the output.
        n_channels: audio channels of the mix.
        sample_rate: in Hz; 22 050 in the paper.
        n_layers: of the encoder and of the decoder.
        n_features: of the first layer, and how many more every next one has.
        kernel_down: samples of the kernels of the encoder, odd.
        kernel_up: samples of the kernels of the decoder, odd.
        upsampling: ``linear``, or ``learned``: a weight for each feature between its neighbours.
        output: ``difference``: the last source is the mix less the others, so that all sum to the
            mix; ``direct``: each is estimated.

    Shape:
        - mix: ``(batch, channel, time)``; ``(channel, time)`` and, of one channel, ``(time,)`` too
        - output: ``(batch, source, channel, time)``, without ``batch`` where the mix had none

    Raises:
        TypeError: when an argument is of a wrong type.
        ValueError: when one lies outside its range.

    Example:
        >>> model = WaveUNet(n_layers=3, n_features=4).eval()
        >>> mix = torch.randn(2, 1000)
        >>> bool((model(mix).sum(0) - mix).abs().max() < 1e-5)
        True
    """

    def __init__(
        self,
        sources: Sequence[str] = STEMS,
        n_channels: int = 2,
        sample_rate: float = 44100,
        n_layers: int = 12,
        n_features: int = 24,
        kernel_down: int = 15,
        kernel_up: int = 5,
        upsampling: str = "linear",
        output: str = "difference",
    ) -> None:
        sample_rate = check_number("sample_rate", sample_rate)
        n_channels = check_integer("n_channels", n_channels, 1)
        super().__init__(sample_rate=sample_rate, in_channels=n_channels)
        self.sources, self.n_channels = check_sources(sources), n_channels
        n_layers = check_integer("n_layers", n_layers, 1)
        n_features = check_integer("n_features", n_features, 1)
        for name, size in (("kernel_down", kernel_down), ("kernel_up", kernel_up)):
            if not check_integer(name, size, 1) % 2:
                raise ValueError(f"{name} must be odd, got {size}; nearest that works: {size + 1}")
        check_choice("upsampling", upsampling, ("linear", "learned"))
        check_choice("output", output, ("difference", "direct"))
        self.output = output
        n_estimated = len(self.sources) - (output == "difference")
        if not n_estimated:
            raise ValueError("output must be direct for one source: the difference leaves the mix")
        widths = [n_channels, *(n_features * i for i in range(1, n_layers + 2))]
        self.encoder = nn.ModuleList(
            nn.Conv1d(widths[i], widths[i + 1], kernel_down, padding=kernel_down // 2)
            for i in range(n_layers + 1)
        )
        self.decoder = nn.ModuleList(
            nn.Conv1d(widths[i] + widths[i + 1], widths[i], kernel_up, padding=kernel_up // 2)
            for i in range(n_layers, 0, -1)
        )
        self.between = nn.ParameterList(
            torch.zeros(widths[i + 1], 1) for i in range(n_layers, 0, -1) if upsampling == "learned"
        )
        self.last = nn.Conv1d(n_features + n_channels, n_estimated * n_channels, 1)
        self._args = {
            "sources": list(self.sources),
            "n_channels": n_channels,
            "sample_rate": sample_rate,
            "n_layers": n_layers,
            "n_features": n_features,
            "kernel_down": kernel_down,
            "kernel_up": kernel_up,
            "upsampling": upsampling,
            "output": output,
        }

    def forward(self, mix: Tensor) -> Tensor:
        """Separate a mix, see the class for the shapes."""
        batch = mix_to_batch(mix, self.n_channels)
        n_samples = batch.shape[-1]
        batch = F.pad(batch, (0, (1 - n_samples) % self.segment_step_samples))
        batch = batch.to(self.last.weight.dtype)
        x, passed = batch, []
        *encoder, deepest = self.encoder
        for layer in encoder:
            x = F.leaky_relu(layer(x), 0.2)
            passed.append(x)
            x = x[..., ::2]
        x = F.leaky_relu(deepest(x), 0.2)
        weights = [weight.sigmoid() for weight in self.between] or [0.5] * len(self.decoder)
        for layer, weight, other in zip(self.decoder, weights, reversed(passed), strict=True):
            x = torch.cat([interpolated(x, weight), other], 1)
            x = F.leaky_relu(layer(x), 0.2)
        x = torch.tanh(self.last(torch.cat([x, batch], 1)))
        x = x.unflatten(1, (-1, self.n_channels))
        if self.output == "difference":
            x = torch.cat([x, (batch - x.sum(1)).unsqueeze(1)], 1)
        return from_batch(x[..., :n_samples].to(mix.dtype), mix.ndim)

    @property
    def segment_step_samples(self) -> int:
        """Samples that the deepest layer has one of: segments of a song start on a multiple."""
        return 2 ** len(self.decoder)

    def get_model_args(self) -> dict[str, object]:
        """Arguments that build this model again, in plain types."""
        return dict(self._args)


def interpolated(x: Tensor, weight: Tensor | float) -> Tensor:
    """A sample between each two, ``weight`` times the former and the rest of one times the latter.

    Shape:
        - x: ``(batch, feature, n)``; weight: ``(feature, 1)`` or a number
        - output: ``(batch, feature, 2n − 1)``
    """
    before, after = x[..., :-1], x[..., 1:]
    pairs = torch.stack([before, weight * before + (1 - weight) * after], -1).flatten(-2)
    return torch.cat([pairs, x[..., -1:]], -1)


registration.register_model(WaveUNet)
