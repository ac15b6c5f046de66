"""Multiply-adds of models: convolutions, matrix products, attention and recurrent layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


def multiply_adds(run: Callable[[], object], model: nn.Module | None = None) -> float:
    """Number of multiply-adds of what a function does, Fourier transforms left out.

    Args:
        run: what is counted; on a processor.
        model: whose recurrent layers are counted by their weights, of which torch's counter knows
            nothing.
    """
    recurrent = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], _: Any) -> None:
        nonlocal recurrent
        steps = inputs[0].numel() // inputs[0].shape[-1]
        recurrent += steps * sum(p.numel() for p in layer.parameters() if p.ndim > 1)

    layers = [layer for layer in model.modules() if isinstance(layer, nn.RNNBase)] if model else []
    hooks = [layer.register_forward_hook(count) for layer in layers]
    counter = FlopCounterMode(display=False, custom_mapping={_ATTENTION: _attention})
    try:
        with torch.no_grad(), counter:
            run()
    finally:
        for hook in hooks:
            hook.remove()
    return counter.get_total_flops() / 2 + recurrent


def _attention(query: Any, key: Any, value: Any, *args: Any, **options: Any) -> int:
    return sdpa_flop_count(query, key, value)
