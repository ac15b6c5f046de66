"""The losses of xumx-sliCQ: coefficients, waveforms and masks together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from asteroid_slicq.losses.combinations import (
    Blocks,
    Subsets,
    as_blocks,
    check_weight,
    combination_l1,
    combination_magnitude_mse,
    combination_mse,
    kept_subsets,
    resolve_subsets,
)
from asteroid_slicq.losses.time_losses import TIME_LOSSES, TimeLoss, WaveformLoss
from asteroid_slicq.transform import check_choice

_DOMAINS: dict[str, Callable[..., Tensor]] = {
    "complex": combination_mse,
    "magnitude": combination_magnitude_mse,
    "complex-l1": combination_l1,
}

XUMX_LOSS_PRESETS: dict[str, dict[str, Any]] = {
    "v1": {"domain": "magnitude", "mask_sum_weight": 0.0, "time_loss": "si-sdr"},
    "v2": {},
    "v2-sdr": {"time_loss": "sd-sdr"},
    "v2-haaqi": {"time_loss": "haaqi", "time_subsets": "single"},
}
"""Arguments of :class:`XUMXLoss` that differ from its defaults, by name.

V2 was also trained with SD-SDR and with HAAQI beside the squared errors; their weights were not
published, and are that of V1.
"""


class _Estimate(Protocol):
    """The parts of a model's estimate that the losses read."""

    @property
    def coefficients(self) -> Sequence[Tensor]: ...

    @property
    def masks(self) -> Sequence[Tensor]: ...


def mask_sum_mse(masks: Blocks, sources_dim: int = 1) -> Tensor:
    """Mean squared distance of the sum of all sources' masks from one.

    Args:
        masks: a real tensor with a dimension of sources, or a sequence of such blocks. Blocks
            count with equal weight.
        sources_dim: the dimension of the sources.

    Shape:
        - masks: ``(batch, source, ...)`` each block, for the default dimension
        - output: a scalar

    Raises:
        ValueError: if there is no block.
    """
    blocks = as_blocks(masks, "masks")
    return torch.stack([(m.sum(sources_dim) - 1).square().mean() for m in blocks]).mean()


class XUMXLossParts(NamedTuple):
    """The loss and the terms it is made of (before their weights), for logs."""

    total: Tensor
    combination: Tensor
    mask_sum: Tensor
    time: Tensor


class XUMXLoss(nn.Module):
    """The losses of xumx-sliCQ: coefficients and waveforms over combinations, and masks.

    ``total = combination + mask_sum_weight * mask_sum_mse + time_weight * time``.

    The default, the preset ``v2``, is squared errors of complex coefficients and masks that sum to
    one. The preset ``v1`` is squared errors of magnitudes and 0.1 times the SI-SDR of waveforms;
    its original switched the gradient of the latter off, for the cost of the inverse transform.
    All arguments are plain numbers and texts, as a configuration file holds them.

    The energy of music falls steeply with frequency, and with it the first term of a block, but
    not the second. Weights of one over the mean power of the mix in each block make up for it.

    Args:
        mask_sum_weight: weight of the second term, at least 0.
        block_weights: a factor for the first term of each block, in units of one over a power, of
            which ``complex-l1``, whose errors are not squared, takes the root; ``None`` for ones,
            as published.
        domain: what the first term compares: ``complex`` coefficients or ``magnitude`` by squared
            errors, ``complex-l1`` by the modulus of their difference.
        subsets: of sources, for the first and the last term: ``all`` combinations, each
            ``single`` source, or tuples of source numbers.
        time_loss: what compares waveforms: ``none``, ``si-sdr``, ``sd-sdr``, ``sdr``, ``wsdr`` or
            ``l1``, see :mod:`asteroid_slicq.losses.waveforms`; ``haaqi``, see
            :class:`~asteroid_slicq.losses.HAAQILoss`; or any function or module of an estimate and
            a target, ``(batch, channel, time)``, to a scalar, called once for each combination.
        time_weight: weight of that term, at least 0.
        time_subsets: of sources, for that term; None: ``subsets``.
        time_options: arguments of the loss ``haaqi``.

    Raises:
        TypeError: if a weight is no number.
        ValueError: if a weight is negative or not finite, or a name unknown.

    Example:
        >>> XUMXLoss.from_preset("v1").needs_waveforms
        True
    """

    def __init__(
        self,
        mask_sum_weight: float = 1.0,
        block_weights: Sequence[float] | None = None,
        domain: str = "complex",
        subsets: Subsets = "all",
        time_loss: str | WaveformLoss = "none",
        time_weight: float = 0.1,
        time_subsets: Subsets | None = None,
        time_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if block_weights is not None:
            block_weights = [check_weight("block_weights", weight) for weight in block_weights]
        check_choice("domain", domain, list(_DOMAINS))
        if isinstance(time_loss, str):
            check_choice("time_loss", time_loss, ["none", *TIME_LOSSES])
        # Of how many sources is only known later, but a name or an empty list is wrong at once.
        self.subsets: Subsets = kept_subsets(subsets)
        if isinstance(subsets, str) or not self.subsets:
            resolve_subsets(self.subsets, 2)
        self.block_weights = block_weights
        self.mask_sum_weight = check_weight("mask_sum_weight", mask_sum_weight)
        self.domain = domain
        self.waveform_loss = None
        if time_loss != "none":
            among = self.subsets if time_subsets is None else time_subsets
            self.waveform_loss = TimeLoss(time_loss, among, time_options)
        elif time_options:
            raise ValueError(f"time_options must be empty without a time_loss, got {time_options}")
        self.time_loss = "none" if self.waveform_loss is None else self.waveform_loss.name
        self.time_weight = check_weight("time_weight", time_weight)

    @classmethod
    def from_preset(cls, name: str, **overrides: Any) -> XUMXLoss:
        """The loss of a published model.

        Args:
            name: in :data:`XUMX_LOSS_PRESETS`.
            **overrides: arguments of the class that replace the preset's.

        Raises:
            ValueError: for an unknown name.
        """
        check_choice("name", name, list(XUMX_LOSS_PRESETS))
        return cls(**{**XUMX_LOSS_PRESETS[name], **overrides})

    @property
    def needs_waveforms(self) -> bool:
        """Whether ``forward`` has to be given waveforms."""
        return self.waveform_loss is not None and self.time_weight > 0

    def forward(
        self,
        estimate: _Estimate,
        targets: Sequence[Tensor],
        waveforms: Tensor | None = None,
        target_waveforms: Tensor | None = None,
    ) -> XUMXLossParts:
        """Compare a model's estimate with the true sources.

        Args:
            estimate: what ``model.estimate(mix)`` returns: ``coefficients`` and ``masks``; a
                model with a transform for each source has no masks that add up.
            targets: complex coefficients of the true sources, ``model.transform(sources)``.
            waveforms: ``model.transform.inverse(estimate.coefficients, length)``: of all sources
                at once, since sums of sources need no inverse of their own. Only with a
                ``time_loss``, see :attr:`needs_waveforms`.
            target_waveforms: the true sources.

        Shape:
            - targets: blocks of ``(batch, source, channel, freq, slice, time)``
            - waveforms, target_waveforms: ``(batch, source, channel, time)``
            - output: scalars

        Raises:
            ValueError: if the shapes differ, or waveforms are needed and missing.
        """
        weights = self.block_weights
        if weights is not None and self.domain == "complex-l1":
            weights = [weight**0.5 for weight in weights]
        combination = _DOMAINS[self.domain](
            estimate.coefficients, targets, block_weights=weights, subsets=self.subsets
        )
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.mask_sum_weight > 0):
            mask_sum = self._mask_sum(estimate.masks)
        total = combination + self.mask_sum_weight * mask_sum
        time = torch.zeros_like(combination)
        if self.waveform_loss is not None and self.needs_waveforms:
            if waveforms is None or target_waveforms is None:
                raise ValueError(f"waveforms and target_waveforms must be given: {self}")
            time = self.waveform_loss(waveforms, target_waveforms)
            total = total + self.time_weight * time
        return XUMXLossParts(total, combination, mask_sum, time)

    def _mask_sum(self, masks: Sequence[Tensor]) -> Tensor:
        if len(masks):
            return mask_sum_mse(masks)
        if self.mask_sum_weight:
            raise ValueError(
                "mask_sum_weight must be 0 where every source has a transform of its own, whose "
                f"masks do not add up, got {self.mask_sum_weight}"
            )
        return torch.zeros(())

    def extra_repr(self) -> str:
        """The terms and their weights, for ``repr``."""
        return (
            f"domain={self.domain!r}, subsets={self.subsets!r}, "
            f"mask_sum_weight={self.mask_sum_weight}, "
            f"time_loss={self.time_loss!r}, time_weight={self.time_weight}"
        )
