"""Transforms and inputs that benchmarks/transform.py and transform_memory.py measure."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from asteroid_slicq import NSGT, SliCQT

SAMPLE_RATE = 44100
INPUTS = {
    "1 s": (2, SAMPLE_RATE),
    "10 s": (2, 10 * SAMPLE_RATE),
    "60 s": (2, 60 * SAMPLE_RATE),
    "16 × 2 s": (16, 2, 2 * SAMPLE_RATE),
}
HANN = {"window": "hann", "min_width": 32}


class Stft:
    """``torch.stft`` with the interface of a transform here."""

    def __init__(self) -> None:
        self.window = torch.hann_window(4096)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.stft(x.flatten(0, -2), 4096, 1024, window=self.window, return_complex=True)

    def inverse(self, coefficients: Tensor, length: int) -> Tensor:
        return torch.istft(coefficients, 4096, 1024, window=self.window, length=length)


class OnePass(SliCQT):
    """An overlap-added sliCQT whose inverse is its one-pass synthesis."""

    def inverse(self, coefficients, length, passes=1):
        return super().inverse(coefficients, length, passes)


TRANSFORMS: dict[str, Callable[[int], Callable]] = {
    "STFT": lambda n: Stft(),
    "sliced, ragged": lambda n: SliCQT(),
    "sliced, piecewise": lambda n: SliCQT(rasterize="piecewise"),
    "sliced, matrix": lambda n: SliCQT(rasterize="full"),
    "overlap-added, ragged": lambda n: OnePass(overlap_added=True, **HANN),
    "overlap-added, ragged, exact inverse": lambda n: SliCQT(overlap_added=True, **HANN),
    "overlap-added, piecewise": lambda n: OnePass(
        overlap_added=True, rasterize="piecewise", **HANN
    ),
    "overlap-added, matrix": lambda n: OnePass(overlap_added=True, rasterize="full", **HANN),
    "NSGT (unsliced)": lambda n: NSGT(length=n),
}


def tensors(coefficients: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (coefficients,) if isinstance(coefficients, Tensor) else tuple(coefficients)


def forward_inverse_backward(transform: Callable, x: Tensor) -> Callable[[], None]:
    """One gradient of a loss of the restored waveform, as training takes it."""
    leaf = x.clone().requires_grad_()

    def run() -> None:
        leaf.grad = None
        transform.inverse(transform(leaf), leaf.shape[-1]).square().sum().backward()

    return run
