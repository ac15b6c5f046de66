"""The sources of a mix that comes in buffers: what the streams of all models share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from asteroid_slicq.separation.names import choose_sources
from asteroid_slicq.transform import SliCQT, SliCQTInverseStream, SliCQTStream


class SourceStream(ABC):
    """Separation of a mix that comes in buffers, by masks on a sliCQT.

    What ``push`` and ``flush`` return, joined along time, is ``model(mix)`` in evaluation mode,
    aligned with the mix and as long. What is kept does not grow with the stream. No gradient runs
    through it.

    Args:
        model: has ``sources``, ``n_channels`` and ``sample_rate``.
        slicqt: its transform, whose device the stream has.
        sources: which of the model's sources to return, in this order; None is all.
        lookahead_slices: slices after a slice that its masks wait for.

    Attributes:
        latency_samples: sample n of the sources is out once sample n + this of the mix is in.
        latency_s: the same in seconds.
        sources: names of the sources, in the order of the output.

    Raises:
        ValueError: for a source that the model has not.
    """

    def __init__(
        self, model: Any, slicqt: SliCQT, sources: Sequence[str] | None, lookahead_slices: int = 0
    ) -> None:
        self.model = model
        self.sources = choose_sources(sources, model.sources, "sources")
        wanted = [model.sources.index(name) for name in self.sources]
        self._analysis, self._synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt)
        latencies = self._analysis.latency_samples + self._synthesis.latency_samples
        self.latency_samples = latencies + lookahead_slices * slicqt.frame.slice_hop
        self.latency_s = self.latency_samples / float(model.sample_rate)
        self._device = slicqt.index.device
        self._wanted = torch.tensor(wanted, device=self._device)  # a list is copied at each use
        self._step_axis = -1 if slicqt.frame.overlap_added else -2
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next buffer begins a new one, with the weights of then."""
        self._analysis.reset()
        self._synthesis.reset()
        self._length, self._ended = 0, False
        self._leading: tuple[int, ...] = ()  # a batch, where the first buffer has one

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
        self._leading, self._length = mix.shape[:-2], self._length + mix.shape[-1]
        if not coefficients[0].shape[self._step_axis]:
            return self._nothing(coefficients[0].dtype.to_real())
        return self._synthesis.push(self._of_stream(coefficients, last=False))

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
            return self._nothing(torch.float32)
        masked = self._of_stream(self._analysis.flush(), last=True)
        return self._synthesis.flush(masked, self._length)

    def _nothing(self, dtype: torch.dtype) -> Tensor:
        shape = *self._leading, len(self.sources), self.model.n_channels, 0
        return torch.zeros(shape, dtype=dtype, device=self._device)

    def _of_stream(self, mix: Sequence[Tensor] | Tensor, last: bool) -> list[Tensor]:
        if self._leading:
            return self._masked(list(mix), last)
        return [block[0] for block in self._masked([block[None] for block in mix], last)]

    @abstractmethod
    def _masked(self, mix: list[Tensor], last: bool) -> list[Tensor]:
        """Coefficients of the wanted sources that are known by now, of the next ones of the mix.

        Shape:
            - mix: ``(batch, channel, freq, …)`` each; output: ``(batch, source, channel, freq, …)``
        """
