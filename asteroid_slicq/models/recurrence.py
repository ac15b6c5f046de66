"""LSTMs under autocast, on processors that have none in 16 bits.

There PyTorch hands LSTMs to oneDNN, which has one in bfloat16 or float16 from AVX-512 on; on other
processors it raises a RuntimeError.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from torch import Tensor, nn

LSTMState = tuple[Tensor, Tensor]


def run_lstm(
    module: nn.LSTM, x: Tensor, state: LSTMState | None = None
) -> tuple[Tensor, LSTMState]:
    """Output of an LSTM and its state after it; what the module does, in 32 bits where need be.

    Args:
        module: the LSTM, with biases and without projections.
        x: its input, in the shape that it takes for batches.
        state: before it; None is zero.
    """
    if not _is_missing(x):
        return module(x, state)
    if state is None:
        n_states = module.num_layers * (2 if module.bidirectional else 1)
        zeros = x.new_zeros(n_states, x.shape[0 if module.batch_first else 1], module.hidden_size)
        state = zeros, zeros
    y, *after = lstm(
        x,
        state,
        _weights(module),
        module.num_layers,
        module.dropout,
        module.training,
        module.bidirectional,
        module.batch_first,
    )
    return y, (after[0], after[1])


def lstm(
    x: Tensor,
    state: LSTMState,
    weights: Sequence[Tensor],
    n_layers: int,
    dropout: float,
    training: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """``torch.lstm`` with biases, in 32 bits where need be; its arguments are those of nn.LSTM.

    Shape:
        - x: ``(time, batch, feature)``, or ``(batch, time, feature)``
        - state: ``(layer · direction, batch, hidden)`` each; output: y, and the state after it
    """
    options = True, n_layers, dropout, training, bidirectional, batch_first
    if not _is_missing(x):
        return torch.lstm(x, state, list(weights), *options)
    dtype = torch.get_autocast_dtype("cpu")
    with torch.autocast("cpu", enabled=False):
        state = state[0].float(), state[1].float()
        y, h, c = torch.lstm(x.float(), state, [w.float() for w in weights], *options)
    return y.to(dtype), h.to(dtype), c.to(dtype)


def _weights(module: nn.LSTM) -> list[Tensor]:
    directions = ("", "_reverse") if module.bidirectional else ("",)
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [
        getattr(module, f"{kind}_l{layer}{direction}")
        for layer in range(module.num_layers)
        for direction in directions
        for kind in kinds
    ]


def _is_missing(x: Tensor) -> bool:
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return False
    return x.dtype != torch.float64 and not _has_lstm(torch.get_autocast_dtype("cpu"))


@torch.compiler.assume_constant_result
def _has_lstm(dtype: torch.dtype) -> bool:
    """Whether this processor has an LSTM under autocast to a precision."""
    return _found(dtype)


@cache
def _found(dtype: torch.dtype) -> bool:
    # In a thread of its own no mode of the caller counts: tracing, fake tensors, default devices.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_works, dtype).result()


def _works(dtype: torch.dtype) -> bool:
    shapes = (1, 1, 8), (32,), (32, 8)
    x, row, gates = (torch.zeros(s, dtype=torch.float32, device="cpu") for s in shapes)
    try:
        with torch.no_grad(), torch.autocast("cpu", dtype):
            torch.lstm(x, (x, x), [gates, gates, row, row], True, 1, 0.0, False, False, False)
    except RuntimeError:
        return False
    return True
