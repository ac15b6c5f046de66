"""Wiener-EM for any number of channels, in complex arithmetic.

The axes are ``b j c f w t`` of :mod:`asteroid_slicq.wiener.expectation`.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor


def refine(y: Tensor, x: Tensor, iterations: int, noise: Tensor, out: Tensor) -> None:
    """EM iterations in the precision of ``noise``.

    Args:
        y: estimates of the sources, or real masks whose products with the mix these are.
        x: the mix.
        iterations: how many, at least 1.
        noise: ε, which keeps the spatial covariance of a silent source finite, and √ε, the power of
            the noise in every channel of the mix; constants.
        out: what the refined estimates are written to.

    Shape:
        - y, out: ``b j c f w t``; x: ``b c f w t``, complex
        - noise: ``(2, batch, freq × window or 1, 1)``, real
    """
    out.copy_(_iterate(y if y.is_complex() else y * x.unsqueeze(1), x, iterations, noise))


def gradients(
    gradient: Tensor, y: Tensor, x: Tensor, iterations: int, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of complex estimates and of the mix, from that of the refined estimates."""
    with torch.enable_grad():
        leaves = y.detach().requires_grad_(), x.detach().requires_grad_()
        refined = _iterate(*leaves, iterations, noise)
        of_y, of_x = torch.autograd.grad(refined, leaves, gradient.to(refined.dtype))
    return of_y, of_x


def _iterate(y: Tensor, x: Tensor, iterations: int, noise: Tensor) -> Tensor:
    dtype, n_windows = torch.promote_types(noise.dtype, torch.complex64), y.shape[4]
    y = rearrange(y, "b j c f w t -> b (f w) j c t").to(dtype)
    x = rearrange(x, "b c f w t -> b (f w) c t").to(dtype)
    for _ in range(iterations):
        y = _step(y, x, *noise)
    return rearrange(y, "b (f w) j c t -> b j c f w t", w=n_windows)


def _step(y: Tensor, x: Tensor, floor: Tensor, ridge: Tensor) -> Tensor:
    """One iteration.

    Shape:
        - y: ``(batch, freq, source, channel, frame)``; x: ``(batch, freq, channel, frame)``
        - floor, ridge: ``(batch, freq or 1, 1)``
    """
    power = (y.real.square() + y.imag.square()).mean(3)  # b f j t
    spatial = y @ y.mH / (floor + power.sum(-1))[..., None, None]  # b f j c c
    if x.shape[2] == 1:
        covariance = (power * spatial[..., 0].real).sum(2) + ridge
        whitened = x / covariance.unsqueeze(2)
    else:
        covariance = torch.einsum("bfjt,bfjcd->bftcd", power.to(x.dtype), spatial)
        identity = torch.eye(x.shape[2], dtype=x.dtype, device=x.device)
        covariance = covariance + ridge[..., None, None] * identity
        whitened = torch.linalg.solve(covariance, x.mT.unsqueeze(-1)).squeeze(-1).mT
    return (spatial @ whitened.unsqueeze(2)) * power.unsqueeze(3)
