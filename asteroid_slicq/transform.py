"""The sliCQT: a sliced, exactly invertible constant-Q (Bark, Mel, …) transform.

Source: Holighaus, Dörfler, Velasco, Grill (2013), "A framework for invertible, real-time constant-Q
transforms", arXiv:1210.0084. The design lives in :mod:`asteroid_slicq.frame`, the linear maps in
:mod:`asteroid_slicq.operators`; this module joins them as an ``nn.Module``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from asteroid_slicq.frame import Frame, design_frame
from asteroid_slicq.operators import Layout, Windows, analyse, synthesise


class SliCQT(nn.Module):
    """Sliced constant-Q transform with an exact inverse, in the ragged, sliced layout.

    Neighbouring bins with the same number of coefficients form a block; the transform of a waveform
    is a tuple of blocks, low frequencies first. Both directions are differentiable.

    Args:
        scale: frequency scale: ``bark``, ``mel``, ``erb``, ``log`` or ``linear``.
        n_bins: bins of the scale, both ends counted; DC and Nyquist are added.
        f_min_hz: lowest centre frequency of the scale in Hz.
        f_max_hz: highest centre frequency in Hz; None is half the sample rate.
        sample_rate: in Hz.
        slice_length: samples, a multiple of 4; None is what the scale suggests.
        transition_length: rise of the slicing window in samples; None is a quarter of the slice.
        window: analysis window, ``blackman-harris`` or ``hann``.
        min_width: least width of a bin in DFT bins of the slice.

    Shape:
        - waveform: ``(..., channel, time)``, float32 or float64; any leading shape
        - block: ``(..., channel, freq, slice, time)``, complex

    Raises:
        ValueError: when an argument lies outside its range.

    Example:
        >>> slicqt = SliCQT()
        >>> waveform = torch.randn(2, 44100, generator=torch.Generator().manual_seed(0))
        >>> blocks = slicqt(waveform)
        >>> len(blocks), tuple(blocks[1].shape)
        (70, (2, 86, 6, 16))
        >>> restored = slicqt.inverse(blocks, length=44100)
        >>> bool((restored - waveform).abs().max() < 1e-5)
        True
    """

    index: Tensor
    sign: Tensor
    windows: Tensor
    slicing_window: Tensor

    def __init__(
        self,
        scale: str = "bark",
        n_bins: int = 262,
        f_min_hz: float = 32.9,
        f_max_hz: float | None = None,
        sample_rate: float = 44100,
        slice_length: int | None = None,
        transition_length: int | None = None,
        window: str = "blackman-harris",
        min_width: int = 16,
    ) -> None:
        super().__init__()
        self.config = {
            "scale": scale,
            "n_bins": n_bins,
            "f_min_hz": f_min_hz,
            "f_max_hz": f_max_hz,
            "sample_rate": sample_rate,
            "slice_length": slice_length,
            "transition_length": transition_length,
            "window": window,
            "min_width": min_width,
        }
        self.frame: Frame = design_frame(**self.config)
        index, sign, windows = _flatten(self.frame)
        # A function of the configuration, so not part of the state dict.
        self.register_buffer("index", torch.from_numpy(index), persistent=False)
        self.register_buffer("sign", torch.from_numpy(sign), persistent=False)
        self.register_buffer("windows", _split_precision(windows), persistent=False)
        self.register_buffer(
            "slicing_window", _split_precision(self.frame.slicing_window), persistent=False
        )

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        """Sliced, ragged coefficients of a waveform.

        Args:
            waveform: real samples at ``frame.sample_rate``.

        Returns:
            One complex tensor a block, low frequencies first.

        Shape:
            - waveform: ``(..., channel, time)``
            - output: ``(..., channel, freq, slice, time)`` each

        Raises:
            TypeError: for what is no tensor.
            ValueError: for an empty or complex waveform.
        """
        if not isinstance(waveform, Tensor):
            raise TypeError(f"waveform must be a tensor, got {type(waveform).__name__}")
        if waveform.ndim < 1 or waveform.numel() == 0 or waveform.is_complex():
            raise ValueError(
                "waveform must be real and hold at least one sample, got "
                f"{tuple(waveform.shape)} of {waveform.dtype}"
            )
        if waveform.dtype not in (torch.float32, torch.float64):
            waveform = waveform.float()
        leading, length = waveform.shape[:-1], waveform.shape[-1]
        blocks = analyse(
            waveform.reshape(-1, length),
            self.frame.n_slices(length),
            self._layout(),
            self._analysis_windows(waveform.dtype),
        )
        return tuple(block.view(*leading, *block.shape[1:]) for block in blocks)

    def inverse(self, coefficients: Sequence[Tensor], length: int) -> Tensor:
        """Waveform of sliced, ragged coefficients; the exact inverse of ``forward``.

        Args:
            coefficients: one complex tensor a block, as ``forward`` returns them.
            length: number of samples of the waveform.

        Shape:
            - coefficients: ``(..., channel, freq, slice, time)`` each
            - output: ``(..., channel, length)``

        Raises:
            ValueError: when the blocks are not those of this frame, or too few for the length.
        """
        self._check(coefficients, length)
        leading = coefficients[0].shape[:-3]
        waveform = synthesise(
            [block.reshape(-1, *block.shape[-3:]) for block in coefficients],
            length,
            self._layout(),
            self._synthesis_windows(coefficients[0].real.dtype),
        )
        return waveform.view(*leading, length)

    def extra_repr(self) -> str:
        """The frame in one line."""
        f = self.frame
        return (
            f"{self.config['scale']}, {f.n_bins} bins in {len(f.blocks)} blocks, "
            f"slice_length={f.slice_length}, transition_length={f.transition_length}, "
            f"redundancy={f.redundancy:.2f}"
        )

    def _check(self, coefficients: Sequence[Tensor], length: int) -> None:
        found = [tuple(block.shape[-3::2]) for block in coefficients]
        if found != list(self.frame.blocks):
            raise ValueError(
                f"coefficients must be {len(self.frame.blocks)} blocks (freq, time) = "
                f"{self.frame.blocks[:2]} …, got {len(found)} blocks {tuple(found[:2])} …"
            )
        first = coefficients[0]
        for block in coefficients:
            same = block.shape[:-3] == first.shape[:-3] and block.shape[-2] == first.shape[-2]
            if not (same and block.is_complex() and block.dtype == first.dtype and block.numel()):
                raise ValueError(
                    "coefficients must be complex, of one dtype, with the same leading shape and "
                    f"number of slices, got {tuple(first.shape)} of {first.dtype} and "
                    f"{tuple(block.shape)} of {block.dtype}"
                )
        longest = (first.shape[-2] - 1) * self.frame.slice_hop
        if not 0 < length <= longest:
            raise ValueError(f"length must lie in 1 … {longest} for these slices, got {length}")

    def _layout(self) -> Layout:
        return Layout(self.frame.slice_length, self.frame.blocks, self.index, self.sign)

    def _analysis_windows(self, dtype: torch.dtype) -> Windows:
        windows = self.windows.to(dtype).sum(0)
        return Windows(windows[0], windows[1], self.slicing_window.to(dtype).sum(0))

    def _synthesis_windows(self, dtype: torch.dtype) -> Windows:
        windows = self.windows.to(dtype).sum(0)
        return Windows(windows[2], windows[3], None)


def _split_precision(values: np.ndarray) -> Tensor:
    """Float64 values as the sum of two float32 numbers, 48 bits in all.

    So ``module.double()`` has its full precision, also after ``module.float()``, and devices
    without float64 can hold the buffer. A cast to 16 bits does lose it.

    Shape:
        - values: any; output: ``(2, *values.shape)``
    """
    high = values.astype(np.float32)
    return torch.from_numpy(np.stack([high, (values - high).astype(np.float32)]))


def _flatten(frame: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Index, conjugation sign and the four windows of every coefficient of a slice.

    The windows are: analysis, the synthesis that is its adjoint, synthesis by the canonical dual,
    and the analysis that is its adjoint. The time origin of the phase is absolute time plus a
    quarter of a slice, which is a factor (−1)^(p_k/2) on every window, since ``p_k`` is even.

    Shape:
        - output: ``(ΣM_k,)``, ``(ΣM_k,)``, ``(4, ΣM_k)``
    """
    n = frame.slice_length
    index, windows = [], []
    for k, (p, m) in enumerate(zip(frame.positions, frame.widths, strict=True)):
        idft_order = np.roll(np.arange(m), m // 2)
        origin = 1 - 2 * (p // 2 % 2)
        # DC and Nyquist are their own mirror images, which ``synthesise`` adds to every bin.
        share = 0.5 if k in (0, frame.n_bins - 1) else 1.0
        analysis = origin * frame.windows[k][idft_order]
        synthesis = origin * share * frame.duals[k][idft_order]
        index.append(p + idft_order - m // 2)
        windows.append([analysis, analysis * n / (2 * m), synthesis, synthesis * 2 * m / n])
    frequency = np.concatenate(index)
    mirrored = np.where(frequency < 0, -frequency, frequency)
    mirrored = np.where(mirrored > n // 2, n - mirrored, mirrored)
    sign = np.where(mirrored == frequency, 1.0, -1.0).astype(np.float32)
    return mirrored, sign, np.concatenate([np.stack(w) for w in windows], axis=-1)
