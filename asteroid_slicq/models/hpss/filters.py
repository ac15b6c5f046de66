"""Running medians of magnitudes along time and, across blocks of different steps, frequency."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def running_median(x: Tensor, width: int, dim: int) -> Tensor:
    """Median of every run of an odd number of neighbours; ends are mirrored.

    The runs are never laid out: one step of a selection serves all of them at once, on any device.

    Shape:
        - output: as ``x``
    """
    length, half = x.shape[dim], width // 2
    index = torch.arange(-half, length + half, device=x.device) % (2 * length)
    padded = x.index_select(dim, torch.minimum(index, 2 * length - 1 - index))
    return _median([padded.narrow(dim, start, length) for start in range(width)])


def _median(columns: list[Tensor]) -> Tensor:
    """Median of an odd number of tensors, by forgetful selection.

    Of half of them and two more, the least and the largest are not the median and fall away, and
    one that was not looked at joins the rest, until one is left.
    """
    n_held = len(columns) // 2 + 2
    held, waiting = columns[:n_held], columns[n_held:]
    while len(held) > 1:
        last = len(held) - 1
        for i in range(len(held) // 2):
            held[i], held[last - i] = _ordered(held[i], held[last - i])
        for i in range(1, (last + 2) // 2):  # the lesser ones, and the middle
            held[0], held[i] = _ordered(held[0], held[i])
        for i in range((last + 1) // 2, last):  # the larger ones, and the middle
            held[i], held[last] = _ordered(held[i], held[last])
        held = held[1:-1] + waiting[:1]
        waiting = waiting[1:]
    return held[0]


def _ordered(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return torch.minimum(a, b), torch.maximum(a, b)


def time_median(x: Tensor, width: float, n_taps: int) -> Tensor:
    """Running median along the last axis, of about so many values.

    A width of more of them is divided into such steps, each of which counts with its mean: the
    median then costs the same whatever the step of a block.

    Shape:
        - x, output: ``(batch, freq, time)``
    """
    n_samples, step = x.shape[-1], max(1, int(width / n_taps))
    n_odd = max(3, 2 * round((width / step - 1) / 2) + 1)
    if step == 1:
        return running_median(x, n_odd, -1)
    coarse = F.avg_pool1d(x, step, ceil_mode=True)
    return running_median(coarse, n_odd, -1).repeat_interleave(step, -1)[..., :n_samples]


def frequency_median(blocks: Sequence[Tensor], width: int) -> list[Tensor]:
    """Median over neighbouring bins, those of other blocks at the times of the own block.

    Args:
        blocks: magnitudes, low frequencies first, on one scale and over the same time.
        width: bins, an odd number.

    Shape:
        - blocks, output: ``(batch, freq, time)`` each
    """
    half, n_blocks = width // 2, len(blocks)
    out = []
    for i, block in enumerate(blocks):
        below, above = [], []
        for side, step in ((below, -1), (above, 1)):
            missing, j = half, i + step
            while missing > 0 and 0 <= j < n_blocks:
                rows = blocks[j][:, -missing:] if step < 0 else blocks[j][:, :missing]
                side.append(F.interpolate(rows, block.shape[-1], mode="area"))
                missing, j = missing - rows.shape[1], j + step
        rows = torch.cat([*below[::-1], block, *above], 1)
        start = sum(part.shape[1] for part in below)
        out.append(running_median(rows, width, 1)[:, start : start + block.shape[1]])
    return out
