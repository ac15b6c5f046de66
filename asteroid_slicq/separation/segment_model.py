"""A model as it is called on one segment: its channels, device, number type and mode."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import chain
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asteroid_slicq.separation.axes import from_model_channels, to_model_channels
from asteroid_slicq.separation.graphs import Graphs, capture_cuda, replayed
from asteroid_slicq.separation.transfers import fetched, sent
from asteroid_slicq.transform import check_device, check_flag, check_integer

_MIN_INPUT_S = 0.1  # shorter segments reach the model padded with zeros
_SHIFTS_S = 0.5


class SongStatistics(Protocol):
    """What a model measures in a first pass over the segments of a song, to separate them by.

    A model's method ``song_statistics()`` returns a new one, or ``None`` where there is nothing to
    measure. Positions are in steps of the model, ``segment_step_samples``.
    """

    def observe(self, model: Any, mix: Tensor, position: int, start: int, stop: int | None) -> None:
        """Measure the steps of a segment from ``start`` to ``stop``, counted in the segment."""
        ...

    def separate(self, model: Any, mix: Tensor, position: int) -> Tensor:
        """The sources of a segment, as the model itself gives them."""
        ...


class SegmentModel:
    """A model that is called on segments of any number of channels that it can serve.

    A mono segment is duplicated for a model with more channels and the sources are averaged to mono
    again; a mono model separates each channel on its own. Digital silence gives silence.

    Args:
        model: maps ``(batch, channel, time)`` to ``(batch, source, channel, time)`` and has the
            attributes ``sources``, ``sample_rate`` and ``n_channels``. A model that sees time in
            steps, such as slices, says so by ``segment_step_samples``: then every segment starts
            on a step, and the steps are those of the whole song. One that measures something over
            all that it hears may measure it over the whole song, in a pass of its own, see
            `SongStatistics`. Asteroid's mono models, which
            return ``(batch, source, time)`` and have no names for them, are served, too.
        device: where it is to run; ``None`` for where it is. The model itself is never moved.
        shifts: how often it runs on a segment, which begins later each time, by delays spread
            evenly over half a second; the estimates are moved back and averaged.
        cuda_graphs: whether calls of the same shape are recorded and replayed on a GPU, while it
            is evaluating.

    Attributes:
        sample_rate: of the model in Hz.
        n_channels: of the model.
        step: number of samples of which the start of a segment should be a multiple.

    Raises:
        ValueError: the model has no sample rate, the device is not there, or no shift.
    """

    def __init__(
        self,
        model: nn.Module,
        device: str | torch.device | None = None,
        shifts: int = 1,
        cuda_graphs: bool = True,
    ):
        rate = getattr(model, "sample_rate", None)
        if not rate:
            raise ValueError(f"model must have a sample_rate, {type(model).__name__} has {rate!r}")
        self.model = model
        self.device = None if device is None else check_device(device)
        self.sample_rate = float(rate)
        channels = getattr(model, "n_channels", None) or getattr(model, "in_channels", None)
        self.n_channels = int(channels or 1)
        self.step = int(getattr(model, "segment_step_samples", 1))
        n_shifts = check_integer("shifts", shifts, 1)
        delays_s = [index / n_shifts * _SHIFTS_S for index in range(n_shifts)]
        self._delays = [round(delay_s * self.sample_rate) for delay_s in delays_s]
        self._capture = capture_cuda if check_flag("cuda_graphs", cuda_graphs) else None
        self._graphs: Graphs | None = None
        self._n_sources: int | None = None  # of a model without names, once it was run

    @property
    def sources(self) -> list[str]:
        """Names of the sources; ``source1``, ``source2`` … for a model that has no names."""
        names = getattr(self.model, "sources", None)
        if names is not None:
            return list(names)  # those of now: some models may be told to leave one out
        if self._n_sources is None:
            second = torch.zeros(1, self.n_channels, round(self.sample_rate))
            with self.evaluating() as model:
                self._n_sources = model._run(second).shape[1]
        return [f"source{index}" for index in range(1, self._n_sources + 1)]

    def on_device(self, device: str | torch.device | None) -> SegmentModel:
        """The same, to run on another device.

        Raises:
            ValueError: the device is not there.
        """
        other = copy.copy(self)
        other.device = None if device is None else check_device(device)
        return other

    @contextmanager
    def evaluating(self) -> Iterator[SegmentModel]:
        """The same with the model in evaluation mode and on the device.

        The model itself is neither switched nor moved, since others may be training or running it:
        where it has another mode or device, a copy runs that shares its weights.

        A model that runs faster while its weights are fixed says so by ``fixed_weights()``, a
        context.
        """
        running = copy.copy(self)
        running.model = in_evaluation_mode(self.model, self.device)
        running._graphs = Graphs(self._capture) if self._capture is not None else None
        fixed_weights = getattr(running.model, "fixed_weights", nullcontext)
        with fixed_weights():
            yield running

    def channel_error(self, n_channels: int) -> str | None:
        """An error for a number of channels, to follow a name; ``None`` where it is served."""
        if n_channels in (1, self.n_channels) or self.n_channels == 1:
            return None
        served = "stereo" if self.n_channels == 2 else f"{self.n_channels} channels"
        return (
            f"has {n_channels} channels, this model separates {served} or mono; mix it down first"
        )

    def song_statistics(self) -> list[SongStatistics] | None:
        """Empty statistics of a song, one for each shift; ``None`` where the model has none."""
        make = getattr(self.model, "song_statistics", None)
        if make is None or (first := make()) is None:
            return None
        return [first, *(make() for _ in self._delays[1:])]

    @torch.inference_mode()
    def observe(
        self,
        song: list[SongStatistics],
        segment: np.ndarray,
        position: int,
        start: int,
        stop: int | None,
    ) -> None:
        """Measure a segment of a song, see `SongStatistics`. Shape: ``(batch, channel, time)``."""
        # Silent ones, too: where windows lie may depend on how long the song is.
        mix = self._prepared(to_model_channels(torch.tensor(segment), self.n_channels))
        with self._replaying():
            for statistics, delay in zip(song, self._delays, strict=True):
                statistics.observe(self.model, F.pad(mix, (delay, 0)), position, start, stop)

    def __call__(
        self,
        segment: np.ndarray,
        song: list[SongStatistics] | None = None,
        position: int = 0,
    ) -> np.ndarray:
        """Separate a segment, in evaluation mode if the caller has seen to it.

        Args:
            segment: the mix.
            song: statistics of all of the song.
            position: of the segment in it, in steps of the model.

        Shape:
            ``(batch, channel, time)`` → ``(batch, source, channel, time)``
        """
        return self.start(segment, song, position)()

    def start(
        self,
        segment: np.ndarray,
        song: list[SongStatistics] | None = None,
        position: int = 0,
    ) -> Callable[[], np.ndarray]:
        """The same, without waiting for a GPU: what is returned waits, in any thread."""
        batch, n_channels, n_samples = segment.shape
        if not segment.any():
            zeros = np.zeros((batch, len(self.sources), n_channels, n_samples), np.float32)
            return lambda: zeros
        n_missing = round(_MIN_INPUT_S * self.sample_rate) - n_samples
        if n_missing > 0:
            segment = np.pad(segment, [(0, 0), (0, 0), (0, n_missing)])
        mix = to_model_channels(torch.tensor(segment), self.n_channels)
        estimate: Tensor | None = None
        for index, delay in enumerate(self._delays):
            call = partial(replayed, self.model)
            if song is not None:
                call = partial(song[index].separate, self.model, position=position)
            part = self._run(F.pad(mix, (delay, 0)), call)[..., delay:]
            estimate = part if estimate is None else estimate + part
        estimate = cast(Tensor, estimate) / len(self._delays)
        wait = fetched(from_model_channels(estimate, n_channels)[..., :n_samples])
        return lambda: wait().numpy()

    def _replaying(self) -> AbstractContextManager[None]:
        return nullcontext() if self._graphs is None else self._graphs.in_use()

    def _prepared(self, mix: Tensor) -> Tensor:
        """The mix where the model is, in its number type, in memory that it may write into."""
        tensor = next(self.model.parameters(), None)
        if tensor is None:
            tensor = next(self.model.buffers(), torch.empty(0))
        dtype = tensor.dtype if tensor.is_floating_point() else torch.float32
        return sent(mix.contiguous(), tensor.device).to(dtype)

    @torch.inference_mode()
    def _run(self, mix: Tensor, call: Callable[..., Any] | None = None) -> Tensor:
        """Run the model, or a call in its place, on its own number of channels."""
        with self._replaying():
            estimate = (call or self.model)(self._prepared(mix))
        if not isinstance(estimate, Tensor):
            raise TypeError(
                f"model must return a tensor (batch, source, channel, time), "
                f"{type(self.model).__name__} returned a {type(estimate).__name__}"
            )
        if estimate.ndim == 3 and self.n_channels == 1:
            estimate = estimate.unsqueeze(2)
        batch, n_channels, n_samples = mix.shape
        names = getattr(self.model, "sources", None)
        n_sources = (self._n_sources or estimate.shape[1]) if names is None else len(names)
        if estimate.shape != (batch, n_sources, n_channels, n_samples):
            raise ValueError(
                f"model must return (batch, source, channel, time) = "
                f"{(batch, n_sources, n_channels, n_samples)}, got {tuple(estimate.shape)}"
            )
        return estimate.float()


def in_evaluation_mode(model: nn.Module, device: torch.device | None = None) -> nn.Module:
    """The model in evaluation mode and on a device: itself if it is, else a copy for inference.

    The copy shares the parameters and buffers, but for those that have to be on another device.

    Raises:
        TypeError: for a model that has to be copied and cannot.
    """
    tensors = [*model.parameters(), *model.buffers()]
    here = device is None or all(tensor.device == device for tensor in tensors)
    if here and not any(module.training for module in model.modules()):
        return model
    kept = chain(tensors, *(vars(module).values() for module in model.modules()))
    shared = {id(x): _on_device(x, device) for x in kept if isinstance(x, Tensor)}
    try:
        copied = copy.deepcopy(model, shared).eval()
    except Exception as error:  # each kind of object that cannot be copied has its own
        where = "" if device is None else f" and on the device {device}"
        raise TypeError(
            f"model must be in evaluation mode{where}, since a copy cannot be made that is "
            f"(model.eval(), model.to(…)): {error}"
        ) from error
    originals = set(map(id, tensors))
    for module in copied.modules():
        moved = not any(id(parameter) in originals for parameter in module.parameters())
        if isinstance(module, nn.RNNBase) and moved:
            module.flatten_parameters()  # as `Module.to` does: on a GPU they are one piece
    return copied


def _on_device(tensor: Tensor, device: torch.device | None) -> Tensor:
    if device is None or tensor.device == device:
        return tensor
    moved = tensor.detach().to(device)
    return nn.Parameter(moved, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else moved
