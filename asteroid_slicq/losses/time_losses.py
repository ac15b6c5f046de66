"""Losses of waveforms, by name or of any kind, over combinations of sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from asteroid_slicq.hearing import HAAQI, Audiogram
from asteroid_slicq.losses.combinations import (
    Subsets,
    combination_l1,
    combination_loss,
    kept_subsets,
    resolve_subsets,
)
from asteroid_slicq.losses.waveforms import (
    combination_sd_sdr,
    combination_sdr,
    combination_si_sdr,
    combination_weighted_sdr,
)
from asteroid_slicq.transform import check_choice, check_integer

WaveformLoss = Callable[[Tensor, Tensor], Tensor]
"""A function or module of an estimate and a target, ``(batch, channel, time)``, to a scalar."""

_COMBINATIONS: dict[str, Callable[..., Tensor]] = {
    "si-sdr": combination_si_sdr,
    "sd-sdr": combination_sd_sdr,
    "sdr": combination_sdr,
    "wsdr": combination_weighted_sdr,
    "l1": combination_l1,
}
TIME_LOSSES = (*_COMBINATIONS, "haaqi")
"""Names of losses of waveforms."""


class HAAQILoss(nn.Module):
    """One less the quality that a listener hears, :class:`~asteroid_slicq.hearing.HAAQI`.

    Signals whose target is silent have no quality and do not count. The index does not know the
    polarity of a signal, so this is a term beside others, not a loss by itself.

    Args:
        sample_rate: in Hz.
        audiogram: see :func:`~asteroid_slicq.hearing.hearing_loss`.
        level_db: level at which a target is heard, in dB SPL.
        align: whether delays of the estimates are looked for and forgiven.
        max_signals: at most so many of the signals are rated, others each time in training; None
            rates all. A second of a signal takes 0.4 s of a processor, there and back.

    Shape:
        - estimate, target: ``(..., time)``
        - output: a scalar; 0 where no signal counts

    Raises:
        ValueError: if an argument is wrong, or the signals are shorter than 0.1 s.
    """

    def __init__(
        self,
        sample_rate: float = 44100.0,
        audiogram: Audiogram = "normal",
        level_db: float | None = 65.0,
        align: bool = False,
        max_signals: int | None = None,
    ) -> None:
        super().__init__()
        self.index = HAAQI(sample_rate, audiogram, level_db, align)
        self.max_signals = None
        if max_signals is not None:
            self.max_signals = check_integer("max_signals", max_signals, 1)

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Rate an estimate."""
        if estimate.shape == target.shape and self.max_signals is not None:
            estimate, target = (x.reshape(-1, x.shape[-1]) for x in (estimate, target))
            n_signals = len(target)
            if n_signals > self.max_signals:
                if self.training:
                    chosen = torch.randperm(n_signals)[: self.max_signals]
                else:
                    chosen = torch.linspace(0, n_signals - 1, self.max_signals).long()
                chosen = chosen.to(target.device)
                estimate, target = estimate[chosen], target[chosen]
        quality = self.index(estimate, target).index
        counted = ~quality.isnan()
        total = torch.where(counted, 1 - quality, 0).sum()
        return (total / counted.sum().clamp(min=1)).to(estimate.dtype)


class TimeLoss(nn.Module):
    """A loss of waveforms over combinations of sources.

    Args:
        loss: a name of :data:`TIME_LOSSES`, or a function or module of an estimate and a target,
            ``(batch, channel, time)``, which is called once for each combination.
        subsets: see :mod:`asteroid_slicq.losses.combinations`.
        options: arguments of :class:`HAAQILoss`; the other names have none.

    Shape:
        - estimates, targets: ``(batch, source, channel, time)``
        - output: a scalar

    Raises:
        ValueError: for an unknown name, or options that it has not.
    """

    def __init__(
        self,
        loss: str | WaveformLoss,
        subsets: Subsets = "all",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.subsets: Subsets = kept_subsets(subsets)
        if isinstance(subsets, str) or not self.subsets:
            # Of how many sources is only known later.
            resolve_subsets(self.subsets, 2)
        options = dict(options or {})
        if isinstance(loss, str):
            check_choice("time_loss", loss, TIME_LOSSES)
        self.name = loss if isinstance(loss, str) else type(loss).__name__
        if options and self.name != "haaqi":
            raise ValueError(f"time_options must be empty for time_loss {self.name}, got {options}")
        if loss == "haaqi":
            try:
                loss = HAAQILoss(**options)
            except TypeError as error:
                raise ValueError(f"time_options must be those of HAAQILoss: {error}") from error
        self.loss: Any = _COMBINATIONS.get(loss, loss) if isinstance(loss, str) else loss
        if not callable(self.loss):
            raise TypeError(f"time_loss must be a name or a function, got {loss!r}")

    def forward(self, estimates: Tensor, targets: Tensor) -> Tensor:
        """Compare estimated sources with true ones."""
        if self.name in _COMBINATIONS:
            return self.loss(estimates, targets, subsets=self.subsets)
        compare = partial(_scalar, self.loss, self.name)
        return combination_loss(compare, estimates, targets, subsets=self.subsets)


def _scalar(loss: WaveformLoss, name: str, estimate: Tensor, target: Tensor) -> Tensor:
    value = loss(estimate.contiguous(), target.contiguous())
    if not isinstance(value, Tensor) or value.numel() != 1:
        found = f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value)
        raise ValueError(f"the loss {name} must return a scalar, got a value {found}")
    return value.reshape(())
