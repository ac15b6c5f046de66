"""A training step as a CUDA graph: thousands of small kernels, launched at once.

The forward and the backward pass of the losses of a batch are captured once and replayed; the
optimizer stays outside. Sizes are fixed, and nothing in between may depend on the processor.
In bfloat16 the weights are cast within the graph: a cast that autocast keeps would be that of the
step it was captured in.
"""

import logging
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn

log = logging.getLogger("train")


class _Step(nn.Module):
    """The losses of a batch as a module, so that its parameters are known."""

    def __init__(self, model: nn.Module, losses: Callable[[Tensor], dict[str, Tensor]]) -> None:
        super().__init__()
        self.model = model
        self.names: list[str] = []
        self._losses = losses

    def forward(self, batch: Tensor) -> tuple[Tensor, ...]:
        with _without_kept_casts(batch.device.type):
            terms = self._losses(batch)
        self.names = list(terms)
        return tuple(terms.values())


def _without_kept_casts(device_type: str) -> AbstractContextManager:
    """Autocast as it is around, but that it casts weights each time."""
    if not torch.is_autocast_enabled(device_type):
        return nullcontext()
    dtype = torch.get_autocast_dtype(device_type)
    return torch.autocast(device_type, dtype, cache_enabled=False)


class Graph:
    """Losses that are replayed.

    Args:
        step: the module that computes them, captured or not.
        shape: of the batches that it was captured for; None: of no batch.
    """

    def __init__(self, step: _Step, shape: torch.Size | None) -> None:
        self.step, self.shape = step, shape

    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """Losses of a batch of the same shape, by name."""
        return dict(zip(self.step.names, self.step(batch), strict=True))


def capture(
    model: nn.Module, losses: Callable[[Tensor], dict[str, Tensor]], batch: Tensor
) -> Graph:
    """Capture the losses of a batch; where that fails, say so, and nothing is replayed.

    Args:
        model: what is trained; its buffers are left as they were.
        losses: of a batch.
        batch: the first one.

    Shape:
        - batch: ``(batch, stem, channel, time)``
    """
    step = _Step(model, losses)
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        make_graphed = cast(Any, torch.cuda.make_graphed_callables)
        with warnings.catch_warnings(), _without_kept_casts(batch.device.type):
            # Of its own rehearsals on another stream; a test compares the gradients.
            warnings.filterwarnings("ignore", "The AccumulateGrad node's stream")
            step = make_graphed(step, (batch.clone(),), allow_unused_input=True)
    except RuntimeError as error:
        log.warning("no CUDA graph of a step: %s", str(error).splitlines()[0])
        return Graph(step, None)
    finally:
        with torch.no_grad():  # the rehearsals before a capture count as no steps
            for buffer, before in buffers:
                buffer.copy_(before)
    return Graph(step, batch.shape)
