"""The iterations of Wiener-EM on a few bins: the equations of :mod:`~asteroid_slicq.wiener`.

For two channels they and their gradient are written in real arithmetic, the real and imaginary
parts of both channels as four rows: products of small real matrices with long rows are what
processors do best. All that is kept for the gradient is the input.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from einops import rearrange
from torch import Tensor
from torch.autograd.function import once_differentiable

from asteroid_slicq.wiener.recompute import recomputed


def em(
    y: Tensor,
    x: Tensor,
    iterations: int,
    floor: Tensor,
    ridge: Tensor,
    out: Tensor | None = None,
) -> Tensor:
    """EM iterations in the precision of ``floor``.

    Args:
        y: estimates of the sources, or real masks whose products with the mix these are.
        x: the mix.
        iterations: how many, at least 1.
        floor: ε, which keeps the spatial covariance of a silent source finite; a constant.
        ridge: √ε, power of the noise in every channel of the mix; a constant.
        out: where no gradient is asked for: what to write to, and to return.

    Shape:
        - y: ``(batch, source, channel, ..., frame)``, with one dimension or more in between
        - x: ``(batch, channel, ..., frame)``, complex
        - floor, ridge: ``(batch,)``, or ``(batch, ...)`` of as many elements as stand in between
        - output: as ``y``, complex
    """
    constants = iterations, floor, ridge
    if not y.is_complex() and (x.shape[1] != 2 or out is None):
        y = y * x.unsqueeze(1)
    if x.shape[1] != 2:
        refined = recomputed(lambda y, x: general_em(y, x, *constants), y, x)
    elif out is not None:
        _write(_iterate(y, x, *constants), out)
        return out
    else:
        refined = cast(Tensor, _StereoEM.apply(y, x, *constants))
    return refined if out is None else out.copy_(refined)


def general_em(y: Tensor, x: Tensor, iterations: int, floor: Tensor, ridge: Tensor) -> Tensor:
    """The same for any number of channels, in complex arithmetic."""
    dtype, shape = torch.promote_types(floor.dtype, torch.complex64), y.shape
    y = rearrange(y.flatten(3, -2), "b j c f t -> b f j c t").to(dtype)
    x = rearrange(x.flatten(2, -2), "b c f t -> b f c t").to(dtype)
    floor, ridge = (e.reshape(len(e), -1, 1, 1) for e in (floor, ridge))
    for _ in range(iterations):
        y = _step(y, x, floor[..., 0], ridge[..., 0])
    return rearrange(y, "b f j c t -> b j c f t").reshape(shape)


def _step(y: Tensor, x: Tensor, floor: Tensor, ridge: Tensor) -> Tensor:
    """One iteration for any number of channels.

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
    key = name, like.device, like.dtype
    if key not in _ELSEWHERE:
        with torch.inference_mode(False):
            _ELSEWHERE[key] = _CONSTANTS[name].to(like)
    return _ELSEWHERE[key]


_ELSEWHERE: dict[tuple[str, torch.device, torch.dtype], Tensor] = {}


class _StereoEM(torch.autograd.Function):
    """:func:`em` for two channels, and its gradient by the chain rule.

    With the whitened mix ``z = C⁻¹x``, an iteration gives ``P_j·R_j·z``. Of the gradient ``G_j`` of
    that, and with ``u = C⁻¹·Σ_j P_j·R_j·G_j``, the gradients are

        of x: u;  of P_j: Re (G_j − u)ᴴ·R_j·z;  of R_j: Σ_t P_j·(G_j − u)·zᴴ,

    and from there on those of a quotient of sums of squares.
    """

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, x: Tensor, iterations: int, floor: Tensor, ridge: Tensor
    ) -> Tensor:
        ctx.save_for_backward(y, x, floor, ridge)
        ctx.iterations = iterations
        return _as_complex(_iterate(y, x, iterations, floor, ridge), y.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        y, x, floor, ridge = ctx.saved_tensors
        mix = _mix_rows(x, floor.dtype)
        inputs = [_source_rows(y, floor.dtype)]
        models = [_fit(inputs[0], mix, floor, ridge)]
        for _ in range(1, ctx.iterations):
            inputs.append(models[-1].sources())
            models.append(_fit(inputs[-1], mix, floor, ridge))
        gradient, of_mix = _source_rows(grad_output, floor.dtype), torch.zeros_like(mix)
        while models:
            gradient, u = _backward_step(gradient, inputs.pop(), models.pop())
            of_mix += u
        of_x = None
        if ctx.needs_input_grad[1]:
            of_x = _as_complex(of_mix.unsqueeze(2), x.unsqueeze(1).shape)[:, 0].to(x.dtype)
        return _as_complex(gradient, y.shape).to(y.dtype), of_x, None, None, None


def _iterate(y: Tensor, x: Tensor, iterations: int, floor: Tensor, ridge: Tensor) -> Tensor:
    """The refined sources as rows. Shape: ``(batch, freq, source, 4, frame)``."""
    mix = _mix_rows(x, floor.dtype)
    if y.is_complex():
        moments = _moments(_source_rows(y, floor.dtype))
    else:
        moments = _moments_of_masks(_mask_rows(y, floor.dtype), mix)
    for _ in range(iterations - 1):
        moments = _moments(_model_of(moments, mix, floor, ridge).sources())
    return _model_of(moments, mix, floor, ridge).sources()


class _Model(NamedTuple):
    """What an iteration knows of the sources, and the mix whitened by it.

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
    """

    power: Tensor
    sums: Tensor


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


def _fit(y: Tensor, mix: Tensor, floor: Tensor, ridge: Tensor) -> _Model:
    """The model of sources as rows. Shape: ``(batch, freq, source, 4, frame)``."""
    return _model_of(_moments(y), mix, floor, ridge)


def _model_of(moments: _Moments, mix: Tensor, floor: Tensor, ridge: Tensor) -> _Model:
    """Covariances of the sources, and the mix whitened by them.

    Shape:
        - mix: ``(batch, freq, 4, frame)``
        - floor, ridge: ``(batch, ...)``
    """
    floor, ridge = (e.reshape(len(e), -1, 1) for e in (floor, ridge))
    power = moments.power
    weight = floor + power.sum(-1)
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
    """Shape: ``(batch, source, 2, ..., frame)`` → ``(batch, freq, source, 4, frame)``."""
    rows = _in_order_of_rows(torch.view_as_real(y.resolve_conj()))
    rows = rows.contiguous().to(dtype)  # one by one these are faster than both at once
    return rows.view(y.shape[0], -1, y.shape[1], 4, y.shape[-1])


def _mix_rows(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Shape: ``(batch, 2, ..., frame)`` → ``(batch, freq, 4, frame)``."""
    return _source_rows(x.unsqueeze(1), dtype).squeeze(2)


def _mask_rows(masks: Tensor, dtype: torch.dtype) -> Tensor:
    """Shape: ``(batch, source, 2, ..., frame)`` → ``(batch, freq, source, 2, frame)``."""
    rows = masks.permute(0, *range(3, masks.ndim - 1), 1, 2, masks.ndim - 1)
    rows = rows.contiguous().to(dtype)
    return rows.view(masks.shape[0], -1, *masks.shape[1:3], masks.shape[-1])


def _as_complex(rows: Tensor, shape: torch.Size) -> Tensor:
    """Shape: ``(batch, freq, source, 4, frame)`` → ``(batch, source, 2, ..., frame)``."""
    real, imaginary = rows.unflatten(3, (2, 2)).unbind(4)
    parts = torch.complex(real, imaginary).view(shape[0], *shape[3:-1], *shape[1:3], shape[-1])
    n = parts.ndim
    return parts.permute(0, n - 3, n - 2, *range(1, n - 3), n - 1)


def _write(rows: Tensor, out: Tensor) -> None:
    """Shape: ``(batch, freq, source, 4, frame)`` to ``(batch, source, 2, ..., frame)``."""
    target = _in_order_of_rows(torch.view_as_real(out))
    target.copy_(rows.to(target.dtype).view(target.shape))


def _in_order_of_rows(parts: Tensor) -> Tensor:
    """Shape: ``(batch, source, 2, ..., frame, re/im)`` → ``(batch, ..., source, 2, 2, frame)``."""
    frame, part = parts.ndim - 2, parts.ndim - 1
    return parts.permute(0, *range(3, frame), 1, 2, part, frame)
