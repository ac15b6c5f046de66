"""Mean absolute errors of waveforms, of their STFTs, and of a model's own coefficients.

What the band-split models of the literature are trained with: the error of the waveforms and of
their complex STFTs in several resolutions (Lu et al., "Music source separation with band-split
RoPE transformer", arXiv:2309.02612, eq. 6). Here an STFT has windows of unit energy, so that white
noise counts alike in every resolution, and errors may be relative to the level of the mix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from auraloss.freq import STFTLoss
from torch import Tensor, nn

from asteroid_slicq.losses.absolute import membership
from asteroid_slicq.losses.combinations import (
    Subsets,
    as_blocks,
    check_same_shape,
    check_weight,
    combination_l1,
    combination_loss,
    kept_subsets,
    resolve_subsets,
)
from asteroid_slicq.losses.spectral_modulus import MeanSpectralModulus
from asteroid_slicq.losses.time_losses import TimeLoss, WaveformLoss
from asteroid_slicq.transform import check_choice, check_integer

SPECTRA = ("complex", "magnitude", "log-magnitude")
"""Representations of the STFTs that may be compared."""

_MIN_LEVEL = 1e-2  # of a mix, −40 dB: errors in what is softer count less


class MultiResolutionLossParts(NamedTuple):
    """The loss and the terms it is made of (before their weights), for logs."""

    total: Tensor
    waveform: Tensor
    stft: Tensor
    coefficient: Tensor
    time: Tensor


class MultiResolutionLoss(nn.Module):
    """Mean absolute errors of waveforms, STFTs and a model's coefficients, weighted and added.

    ``total = waveform_weight * waveform + stft_weight * stft + coefficient_weight * coefficient``;
    a term of weight 0 is not computed. The modulus of a complex error counts. Coefficients and
    STFT bins count equally, whatever block or resolution they are of; so do resolutions.

    Args:
        waveform_weight: of the error of the waveforms, at least 0.
        stft_weight: of the error of their STFTs, at least 0.
        coefficient_weight: of the error of the model's own coefficients, at least 0.
        n_ffts: lengths of the windows of the STFTs in samples; the hop is a quarter of it.
        spectrum: what of the STFTs is compared: ``complex``, which knows phases; ``magnitude`` or
            ``log-magnitude``, by :class:`auraloss.freq.STFTLoss`.
        subsets: of sources: each ``single`` source, ``all`` combinations, as in X-UMX, or tuples of
            source numbers.
        time_loss: one more term, of waveforms: ``none``, or as of
            :class:`~asteroid_slicq.losses.XUMXLoss`. It is not relative to the level of the mix.
        time_weight: weight of that term, at least 0.
        time_options: arguments of the loss ``haaqi``.
        relative: count errors relative to the root mean square of each mix; of one below −40 dB
            relative to full scale, relative to that.

    Raises:
        TypeError: if a weight is no number or a length no integer.
        ValueError: if a weight is negative or not finite, all are zero, a length is no multiple of
            4, or a name unknown.

    Example:
        >>> loss = MultiResolutionLoss(n_ffts=[64])
        >>> stems = torch.randn(1, 4, 2, 1000)
        >>> float(loss(stems, stems).total)
        0.0
    """

    def __init__(
        self,
        waveform_weight: float = 1.0,
        stft_weight: float = 1.0,
        coefficient_weight: float = 0.0,
        n_ffts: Sequence[int] = (4096, 2048, 1024, 512, 256),
        spectrum: str = "complex",
        subsets: Subsets = "single",
        relative: bool = True,
        time_loss: str | WaveformLoss = "none",
        time_weight: float = 0.1,
        time_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_choice("spectrum", spectrum, SPECTRA)
        self.waveform_weight = check_weight("waveform_weight", waveform_weight)
        self.stft_weight = check_weight("stft_weight", stft_weight)
        self.coefficient_weight = check_weight("coefficient_weight", coefficient_weight)
        if not self.waveform_weight + self.stft_weight + self.coefficient_weight:
            raise ValueError("one of the weights of the loss must be above 0, got 0 for all")
        self.n_ffts = [check_integer("n_ffts", n) for n in n_ffts]
        if not self.n_ffts or any(n < 4 or n % 4 for n in self.n_ffts):
            raise ValueError(f"n_ffts must hold multiples of 4 samples, got {n_ffts}")
        self.spectrum, self.relative = spectrum, relative
        self.subsets: Subsets = kept_subsets(subsets)
        if isinstance(subsets, str) or not self.subsets:
            resolve_subsets(self.subsets, 2)
        self.time_weight = check_weight("time_weight", time_weight)
        self.waveform_loss = None
        if time_loss != "none":
            self.waveform_loss = TimeLoss(time_loss, self.subsets, time_options)
        for n in self.n_ffts:
            window = torch.hann_window(n)
            self.register_buffer(f"window_{n}", window / window.norm(), persistent=False)
        logarithmic = float(spectrum == "log-magnitude")
        terms: dict[str, Any] = {
            "w_sc": 0.0,
            "w_log_mag": logarithmic,
            "w_lin_mag": 1 - logarithmic,
        }
        magnitudes = [STFTLoss(n, n // 4, n, **terms) for n in self.n_ffts]
        self.magnitudes = nn.ModuleList([] if spectrum == "complex" else magnitudes)

    @property
    def needs_coefficients(self) -> bool:
        """Whether coefficients must be given, too."""
        return self.coefficient_weight > 0

    def forward(
        self,
        waveforms: Tensor,
        targets: Tensor,
        coefficients: Sequence[Tensor] | None = None,
        target_coefficients: Sequence[Tensor] | None = None,
    ) -> MultiResolutionLossParts:
        """Compare estimated sources with the true ones, whose sum is the mix.

        Args:
            waveforms: of the estimated sources.
            targets: those of the true ones.
            coefficients: of the estimated sources, one tensor a block.
            target_coefficients: those of the true ones.

        Shape:
            - waveforms, targets: ``(batch, source, channel, time)``
            - coefficients, target_coefficients: ``(batch, source, channel, freq, …)`` each

        Raises:
            ValueError: if shapes differ, coefficients are missing that the loss needs, or waveforms
                are shorter than half a window of a magnitude spectrum.
        """
        check_same_shape(waveforms, targets)
        if waveforms.ndim != 4:
            raise ValueError(
                "waveforms and targets must be (batch, source, channel, time), got "
                f"{tuple(waveforms.shape)}"
            )
        if waveforms.dtype.itemsize < 4:  # no spectra of 16 bits
            waveforms, targets = waveforms.float(), targets.float()
        scale = self._scale(targets)
        zero = waveforms.new_zeros(())
        waveform = stft = coefficient = zero
        if self.waveform_weight:
            waveform = self._error((waveforms - targets) / scale)
        if self.stft_weight:
            compare = self._complex if self.spectrum == "complex" else self._magnitudes
            stft = compare(waveforms / scale, targets / scale)
        if self.needs_coefficients:
            if coefficients is None or target_coefficients is None:
                raise ValueError("coefficients and target_coefficients must be given")
            coefficient = self._of_blocks(coefficients, target_coefficients, scale)
        total = (
            self.waveform_weight * waveform
            + self.stft_weight * stft
            + self.coefficient_weight * coefficient
        )
        time = zero
        if self.waveform_loss is not None and self.time_weight:
            time = self.waveform_loss(waveforms, targets)
            total = total + self.time_weight * time
        return MultiResolutionLossParts(total, waveform, stft, coefficient, time)

    def _scale(self, targets: Tensor) -> Tensor:
        """What errors are divided by, ``(batch, 1, 1, 1)``."""
        if not self.relative:
            return targets.new_ones(())
        mix = targets.sum(1, keepdim=True)
        return mix.square().mean((2, 3), keepdim=True).clamp(min=_MIN_LEVEL**2).sqrt()

    def _error(self, errors: Tensor) -> Tensor:
        """Mean modulus of errors, over the subsets of sources."""
        nothing = errors.detach().new_zeros(()).expand_as(errors)
        return combination_l1(errors, nothing, subsets=self.subsets)

    def _complex(self, estimates: Tensor, targets: Tensor) -> Tensor:
        """Of the STFTs of the errors, which are the errors of the STFTs."""
        errors = estimates - targets
        n_sources, members = errors.shape[1], None
        if self.subsets != "single":
            members = membership(resolve_subsets(self.subsets, n_sources), n_sources, errors)
        windows = [self.get_buffer(f"window_{n}").to(errors.dtype) for n in self.n_ffts]
        values = [MeanSpectralModulus.apply(errors, members, window) for window in windows]
        return torch.stack(values).mean()

    def _magnitudes(self, estimates: Tensor, targets: Tensor) -> Tensor:
        if estimates.shape[-1] <= max(self.n_ffts) // 2:
            raise ValueError(
                f"waveforms must be longer than half of n_ffts, {max(self.n_ffts) // 2} samples, "
                f"got {estimates.shape[-1]}"
            )
        values = []
        for n, loss in zip(self.n_ffts, self.magnitudes, strict=True):
            loss.window = self.get_buffer(f"window_{n}").to(estimates.dtype)
            compare = partial(_compare, loss)
            values.append(combination_loss(compare, estimates, targets, subsets=self.subsets))
        return torch.stack(values).mean()

    def _of_blocks(
        self, coefficients: Sequence[Tensor], targets: Sequence[Tensor], scale: Tensor
    ) -> Tensor:
        """Of all coefficients, blocks weighted by how many they have."""
        estimates, targets = as_blocks(coefficients, "coefficients"), as_blocks(targets, "targets")
        counts = [block[0, 0].numel() for block in estimates]
        weights = [len(counts) * count / max(1, sum(counts)) for count in counts]
        scale = scale if scale.ndim == 0 else scale.unsqueeze(-1)
        errors = [(e - t) / scale for e, t in zip(estimates, targets, strict=True)]
        nothing = [error.detach().new_zeros(()).expand_as(error) for error in errors]
        return combination_l1(errors, nothing, block_weights=weights, subsets=self.subsets)

    def extra_repr(self) -> str:
        """The terms and their weights, for ``repr``."""
        return (
            f"waveform_weight={self.waveform_weight}, stft_weight={self.stft_weight}, "
            f"coefficient_weight={self.coefficient_weight}, n_ffts={self.n_ffts}, "
            f"spectrum={self.spectrum!r}, subsets={self.subsets!r}, relative={self.relative}, "
            f"time_weight={self.time_weight}"
        )


def _compare(loss: nn.Module, estimate: Tensor, target: Tensor) -> Tensor:
    return loss(estimate.contiguous(), target.contiguous())  # of which auraloss takes views
