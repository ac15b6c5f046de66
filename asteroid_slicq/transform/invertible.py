"""The face that all transforms share: a call that analyses, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class InvertibleTransform(Protocol):
    """A transform between waveforms and blocks of complex coefficients."""

    def __call__(self, waveform: Tensor) -> Sequence[Tensor] | Tensor:
        """Coefficients of a waveform."""
        ...

    def inverse(self, coefficients: Sequence[Tensor], length: int) -> Tensor:
        """Waveform of coefficients; a method ``synthesis``, where there is one, is used instead."""
        ...


@dataclass(frozen=True)
class Pair:
    """Two functions as a transform.

    Attributes:
        analysis: waveform to blocks of coefficients.
        synthesis: blocks of coefficients and a length to a waveform.
    """

    analysis: Callable[[Tensor], Sequence[Tensor] | Tensor]
    synthesis: Callable[[Sequence[Tensor], int], Tensor]

    def __call__(self, waveform: Tensor) -> Sequence[Tensor] | Tensor:
        """Coefficients of a waveform."""
        return self.analysis(waveform)

    def inverse(self, coefficients: Sequence[Tensor], length: int) -> Tensor:
        """Waveform of coefficients."""
        return self.synthesis(coefficients, length)


def analyse_to_blocks(transform: InvertibleTransform, waveform: Tensor) -> list[Tensor]:
    """Coefficients of a waveform as a list of blocks, those of a matrix as its only one."""
    blocks = transform(waveform)
    return [blocks] if isinstance(blocks, Tensor) else list(blocks)


def resynthesise(transform: InvertibleTransform, blocks: Sequence[Tensor], length: int) -> Tensor:
    """Waveform of coefficients that were changed, by one pass where there is a ``synthesis``."""
    synthesis = getattr(transform, "synthesis", transform.inverse)
    return synthesis(blocks, length)
