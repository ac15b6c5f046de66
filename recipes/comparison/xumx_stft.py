"""X-UMX: Open-Unmix for all sources at once, whose networks meet twice; for comparisons alone.

Sources: Sawata, Uhlich, Takahashi, Mitsufuji, "All for one and one for all: improving music
separation by bridging networks" (arXiv:2010.04228), for the bridges and the loss; Stöter et al.,
"Open-Unmix: a reference implementation for music source separation" (JOSS 2019), for the network of
a source.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from asteroid_slicq.models.input_statistics import average
from asteroid_slicq.models.recurrence import run_lstm
from asteroid_slicq.transform import STFT
from asteroid_slicq.vocabulary import STEMS

BANDWIDTH_HZ = 16000.0  # that the networks see; they mask all of it


class Estimate(NamedTuple):
    """Coefficients and masks of all sources, of one block each.

    Shape:
        - coefficients: ``(batch, source, channel, freq, time)``, complex
        - masks: the same, real
    """

    coefficients: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]


class SourceNetwork(nn.Module):
    """The network of a source, in the three parts between which networks meet.

    Args:
        n_seen: features of an STFT frame, of all channels.
        n_out: the same, of the mask.
        hidden: features of the layers.
    """

    def __init__(self, n_seen: int, n_out: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(n_seen, hidden, bias=False)
        self.norm_first = nn.BatchNorm1d(hidden)
        self.lstm = nn.LSTM(
            hidden, hidden // 2, 3, batch_first=True, dropout=0.4, bidirectional=True
        )
        self.second = nn.Linear(2 * hidden, hidden, bias=False)
        self.norm_second = nn.BatchNorm1d(hidden)
        self.third = nn.Linear(hidden, n_out, bias=False)
        self.norm_third = nn.BatchNorm1d(n_out)

    def encoded(self, x: Tensor) -> Tensor:
        """Up to the first bridge, ``(batch, time, hidden)``."""
        return torch.tanh(_normed(self.norm_first, self.first(x)))

    def recurrent(self, x: Tensor) -> Tensor:
        """Up to the second one, ``(batch, time, 2 hidden)``."""
        return torch.cat([x, run_lstm(self.lstm, x)[0]], -1)

    def decoded(self, x: Tensor) -> Tensor:
        """Behind it, ``(batch, time, n_out)``."""
        x = torch.relu(_normed(self.norm_second, self.second(x)))
        return _normed(self.norm_third, self.third(x))


class XUMXOnSTFT(nn.Module):
    """X-UMX on an STFT of 4096 samples: magnitudes in, real masks out, phase of the mix.

    The bridges are averages over the sources, behind the first layer and behind the LSTMs. They
    have no parameters: every source gets the same average.

    Args:
        sources: names of the sources.
        n_channels: of the mix.
        sample_rate: in Hz.
        hidden: features of the layers, even.

    Shape:
        - mix: ``(batch, channel, time)``; output: ``(batch, source, channel, time)``
    """

    shift: nn.Parameter
    scale: nn.Parameter

    def __init__(
        self,
        sources: Sequence[str] = STEMS,
        n_channels: int = 2,
        sample_rate: float = 44100,
        hidden: int = 512,
    ) -> None:
        super().__init__()
        self.sources, self.n_channels, self.sample_rate = list(sources), n_channels, sample_rate
        self.transform = STFT(4096, 1024, sample_rate)
        frequencies = self.transform.frequencies_hz
        self.n_seen = int((frequencies <= BANDWIDTH_HZ).sum())
        n_bins = len(frequencies)
        self.shift = nn.Parameter(torch.zeros(self.n_seen))
        self.scale = nn.Parameter(torch.ones(self.n_seen))
        self.out_scale = nn.Parameter(torch.ones(len(self.sources), 1, n_bins, 1))
        self.out_shift = nn.Parameter(torch.ones(len(self.sources), 1, n_bins, 1))
        self.networks = nn.ModuleList(
            SourceNetwork(n_channels * self.n_seen, n_channels * n_bins, hidden)
            for _ in self.sources
        )

    def forward(self, mix: Tensor) -> Tensor:
        """Separate a mix, see the class for the shapes."""
        estimate = self.estimate_from_coefficients(self.transform(mix))
        return self.transform.inverse(estimate.coefficients, mix.shape[-1])

    def estimate_from_coefficients(self, mix: Sequence[Tensor]) -> Estimate:
        """Coefficients and masks of all sources.

        Shape:
            - mix: one block, ``(batch, channel, freq, time)``, complex
        """
        (seen,) = self.network_input(mix)
        x = (seen[:, :, : self.n_seen] + self.shift[:, None]) * self.scale[:, None]
        x = x.permute(0, 3, 1, 2).flatten(2)  # batch, time, channel · freq
        networks: Any = self.networks
        bridge = _average([network.encoded(x) for network in networks])
        bridge = _average([network.recurrent(bridge) for network in networks])
        masks = torch.stack([network.decoded(bridge) for network in networks], 1)
        masks = masks.unflatten(3, (self.n_channels, -1)).permute(0, 1, 3, 4, 2).float()
        masks = torch.relu(masks * self.out_scale + self.out_shift)
        return Estimate((masks * mix[0].unsqueeze(1),), (masks,))

    def network_input(self, mix: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Magnitudes as the networks see them before they are shifted and scaled."""
        return (mix[0].abs(),)

    @property
    def input_arguments(self) -> dict[str, Any]:
        """Arguments that :meth:`network_input` depends on."""
        return {"xumx-stft": {"sample_rate": self.sample_rate, "n_channels": self.n_channels}}

    @torch.no_grad()
    def set_input_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Start the shift and scale of each bin from the statistics of a data set.

        Shape:
            - mean, std: ``(freq,)``
        """
        self.shift.copy_(-mean[: self.n_seen])
        self.scale.copy_(1 / std[: self.n_seen].clamp(min=1e-4 * float(std.max()) + 1e-8))

    def scale_input(self, mixes: Iterable[Tensor]) -> None:
        """The same from batches of mixes, ``(batch, channel, time)`` each."""
        statistics = average(self, mixes)
        self.set_input_statistics(statistics.mean, statistics.std)


def _normed(norm: nn.Module, x: Tensor) -> Tensor:
    """Batch norm over batch and time, ``(batch, time, feature)``."""
    return norm(x.flatten(0, 1)).view_as(x)


def _average(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).mean(0)
