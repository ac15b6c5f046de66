"""The matrix layout in operations that ``torch.jit.trace`` can follow, at every length.

A trace keeps the control flow of scripted functions alone, and knows no autograd function of ours;
so here the two maps of :mod:`asteroid_slicq.transform.operators` stand once more, for one block and
all slices at once.
"""

from __future__ import annotations

import torch
from asteroid_filterbanks.scripting import script_if_tracing
from torch import Tensor
from torch.nn import functional as F

from asteroid_slicq.transform import overlap_add


@script_if_tracing
def whole_steps(wav: Tensor, step: int) -> Tensor:
    """Pad to whole steps: two at least, since Asteroid squeezes a single one away."""
    length = wav.shape[-1]
    steps = max(2, (length + step - 1) // step)
    return F.pad(wav, [0, steps * step - length]).contiguous()


@script_if_tracing
def whole_halves(c: Tensor, half: int) -> Tensor:
    """Pad with zeros to whole half slices, three at least: those of one sample."""
    frames = c.shape[-1]
    halves = max(3, (frames + half - 1) // half)
    return F.pad(c, [0, halves * half - frames])


def _analyse(
    wav: Tensor, slicing: Tensor, stream: Tensor, index: Tensor, analysis: Tensor
) -> Tensor:
    """The matrix of a waveform in plain operations; see :mod:`asteroid_slicq.transform.operators`.

    Shape:
        - wav: ``(batch, time)``; output: ``(batch, freq, frames)``, complex
    """
    n, m = slicing.shape[0], stream.shape[0]
    n_slices = (wav.shape[-1] + n // 2 - 1) // (n // 2) + 1
    padded = F.pad(wav, [n // 2, n_slices * (n // 2) - wav.shape[-1]])
    spectrum = torch.fft.rfft(padded.unfold(-1, n, n // 2) * slicing)
    row = torch.view_as_real(spectrum.index_select(-1, index)) * analysis
    slices = torch.fft.ifft(torch.view_as_complex(row).unflatten(-1, [-1, m])).transpose(1, 2)
    return overlap_add(slices)


def _synthesise(
    c: Tensor, slicing: Tensor, stream: Tensor, index: Tensor, synthesis: Tensor
) -> Tensor:
    """One pass of synthesis: ``(batch, freq, frames)``, complex → ``(batch, time)``."""
    n, m = slicing.shape[0], stream.shape[0]
    row = torch.fft.fft(c.unfold(-1, m, m // 2) * stream).transpose(1, 2).flatten(-2)
    row = torch.view_as_complex(torch.view_as_real(row) * synthesis)
    empty = torch.zeros([row.shape[0], row.shape[1], n // 2 + 1], dtype=c.dtype, device=c.device)
    slices = torch.fft.irfft(empty.index_add(-1, index, row), n=n)
    return overlap_add(slices)[:, n // 2 : -(n // 2)]


@script_if_tracing
def traced_analysis(
    wav: Tensor,
    slicing: Tensor,
    stream: Tensor,
    index: Tensor,
    analysis: Tensor,
    synthesis: Tensor,
) -> Tensor:
    """Analysis: ``(..., time)`` → ``(..., freq, frames)``, complex."""
    c = _analyse(wav.reshape(-1, wav.shape[-1]), slicing, stream, index, analysis)
    return c.reshape(wav.shape[:-1] + c.shape[1:])


@script_if_tracing
def traced_synthesis(
    passes: int,
    c: Tensor,
    slicing: Tensor,
    stream: Tensor,
    index: Tensor,
    analysis: Tensor,
    synthesis: Tensor,
) -> Tensor:
    """Synthesis by some passes: ``(..., freq, frames)``, complex → ``(..., time)``."""
    flat = c.reshape(-1, c.shape[-2], c.shape[-1])
    wav = _synthesise(flat, slicing, stream, index, synthesis)
    for _ in range(passes - 1):
        rest = flat - _analyse(wav, slicing, stream, index, analysis)
        wav = wav + _synthesise(rest, slicing, stream, index, synthesis)
    return wav.reshape(c.shape[:-2] + wav.shape[1:])
