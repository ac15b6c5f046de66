"""A causal band-split model on a stream: buffers of the mix in, the sources out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asteroid_slicq.models.bandsplit.model import BandSplit
from asteroid_slicq.models.bandsplit.network import StreamState
from asteroid_slicq.separation import choose_sources
from asteroid_slicq.transform import SliCQTInverseStream, SliCQTStream


class BandSplitStream:
    """Separation of a mix that comes in buffers.

    What ``push`` and ``flush`` return, joined along time, is ``model(mix)``, aligned with the mix
    and as long. What is kept does not grow with the stream. A sample that is not finite spoils what
    follows until ``reset``. No gradient runs through it.

    Args:
        model: a causal model in evaluation mode, such as of the preset ``bandsplit-realtime``; the
            stream has its device.
        sources: which of the model's sources to return, in this order; None is all.

    Attributes:
        latency_samples: sample n of the sources is out once sample n + this of the mix is in.
        latency_s: the same in seconds.
        sources: names of the sources, in the order of the output.

    Raises:
        TypeError: when the model is no ``BandSplit``.
        ValueError: when it is not causal or in training mode; for a source that it has not.

    Example:
        >>> model = BandSplit.from_preset("bandsplit-realtime", width=32, n_layers=1).eval()
        >>> mix = torch.randn(2, 44100, generator=torch.Generator().manual_seed(0))
        >>> separator = BandSplitStream(model)
        >>> out = [separator.push(buffer) for buffer in mix.split(1024, dim=-1)]
        >>> out.append(separator.flush())
        >>> with torch.no_grad():
        ...     bool((torch.cat(out, dim=-1) - model(mix)).abs().max() < 1e-3)
        True
        >>> round(separator.latency_s, 3)
        0.563
    """

    def __init__(self, model: BandSplit, sources: Sequence[str] | None = None) -> None:
        if not isinstance(model, BandSplit):
            raise TypeError(f"model must be a BandSplit, got {type(model).__name__}")
        if not model.causal:
            raise ValueError(
                "model must be causal to run on a stream, such as the preset bandsplit-realtime; "
                "this one is an offline model"
            )
        if model.training:
            raise ValueError("model must be in evaluation mode on a stream: call model.eval()")
        self.model = model
        self.sources = choose_sources(sources, model.sources, "sources")
        self._wanted = [model.sources.index(name) for name in self.sources]
        self._analysis = SliCQTStream(model.slicqt)
        self._synthesis = SliCQTInverseStream(model.slicqt)
        self.latency_samples = self._analysis.latency_samples + self._synthesis.latency_samples
        self.latency_s = self.latency_samples / float(model.sample_rate)
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next buffer begins a new one."""
        self._analysis.reset()
        self._synthesis.reset()
        self._state = StreamState()
        self._length, self._ended = 0, False

    @torch.no_grad()
    def push(self, mix: Tensor) -> Tensor:
        """The samples of the sources that are known by now.

        Args:
            mix: the next samples, any number of them.

        Shape:
            - mix: ``(channel, time)`` or ``(batch, channel, time)``
            - output: ``(source, channel, time)`` or ``(batch, source, channel, time)``, with time
              of 0 or more samples

        Raises:
            TypeError: for what is no tensor.
            ValueError: for other shapes, for a mix that does not go on as the stream began, and
                after ``flush``.
        """
        if self._ended:
            raise ValueError("mix must not go on after flush(); reset() begins a new stream")
        if not isinstance(mix, Tensor):
            raise TypeError(f"mix must be a tensor, got {type(mix).__name__}")
        n_channels = self.model.n_channels
        if mix.ndim not in (2, 3) or mix.shape[-2] != n_channels:
            raise ValueError(
                f"mix must be ({n_channels} channels, time) or (batch, {n_channels} channels, "
                f"time), got {tuple(mix.shape)}"
            )
        coefficients = self._analysis.push(mix)
        self._length += mix.shape[-1]
        if not coefficients[0].shape[-1]:
            shape = (*mix.shape[:-2], len(self.sources), n_channels, 0)
            return mix.new_zeros(shape, dtype=coefficients[0].dtype.to_real())
        return self._synthesis.push(self._masked(coefficients))

    @torch.no_grad()
    def flush(self) -> Tensor:
        """The rest of the sources, so that they are as long as the mix; the stream has ended.

        Shape:
            - output: as of :meth:`push`; ``(source, channel, 0)`` where nothing was pushed

        Raises:
            ValueError: when it was called before.
        """
        if self._ended:
            raise ValueError("flush() must be called once a stream; reset() begins a new one")
        self._ended = True
        if not self._length:
            return torch.zeros(len(self.sources), self.model.n_channels, 0)
        return self._synthesis.flush(self._masked(self._analysis.flush()), self._length)

    def _masked(self, mix: Sequence[Tensor] | Tensor) -> list[Tensor]:
        """Coefficients of the wanted sources in the next half slices."""
        one = mix[0].ndim == 3
        blocks = [block[None] if one else block for block in mix]
        masked = [c[:, self._wanted] for c in self.model.masked(blocks, self._state)[0]]
        return [c[0] for c in masked] if one else masked
