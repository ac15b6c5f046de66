"""A network that trains by itself, without files: for comparisons of many.

On a GPU its step is replayed as a CUDA graph, in a stream of its own, so that several may train at
the same time: one alone would leave most of the device idle.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asteroid_slicq.data.resident import ResidentSegments
from common.muon import Muon


@dataclass(frozen=True)
class Course:
    """How a network is trained, apart from what and by which loss.

    Attributes:
        n_steps: after which it ends; 0: no limit.
        seconds: after which it ends, batches and steps; 0: no limit.
        batch_size: of a step.
        peak_rate: the learning rate rises to it for 30 steps, and falls as a cosine.
        clipping: largest norm of the gradient.
        precision: ``32`` or ``bf16``: of what the losses do not exempt from autocast.
        optimizer: ``adam`` or ``muon``.
    """

    n_steps: int = 0
    seconds: float = 0.0
    batch_size: int = 16
    peak_rate: float = 1e-3
    clipping: float = 5.0
    precision: str = "32"
    optimizer: str = "adam"

    def share(self, n_done: int, elapsed_s: float) -> float:
        """How much of it is over, from 0 to 1."""
        shares = [n_done / self.n_steps] if self.n_steps else []
        shares += [elapsed_s / self.seconds] if self.seconds else []
        return min(1.0, max(shares, default=0.0))


def batch_of(data: ResidentSegments, number: int, batch_size: int) -> Tensor:
    """The batch of a step, which is the same for every network."""
    indices = np.random.default_rng([number, 7]).integers(0, 10**9, batch_size)
    return data.__getitems__(indices.tolist())


class Fitting:
    """A model that is found on stems all at once, and not by steps along a gradient.

    Args:
        model: on its device; found in place.
        fit: the model, batches of stems and the seconds that it may take.
        data: as of a :class:`Trainee`.
        course: how many batches there are at most, and how long it may take; its batches are those
            of a :class:`Trainee`, in the same order.
    """

    def __init__(
        self,
        model: nn.Module,
        fit: Callable[[Any, Iterable[Tensor], float], Any],
        data: ResidentSegments,
        course: Course,
    ):
        if not course.n_steps and not course.seconds:
            raise ValueError("n_steps or seconds must be above 0, got 0 for both")
        self.model, self.fit, self.data, self.course = model, fit, data, course
        self.done = 0
        self.elapsed_s = 0.0

    def prepare(self) -> None:
        """Nothing: all of it counts."""

    def _batches(self) -> Iterator[Tensor]:
        while not self.course.n_steps or self.done < self.course.n_steps:
            self.done += 1
            yield batch_of(self.data, self.done - 1, self.course.batch_size)

    def train(self) -> Any:
        """Find the model, and return it in evaluation mode."""
        began = time.monotonic()
        self.fit(self.model, self._batches(), self.course.seconds or math.inf)
        self.elapsed_s = time.monotonic() - began
        return self.model.eval()


class Trainee:
    """A network in training.

    Args:
        model: on its device, with its input scaled; trained in place.
        losses: of a batch; ``loss`` is minimised.
        data: batches of any number of indices.
        course: how; one that has no end is refused.

    Raises:
        ValueError: if the course has no limit.
    """

    def __init__(
        self,
        model: nn.Module,
        losses: Callable[[Tensor], dict[str, Tensor]],
        data: ResidentSegments,
        course: Course,
    ):
        if not course.n_steps and not course.seconds:
            raise ValueError("n_steps or seconds must be above 0, got 0 for both")
        self.model, self.losses, self.data, self.course = model.train(), losses, data, course
        self.device = next(model.parameters()).device
        on_gpu = self.device.type == "cuda"
        self.rate = torch.tensor(0.0, device=self.device)
        if course.optimizer == "muon":
            self.optimizer = Muon(model.parameters(), self.rate)
        else:
            self.optimizer = torch.optim.Adam(model.parameters(), self.rate, capturable=on_gpu)
        self.stream = torch.cuda.Stream(self.device) if on_gpu else None
        self.graph: Any = None
        self.done = 0
        self.elapsed_s = 0.0
        self.batch = self._next_batch()

    def _next_batch(self) -> Tensor:
        return batch_of(self.data, self.done, self.course.batch_size)

    def _autocast(self) -> AbstractContextManager:
        if self.course.precision == "32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=self.stream is None)

    def _step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            loss = self.losses(self.batch)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.course.clipping)
        self.optimizer.step()

    def _advance(self, step: Any) -> None:
        share = self.course.share(self.done, self.elapsed_s)
        factor = min(1.0, (self.done + 1) / 30) * (0.01 + 0.495 * (1 + math.cos(math.pi * share)))
        self.rate.fill_(self.course.peak_rate * factor)
        if self.done:
            self.batch.copy_(self._next_batch())
        step()
        self.done += 1

    def prepare(self) -> None:
        """Take the first steps, and capture one; on processors, nothing."""
        if self.stream is None:
            return
        with torch.cuda.stream(self.stream):
            for _ in range(3):
                self._advance(self._step)
            self.stream.synchronize()
            try:
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph, stream=self.stream):
                    self._step()
            except RuntimeError as error:
                print(f"no CUDA graph: {str(error).splitlines()[0]}", flush=True)
                self.graph = None

    def train(self) -> Any:
        """Take all other steps, and return the model in evaluation mode."""
        began = time.monotonic() - self.elapsed_s
        with torch.cuda.stream(self.stream) if self.stream is not None else nullcontext():
            while self.course.share(self.done, self.elapsed_s) < 1:
                self._advance(self._step if self.graph is None else self.graph.replay)
                # Steps wait for the device, at most four, so that it does not wait for batches.
                if self.stream is not None and self.done % 4 == 0:
                    self.stream.synchronize()
                self.elapsed_s = time.monotonic() - began
        if self.stream is not None:
            self.stream.synchronize()
        self.elapsed_s = time.monotonic() - began
        self.graph = None
        return self.model.eval()
