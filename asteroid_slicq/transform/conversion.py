"""Exact conversion of coefficients between the layouts of one frame.

The M_k coefficients of a bin in a slice are the IDFT of M_k slots of its spectrum, of which its
window fills L_k at most. Layouts differ in how many slots there are and in where they stand: a DFT
yields the slots, a gather puts them where the other layout has them, and an IDFT of another length
yields its coefficients. Those of a longer raster are those of the shorter one interpolated, times
M_source / M_target, for each IDFT carries its own 1/M.

Between the two phases of one raster no slot is gained or lost, and the coefficients only turn:

    c_global[n] = c_local[n] · exp(2πi · n · p_k / M_k),

n counted from the start of a slice. Since p_k is even, n may as well be counted from the start of
an overlap-added stream: a slice is M_k/2 coefficients further on, p_k/2 full turns.

Source: Schörkhuber, Klapuri, Holighaus, Dörfler (AES 2014), for rasterisation and both phases.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from asteroid_slicq.transform.checks import check_blocks
from asteroid_slicq.transform.frame import Frame
from asteroid_slicq.transform.layout import overlap_add
from asteroid_slicq.transform.slicqt import SliCQT


def convert(
    coefficients: Sequence[Tensor] | Tensor, source: SliCQT | Frame, target: SliCQT | Frame
) -> tuple[Tensor, ...] | Tensor:
    """Coefficients of one layout as those of another, without a detour over the waveform.

    Between ragged, piecewise and full rasters, and between local and global phase. Coefficients of
    a signal become what ``target`` makes of that signal, to rounding. Whatever the coefficients,
    longer rasters hold all that shorter ones do, so there and back is the identity.

    From a longer raster to a shorter one, slots fall away that are zero for coefficients of a
    signal. A mask or a network may have filled them: then the result is the orthogonal projection
    of each bin on what the shorter raster can hold. The waveform of such coefficients differs a
    little from raster to raster, since where bins overlap the dual windows weigh them by M_k.

    Sliced coefficients become overlap-added ones by addition. The way back is a transform of the
    waveform: what neighbouring slices held is no longer told apart, so that overlap-added
    coefficients convert between phases alone. Differentiable.

    Args:
        coefficients: as ``source`` makes them: one tensor a block, or the one tensor of a matrix.
        source: transform, or frame, of the coefficients.
        target: transform, or frame, of the result, of the same bins and slices.

    Returns:
        One tensor a block; the one tensor itself where ``target`` is a :class:`SliCQT` with
        ``rasterize="full"``.

    Shape:
        - coefficients: ``(..., freq, slice, time)`` each, any leading shape; ``(..., freq, time)``
          when overlap-added
        - output: the same, with the bins and coefficients of the blocks of ``target``

    Raises:
        ValueError: when the two differ in more than their layout, when ``source`` is overlap-added
            and they differ in more than their phase, or when the coefficients are not those of
            ``source``.

    Example:
        >>> ragged, matrix = SliCQT(), SliCQT(rasterize="full", phase="global")
        >>> blocks = ragged(torch.randn(2, 44100, generator=torch.Generator().manual_seed(0)))
        >>> converted = convert(blocks, ragged, matrix)
        >>> tuple(converted.shape)
        (2, 263, 6, 292)
        >>> difference = matrix.inverse(converted, 44100) - ragged.inverse(blocks, 44100)
        >>> bool(difference.abs().max() < 1e-5)
        True
    """
    ours = source.frame if isinstance(source, SliCQT) else source
    theirs = target.frame if isinstance(target, SliCQT) else target
    _check_frames(ours, theirs)
    blocks = check_blocks(coefficients, ours.blocks, ours.axes, ours.overlap_added)
    if np.array_equal(ours.lengths, theirs.lengths):
        blocks = _turn(blocks, ours, theirs)
    else:
        blocks = _relocate(blocks, ours, theirs)
    if theirs.overlap_added and not ours.overlap_added:
        blocks = tuple(overlap_add(block) for block in blocks)
    full = isinstance(target, SliCQT) and target.frame_config.rasterize == "full"
    return blocks[0] if full else blocks


def _turn(blocks: list[Tensor], source: Frame, target: Frame) -> tuple[Tensor, ...]:
    """Coefficients of another phase in the same raster."""
    sense = (target.phase == "global") - (source.phase == "global")
    if not sense:
        return tuple(blocks)
    positions = np.split(source.positions, np.cumsum(source.bins_per_block)[:-1])
    turned = []
    for block, p, (_, m) in zip(blocks, positions, source.blocks, strict=True):
        # Whole turns are left out in integers, so that long streams keep their precision.
        parts = sense * np.arange(block.shape[-1]) * p[:, None] % m
        factors = torch.from_numpy(np.exp(2j * np.pi * parts / m)).to(block)
        turned.append(block * (factors if source.overlap_added else factors[:, None]))
    return tuple(turned)


def _relocate(blocks: list[Tensor], source: Frame, target: Frame) -> tuple[Tensor, ...]:
    """Coefficients of another raster, of whatever phases."""
    # (…, freq, slice, time) → (…, slice, freq·time), and one slot more that is always empty
    slots = [torch.fft.fft(block).transpose(-3, -2).flatten(-2) for block in blocks]
    row = torch.cat([*slots, slots[0].new_zeros((*slots[0].shape[:-1], 1))], dim=-1)
    converted = []
    for (n, m), index in zip(target.blocks, _slot_maps(source, target), strict=True):
        part = row.index_select(-1, torch.from_numpy(index).to(row.device))
        converted.append(torch.fft.ifft(part.unflatten(-1, (n, m)).transpose(-3, -2).contiguous()))
    return tuple(converted)


@lru_cache(maxsize=8)
def _slot_maps(source: Frame, target: Frame) -> tuple[np.ndarray, ...]:
    """Place in the flat row of ``source`` of each slot of each block of ``target``.

    The slot after the last one is for those that ``source`` does not have.

    Shape:
        - output: ``(freq·time,)`` each
    """
    starts = np.cumsum(source.lengths) - source.lengths
    edges = np.cumsum(target.bins_per_block)
    maps = []
    for edge, (n, m) in zip(edges, target.blocks, strict=True):
        k = np.arange(edge - n, edge)[:, None]
        p, m_source = source.positions[k], source.lengths[k]
        # The frequency p + j stands in slot j (local phase) or p + j (global), modulo M.
        j = (np.arange(m) - (p if target.phase == "global" else 0) + m // 2) % m - m // 2
        slot = (j + (p if source.phase == "global" else 0)) % m_source
        held = (-m_source // 2 <= j) & (j < m_source // 2)
        maps.append(np.where(held, starts[k] + slot, source.lengths.sum()).ravel())
    return tuple(maps)


def _check_frames(source: Frame, target: Frame) -> None:
    if source.overlap_added and not target.overlap_added:
        raise ValueError(
            "overlap-added coefficients cannot be cut into those of slices again: invert with "
            "source and transform with target instead"
        )
    for name in ("sample_rate", "slice_length", "transition_length", "positions", "widths"):
        ours, theirs = getattr(source, name), getattr(target, name)
        if not np.array_equal(ours, theirs):
            told = f": {ours} and {theirs}" if np.ndim(ours) == 0 else ""
            raise ValueError(f"source and target must have the same {name}, they differ{told}")
    if not all(map(np.array_equal, source.windows, target.windows)):
        raise ValueError("source and target must have the same analysis windows, they differ")
    if source.overlap_added and not np.array_equal(source.lengths, target.lengths):
        raise ValueError(
            "overlap-added coefficients convert between phases, not between rasters, for the sum "
            "of neighbouring slices cannot be told apart: invert with source and transform with "
            "target instead"
        )
