"""Layers of a band-split network: linear maps of bands, and mixing along time and along bands.

Sources: Luo, Yu, "Music source separation with band-split RNN" (arXiv:2209.15174) for recurrence
along time, then along bands; Lu et al., "Music source separation with band-split RoPE transformer"
(arXiv:2309.02612) for attention in its place; Su et al. (arXiv:2104.09864) for rotary positions.

A state has one layout throughout, ``(band, batch, step, width)``, and each layer views it as the
rows and steps that it needs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asteroid_slicq.models.bandsplit.attending import attend, attend_near
from asteroid_slicq.models.recurrence import run_lstm

_HEAD_WIDTH = 32  # features of an attention head
_PERIOD = 1000.0  # longest of the rotary positions, in steps over 2π
_CACHED = 2**16  # numbers of a state with which all that a layer makes of them stays in a cache
_CACHED_TRAINING = 4 * _CACHED  # the same where each part adds to the gradients of the weights


class BandLinear(nn.Module):
    """A linear map for each band, all in one batched product.

    Coefficients have parts, such as a magnitude, a real and an imaginary part. In the weight those
    of a coefficient are neighbours. In a tensor of many rows each part stands for itself, one after
    the other: what is done to a part is then done to numbers in a row.

    Shape:
        - x: ``(band, row, n_in)``; output: ``(band, row, n_out)``
    """

    def __init__(self, n_bands: int, n_in: int, n_out: int) -> None:
        super().__init__()
        bound = n_in**-0.5
        self.weight = nn.Parameter(torch.empty(n_bands, n_in, n_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(n_bands, 1, n_out))

    def forward(self, x: Tensor, parts_in: int = 1, parts_out: int = 1) -> Tensor:
        """See the class; numbers of the parts of a coefficient, in the input and the output."""
        weight, bias = self.weight, self.bias
        if parts_in > 1:
            weight = weight.unflatten(1, (-1, parts_in)).transpose(1, 2).flatten(1, 2)
        if parts_out > 1:
            weight, bias = (
                t.unflatten(-1, (-1, parts_out)).transpose(-1, -2).flatten(-2)
                for t in (weight, bias)
            )
        return torch.baddbmm(bias, x, weight)


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
        y, after = run_lstm(self.lstm, self.norm(x).flatten(first, first + 1), state)
        y = y.unflatten(first, x.shape[first : first + 2])
        return x + self.out(y), after


class Attention(nn.Module):
    """Norm, attention along an axis with rotary positions, residual; then a gated linear unit.

    Heads have 32 features of the state's width. Along time, those that hear each other lie at most
    ``reach`` steps apart; None is any number. A processor takes few rows at a time: what it
    makes of them stays in its cache.

    Shape:
        - x, output: ``(band, batch, step, width)``
    """

    pairs: Tensor

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
        self.head_width = head
        # Rows of the weight in an order that makes the two features of a pair neighbours.
        rows = np.arange(3 * width).reshape(3, self.n_heads, 2, -1)
        pairs = np.concatenate([rows[:2].swapaxes(-1, -2).ravel(), rows[2].ravel()])
        # Of NumPy, since a model may be built without memory, on the device ``meta``.
        self.register_buffer("pairs", torch.from_numpy(pairs), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        # Rows are (band, batch) or (batch, step): in both cases neighbours in memory.
        first = 0 if self.along_time else 1
        rows = x.flatten(first, first + 1)
        n_steps = rows.shape[1 - first]
        weight, turns = self.query_key_value.weight, self._turns(n_steps, x.dtype)
        on_cpu = x.device.type == "cpu" and not _is_traced()
        if on_cpu and x.dtype.itemsize >= 4 and not torch.is_autocast_enabled("cpu"):
            weight, turns = weight[self.pairs], torch.complex(*turns)
        if not on_cpu:
            return self._mixed(rows, weight, turns).view_as(x)
        size = _CACHED_TRAINING if torch.is_grad_enabled() else _CACHED
        parts = rows.split(max(1, size // (n_steps * x.shape[-1])), first)
        return torch.cat([self._mixed(part, weight, turns) for part in parts], first).view_as(x)

    def _mixed(self, x: Tensor, weight: Tensor, turns: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """Output for rows, ``(row, step, width)`` along time or ``(step, row, width)``."""
        # r row, s step along the axis, k of three, h head, e feature
        y = F.linear(self.norm(x), weight).unflatten(-1, (3, self.n_heads, -1))
        y = y.permute(2, 0, 3, 1, 4) if self.along_time else y.permute(2, 1, 3, 0, 4)  # k r h s e
        both, value = y.split((2, 1))
        query, key = _turned(both, turns)
        if self.reach is None:
            y = attend(query, key, value[0])  # r h s e
        else:
            y = attend_near(query, key, value[0], self.reach)
        y = (y.transpose(1, 2) if self.along_time else y.permute(2, 0, 1, 3)).flatten(2)
        x = x + self.out(y)
        value, gate = self.up(self.norm_gated(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * value)

    def _turns(self, n_steps: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the angles that turn the pairs of features of each step."""
        device, precise = self.pairs.device, torch.promote_types(dtype, torch.float32)
        features = torch.arange(0, self.head_width, 2, device=device, dtype=precise)
        steps = torch.arange(n_steps, device=device, dtype=precise)
        angles = steps[:, None] * _PERIOD ** (-features / self.head_width)
        return angles.cos().to(dtype), angles.sin().to(dtype)


def _turned(x: Tensor, turns: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """Pairs of features turned by their position along the axis.

    The two of a pair are neighbours where the turns are complex: that takes processors a fifth of
    the time. They stand in the two halves of a head otherwise.
    """
    if isinstance(turns, Tensor):
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * turns).flatten(-2)
    cos, sin = turns
    a, b = x.chunk(2, dim=-1)
    turned = torch.addcmul(a * cos, b, sin, value=-1), torch.addcmul(b * cos, a, sin)
    return torch.cat(turned, dim=-1)


def as_pairs(re: Tensor, im: Tensor) -> Tensor:
    """Two parts as neighbours, ``(…, 2)``: what ``torch.stack`` does in several times as long."""
    if _is_traced() or torch.compiler.is_compiling():  # compilers have no complex kernels
        return torch.stack([re, im], dim=-1)
    return torch.view_as_real(torch.complex(re, im))


def _is_traced() -> bool:
    """Whether a graph is traced, in which nothing may depend on a shape."""
    return torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


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
    """A layer by the name of its kind; ``none`` does nothing."""
    if kind == "none":
        return nn.Identity()
    if kind == "attention":
        return Attention(width, axis, reach)
    return Recurrent(width, axis, causal)
