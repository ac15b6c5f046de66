"""Gathering and scattering of complex numbers, on devices that know real ones alone, too.

Apple's MPS has complex ``gather`` and ``scatter_add`` since PyTorch 2.12; before, real and
imaginary parts go apart, with the same result.
"""

from __future__ import annotations

import torch
from torch import Tensor

_REAL_ALONE = ("mps",)


def gathered(x: Tensor, index: Tensor) -> Tensor:
    """``x.gather(-1, index)``."""
    if not _goes_apart(x):
        return x.gather(-1, index)
    pairs = torch.view_as_real(x).gather(-2, _of_pairs(index))
    return torch.view_as_complex(pairs)


def scatter_added(x: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """``x.scatter_add_(-1, index, values)``, in place."""
    if not _goes_apart(x):
        return x.scatter_add_(-1, index, values)
    torch.view_as_real(x).scatter_add_(-2, _of_pairs(index), torch.view_as_real(values))
    return x


def _goes_apart(x: Tensor) -> bool:
    return x.is_complex() and x.device.type in _REAL_ALONE


def _of_pairs(index: Tensor) -> Tensor:
    return index.unsqueeze(-1).expand(*index.shape, 2)
