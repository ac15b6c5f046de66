"""State of the streams of :mod:`asteroid_slicq.transform.streaming` from buffer to buffer.

Everything here works on flat batches, ``(batch, time)`` and ``(batch, freq, slice, time)``; the
streams themselves take the shapes of users.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from asteroid_slicq.transform.layout import blocks_to_spectrum, overlap_add, spectrum_to_blocks
from asteroid_slicq.transform.slicqt import SliCQT


class StreamFormat(NamedTuple):
    """Leading shape, number type and device of a stream; ``dtype`` is that of the waveform."""

    leading: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    @property
    def batch(self) -> int:
        """Size of the leading axes, flattened."""
        return math.prod(self.leading)

    def check(self, name: str, slicqt: SliCQT, begun: State | None) -> None:
        """Refuse a format that is not the one the stream began with."""
        if self.device != slicqt.index.device:
            raise ValueError(
                f"{name} must lie on the transform's device {slicqt.index.device}, "
                f"got {self.device}"
            )
        if begun is not None and self != begun.fmt:
            raise ValueError(
                f"{name} must have the leading shape {begun.fmt.leading} and the precision of "
                f"{begun.fmt.dtype} on {begun.fmt.device}, as this stream began, got "
                f"{self.leading} and {self.dtype} on {self.device}; reset() begins a new one"
            )


class State:
    """State of one direction, beside constants; ``nothing`` are the blocks of no slice."""

    def __init__(self, slicqt: SliCQT, fmt: StreamFormat) -> None:
        frame = slicqt.frame
        self.frame, self.fmt = frame, fmt
        shapes = [(n, 0) if frame.overlap_added else (n, 0, m) for n, m in frame.blocks]
        self.nothing = [self.zeros(*shape).to(fmt.dtype.to_complex()) for shape in shapes]

    def zeros(self, *shape: int) -> Tensor:
        """Zeros of the stream's batch, precision and device."""
        return torch.zeros(self.fmt.batch, *shape, dtype=self.fmt.dtype, device=self.fmt.device)


class Analysis(State):
    """Analysis of slices, of which ``span`` = N/2 + tr samples matter.

    Shape of what it keeps:
        - samples: ``(batch, time)``, less than ``span``
        - late: ``(batch, freq, M/2)`` each, of the last slice, where overlap-added
    """

    def __init__(self, slicqt: SliCQT, fmt: StreamFormat) -> None:
        super().__init__(slicqt, fmt)
        maps = slicqt.maps(fmt.dtype)
        windows, self.layout = maps.analysis, maps.layout
        self.window, self.factors = windows.slicing, windows.analysis_factors_of_blocks
        self.span = self.frame.slice_hop + self.frame.transition_length
        self.samples, self.n_slices = self.zeros(self.span // 2), 0
        added = self.frame.blocks if self.frame.overlap_added else ()
        self.late = [self.zeros(n, m // 2) for n, m in added]

    def push(self, waveform: Tensor) -> list[Tensor]:
        """Coefficients of the slices that are complete."""
        n, hop = self.frame.slice_length, self.frame.slice_hop
        samples = torch.cat([self.samples, waveform], dim=-1)
        n_slices = (samples.shape[-1] - self.span) // hop + 1
        if n_slices < 1:
            self.samples = samples
            return list(self.nothing)
        self.samples, self.n_slices = samples[:, n_slices * hop :].clone(), self.n_slices + n_slices
        margin = (n - self.span) // 2  # zeros of the window
        slices = pad(samples, (margin, margin)).unfold(-1, n, hop)
        spectrum = self.layout.dft.spectra(slices, self.window)
        blocks = list(spectrum_to_blocks(spectrum, self.layout, self.factors))
        for i, block in enumerate(blocks if self.frame.overlap_added else ()):
            stream, half = overlap_add(block), block.shape[-1] // 2
            stream[..., :half] += self.late[i]
            blocks[i], self.late[i] = stream[..., :-half], stream[..., -half:].clone()
        return blocks

    def finish(self, n_slices: int) -> list[Tensor]:
        """The rest of so many slices, as if zeros followed."""
        missing = (n_slices - self.n_slices - 1) * self.frame.slice_hop + self.span
        blocks = self.push(self.zeros(missing - self.samples.shape[-1]))
        return joined(blocks, self.late) if self.frame.overlap_added else blocks


class Synthesis(State):
    """One pass of synthesis.

    Shape of what it keeps:
        - late: ``(batch, hop)``, samples of the last slice
        - stream: ``(batch, freq, M/2)`` each, the last coefficients, where overlap-added
    """

    def __init__(self, slicqt: SliCQT, fmt: StreamFormat) -> None:
        super().__init__(slicqt, fmt)
        maps = slicqt.maps(fmt.dtype)
        windows, self.layout = maps.synthesis, maps.layout
        self.factors, self.over = windows.synthesis_factors, windows.stream
        self.late, self.stream = self.zeros(self.frame.slice_hop), list(self.nothing)
        self.lead_in = self.frame.slice_hop  # samples in front of the first

    def push(self, blocks: list[Tensor]) -> Tensor:
        """Samples that are final."""
        if self.over is not None:
            halves = [len(over) // 2 for over in self.over]
            blocks = joined(self.stream, blocks)
            self.stream = [c[..., -h:].clone() for c, h in zip(blocks, halves, strict=True)]
            if blocks[0].shape[-1] < 2 * halves[0]:
                return self.zeros(0)
            rows = zip(blocks, self.over, halves, strict=True)
            blocks = [c.unfold(-1, 2 * h, h) * over for c, over, h in rows]
        if not blocks[0].shape[2]:
            return self.zeros(0)
        hop = self.frame.slice_hop
        spectra = blocks_to_spectrum(blocks, self.layout, self.factors)
        samples = overlap_add(self.layout.dft.slices(spectra))
        samples[:, :hop] += self.late
        samples, self.late = samples[:, self.lead_in : -hop], samples[:, -hop:].clone()
        self.lead_in = 0
        return samples


class Refinement(State):
    """A further pass, x ← x + R(c − A x); it keeps a slice of c and of x, which A and R lag."""

    def __init__(self, slicqt: SliCQT, fmt: StreamFormat) -> None:
        super().__init__(slicqt, fmt)
        self.analysis, self.synthesis = Analysis(slicqt, fmt), Synthesis(slicqt, fmt)
        self.blocks, self.samples = list(self.nothing), self.zeros(0)

    def push(
        self, blocks: list[Tensor], samples: Tensor, n_slices: int
    ) -> tuple[list[Tensor], Tensor]:
        """Coefficients and samples of this pass, of those of the pass before."""
        blocks = joined(self.blocks, blocks)
        again = self.analysis.push(samples)
        if n_slices:
            again = joined(again, self.analysis.finish(n_slices))
        cut = [c.tensor_split([a.shape[-1]], dim=-1) for c, a in zip(blocks, again, strict=True)]
        blocks, self.blocks = [c for c, _ in cut], [c.clone() for _, c in cut]
        change = self.synthesis.push([c - a for c, a in zip(blocks, again, strict=True)])
        samples = torch.cat([self.samples, samples], dim=-1)
        n = min(samples.shape[-1], change.shape[-1])
        self.samples = samples[:, n:].clone()
        return blocks, samples[:, :n] + change[:, :n]


class Passes(State):
    """All passes in a row; ``length`` counts the samples of the first."""

    def __init__(self, slicqt: SliCQT, fmt: StreamFormat, passes: int) -> None:
        super().__init__(slicqt, fmt)
        self.first, self.length = Synthesis(slicqt, fmt), 0
        self.more = [Refinement(slicqt, fmt) for _ in range(passes - 1)]

    def push(self, blocks: list[Tensor], n_slices: int = 0, length: int = 0) -> Tensor:
        """Samples that are final; the last call has the slices and samples of the whole stream."""
        samples = self.first.push(blocks)
        if n_slices:
            samples = samples[:, : length - self.length]
        self.length += samples.shape[-1]
        for refinement in self.more:
            blocks, samples = refinement.push(blocks, samples, n_slices)
        return samples


def joined(blocks: list[Tensor], more: list[Tensor]) -> list[Tensor]:
    """Blocks of coefficients, joined along time."""
    return [torch.cat(pair, dim=-1) for pair in zip(blocks, more, strict=True)]
