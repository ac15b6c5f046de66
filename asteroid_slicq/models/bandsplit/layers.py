"""Layers of a band-split network: linear maps of bands, and mixing along time and along bands.

Sources: Luo, Yu, "Music source separation with band-split RNN" (arXiv:2209.15174) for recurrence
along time, then along bands; Lu et al., "Music source separation with band-split RoPE transformer"
(arXiv:2309.02612) for attention in its place; Su et al. (arXiv:2104.09864) for rotary positions.

A state has one layout throughout, ``(band, batch, step, width)``, and each layer views it as the
rows and steps that it needs.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asteroid_slicq.models.bandsplit.attending import attend, attend_near

_HEAD_WIDTH = 32  # features of an attention head
_PERIOD = 1000.0  # longest of the rotary positions, in steps over 2π


class BandLinear(nn.Module):
    """A linear map for each band, all in one batched product.

    Shape:
        - x: ``(band, row, n_in)``; output: ``(band, row, n_out)``
    """

    def __init__(self, n_bands: int, n_in: int, n_out: int) -> None:
        super().__init__()
        bound = n_in**-0.5
        self.weight = nn.Parameter(torch.empty(n_bands, n_in, n_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(n_bands, 1, n_out))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return torch.baddbmm(self.bias, x, self.weight)


class Recurrent(nn.Module):
    """Norm, LSTM along an axis, ``time`` or ``bands``, linear map, residual.

    A causal one runs along time in one direction.

    Shape:
        - x, output: ``(band, batch, step, width)``
    """

    def __init__(self, width: int, axis: str, causal: bool = False) -> None:
        super().__init__()
        self.along_time = axis == "time"
        both = not (causal and self.along_time)
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.lstm = nn.LSTM(width, width, batch_first=self.along_time, bidirectional=both)
        self.out = nn.Linear(2 * width if both else width, width)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.run(x)[0]

    def run(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The output and the state of the LSTM after it, from a state before it; None is zero."""
        # Rows are (band, batch) or (batch, step): in both cases neighbours in memory.
        first = 0 if self.along_time else 1
        y, after = self.lstm(self.norm(x).flatten(first, first + 1), state)
        y = y.unflatten(first, x.shape[first : first + 2])
        return x + self.out(y), cast(tuple[Tensor, Tensor], after)


class Attention(nn.Module):
    """Norm, attention along an axis with rotary positions, residual; then a gated linear unit.

    Heads have 32 features of the state's width. Along time, those that hear each other lie at most
    ``reach`` steps apart; None is any number.

    Shape:
        - x, output: ``(band, batch, step, width)``
    """

    frequencies: Tensor

    def __init__(self, width: int, axis: str, reach: int | None = None) -> None:
        super().__init__()
        self.reach = reach if axis == "time" else None
        self.along_time = axis == "time"
        self.n_heads = check_width(width)
        head = width // self.n_heads
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm_gated = nn.RMSNorm(width, eps=1e-5)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(2 * width, width)
        frequencies = _PERIOD ** (-torch.arange(0, head, 2) / head)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        # n band, b batch, t step, r row, s step along the axis, h head, e feature, k of three
        n, b, t, width = x.shape
        y = self.query_key_value(self.norm(x)).view(n, b, t, 3, self.n_heads, -1)
        if self.along_time:
            y = y.permute(3, 0, 1, 4, 2, 5).flatten(1, 2)  # k r=(n b) h s=t e
        else:
            y = y.permute(3, 1, 2, 4, 0, 5).flatten(1, 2)  # k r=(b t) h s=n e
        query, key = self._rotated(y[:2])
        if self.reach is None:
            y = attend(query, key, y[2])  # r h s e
        else:
            y = attend_near(query, key, y[2], self.reach)
        if self.along_time:
            y = y.transpose(1, 2).reshape(n, b, t, width)
        else:
            y = y.permute(2, 0, 1, 3).reshape(n, b, t, width)
        x = x + self.out(y)
        value, gate = self.up(self.norm_gated(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * value)

    def _rotated(self, x: Tensor) -> Tensor:
        """Pairs of features turned by their position along the axis."""
        steps = torch.arange(x.shape[-2], device=x.device, dtype=self.frequencies.dtype)
        angles = steps[:, None] * self.frequencies
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        a, b = x.chunk(2, dim=-1)
        turned = torch.addcmul(a * cos, b, sin, value=-1), torch.addcmul(b * cos, a, sin)
        return torch.cat(turned, dim=-1)


def check_width(width: int) -> int:
    """Number of attention heads of a width; they need an even number of features each."""
    n_heads = max(1, width // _HEAD_WIDTH)
    if width % (2 * n_heads):
        nearest = max(2, width // _HEAD_WIDTH * _HEAD_WIDTH)
        raise ValueError(
            f"width must be even and, from {_HEAD_WIDTH} on, a multiple of it for attention, got "
            f"{width}; nearest that works: {nearest}"
        )
    return n_heads


MIXERS = ("attention", "lstm")
"""Kinds of layers that mix along time or bands."""


def make_mixer(kind: str, width: int, axis: str, causal: bool, reach: int | None) -> nn.Module:
    """A layer by the name of its kind."""
    if kind == "attention":
        return Attention(width, axis, reach)
    return Recurrent(width, axis, causal)
