"""Mean modulus of the STFTs of sums of sources, computed in chunks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_CHUNK = 2**20  # numbers of windowed signal at a time, so that they stay in the cache
_CHUNK_ELSEWHERE = 2**27


class MeanSpectralModulus(torch.autograd.Function):
    r"""Mean modulus of the STFTs of the sums of errors that ``members`` tells.

    The hop is a quarter of the window. With :math:`X = F W x`, a sum of moduli :math:`\sum |X_k|`
    over the half spectrum has the gradient :math:`W \Re \sum_k (X_k / |X_k|) e^{i \omega_k t}`: one
    inverse FFT of the directions, those of all bins but the first and the last halved since it
    takes them twice, and an overlap-add. It is computed along with the value, while the spectra
    are at hand: autograd would take three times as long.

    Shape:
        - errors: ``(batch, source, channel, time)``, real
        - members: ``(subset, source)``, see :func:`asteroid_slicq.losses.absolute.membership`;
          None for each source by itself
        - window: ``(n_fft,)``, a multiple of four
        - output: a real scalar
    """

    @staticmethod
    def forward(ctx: Any, errors: Tensor, members: Tensor | None, window: Tensor) -> Tensor:
        """The mean; the gradient is kept for the backward pass."""
        wants_gradient = ctx.needs_input_grad[0]
        n_batch, n_sources, n_channels, length = errors.shape
        hop = len(window) // 4
        n_hops = 4 + length // hop  # with half a window of zeros in front and, at least, behind
        front, behind = 2 * hop, n_hops * hop - length - 2 * hop
        # row (batch, channel), source, time
        rows = errors.transpose(1, 2).reshape(-1, n_sources, length)
        gradient = torch.empty_like(rows) if wants_gradient else None
        chunk = _CHUNK if errors.device.type == "cpu" else _CHUNK_ELSEWHERE
        n_rows = max(1, chunk // (4 * n_sources * n_hops * hop))
        total, count = errors.new_zeros(()), 0
        with torch.autocast(errors.device.type, enabled=False):
            for start in range(0, len(rows), n_rows):
                padded = F.pad(rows[start : start + n_rows], (front, behind))
                spectra = torch.fft.rfft(padded.unfold(-1, len(window), hop) * window)
                sums = _sums(members, spectra)
                moduli = sums.abs()
                total += moduli.sum()
                count += moduli.numel()
                if gradient is None:
                    continue
                sums /= moduli.clamp_(min=torch.finfo(moduli.dtype).tiny ** 0.5)
                sums[..., 1 : (len(window) + 1) // 2] *= 0.5
                frames = torch.fft.irfft(
                    _sums(members if members is None else members.T, sums),
                    len(window),
                    norm="forward",
                )
                frames *= window
                added = padded.zero_().unflatten(-1, (n_hops, hop))
                for i, part in enumerate(frames.split(hop, -1)):
                    added[:, :, i : i + part.shape[2]] += part
                whole = added.flatten(2)[..., front : front + length]
                gradient[start : start + n_rows] = whole
        if gradient is not None:
            gradient /= max(1, count)
            gradient = gradient.view(n_batch, n_channels, n_sources, length).transpose(1, 2)
            ctx.save_for_backward(gradient)
        return total / max(1, count)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        """The gradient that the forward pass has kept."""
        (gradient,) = ctx.saved_tensors
        return gradient * grad_output, None, None


def _sums(members: Tensor | None, spectra: Tensor) -> Tensor:
    """Sums of complex spectra over the subsets of their second dimension."""
    if members is None:
        return spectra
    parts = torch.view_as_real(spectra)
    return torch.view_as_complex(torch.einsum("mj,rjfkp->rmfkp", members, parts).contiguous())
