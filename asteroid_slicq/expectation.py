"""The iterations of Wiener-EM on a few bins: the equations of :mod:`asteroid_slicq.wiener`.

For two channels they and their gradient are written in real arithmetic, the real and imaginary
parts of both channels as four rows: products of small real matrices with long rows are what
processors do best. All that is kept for the gradient is the input.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from einops import rearrange
from torch import Tensor
from torch.autograd.function import once_differentiable

from asteroid_slicq.recompute import recomputed


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
        y: estimates of the sources.
        x: the mix.
        iterations: how many.
        floor: ε, which keeps the spatial covariance of a silent source finite; a constant.
        ridge: √ε, power of the noise in every channel of the mix; a constant.
        out: where no gradient is asked for: what to write to, and to return.

    Shape:
        - y: ``(batch, source, channel, ..., frame)``, complex, with one dimension or more in
          between
        - x: ``(batch, channel, ..., frame)``, complex
        - floor, ridge: ``(batch,)``, or ``(batch, ...)`` of as many elements as stand in between
        - output: as ``y``
    """
    constants = iterations, floor, ridge
    if x.shape[1] != 2:
        refined = recomputed(lambda y, x: general_em(y, x, *constants), y, x)
    elif out is not None:
        _write(_iterate(y, x, *constants), out)
        return out
    else:
        refined = _StereoEM.apply(y, x, *constants)
    assert isinstance(refined, Tensor)
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
    rows, mix = _source_rows(y, floor.dtype), _mix_rows(x, floor.dtype)
    for _ in range(iterations):
        rows = _fit(rows, mix, floor, ridge).sources()
    return rows


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


def _fit(y: Tensor, mix: Tensor, floor: Tensor, ridge: Tensor) -> _Model:
    """Power and covariance of the sources.

    Shape:
        - y: ``(batch, freq, source, 4, frame)``, the four rows of each source
        - mix: ``(batch, freq, 4, frame)``
        - floor, ridge: ``(batch, ...)``
    """
    floor, ridge = (e.reshape(len(e), -1, 1) for e in (floor, ridge))
    re0, im0, re1, im1 = y.unbind(3)
    power = re0 * re0
    for part in (im0, re1, im1):
        power.addcmul_(part, part)
    power *= 0.5  # b f j t

    # R_j = [[r, c], [c̄, s]], of which C = Σ_j P_j·R_j + √ε·I = [[a, b], [b̄, d]] has the form.
    products = y @ y.mT  # b f j 4 4
    weight = floor + power.sum(-1)
    r = (products[..., 0, 0] + products[..., 1, 1]) / weight
    s = (products[..., 2, 2] + products[..., 3, 3]) / weight
    re_c = (products[..., 0, 2] + products[..., 1, 3]) / weight
    im_c = (products[..., 1, 2] - products[..., 0, 3]) / weight
    o = torch.zeros_like(r)
    entries = [r, o, re_c, -im_c, o, r, im_c, re_c, re_c, im_c, s, o, -im_c, re_c, o, s]
    spatial = torch.stack(entries, -1).unflatten(-1, (4, 4))
    a, d, re_b, im_b = (torch.stack([r, s, re_c, im_c], 2) @ power).unbind(2)

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
    unit = torch.block_diag(*[torch.tensor([[0.0, -1.0], [1.0, 0.0]])] * 2).to(y)
    symmetric = of_spatial + of_spatial.mT
    of_y = (symmetric + unit.mT @ symmetric @ unit) @ y
    return of_y.addcmul_((of_power + of_weight.unsqueeze(-1)).unsqueeze(3), y), u


def _source_rows(y: Tensor, dtype: torch.dtype) -> Tensor:
    """Shape: ``(batch, source, 2, ..., frame)`` → ``(batch, freq, source, 4, frame)``."""
    rows = _in_order_of_rows(torch.view_as_real(y.resolve_conj()))
    rows = torch.empty(rows.shape, dtype=dtype, device=y.device).copy_(rows)
    return rows.view(y.shape[0], -1, y.shape[1], 4, y.shape[-1])


def _mix_rows(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Shape: ``(batch, 2, ..., frame)`` → ``(batch, freq, 4, frame)``."""
    return _source_rows(x.unsqueeze(1), dtype).squeeze(2)


def _as_complex(rows: Tensor, shape: torch.Size) -> Tensor:
    """Shape: ``(batch, freq, source, 4, frame)`` → ``(batch, source, 2, ..., frame)``."""
    out = torch.empty(shape, dtype=rows.dtype.to_complex(), device=rows.device)
    _write(rows, out)
    return out


def _write(rows: Tensor, out: Tensor) -> None:
    """Shape: ``(batch, freq, source, 4, frame)`` to ``(batch, source, 2, ..., frame)``."""
    target = _in_order_of_rows(torch.view_as_real(out))
    target.copy_(rows.view(target.shape))


def _in_order_of_rows(parts: Tensor) -> Tensor:
    """Shape: ``(batch, source, 2, ..., frame, re/im)`` → ``(batch, ..., source, 2, 2, frame)``."""
    frame, part = parts.ndim - 2, parts.ndim - 1
    return parts.permute(0, *range(3, frame), 1, 2, part, frame)
