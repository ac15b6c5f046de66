"""DFTs of real slices: in one step by ``rfft``, or in two where their length has a large prime.

A slice of N samples has the length that its frame asks for, and often a large prime factor p, such
as 43 in 18060. FFT libraries are slow there: on a CPU two to three times slower than the two steps
of Cooley and Tukey (1965). With n = Q·a + b and k = c + p·d, where N = p·Q,

    X[c + p·d] = Σ_b e^(−2πi·bd/Q) · e^(−2πi·bc/N) · Σ_a x[Q·a + b] · e^(−2πi·ac/p).

The inner sum is a real matrix product, the outer one an FFT of a length without that prime. The
input is real, so 0 ≤ c ≤ p/2 suffice: the rest is X[−k], conjugated. Spectra stay in the order that
results, (c, d), and :meth:`TwoSteps.places` says where a frequency stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_SMALLEST, _LARGEST = 17, 300
"""Primes for which two steps are faster on a CPU; MKL has FFTs of smaller ones."""


@dataclass(frozen=True)
class OneStep:
    """The DFT of N real numbers: half a spectrum in natural order."""

    n: int

    @property
    def size(self) -> int:
        """Numbers of a half spectrum."""
        return self.n // 2 + 1

    @property
    def once(self) -> tuple[int, ...]:
        """Places that :meth:`slices` counts once, for they have no mirror image: DC and Nyquist."""
        return (0,) if self.n % 2 else (0, self.n // 2)

    def places(self, index: Tensor, sign: Tensor) -> tuple[Tensor, Tensor]:
        """Places of DFT bins 0 … N/2 in a spectrum, and −1 times the sign where conjugated."""
        return index, sign

    def spectra(self, slices: Tensor, window: Tensor | None) -> Tensor:
        """Spectra of windowed slices, ``(batch, slice, N)`` → ``(batch, slice, size)``."""
        return torch.fft.rfft(slices if window is None else slices * window)

    def slices(self, spectra: Tensor) -> Tensor:
        """Slices of spectra, the inverse; of DC and Nyquist the real part counts alone."""
        return torch.fft.irfft(spectra, n=self.n)


@dataclass(frozen=True)
class TwoSteps:
    """The same in two steps, N = p·Q for an odd prime p.

    Attributes:
        n: N, even.
        margin: of the p rows of a slice, Q samples each, so many are zero at either end under a
            window; the first step leaves them out.
        product: the first step, cosines above sines. Shape: ``(p + 1, p)``
        inverse_product: the last step of the way back. Shape: ``(p, p + 1)``
        twiddles, inverse_twiddles: what stands between the steps. Shape: ``((p + 1)/2, Q)``
    """

    n: int
    margin: int
    product: Tensor
    inverse_product: Tensor
    twiddles: Tensor
    inverse_twiddles: Tensor

    @property
    def size(self) -> int:
        """Numbers of a half spectrum."""
        return self.twiddles.numel()

    @property
    def once(self) -> tuple[int, ...]:
        """Places that :meth:`slices` counts once: none, DC and Nyquist count twice as all do."""
        return ()

    def places(self, index: Tensor, sign: Tensor) -> tuple[Tensor, Tensor]:
        """Places of DFT bins, as of :class:`OneStep`."""
        p, q = self.inverse_product.shape[0], self.twiddles.shape[1]
        mirrored = 2 * (index % p) > p
        k = torch.where(mirrored, self.n - index, index)
        return k % p * q + k // p, torch.where(mirrored, -sign, sign)

    def spectra(self, slices: Tensor, window: Tensor | None) -> Tensor:
        """Spectra of windowed slices, as of :class:`OneStep`."""
        (half, q), product = self.twiddles.shape, self.product
        if window is not None:
            inside = slice(self.margin * q, self.n - self.margin * q)
            slices = slices[..., inside] * window[inside]
            product = product[:, self.margin : product.shape[1] - self.margin]
        rows = slices.reshape(-1, product.shape[1], q)
        parts = _product(product, rows).view(-1, 2, half, q)
        z = torch.complex(parts[:, 0], parts[:, 1]).mul_(self.twiddles)
        return torch.fft.fft(z).view(*slices.shape[:2], -1)

    def slices(self, spectra: Tensor) -> Tensor:
        """Slices of spectra, as of :class:`OneStep`."""
        z = torch.fft.ifft(spectra.view(-1, *self.twiddles.shape), norm="forward")
        re, im = torch.view_as_real(z.mul_(self.inverse_twiddles)).unbind(-1)
        x = _product(self.inverse_product, torch.cat([re, im], dim=1))
        return x.view(*spectra.shape[:2], -1)


RealDFT = OneStep | TwoSteps


def real_dft(n: int, dtype: torch.dtype, device: torch.device, n_zeros: int = 0) -> RealDFT:
    """The faster DFT of slices of N samples in a precision on a device.

    Args:
        n: N.
        dtype: of the slices.
        device: of the slices.
        n_zeros: samples at either end where the windows that slices meet here are zero.
    """
    p = _largest_prime_factor(n)
    if device.type != "cpu" or n % 2 or not _SMALLEST <= p <= _LARGEST:
        return OneStep(n)
    return _two_steps(n, p, n_zeros * p // n, dtype)


@lru_cache(maxsize=16)
def _two_steps(n: int, p: int, margin: int, dtype: torch.dtype) -> TwoSteps:
    q = n // p
    c = np.arange(p // 2 + 1)[:, None]
    angles = -2 * np.pi / p * (c * np.arange(p) % p)
    product = np.concatenate([np.cos(angles), np.sin(angles)])
    twiddles = np.exp(-2j * np.pi / n * (c * np.arange(q)))
    # Back, the real part of a complex product is re·cos − im·sin: its matrix is the transpose.
    real = [torch.from_numpy(values).to(dtype) for values in (product, 2 / n * product.T)]
    both = torch.from_numpy(np.stack([twiddles, twiddles.conj()])).to(dtype.to_complex())
    return TwoSteps(n, margin, *real, *both)


def _product(matrix: Tensor, x: Tensor) -> Tensor:
    """``matrix @ x`` of each item; with ``out``, so that autocast leaves its precision alone."""
    out = x.new_empty(len(x), len(matrix), x.shape[-1])
    return torch.bmm(matrix.expand(len(x), -1, -1), x, out=out)


def _largest_prime_factor(n: int) -> int:
    p = 2
    while p * p <= n:
        if n % p:
            p += 1
        else:
            n //= p
    return n
