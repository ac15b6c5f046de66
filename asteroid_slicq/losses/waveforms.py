r"""Signal-to-distortion ratios of waveforms over combinations of sources, as losses.

They are the ratios of ``auraloss.time`` (Steinmetz, Reiss 2020), and the weighted SDR of Choi et
al. (2019), which ``auraloss`` does not have. All are functions of inner products of estimates and
targets alone, and so are those of sums of sources. So what is compared are not the waveforms but
*stand-ins*: with ``J`` sources, ``2J`` vectors of ``2J`` numbers with the inner products of the
``J`` targets and the ``J`` errors. ``auraloss`` compares all combinations of these in next to no
time. One pass over the waveforms makes them, one more takes the gradient back, see
:class:`_StandIns`. Errors rather than estimates go in, and everything is float64, since a small
residual is the difference of large products.

Ratios are taken of each channel and averaged over batch, channels and subsets. Every function takes
and returns:

Args:
    estimates: the estimated sources.
    targets: the true ones.
    subsets: see :mod:`asteroid_slicq.losses.combinations`.
    eps: added where ``auraloss`` adds it: to the energy of the distortion and to the ratio.

Shape:
    - estimates, targets: ``(batch, source, channel, time)``
    - output: a scalar of their dtype

Raises:
    ValueError: if the shapes differ or are wrong, or by ``subsets``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from auraloss.time import SDSDRLoss, SISDRLoss, SNRLoss
from torch import Tensor
from torch.autograd.function import once_differentiable

from asteroid_slicq.losses.absolute import membership
from asteroid_slicq.losses.combinations import Subsets, check_same_shape, resolve_subsets

_CHUNK = 2**18  # numbers at a time, so that they stay in the cache
_ROUNDING = 1e-15  # of an eigenvalue of a matrix with ones on its diagonal


def combination_si_sdr(
    estimates: Tensor, targets: Tensor, subsets: Subsets = "all", eps: float = 1e-8
) -> Tensor:
    """Negative scale-invariant SDR, by ``auraloss.time.SISDRLoss``.

    ``-10 log10(|a t|^2 / |e - a t|^2)`` with ``a = <e, t> / |t|^2``, of waveforms without their
    mean (Le Roux et al., "SDR – half-baked or well done?", arXiv:1811.02508). It has no zero at
    the target: it falls to ``10 log10(eps) - 10 log10(|t|^2)``. For a silent target or estimate it
    is ``-10 log10(eps)``, 80, without a gradient. The module's docstring has the rest.
    """
    loss = SISDRLoss(zero_mean=False, eps=eps)
    return _over_combinations(loss, estimates, targets, subsets, zero_mean=True)


def combination_sd_sdr(
    estimates: Tensor, targets: Tensor, subsets: Subsets = "all", eps: float = 1e-8
) -> Tensor:
    """Negative scale-dependent SDR, by ``auraloss.time.SDSDRLoss``.

    ``-10 log10(|a t|^2 / |e - t|^2)`` with ``a = <e, t> / |t|^2``, of waveforms without their mean
    (arXiv:1811.02508). Extremes as of :func:`combination_si_sdr`.
    """
    loss = SDSDRLoss(zero_mean=False, eps=eps)
    return _over_combinations(loss, estimates, targets, subsets, zero_mean=True)


def combination_sdr(
    estimates: Tensor, targets: Tensor, subsets: Subsets = "all", eps: float = 1e-8
) -> Tensor:
    """Negative plain SDR, by ``auraloss.time.SNRLoss``: ``-10 log10(|t|^2 / |e - t|^2)``.

    Of waveforms without their mean. Extremes as of :func:`combination_si_sdr`; a silent estimate
    has an SDR of 0 dB.
    """
    loss = SNRLoss(zero_mean=False, eps=eps)
    return _over_combinations(loss, estimates, targets, subsets, zero_mean=True)


def combination_weighted_sdr(
    estimates: Tensor, targets: Tensor, subsets: Subsets = "all", eps: float = 1e-8
) -> Tensor:
    """Weighted SDR loss (Choi et al., "Phase-aware speech enhancement", arXiv:1903.03107, eq. 8).

    With the mix ``x``, here the sum of all targets, and what is left of it, ``z = x - t`` and
    ``z^ = x - e``: ``-w cos(t, e) - (1 - w) cos(z, z^)``, where ``cos`` is the normalised inner
    product and ``w = |t|^2 / (|t|^2 + |z|^2)``. It is -1 at the target and 0 for silent targets.
    The module's docstring has the rest; ``eps`` is added to the energies.
    """

    def loss(estimate: Tensor, target: Tensor, mix: Tensor) -> Tensor:
        rest = mix - target
        energies = target.square().sum(-1), rest.square().sum(-1)
        cosines = _cosine(target, estimate, eps), _cosine(rest, mix - estimate, eps)
        weighted = energies[0] * cosines[0] + energies[1] * cosines[1]
        return -(weighted / (energies[0] + energies[1] + eps)).mean()

    return _over_combinations(loss, estimates, targets, subsets, zero_mean=False, give_mix=True)


def _cosine(x: Tensor, y: Tensor, eps: float) -> Tensor:
    energies = (x.square().sum(-1) + eps) * (y.square().sum(-1) + eps)
    return (x * y).sum(-1) * energies.rsqrt()


def _over_combinations(
    loss: Callable[..., Tensor],
    estimates: Tensor,
    targets: Tensor,
    subsets: Subsets,
    zero_mean: bool,
    give_mix: bool = False,
) -> Tensor:
    """A loss that depends on inner products along the last dimension, of sums of sources.

    It is a function of an estimate and a target, both ``(batch, channel, subset, sample)``, and
    with ``give_mix`` of the sum of all targets.
    """
    check_same_shape(estimates, targets)
    if targets.ndim != 4 or targets.is_complex() or targets.shape[-1] == 0:
        raise ValueError(
            "estimates and targets must be (batch, source, channel, time), real and not empty, "
            f"got {tuple(targets.shape)} of {targets.dtype}"
        )
    n_sources = targets.shape[1]
    chosen = resolve_subsets(subsets, n_sources)
    stand_ins = cast(Tensor, _StandIns.apply(estimates, targets, zero_mean))
    errors, true = stand_ins.split(n_sources, -2)
    members = membership(chosen, n_sources, true)
    inputs = [members @ (true + errors), members @ true]
    if give_mix:
        inputs.append(true.sum(-2, keepdim=True))
    return _like(loss(*inputs), estimates)


def _like(x: Tensor, other: Tensor) -> Tensor:
    """In the dtype and on the device of another tensor; not every device knows float64."""
    return x.to(other.dtype).to(other.device)


class _StandIns(torch.autograd.Function):
    r"""Short vectors with the inner products of waveforms.

    With errors and targets as the rows of a matrix :math:`X` and :math:`D` the lengths of these
    rows, :math:`X X^T = D V \Lambda V^T D`, so the rows of :math:`C = D V \Lambda^{1/2}` have the
    same inner products. They are the coordinates :math:`C = X Q^T` in the orthonormal basis
    :math:`Q = \Lambda^{-1/2} V^T D^{-1} X` of the span of the waveforms. A function of inner
    products does not change as the basis turns, and has a gradient within the span, so the basis
    counts as constant and the gradient is that of :math:`C` times :math:`Q`. A vanishing eigenvalue
    means that waveforms depend on each other, as silent ones or errors that sum to zero do; it
    takes no part.

    The matrices are so small that the CPU is the place for them, whatever the device.

    Shape:
        - estimates, targets: ``(batch, source, channel, time)``
        - output: ``(batch, channel, 2 source, 2 source)``, errors before targets, in float64
    """

    @staticmethod
    def forward(ctx: Any, estimates: Tensor, targets: Tensor, zero_mean: bool) -> Tensor:
        gram, means = _gram(estimates, targets, zero_mean)
        # LAPACK fails on what is not finite; its loss and its gradient are NaN.
        finite = gram.isfinite().flatten(-2).all(-1)[..., None, None]
        gram = torch.where(finite, gram, torch.eye(gram.shape[-1], dtype=gram.dtype))
        lengths = gram.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()
        lengths = torch.where(lengths > 0, lengths, 1.0)
        cosines = gram / (lengths[..., :, None] * lengths[..., None, :])
        values, vectors = torch.linalg.eigh(cosines)
        roots = torch.where(values > _ROUNDING * values.shape[-1], values, 0.0).sqrt()
        inverse = torch.where(roots > 0, 1 / roots, 0.0)
        basis = inverse[..., :, None] * vectors.mT / lengths[..., None, :]
        basis = torch.where(finite, basis, torch.nan)
        ctx.save_for_backward(estimates, targets, basis, means)
        stand_ins = lengths[..., :, None] * vectors * roots[..., None, :]
        return torch.where(finite, stand_ins, torch.nan)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        estimates, targets, basis, means = ctx.saved_tensors
        of_errors, of_targets = (grad_output @ basis).split(targets.shape[1], -2)
        # Errors are estimates less targets.
        rows = [of_errors, of_targets - of_errors][: 1 + ctx.needs_input_grad[1]]
        weights = torch.cat(rows, -2)
        offsets = _like(weights @ means, targets)
        weights = _like(weights, targets)
        gradients = [torch.empty_like(x) for x in (estimates, targets)[: len(rows)]]
        for b, time, signals in _signals(estimates, targets, targets.dtype):
            parts = torch.baddbmm(offsets[b], weights[b], signals, beta=-1)
            for gradient, part in zip(gradients, parts.split(targets.shape[1], -2), strict=True):
                gradient[b, :, :, time] = part.transpose(0, 1)
        return gradients[0], gradients[1] if len(gradients) == 2 else None, None


def _gram(estimates: Tensor, targets: Tensor, zero_mean: bool) -> tuple[Tensor, Tensor]:
    """Inner products of errors and targets and their means, or zeros where these stay in.

    Accumulated in float64 on devices that have it.

    Shape:
        - estimates, targets: ``(batch, source, channel, time)``
        - output: ``(batch, channel, 2 source, 2 source)``, ``(batch, channel, 2 source, 1)``; both
          float64 on the CPU
    """
    n_batch, n_sources, n_channels, n_samples = targets.shape
    dtype = torch.float32 if targets.device.type == "mps" else torch.float64
    shape = n_batch, n_channels, 2 * n_sources
    gram = targets.new_zeros((*shape, 2 * n_sources), dtype=dtype)
    means = targets.new_zeros((*shape, 1), dtype=dtype)
    for b, _, signals in _signals(estimates, targets, dtype):
        gram[b].baddbmm_(signals, signals.mT)
        if zero_mean:
            means[b] += signals.sum(-1, keepdim=True)
    gram, means = (x.cpu().double() for x in (gram, means / n_samples))
    return gram - n_samples * means @ means.mT, means


def _signals(
    estimates: Tensor, targets: Tensor, dtype: torch.dtype
) -> Iterator[tuple[int, slice, Tensor]]:
    """Errors and targets of one item after the other, piece by piece.

    Shape:
        - estimates, targets: ``(batch, source, channel, time)``
        - output: number of the item, piece of time, ``(channel, 2 source, time)``
    """
    n_batch, n_sources, n_channels, n_samples = targets.shape
    size = _CHUNK // (n_channels * n_sources) if targets.device.type == "cpu" else n_samples
    size = min(n_samples, max(1, size))
    buffer = targets.new_empty((n_channels, 2 * n_sources, size), dtype=dtype)
    for b in range(n_batch):
        for start in range(0, n_samples, size):
            time = slice(start, start + size)
            e, t = (x[b, :, :, time].transpose(0, 1) for x in (estimates, targets))
            signals = buffer[..., : t.shape[-1]]
            signals[:, n_sources:] = t
            signals[:, :n_sources] = e
            signals[:, :n_sources] -= signals[:, n_sources:]
            yield b, time, signals
