"""Calls of one shape as CUDA graphs: thousands of small kernels, launched at once.

The segments of a song have the same shape. The first one is computed as usual, which loads kernels
and plans Fourier transforms; while the second one is, its kernels are recorded; from then on they
are replayed. Where a recording fails, as for a model that looks at a value on the processor, all
segments are computed as usual.

A recording keeps the memory of what lies in between, and is valid while the weights are where they
were: it belongs to one song.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

log = logging.getLogger(__name__)

R = TypeVar("R")
Replay = Callable[[Sequence[Tensor]], Any]
Capture = Callable[[Callable[[Sequence[Tensor]], Any], Sequence[Tensor]], Replay]
"""Records a function of tensors for inputs of their shapes; raises ``RuntimeError`` if it fails."""


class Graphs:
    """The recordings of a song.

    Args:
        capture: makes them.
        device_type: what they serve; calls elsewhere go through.
    """

    def __init__(self, capture: Capture, device_type: str = "cuda") -> None:
        self._capture, self._device_type = capture, device_type
        self._replays: dict[Any, Replay | None] = {}
        self._seen_once: set[Any] = set()

    def serves(self, tensor: Tensor) -> bool:
        """Whether calls of such a tensor are recorded."""
        return tensor.device.type == self._device_type

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """A context, for this thread, in which :func:`replayed` records and replays."""
        before, _active.graphs = _active.graphs, self
        try:
            yield
        finally:
            _active.graphs = before

    def call(self, function: Callable[..., R], *arguments: Any) -> R:
        """Call a function, or replay it; see :func:`replayed`."""
        inputs = [x for x in arguments if isinstance(x, Tensor)]
        if not inputs or not all(map(self.serves, inputs)):
            return function(*arguments)
        with _nothing_in_use():
            return self._called(function, arguments, inputs)

    def _called(
        self, function: Callable[..., R], arguments: tuple[Any, ...], inputs: list[Tensor]
    ) -> R:
        key = (function, *(_key(argument) for argument in arguments))
        if key not in self._seen_once:
            self._seen_once.add(key)
            return function(*arguments)
        if key not in self._replays:
            self._replays[key] = self._recorded(function, arguments, inputs)
        replay = self._replays[key]
        return function(*arguments) if replay is None else cast(R, replay(inputs))

    def _recorded(
        self, function: Callable[..., R], arguments: tuple[Any, ...], inputs: list[Tensor]
    ) -> Replay | None:
        def of_tensors(tensors: Sequence[Tensor]) -> R:
            left = iter(tensors)
            return function(*(next(left) if isinstance(x, Tensor) else x for x in arguments))

        try:
            return self._capture(of_tensors, inputs)
        except RuntimeError as error:  # CUDA's own are of this kind, lack of memory among them
            reason = [*str(error).splitlines(), ""][0]
            log.info("segments are not replayed as a CUDA graph: %s", reason)
            return None


def replayed(function: Callable[..., R], *arguments: Any) -> R:
    """Call a function, or replay it where that is in use.

    Args:
        function: the same object at every call, of tensors and what can be hashed; depends on
            nothing else that changes, and changes nothing.
        *arguments: of the function, tensors on one device among them.

    Returns:
        What the function returns; its tensors hold until it is called with such arguments again.
    """
    graphs = _active.graphs
    return function(*arguments) if graphs is None else graphs.call(function, *arguments)


def replays(tensor: Tensor) -> bool:
    """Whether :func:`replayed` records calls of such a tensor now, which needs all results."""
    return _active.graphs is not None and _active.graphs.serves(tensor)


def capture_cuda(function: Callable[[Sequence[Tensor]], R], inputs: Sequence[Tensor]) -> Replay:
    """Record a function as a CUDA graph, see `Capture`.

    Raises:
        RuntimeError: it cannot be.
    """
    device = inputs[0].device
    with torch.cuda.device(device):
        fixed = [torch.empty_like(x).copy_(x) for x in inputs]
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(device)
        # Other threads may copy to and from the GPU meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            outputs = function(fixed)

    def replay(tensors: Sequence[Tensor]) -> R:
        with torch.cuda.device(device):
            for mine, given in zip(fixed, tensors, strict=True):
                mine.copy_(given)
            graph.replay()
        return outputs

    return replay


class _Active(threading.local):
    """What is in use in a thread."""

    graphs: Graphs | None = None


_active = _Active()


@contextmanager
def _nothing_in_use() -> Iterator[None]:
    before, _active.graphs = _active.graphs, None
    try:
        yield
    finally:
        _active.graphs = before


def _key(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return argument.shape, argument.stride(), argument.dtype, argument.device
    return argument
