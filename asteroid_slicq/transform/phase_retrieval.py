r"""Phases for magnitudes, by the Griffin-Lim algorithm and its fast variant.

Let A be a transform, R its synthesis, and s the magnitudes. Two projections take turns:

    P₁ c = A R c,                  the coefficients of a signal nearest to c,
    P₂ c = s·e^{j∠c},              the coefficients of magnitude s nearest to c.

Griffin-Lim iterates c ← P₁ P₂ c. The fast variant goes on in the direction of the last step,

    c_n = P₁ P₂ t_{n−1},           t_n = c_n + α·(c_n − c_{n−1}),

with a momentum α of 0.99. For several sources whose mix is known, each iteration may share out what
their sum lacks of the mix: multiple-input spectrogram inversion. Any transform serves: its
coefficients may be those of an STFT, a matrix, or blocks of different time steps.

Sources: Griffin, Lim (1984), "Signal estimation from modified short-time Fourier transform";
Perraudin, Balazs, Søndergaard (2013), "A fast Griffin-Lim algorithm"; Gunawan, Sen (2010),
"Iterative phase estimation for the synthesis of separated sources from single-channel mixtures".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from asteroid_slicq.transform.checks import check_choice, check_flag, check_integer, check_number
from asteroid_slicq.transform.invertible import (
    InvertibleTransform,
    analyse_to_blocks,
    resynthesise,
)

STARTS = ("zero", "random")


def griffin_lim(
    magnitudes: Sequence[Tensor] | Tensor,
    transform: InvertibleTransform,
    length: int,
    *,
    phase: Sequence[Tensor] | Tensor | str = "zero",
    iterations: int = 32,
    momentum: float = 0.99,
    mix: Tensor | None = None,
    unrolled: bool = False,
    generator: torch.Generator | None = None,
    watch: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Waveform of magnitudes, whose phases are found by Griffin-Lim.

    Differentiable with respect to the magnitudes: as cheaply as one synthesis, with the phases that
    were found as constants, or exactly, through all iterations (``unrolled``), whose memory grows
    with their number.

    Args:
        magnitudes: as ``transform`` lays out coefficients: one tensor a block, or that of a matrix;
            not negative.
        transform: a ``SliCQT`` of any layout, an ``NSGT``, an ``STFT``, or what has their methods.
        length: of the waveform, in samples.
        phase: to start from: ``"zero"``, ``"random"``, or complex coefficients that have it, such
            as those of the mix; where these are 0 the phase is 0.
        iterations: 0 gives the magnitudes the phase to start from.
        momentum: α; 0 is Griffin-Lim, 0.99 the fast variant.
        mix: waveform of the mix of all sources, to which they are to sum; ``None`` for none.
        unrolled: let gradients pass through the phases.
        generator: of random phases, on the device of the magnitudes.
        watch: called with the number of iterations so far and the waveform: 0 before the first one,
            and ``iterations`` at the end.

    Shape:
        - magnitudes: ``(..., channel, freq, slice, time)`` each, ``(..., channel, freq, time)``
          where overlap-added; with ``mix``, ``(..., source, channel, …)``
        - phase: broadcast to that; the coefficients of a mix need ``unsqueeze`` for the source
        - mix: ``(..., channel, length)``
        - output: ``(..., channel, length)``; with ``mix``, ``(..., source, channel, length)``

    Raises:
        TypeError: for complex magnitudes, real coefficients as ``phase``, or a number that is none.
        ValueError: for numbers out of range, or blocks that do not fit.

    Example:
        >>> from asteroid_slicq import SliCQT
        >>> slicqt = SliCQT(window="hann", min_width=32, overlap_added=True)
        >>> waveform = torch.randn(1, 44100, generator=torch.Generator().manual_seed(0))
        >>> magnitudes = [block.abs() for block in slicqt(waveform)]
        >>> again = griffin_lim(magnitudes, slicqt, 44100, iterations=16)
        >>> again.shape, float(spectral_convergence(again, magnitudes, slicqt)) < 0.2
        (torch.Size([1, 44100]), True)
    """
    blocks = [magnitudes] if isinstance(magnitudes, Tensor) else list(magnitudes)
    if any(block.is_complex() for block in blocks):
        raise TypeError("magnitudes must be real, got complex ones: take their abs()")
    length = check_integer("length", length, 1)
    iterations = check_integer("iterations", iterations, 0)
    unrolled = check_flag("unrolled", unrolled)
    if not math.isfinite(check_number("momentum", momentum, 0)):
        raise ValueError(f"momentum must be finite, got {momentum}")
    factors = _start(phase, blocks, generator)

    def with_phase(factors: Sequence[Tensor]) -> Tensor:
        turned = [s * u for s, u in zip(blocks, factors, strict=True)]
        waveform = resynthesise(transform, turned, length)
        if mix is not None:
            waveform = waveform + (mix - waveform.sum(-3)).unsqueeze(-3) / waveform.shape[-3]
        if watch is not None:
            watch(next(count), waveform)
        return waveform

    count = itertools.count()
    previous: list[Tensor] | None = None
    with torch.set_grad_enabled(unrolled and torch.is_grad_enabled()):
        for _ in range(iterations):
            estimate = analyse_to_blocks(transform, with_phase(factors))
            ahead = estimate
            if previous is not None and momentum:
                pairs = zip(estimate, previous, strict=True)
                ahead = [c + momentum * (c - before) for c, before in pairs]
            previous, factors = estimate, [phase_factors(block) for block in ahead]
    return with_phase(factors)


def spectral_convergence(
    waveform: Tensor, magnitudes: Sequence[Tensor] | Tensor, transform: InvertibleTransform
) -> Tensor:
    """How far a waveform is from having some magnitudes, ‖|A y| − s‖ / ‖s‖.

    Shape:
        - waveform: ``(..., channel, time)``; magnitudes: as for :func:`griffin_lim`
        - output: a scalar; 0 for magnitudes of the waveform, 1 for silence
    """
    blocks = [magnitudes] if isinstance(magnitudes, Tensor) else list(magnitudes)
    found = analyse_to_blocks(transform, waveform)
    pairs = zip(found, blocks, strict=True)
    error = torch.stack([(c.abs() - s).square().sum() for c, s in pairs]).sum()
    power = torch.stack([s.square().sum() for s in blocks]).sum()
    ratio = error / power.clamp(min=torch.finfo(power.dtype).tiny)
    # The root has no gradient at 0, which is the least there is.
    return torch.where(ratio > 0, torch.where(ratio > 0, ratio, 1).sqrt(), 0)


def phase_factors(coefficients: Tensor) -> Tensor:
    """Phase factors of complex numbers, e^{j∠c}; 1 where they are 0."""
    zero = coefficients == 0
    return torch.where(zero, torch.ones_like(coefficients), torch.sgn(coefficients))


def _start(
    phase: Sequence[Tensor] | Tensor | str,
    magnitudes: Sequence[Tensor],
    generator: torch.Generator | None,
) -> list[Tensor]:
    """Phase factors to start from, one tensor a block."""
    if isinstance(phase, str):
        check_choice("phase", phase, STARTS)
        ones = [torch.ones_like(s, dtype=s.dtype.to_complex()) for s in magnitudes]
        if phase == "zero":
            return ones
        turns = [torch.rand(s.shape, generator=generator, device=s.device) for s in magnitudes]
        return [
            torch.polar(torch.ones_like(s), (2 * math.pi * turn).to(s.dtype))
            for s, turn in zip(magnitudes, turns, strict=True)
        ]
    blocks = [phase] if isinstance(phase, Tensor) else list(phase)
    if len(blocks) != len(magnitudes):
        raise ValueError(f"phase must have {len(magnitudes)} blocks, got {len(blocks)}")
    if not all(block.is_complex() for block in blocks):
        raise TypeError("phase must be zero, random or complex coefficients, got real ones")
    return [phase_factors(block) for block in blocks]
