"""Samples on their way to a device and back, without waiting where it can be avoided."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def sent(samples: Tensor, device: torch.device) -> Tensor:
    """Samples on a device. A GPU takes them from pinned memory, while this thread goes on."""
    if device.type != "cuda":
        return samples.to(device)
    return samples.pin_memory().to(device, non_blocking=True)


def fetched(samples: Tensor) -> Callable[[], Tensor]:
    """A function that waits for samples, and returns them in the memory of the processor.

    A GPU writes them to pinned memory once it has computed them.
    """
    if samples.device.type != "cuda":
        here = samples.cpu().resolve_neg()
        return lambda: here
    with torch.cuda.device(samples.device):
        pinned = torch.empty(samples.shape, dtype=samples.dtype, pin_memory=True)
        pinned.copy_(samples.resolve_neg(), non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()

    def wait() -> Tensor:
        arrived.synchronize()
        return pinned

    return wait
