"""Models that separate together: the mean of their estimates, or of their masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from asteroid_slicq.separation.axes import (
    from_batch,
    from_model_channels,
    mix_to_batch,
    to_model_channels,
)
from asteroid_slicq.separation.graphs import replayed
from asteroid_slicq.separation.level import common_level
from asteroid_slicq.separation.methods import Separable
from asteroid_slicq.separation.segment_model import SongStatistics
from asteroid_slicq.transform import STFT, check_choice, check_number
from asteroid_slicq.vocabulary import ENSEMBLE_DOMAINS

_N_FFT, _HOP = 4096, 1024
_MAX_STEP_S = 2.0  # steps of all members beyond it would leave no choice of a segment


class Ensemble(Separable):
    """Several models as one, whose estimates are the weighted mean of theirs.

    The members run one after the other, so that memory is that of the largest of them and two
    estimates. They must have the same sources, in any order, and the same sample rate. The ensemble
    has the most channels that any of them has; a mono model separates each channel on its own.

    Args:
        models: the members, each as :class:`Separator` takes it, with names for its sources.
        weights: of the members, of any sum; ``None`` is one each.
        domain: ``waveform``: the mean of the waveforms. ``mask``: each member's magnitudes on an
            STFT (4096/1024) give its soft masks, a source's share of their sum, and the mean of
            these filters the mix: so the sources sum to the mix and have its phase.

    Attributes:
        sources: those of the first member, in its order.
        sample_rate: in Hz.
        n_channels: number of channels.

    Shape:
        - mix: ``(batch, channel, time)``; ``(channel, time)`` and, of one channel, ``(time,)`` too
        - output: ``(batch, source, channel, time)``, without ``batch`` where the mix had none

    Raises:
        ValueError: no models, other sources or another sample rate than the first one's, numbers of
            channels that do not go together, weights that are negative, all zero or not one each,
            or an unknown domain.

    Example:
        >>> from asteroid_slicq import XUMXSliCQ
        >>> members = [XUMXSliCQ.from_preset("small").eval() for _ in range(2)]
        >>> ensemble = Ensemble(members, weights=[2, 1])
        >>> ensemble.separate(torch.zeros(2, 4410)).shape
        torch.Size([4, 2, 4410])
    """

    def __init__(
        self,
        models: Iterable[nn.Module],
        weights: Sequence[float] | None = None,
        domain: str = "waveform",
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(models)
        check_choice("domain", domain, ENSEMBLE_DOMAINS)
        self.domain = domain
        self.weights = _shares(weights, len(self.members))
        self.sources, self.sample_rate = _common(self.members)
        counts = sorted({_n_channels(model) for model in self.members})
        self.n_channels = counts[-1]
        if len(counts) > 2 or (len(counts) == 2 and counts[0] != 1):
            raise ValueError(f"models must have the same channels or one, got {counts}")
        self._orders = [
            [_names(model).index(name) for name in self.sources] for model in self.members
        ]

    @property
    def segment_step_samples(self) -> int:
        """Least common multiple of the members' steps where that is short, else the longest."""
        steps = [_step(model) for model in self.members]
        common = math.lcm(*steps)
        return common if common <= _MAX_STEP_S * self.sample_rate else max(steps)

    @property
    def reach_s(self) -> float:
        """How far around a sample the members look, in seconds."""
        return max(getattr(model, "reach_s", 0.0) for model in self.members)

    @property
    def input_level_db(self) -> float | None:
        """The level that all members want songs at; ``None`` where they differ."""
        return common_level(self.members)

    @contextmanager
    def fixed_weights(self) -> Iterator[None]:
        """A context in which the weights of the members do not change; they may run faster."""
        with ExitStack() as stack:
            for model in self.members:
                stack.enter_context(getattr(model, "fixed_weights", nullcontext)())
            yield

    def song_statistics(self) -> EnsembleStatistics | None:
        """What the members measure over a whole song; ``None`` where none of them does."""
        each = [self._statistics_of(model) for model in self.members]
        return EnsembleStatistics(each) if any(each) else None

    def _statistics_of(self, model: nn.Module) -> SongStatistics | None:
        """Those of a member; ``None`` of one whose steps are not those of the ensemble."""
        make = getattr(model, "song_statistics", None)
        return None if make is None or self.step_ratio(model) is None else make()

    def step_ratio(self, model: nn.Module) -> int | None:
        """Steps of a member in a step of the ensemble; ``None`` where they do not go into it."""
        ratio, left = divmod(self.segment_step_samples, _step(model))
        return None if left else ratio

    def forward(self, mix: Tensor) -> Tensor:
        """Separate a mix, see the class for the shapes."""
        return self.mean(mix, list(self.members))

    def mean(self, mix: Tensor, calls: Sequence[Callable[[Tensor], Tensor]]) -> Tensor:
        """The mean of what is called in place of each member."""
        batch = mix_to_batch(mix, self.n_channels)
        domain = _Masks(batch) if self.domain == "mask" else None
        total = batch.new_zeros(())
        members = zip(self.members, calls, self.weights, self._orders, strict=True)
        for model, call, weight, order in members:
            if weight:
                estimate = self._estimate(model, call, batch)[:, order]
                total = total + weight * (estimate if domain is None else domain.of(estimate))
        return from_batch(total if domain is None else domain.applied(total), mix.ndim)

    def matched(self, model: nn.Module, mix: Tensor) -> Tensor:
        """A mix of the ensemble as a member takes it."""
        return to_model_channels(mix, _n_channels(model)).contiguous()

    def _estimate(self, model: nn.Module, call: Callable[[Tensor], Tensor], mix: Tensor) -> Tensor:
        """Sources of a member with the channels of the ensemble, in the member's order."""
        n_channels = mix.shape[1]
        estimate = call(self.matched(model, mix))
        if estimate.ndim == 3:  # a mono model of Asteroid's has no axis for the channel
            estimate = estimate.unsqueeze(2)
        return from_model_channels(estimate, n_channels) if estimate.shape[2] == 1 else estimate


class EnsembleStatistics:
    """What the members of an ensemble measure over a whole song, see `SongStatistics`.

    Args:
        each: of each member; ``None`` for one that measures nothing.
    """

    def __init__(self, each: Sequence[SongStatistics | None]) -> None:
        self._each = each

    def observe(
        self, model: Ensemble, mix: Tensor, position: int, start: int, stop: int | None
    ) -> None:
        """Measure a segment by each member."""
        for member, statistics in zip(model.members, self._each, strict=True):
            ratio = model.step_ratio(member)
            if statistics is not None and ratio is not None:
                until = None if stop is None else stop * ratio
                own = model.matched(member, mix)
                statistics.observe(member, own, position * ratio, start * ratio, until)

    def separate(self, model: Ensemble, mix: Tensor, position: int) -> Tensor:
        """The sources of a segment."""
        calls: list[Callable[[Tensor], Tensor]] = []
        for member, statistics in zip(model.members, self._each, strict=True):
            ratio = model.step_ratio(member)
            if statistics is None or ratio is None:
                calls.append(partial(replayed, member))
            else:
                calls.append(partial(statistics.separate, member, position=position * ratio))
        return model.mean(mix, calls)


class _Masks:
    """Soft masks of estimates on an STFT of the mix, and the mix under such masks."""

    def __init__(self, mix: Tensor) -> None:
        self._length = mix.shape[-1]
        self._stft = STFT(_N_FFT, _HOP).to(mix.device, mix.dtype)
        self._mix = mix

    def of(self, estimate: Tensor) -> Tensor:
        """Masks, which sum to one. Shape: ``b j c t`` → ``(batch, source, channel, freq, frame)``.

        Where all estimates are silent, each source gets the same share.
        """
        # One source after the other: only one of them is a complex spectrum at a time.
        magnitudes = torch.stack([self._stft(source)[0].abs() for source in estimate.unbind(1)], 1)
        magnitudes += torch.finfo(magnitudes.dtype).tiny
        return magnitudes / magnitudes.sum(1, keepdim=True)

    def applied(self, masks: Tensor) -> Tensor:
        """Waveforms of the mix under masks. Shape: as for :meth:`of`, backwards."""
        (mix,) = self._stft(self._mix)
        sources = [self._stft.inverse([mask * mix], self._length) for mask in masks.unbind(1)]
        return torch.stack(sources, 1)


def _step(model: nn.Module) -> int:
    return int(getattr(model, "segment_step_samples", 1))


def _n_channels(model: nn.Module) -> int:
    return int(getattr(model, "n_channels", None) or getattr(model, "in_channels", None) or 1)


def _names(model: nn.Module) -> list[str]:
    """Names of a model's sources; none for one without."""
    return list(getattr(model, "sources", None) or ())


def _shares(weights: Sequence[float] | None, n_models: int) -> list[float]:
    """Weights that sum to one."""
    if not n_models:
        raise ValueError("models must hold at least one, got none")
    numbers = [1.0] * n_models if weights is None else list(weights)
    if len(numbers) != n_models:
        raise ValueError(f"weights must be one for each of {n_models} models, got {len(numbers)}")
    numbers = [check_number("weights", number) for number in numbers]
    if not all(0 <= number < math.inf for number in numbers) or not any(numbers):
        raise ValueError(f"weights must be finite, at least 0 and not all 0, got {numbers}")
    return [number / sum(numbers) for number in numbers]


def _common(models: Iterable[nn.Module]) -> tuple[list[str], float]:
    """Sources and sample rate that all models have."""
    sources: list[str] | None = None
    rate = 0.0
    for number, model in enumerate(models, 1):
        names, own = _names(model), getattr(model, "sample_rate", None)
        if not names or not own:
            raise ValueError(
                f"models must name their sources and sample rate, number {number}, a "
                f"{type(model).__name__}, does not"
            )
        if sources is None:
            sources, rate = names, float(own)
        if set(names) != set(sources):
            raise ValueError(
                f"models must have the same sources, number {number} has {', '.join(names)}, "
                f"the first has {', '.join(sources)}"
            )
        if float(own) != rate:
            raise ValueError(
                f"models must have the same sample rate, number {number} has {own:g} Hz, the "
                f"first has {rate:g} Hz"
            )
    return sources or [], rate
