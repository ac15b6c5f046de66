"""Weights of models in 8 bits, for files of half the size of those in 16.

A kernel is stored as whole numbers of −127 … 127, with one scale for each of its rows, the first
axis, under its own name and ``_scale``. The rounding of weights like Gaussian noise lies some 43 dB
below them. What computes has all bits: this is no arithmetic in 8 bits.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE_SUFFIX = "_scale"
_LARGEST = 127


def to_eight_bits(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with its kernels, all of three dimensions and more, in 8 bits.

    Raises:
        ValueError: where weights are not finite.
    """
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        if not value.is_floating_point() or value.ndim < 3:
            packed[name] = value
            continue
        if not value.isfinite().all():
            raise ValueError(f"{name} holds numbers that are not finite")
        scale = value.float().flatten(1).abs().amax(1) / _LARGEST
        rows = value.float() / _of_rows(scale, value).clamp(min=torch.finfo(torch.float32).tiny)
        packed[name] = rows.round().clamp(-_LARGEST, _LARGEST).to(torch.int8)
        packed[name + SCALE_SUFFIX] = scale
    return packed


def from_eight_bits(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict that was packed, to rounding; one that was not, as it is."""
    scales = {
        name + SCALE_SUFFIX
        for name, value in state.items()
        if value.dtype == torch.int8 and name + SCALE_SUFFIX in state
    }
    return {
        name: value * _of_rows(state[name + SCALE_SUFFIX], value)
        if name + SCALE_SUFFIX in scales
        else value
        for name, value in state.items()
        if name not in scales
    }


def _of_rows(scale: Tensor, kernel: Tensor) -> Tensor:
    return scale.view(-1, *(1 for _ in kernel.shape[1:]))
