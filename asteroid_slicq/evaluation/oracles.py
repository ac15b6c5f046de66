"""The best that a kind of separator could do, given the true sources.

An oracle bounds what a separator of its kind reaches in the domain of a transform, and so tells the
quality of the transform apart from that of a network. With s_j the coefficients of source j and x
those of the mix:

========== =====================================================================================
mix-phase  |s_j|·e^{j∠x}: true magnitudes, phase of the mix
irm1       ratio mask of magnitudes, |s_j| / Σ_i |s_i|
irm2       ratio mask of powers, |s_j|² / Σ_i |s_i|²
ibm1       binary mask, 1 where |s_j| ≥ |x| / 2
ibm2       binary mask, 1 where |s_j|² ≥ |x|² / 2
mwf        multichannel Wiener filter P_j·R_j·(Σ_i P_i·R_i)⁻¹·x, of the true P_j and R_j
========== =====================================================================================

Masks work on each channel for itself. All but mix-phase follow the oracles of SiSEC: Stöter,
Liutkus, Ito, "The 2018 signal separation evaluation campaign"; the Wiener filter's model is that of
Duong, Vincent, Gribonval (2010), "Under-determined reverberant audio source separation using a
full-rank spatial covariance model". A binary mask compares a source with its share of the mix, and
not with the sum of the others: at a threshold of one half, that is the same for magnitudes and
for powers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from asteroid_slicq.transform import InvertibleTransform, resynthesise
from asteroid_slicq.vocabulary import ORACLES
from asteroid_slicq.wiener import mix_phase

_FLOOR = 1e-10  # of the power of the mix in a bin; what is weaker is rounding, not a source
_REGULARISATION = 1e-10  # of spatial covariances, whose trace is the number of channels
_CHUNK = 2**17  # cells whose matrices are held at a time


def oracle(name: str, transform: InvertibleTransform, mix: Tensor, stems: Tensor) -> Tensor:
    """Estimates of all sources by an oracle.

    Args:
        name: one of :data:`~asteroid_slicq.vocabulary.ORACLES`.
        transform: for instance a ``SliCQT`` or an ``STFT``.
        mix: the mix.
        stems: the true sources.

    Shape:
        - mix: ``(..., channel, time)``
        - stems: ``(..., source, channel, time)``
        - output: like ``stems``

    Raises:
        ValueError: for an unknown name, or if the shapes do not belong together.
    """
    if name not in ORACLES:
        raise ValueError(f"name must be one of {', '.join(ORACLES)}, got {name!r}")
    blocks = analyse(transform, mix, stems)
    spatial = [spatial_sums(b.sources, b.mix) if name == "mwf" else None for b in blocks]
    estimates = [estimate(name, b, r) for b, r in zip(blocks, spatial, strict=True)]
    return resynthesise(transform, estimates, mix.shape[-1])


@dataclass(frozen=True)
class Block:
    """A block of coefficients of a mix and its true sources, slices laid end to end.

    Shape:
        - mix: ``(..., channel, freq, frame)``
        - sources: ``(..., source, channel, freq, frame)``
        - frames: the axes that ``frame`` stands for, slices and time, or time alone
    """

    mix: Tensor
    sources: Tensor
    frames: tuple[int, ...]


def analyse(transform: InvertibleTransform, mix: Tensor, stems: Tensor) -> list[Block]:
    """Coefficients of a mix and its sources; shapes and errors are those of :func:`oracle`."""
    if stems.ndim < 3 or mix.shape != stems.shape[:-3] + stems.shape[-2:]:
        raise ValueError(
            "mix must be (..., channel, time) and stems (..., source, channel, time), "
            f"got {tuple(mix.shape)} and {tuple(stems.shape)}"
        )
    # The mix goes through as one more source.
    dim = stems.ndim - 3
    together = transform(torch.cat([mix.unsqueeze(dim), stems], dim))
    blocks = []
    for block in [together] if isinstance(together, Tensor) else together:
        frames = tuple(block.shape[dim + 3 :])
        flat = block.flatten(dim + 3)
        sources = flat.narrow(dim, 1, stems.shape[dim])
        blocks.append(Block(flat.select(dim, 0), sources, frames))
    return blocks


def estimate(name: str, block: Block, spatial: Tensor | None = None) -> Tensor:
    """Coefficients of an oracle's estimates in one block.

    The oracle ``mwf`` needs :func:`spatial_sums` of it, or their sum over all parts of a track.

    Shape:
        - spatial: ``(..., source, freq, channel, channel)``
        - output: ``(..., source, channel, freq, slice, time)`` or ``(…, freq, time)``
    """
    if name == "mwf":
        if spatial is None:
            raise ValueError("spatial must be given for the oracle mwf, got None")
        out = _wiener(block.mix, block.sources, spatial)
    else:
        x, magnitude = block.mix.unsqueeze(-4), block.sources.abs()
        if name == "mix-phase":
            out = magnitude * mix_phase(x)
        else:
            power = int(name[-1])
            share = magnitude**power
            if name.startswith("irm"):
                out = share / share.sum(-4, keepdim=True).clamp(min=1e-30) * x
            else:
                out = (share >= 0.5 * x.abs() ** power) * x
    return out.unflatten(-1, block.frames)


def spatial_sums(sources: Tensor, mix: Tensor) -> Tensor:
    """Σ_t s_j s_jᴴ / P_j in every bin, P_j the mean power of the channels.

    Up to a factor, which :func:`estimate` sets, this is the spatial covariance R_j; so the sums of
    the parts of a track add up to that of the track.

    Shape:
        - sources, mix: as in :class:`Block`
        - output: ``(..., source, freq, channel, channel)``, of double precision
    """
    total = []
    for y, floor in _chunks(sources, _floor(mix).unsqueeze(-3)):
        power = y.abs().square().mean(-3) + floor  # … j f t
        weighted = y / power.unsqueeze(-3)
        total.append(torch.einsum("...cft,...dft->...fcd", weighted, y.conj()))
    return torch.cat(total, -3)


def _wiener(mix: Tensor, sources: Tensor, spatial: Tensor) -> Tensor:
    """P_j·R_j·(Σ_i P_i·R_i)⁻¹·x, with P_j = s_jᴴ·R_j⁻¹·s_j / I for I channels."""
    n_channels = mix.shape[-3]
    identity = torch.eye(n_channels, dtype=spatial.dtype, device=spatial.device)
    trace = spatial.diagonal(dim1=-2, dim2=-1).real.sum(-1)[..., None, None]
    # A silent source has any covariance.
    shape = torch.where(trace > 0, spatial * (n_channels / trace.clamp(min=1e-300)), identity)
    covariances = (shape + _REGULARISATION * identity).flatten(-2).mT  # … j (c d) f, as _chunks has
    out = []
    for y, x, floor, r in _chunks(sources, mix, _floor(mix), covariances.unsqueeze(-1)):
        r = r.squeeze(-1).mT.unflatten(-1, (n_channels, n_channels))  # … j f c d
        whitened = torch.einsum("...fcd,...dft->...cft", _inverse(r), y)
        power = (y.conj() * whitened).real.sum(-3) / n_channels  # … j f t
        power = (power + floor.unsqueeze(-3)).to(r.dtype)
        total = torch.einsum("...jft,...jfcd->...ftcd", power, r)
        filtered = torch.einsum("...ftcd,...dft->...cft", _inverse(total), x)
        turned = torch.einsum("...jfcd,...dft->...jcft", r, filtered)
        out.append((power.unsqueeze(-3) * turned).to(sources.dtype))
    return torch.cat(out, -2).to(sources.device)


def _floor(x: Tensor) -> Tensor:
    """Power below which there is rounding only.

    Shape:
        - x: ``(..., channel, freq, frame)``; output: ``(..., freq, 1)``
    """
    return _FLOOR * x.abs().square().mean((-3, -1)).unsqueeze(-1) + 1e-30


def _chunks(first: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Some bins at a time, in double precision, of tensors whose second-last axis has the bins."""
    size = max(1, _CHUNK // first.shape[-1])
    for parts in zip(*(tensor.split(size, -2) for tensor in (first, *others)), strict=True):
        # Not all devices have double precision.
        home = [part.cpu() if part.device.type == "mps" else part for part in parts]
        yield tuple(p.to(torch.complex128 if p.is_complex() else torch.float64) for p in home)


def _inverse(matrix: Tensor) -> Tensor:
    """Inverse of small matrices, in closed form up to two channels."""
    if matrix.shape[-1] == 1:
        return 1 / matrix
    if matrix.shape[-1] > 2:
        return torch.linalg.inv(matrix)
    (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
    entries = torch.stack([d, -b, -c, a], -1) / (a * d - b * c).unsqueeze(-1)
    return entries.unflatten(-1, (2, 2))
