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
_LEAST_AXES = 3  # of what is packed


def to_eight_bits(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with its kernels, all of three dimensions and more, in 8 bits.

    Raises:
        ValueError: where weights are not finite.
    """
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        if not value.is_floating_point() or value.ndim < _LEAST_AXES:
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
    """The state dict that was packed, to rounding; one that was not, as it is.

    Raises:
        ValueError: where a kernel in 8 bits has no scale for each of its rows.
    """
    whole = dict(state)
    for name, value in state.items():
        if not isinstance(value, Tensor) or value.dtype != torch.int8:
            continue
        scale = whole.pop(name + SCALE_SUFFIX, None)
        if scale is not None and scale.shape == value.shape[:1]:
            whole[name] = value * _of_rows(scale, value)
        elif scale is not None or value.ndim >= _LEAST_AXES:
            raise ValueError(f"{name} is in 8 bits and has no scale for each of its rows")
    return whole


def _of_rows(scale: Tensor, kernel: Tensor) -> Tensor:
    return scale.view(-1, *(1 for _ in kernel.shape[1:]))
