"""Wiener-EM on a block, a few bins at a time, with its gradient.

The equations are those of :func:`~asteroid_slicq.wiener.wiener_em`. Pieces of a block have the axes
``b j c f w t``: batch, source, channel, bin, window of a common spatial covariance, STFT frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from asteroid_slicq.wiener import general, stereo

_SCALE_FACTOR = 10.0
_CHUNK = {"cpu": 2**15}  # bins × frames at a time, so that what is in between stays in the cache
_CHUNK_ELSEWHERE = 2**21


class Piece(Protocol):
    """Some coefficients, with the noise of their windows, ``(2, batch, freq × window, 1)``."""

    @property
    def in_place(self) -> bool:
        """Whether :meth:`of` is a view of the coefficients, not a copy."""
        ...

    @property
    def noise(self) -> Tensor:
        """ε and √ε of each window, in the precision of the computation."""
        ...

    def of(self, block: Tensor) -> Tensor:
        """The piece of all coefficients. Shape: ``(batch, …)`` → ``b … f w t``."""
        ...

    def put(self, room: Tensor, piece: Tensor) -> None:
        """Write a piece to where it belongs."""
        ...


class Pieces(Protocol):
    """A way to cut coefficients into pieces."""

    def of(self, x: Tensor) -> Iterator[Piece]:
        """The pieces of a mix, which hold all of it."""
        ...

    def empty(self, like: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Room that pieces are written to, and what of it to return: as ``like``."""
        ...


class ExpectationMaximisation(torch.autograd.Function):
    """EM iterations on a block, or on all of them: ``apply(y, x, iterations, pieces)``.

    Only the inputs are kept for the gradient; the iterations are computed again.

    Shape:
        - y: ``(batch, source, channel, freq, frame)``: complex estimates, or real masks whose
          products with the mix these are; whatever ``pieces`` cuts, in place of the last two
        - x: ``(batch, channel, freq, frame)``, the mix, complex
        - output: as ``y``, complex
    """

    @staticmethod
    def forward(y: Tensor, x: Tensor, iterations: int, pieces: Pieces) -> Tensor:
        """The refined estimates."""
        dtype = y.dtype if y.is_complex() else torch.promote_types(y.dtype, x.dtype)
        room, out = pieces.empty(y, dtype)
        for piece in pieces.of(x):
            estimates = piece.of(y)
            refined = piece.of(room) if piece.in_place else torch.empty_like(estimates, dtype=dtype)
            solver_of(x).refine(estimates, piece.of(x), iterations, piece.noise, refined)
            if not piece.in_place:
                piece.put(room, refined)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """The gradient needs the inputs."""
        y, x, *ctx.options = inputs
        ctx.save_for_backward(y, x)

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        y: Tensor,
        x: Tensor,
        iterations: int,
        pieces: Pieces,
    ) -> tuple[Tensor, int]:
        """Items of all batches as one."""
        both = [
            t.expand(info.batch_size, *t.shape) if dim is None else t.movedim(dim, 0)
            for t, dim in zip((y, x), in_dims, strict=False)
        ]
        one = [t.reshape(-1, *t.shape[2:]) for t in both]
        refined = ExpectationMaximisation.apply(*one, iterations, pieces)
        return cast(Tensor, refined).unflatten(0, (info.batch_size, -1)), 0

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the estimates or masks, and of the mix."""
        (y, x), (iterations, pieces) = ctx.saved_tensors, ctx.options
        room_y, of_y = pieces.empty(y, y.dtype)
        room_x, of_x = pieces.empty(x, x.dtype) if ctx.needs_input_grad[1] else (None, None)
        for piece in pieces.of(x):
            estimates, mix = piece.of(y), piece.of(x)
            masks = None if y.is_complex() else estimates.to(piece.noise.dtype)
            if masks is not None:
                estimates = masks * mix.unsqueeze(1)
            constants = iterations, piece.noise
            gradients = solver_of(x).gradients(piece.of(grad_output), estimates, mix, *constants)
            of_estimates, of_mix = gradients
            if masks is not None:
                of_mix = of_mix + (masks * of_estimates).sum(1)
                of_estimates = (of_estimates * mix.conj().unsqueeze(1)).real
            piece.put(room_y, of_estimates)
            if room_x is not None:
                piece.put(room_x, of_mix)
        return of_y, of_x, None, None


def solver_of(x: Tensor) -> ModuleType:
    """The module that solves the equations for the channels of a mix."""
    return stereo if x.shape[1] == 2 else general


class _Piece(NamedTuple):
    """Some bins of some items, in windows of one length.

    Attributes:
        items, bins, frames: where they are in the block.
        window: length of a window in frames.
        noise: see the base class.
    """

    items: slice
    bins: slice
    frames: slice
    window: int
    noise: Tensor

    def of(self, block: Tensor) -> Tensor:
        """The piece of a block. Shape: ``(batch, ..., freq, frame)`` → ``b … f w t``."""
        piece = block[self.items, ..., self.bins, self.frames]
        return piece.unflatten(-1, (-1, self.window))

    @property
    def in_place(self) -> bool:
        """It is a view."""
        return True

    def put(self, room: Tensor, piece: Tensor) -> None:
        """Write a piece to where it belongs."""
        self.of(room).copy_(piece)


@dataclass(frozen=True)
class BlockPieces:
    """Pieces of a block that stay in the cache of a processor.

    Args:
        window: frames over which a spatial covariance is constant; the last may be shorter.
        eps: ε.

    Shape:
        - a block: ``(batch, channel, freq, frame)``
    """

    window: int
    eps: float

    def empty(self, like: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Room strided as the input."""
        room = torch.empty_like(like, dtype=dtype)
        return room, room

    def of(self, x: Tensor) -> Iterator[_Piece]:
        """The pieces of the mix."""
        n_items, _, n_bins, n_frames = x.shape
        window = self.window
        noise = _noise(x, window, self.eps)
        budget = _CHUNK.get(x.device.type, _CHUNK_ELSEWHERE)
        whole = n_frames // window * window
        spans = _cut(0, whole, max(1, budget // window) * window) + _cut(whole, n_frames, window)
        for frames in spans:
            length = frames.stop - frames.start
            windows = slice(frames.start // window, math.ceil(frames.stop / window))
            for bins in _cut(0, n_bins, max(1, budget // length)):
                for items in _cut(0, n_items, max(1, budget // (length * n_bins))):
                    n = bins.stop - bins.start
                    of_bins = noise[:, items, None, windows].expand(-1, -1, n, -1)
                    rows = of_bins.flatten(2).unsqueeze(-1)
                    yield _Piece(items, bins, frames, min(window, length), rows)


def _cut(start: int, stop: int, step: int) -> list[slice]:
    """Slices of a length, of which the last may be shorter.

    >>> _cut(2, 7, 3)
    [slice(2, 5, None), slice(5, 7, None)]
    """
    return [slice(i, min(i + step, stop)) for i in range(start, stop, step)]


def _noise(x: Tensor, window: int, eps: float) -> Tensor:
    """ε and √ε of each window: small beside loud mixes, harmless in silence.

    They are meant for a mix divided by max(1, max |x| / 10). To divide everything by that is to
    multiply both by its square.

    Shape:
        - x: ``(batch, channel, freq, frame)``; output: ``(2, batch, window)``
    """
    power = _loudest(x)
    power = torch.nn.functional.pad(power, (0, -power.shape[-1] % window))
    return noise_of(power.unflatten(-1, (-1, window)).amax(-1), eps)


def loudest_frame(x: Tensor) -> Tensor:
    """Power of the loudest coefficient of each item; ``(batch, …, frame)`` → ``(batch,)``."""
    return _loudest(x).amax(-1)


def noise_of(loudest: Tensor, eps: float) -> Tensor:
    """ε and √ε for the power of the loudest coefficient. Shape: ``(…)`` → ``(2, …)``."""
    dtype = torch.float32 if loudest.device.type == "mps" else torch.float64
    scale = (loudest.to(dtype) / _SCALE_FACTOR**2).clamp(min=1.0)
    return torch.stack([eps * scale, eps**0.5 * scale])


def _loudest(x: Tensor) -> Tensor:
    """The same of each frame. Shape: ``(batch, channel, freq, frame)`` → ``(batch, frame)``."""
    re, im = torch.view_as_real(x.resolve_conj()).unbind(-1)
    return torch.addcmul(re.square(), im, im).amax((1, 2))  # |x|², of items and frames
