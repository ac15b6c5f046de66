"""Wiener-EM for two channels, and its gradient, in real arithmetic.

It gains a factor of 2.5 over :mod:`~asteroid_slicq.wiener.general` in time, forward as with the
backward pass, and a tenth of the memory: ``python benchmarks/wiener.py`` measures it.

The real and imaginary parts of both channels are four rows: products of small real matrices with
long rows are what processors do best. The axes are ``b j c f w t`` of
:mod:`asteroid_slicq.wiener.expectation`; of rows, ``(batch, freq × window, source, 4, frame)``.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor


def refine(y: Tensor, x: Tensor, iterations: int, noise: Tensor, out: Tensor) -> None:
    """EM iterations, as :func:`asteroid_slicq.wiener.general.refine`."""
    mix = _mix_rows(x, noise.dtype)
    moments = _moments_of(y, mix)
    for _ in range(iterations - 1):
        moments = _moments(_fit(moments, mix, noise).sources())
    _write(_fit(moments, mix, noise).sources(), out)


def sums_over_frames(y: Tensor, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Sums over the frames of y yᴴ = [[r, c], [c̄, s]], and of the power.

    Shape:
        - y: ``b j c f w t``, complex estimates, or real masks of the mix; x: ``b c f w t``, complex
        - output: r, s, re c, im c and the power, ``(batch, freq × window, source, 5)``
    """
    moments = _moments_of(y, _mix_rows(x, dtype))
    return torch.cat([moments.sums, moments.power.sum(-1, keepdim=True)], -1)


def refine_by_sums(y: Tensor, x: Tensor, sums: Tensor, noise: Tensor, out: Tensor) -> None:
    """One EM iteration with covariances of other frames: :func:`sums_over_frames` of all of them.

    Shape:
        - y, out: ``b j c f w t``; x: ``b c f w t``, complex
        - sums: ``(batch, freq × window, source, 5)``; noise: ``(2, batch, freq × window, 1)``
    """
    mix, sums = _mix_rows(x, noise.dtype), sums.to(noise.dtype)
    moments = _Moments(_moments_of(y, mix).power, sums[..., :4], sums[..., 4])
    _write(_fit(moments, mix, noise).sources(), out)


def _moments_of(y: Tensor, mix: Tensor) -> _Moments:
    """Of complex estimates or of masks, ``b j c f w t``, for a mix in rows."""
    if y.is_complex():
        return _moments(_source_rows(y, mix.dtype))
    return _moments_of_masks(_mask_rows(y, mix.dtype), mix)


def _write(rows: Tensor, out: Tensor) -> None:
    """Rows of sources to where complex ones are wanted."""
    target = rearrange(torch.view_as_real(out), "b j c f w t p -> b f w j c p t")
    target.copy_(rows.to(target.dtype).view(target.shape))


def gradients(
    gradient: Tensor, y: Tensor, x: Tensor, iterations: int, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients, as :func:`asteroid_slicq.wiener.general.gradients`, by the chain rule.

    With the whitened mix ``z = C⁻¹x``, an iteration gives ``P_j·R_j·z``. Of the gradient ``G_j`` of
    that, and with ``u = C⁻¹·Σ_j P_j·R_j·G_j``, the gradients are

        of x: u;  of P_j: Re (G_j − u)ᴴ·R_j·z;  of R_j: Σ_t P_j·(G_j − u)·zᴴ,

    and from there on those of a quotient of sums of squares.
    """
    mix, inputs = _mix_rows(x, noise.dtype), [_source_rows(y, noise.dtype)]
    models = [_fit(_moments(inputs[0]), mix, noise)]
    for _ in range(1, iterations):
        inputs.append(models[-1].sources())
        models.append(_fit(_moments(inputs[-1]), mix, noise))
    of_y, of_mix = _source_rows(gradient, noise.dtype), torch.zeros_like(mix)
    while models:
        of_y, u = _backward_step(of_y, inputs.pop(), models.pop())
        of_mix += u
    n_windows = y.shape[4]
    return _as_complex(of_y, n_windows), _as_complex(of_mix.unsqueeze(2), n_windows)[:, 0]


_ONE, _I = torch.eye(2, dtype=torch.float64), torch.tensor([[0.0, -1.0], [1.0, 0.0]]).double()
# How r, s, re c and im c of [[r, c], [c̄, s]] act on the four rows: the entries of 4 × 4 matrices.
_ACTION = torch.stack(
    [
        torch.kron(part, on_rows).flatten()
        for part, on_rows in (
            (torch.diag(_ONE[0]), _ONE),
            (torch.diag(_ONE[1]), _ONE),
            (_ONE.flip(0), _ONE),
            (-_I, _I),
        )
    ]
)
_CONSTANTS = {
    "action": _ACTION,
    "shared": _ACTION * torch.tensor([[1.0], [1.0], [0.5], [0.5]]),  # c stands in these twice
    "unit": torch.kron(_ONE, _I),
}


def _constant(name: str, like: Tensor) -> Tensor:
    """One of them where it is needed; a copy each time would wait for a GPU."""
    if like.device.type == "cpu" or torch.compiler.is_compiling():
        return _CONSTANTS[name].to(like)
    return _elsewhere(name, like.device, like.dtype)


@cache
def _elsewhere(name: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):
        return _CONSTANTS[name].to(dtype).to(device)  # which may have no float64


class _Model(NamedTuple):
    """Power and covariances of the sources in an iteration, and the mix whitened by them.

    Shape:
        - power: P_j, ``(batch, freq, source, frame)``
        - weight: ε + Σ_t P_j, ``(batch, freq, source)``
        - spatial: R_j as it acts on the four rows, ``(batch, freq, source, 4, 4)``, symmetric
        - inverse: C⁻¹ = [[d, −b], [−b̄, a]] / determinant as d, a, re b, im b, each divided by it,
          ``(batch, freq, frame)``
        - whitened: z, ``(batch, freq, 4, frame)``
    """

    power: Tensor
    weight: Tensor
    spatial: Tensor
    inverse: tuple[Tensor, Tensor, Tensor, Tensor]
    whitened: Tensor

    def projected(self) -> Tensor:
        """R_j·z. Shape: ``(batch, freq, source, 4, frame)``."""
        return (self.spatial.flatten(2, 3) @ self.whitened).unflatten(2, (-1, 4))

    def sources(self) -> Tensor:
        """P_j·R_j·z, the refined sources."""
        return self.projected().mul_(self.power.unsqueeze(3))


class _Moments(NamedTuple):
    """Power of the sources, and the sums over frames of y yᴴ = [[r, c], [c̄, s]].

    Shape:
        - power: ``(batch, freq, source, frame)``
        - sums: r, s, re c, im c, ``(batch, freq, source, 4)``
        - total: sum of the power, ``(batch, freq, source)``; None for that of these frames
    """

    power: Tensor
    sums: Tensor
    total: Tensor | None = None


def _moments(y: Tensor) -> _Moments:
    """Of sources as rows. Shape: ``(batch, freq, source, 4, frame)``."""
    re0, im0, re1, im1 = y.unbind(3)
    power = re0 * re0
    for part in (im0, re1, im1):
        power.addcmul_(part, part)
    products = (y @ y.mT).flatten(-2)
    sums = products @ _constant("shared", y).mT
    return _Moments(power.mul_(0.5), sums)


def _moments_of_masks(masks: Tensor, mix: Tensor) -> _Moments:
    """Of masks times the mix, which need not be computed.

    Shape:
        - masks: ``(batch, freq, source, 2, frame)``; mix: ``(batch, freq, 4, frame)``
    """
    re0, im0, re1, im1 = mix.unbind(2)
    of_mix = torch.stack([re0 * re0 + im0 * im0, re1 * re1 + im1 * im1], 2)
    cross = torch.stack([re0 * re1 + im0 * im1, im0 * re1 - re0 * im1], 2)  # x₀·x̄₁
    powers = (masks * masks).mul_(of_mix.unsqueeze(2))
    of_pairs = (masks[..., 0, :] * masks[..., 1, :]) @ cross.mT
    power = (powers[..., 0, :] + powers[..., 1, :]).mul_(0.5)
    return _Moments(power, torch.cat([powers.sum(-1), of_pairs], -1))


def _fit(moments: _Moments, mix: Tensor, noise: Tensor) -> _Model:
    """Covariances of the sources, and the mix whitened by them.

    Shape:
        - mix: ``(batch, freq, 4, frame)``
        - noise: ``(2, batch, freq or 1, 1)``
    """
    floor, ridge = noise
    power = moments.power
    weight = floor + (power.sum(-1) if moments.total is None else moments.total)
    entries = moments.sums / weight.unsqueeze(-1)  # of R_j = [[r, c], [c̄, s]]
    spatial = (entries @ _constant("action", mix)).unflatten(-1, (4, 4))
    a, d, re_b, im_b = (entries.mT @ power).unbind(2)  # C = Σ_j P_j·R_j + √ε·I = [[a, b], [b̄, d]]

    # Without √ε the determinant is not negative, with it it is larger by √ε·(a + d) + ε: a sum of
    # what has one sign.
    determinant = (a * d).addcmul_(re_b, re_b, value=-1).addcmul_(im_b, im_b, value=-1)
    determinant = determinant.clamp_(min=0).add_(ridge * (a + d + ridge))
    a, d = a + ridge, d + ridge
    inverse = d / determinant, a / determinant, re_b / determinant, im_b / determinant
    return _Model(power, weight, spatial, inverse, _solve(inverse, mix))


def _solve(inverse: tuple[Tensor, Tensor, Tensor, Tensor], v: Tensor) -> Tensor:
    """C⁻¹·v. Shape: v and output ``(batch, freq, 4, frame)``."""
    d, a, re_b, im_b = inverse
    re0, im0, re1, im1 = v.unbind(2)
    rows = [
        (d * re0).addcmul_(re_b, re1, value=-1).addcmul_(im_b, im1),
        (d * im0).addcmul_(re_b, im1, value=-1).addcmul_(im_b, re1, value=-1),
        (a * re1).addcmul_(re_b, re0, value=-1).addcmul_(im_b, im0, value=-1),
        (a * im1).addcmul_(re_b, im0, value=-1).addcmul_(im_b, re0),
    ]
    return torch.stack(rows, 2)


def _backward_step(gradient: Tensor, y: Tensor, model: _Model) -> tuple[Tensor, Tensor]:
    """Gradient of an iteration's input, and of the mix, from that of its output.

    Shape:
        - gradient, y: ``(batch, freq, source, 4, frame)``
        - output: the same, and ``(batch, freq, 4, frame)``
    """
    power, weight, spatial, inverse, whitened = model
    weighted = gradient * power.unsqueeze(3)
    u = _solve(inverse, spatial.flatten(2, 3).mT @ weighted.flatten(2, 3))
    difference = gradient - u.unsqueeze(2)
    of_power = (difference * model.projected()).sum(3)
    of_spatial = (difference * power.unsqueeze(3)).flatten(2, 3) @ whitened.mT
    of_spatial = of_spatial.unflatten(2, (-1, 4)) / weight[..., None, None]  # b f j 4 4
    of_weight = -(of_spatial * spatial).sum((-2, -1))

    # On the four rows y yᴴ is y yᵀ + Iy (Iy)ᵀ, where I multiplies by the imaginary unit.
    unit = _constant("unit", y)
    symmetric = of_spatial + of_spatial.mT
    of_y = (symmetric + unit.mT @ symmetric @ unit) @ y
    return of_y.addcmul_((of_power + of_weight.unsqueeze(-1)).unsqueeze(3), y), u


def _source_rows(y: Tensor, dtype: torch.dtype) -> Tensor:
    """Shape: ``b j c f w t`` → ``(batch, freq × window, source, 4, frame)``."""
    parts = torch.view_as_real(y.resolve_conj())
    rows = rearrange(parts, "b j c f w t p -> b (f w) j (c p) t")
    return rows.contiguous().to(dtype)  # one by one these are faster than both at once


def _mask_rows(masks: Tensor, dtype: torch.dtype) -> Tensor:
    """Shape: ``b j c f w t`` → ``(batch, freq × window, source, channel, frame)``."""
    return rearrange(masks, "b j c f w t -> b (f w) j c t").contiguous().to(dtype)


def _mix_rows(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Shape: ``b c f w t`` → ``(batch, freq × window, 4, frame)``."""
    return _source_rows(x.unsqueeze(1), dtype).squeeze(2)


def _as_complex(rows: Tensor, n_windows: int) -> Tensor:
    """Shape: ``(batch, freq × window, source, 4, frame)`` → ``b j c f w t``."""
    pattern = "b (f w) j (c p) t -> p b j c f w t"
    return torch.complex(*rearrange(rows, pattern, p=2, w=n_windows))
