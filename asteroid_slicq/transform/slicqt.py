"""The sliCQT: a sliced, exactly invertible constant-Q (Bark, Mel, …) transform.

Source: Holighaus, Dörfler, Velasco, Grill (2013), "A framework for invertible, real-time constant-Q
transforms", arXiv:1210.0084. The design lives in :mod:`asteroid_slicq.transform.frame_design`, the
linear maps in :mod:`asteroid_slicq.transform.operators`; this module joins them as an
``nn.Module``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asteroid_slicq.transform.checks import check_blocks, check_integer, check_waveform
from asteroid_slicq.transform.convergence import (
    PRECISION_DB,
    contraction,
    passes_needed,
    remedy,
)
from asteroid_slicq.transform.fourier import OneStep, RealDFT, real_dft
from asteroid_slicq.transform.frame import Frame
from asteroid_slicq.transform.frame_config import FrameConfig
from asteroid_slicq.transform.frame_design import frame_of
from asteroid_slicq.transform.layout import (
    Layout,
    Windows,
    flat_row,
    joined_precision,
    split_precision,
)
from asteroid_slicq.transform.operators import Maps
from asteroid_slicq.transform.products import pays
from asteroid_slicq.transform.scales import Scale
from asteroid_slicq.transform.slicing import Slicing


class SliCQT(nn.Module):
    """Sliced constant-Q transform with an exact inverse.

    Neighbouring bins with the same number of coefficients form a block; the transform of a waveform
    is a tuple of blocks, low frequencies first. Both directions are differentiable.

    Args:
        scale: the frequency scale and, like all down to ``n_coefficients``, an argument of the
            frame: :class:`FrameConfig` describes them.
        chunk: slices computed at a time, which bounds the memory for intermediate results; None is
            what suits the device.

    Attributes:
        frame: bins, windows and slices, a :class:`Frame`.
        at_once: whether all blocks are computed at once, by matrix products, where they are many.
            They are views of one tensor then, which autograd lets nobody change in place. None is
            where that is faster, on a GPU.

    Shape:
        - waveform: ``(..., channel, time)``, float32 or float64; any leading shape
        - block: ``(..., channel, freq, slice, time)``, complex; where overlap-added,
          ``(..., channel, freq, time)``

    Raises:
        TypeError: when a size is no integer, or another value no number.
        ValueError: when an argument lies outside its range, or no frame results; the message names
            one that works, where one alone does.

    Example:
        >>> slicqt = SliCQT()
        >>> waveform = torch.randn(2, 44100, generator=torch.Generator().manual_seed(0))
        >>> blocks = slicqt(waveform)
        >>> len(blocks), tuple(blocks[1].shape)
        (70, (2, 86, 6, 16))
        >>> restored = slicqt.inverse(blocks, length=44100)
        >>> bool((restored - waveform).abs().max() < 1e-5)
        True
        >>> matrix = SliCQT(window="hann", min_width=32, rasterize="full", overlap_added=True)
        >>> tuple(matrix(waveform).shape)
        (2, 263, 1022)
    """

    index: Tensor
    sign: Tensor
    lengths: Tensor
    windows: Tensor
    slicing_window: Tensor
    stream_windows: Tensor
    frame: Frame

    def __init__(
        self,
        scale: Scale = "bark",
        n_bins: int = 262,
        f_min_hz: float = 32.9,
        f_max_hz: float | None = None,
        sample_rate: float = 44100,
        slice_length: int | None = None,
        transition_length: int | None = None,
        window: str = "blackman-harris",
        min_width: int = 16,
        min_bandwidth_hz: float = 0.0,
        bandwidth_factor: float = 1.0,
        gamma_hz: float = 0.0,
        rasterize: str = "none",
        overlap_added: bool = False,
        phase: str = "local",
        n_coefficients: int | None = None,
        chunk: int | None = None,
    ) -> None:
        super().__init__()
        chunk = None if chunk is None else check_integer("chunk", chunk, 1)
        bins = (scale, n_bins, f_min_hz, f_max_hz, sample_rate)
        slices = (slice_length, transition_length)
        widths = (window, min_width, min_bandwidth_hz, bandwidth_factor, gamma_hz)
        layout = (rasterize, overlap_added, phase, n_coefficients)
        self.frame_config = FrameConfig(*bins, *slices, *widths, *layout)
        self.chunk = chunk
        self.at_once: bool | None = None
        self._kept: dict[Any, tuple[Tensor, Maps]] = {}
        frame = self.frame = frame_of(self.frame_config)
        row = flat_row(
            frame.slice_length,
            frame.positions,
            frame.lengths,
            frame.windows,
            frame.duals,
            # Absolute time plus a quarter of a slice is the origin of the phase.
            origin=1 - 2 * (frame.positions // 2 % 2),
            phase=frame.phase,
        )
        # Functions of the configuration, so not part of the state dict.
        slicing = split_precision(frame.slicing_window)
        stream = split_precision(_stream_windows(frame))
        buffers = {**row.tensors(), "slicing_window": slicing, "stream_windows": stream}
        for name, values in buffers.items():
            self.register_buffer(name, values, persistent=False)

    @property
    def config(self) -> dict[str, Any]:
        """Arguments of the frame by name, in plain types: ``SliCQT(**config)`` builds it again."""
        return dict(vars(self.frame_config))

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...] | Tensor:
        """Coefficients of a waveform.

        Args:
            waveform: real samples at ``frame.sample_rate``.

        Returns:
            One complex tensor a block, low frequencies first; for ``rasterize="full"`` the one
            tensor itself.

        Shape:
            - waveform: ``(..., channel, time)``
            - output: ``(..., channel, freq, slice, time)`` each, or ``(..., channel, freq, time)``

        Raises:
            TypeError: for what is no tensor.
            ValueError: for an empty or complex waveform.
        """
        waveform = check_waveform(waveform)
        n_slices = self.frame.n_slices(waveform.shape[-1])
        blocks = self.maps(waveform.dtype).analyse(waveform, n_slices)
        return blocks[0] if self.frame_config.rasterize == "full" else blocks

    def inverse(
        self, coefficients: Sequence[Tensor] | Tensor, length: int, passes: int | None = None
    ) -> Tensor:
        """Waveform of coefficients; the exact inverse of ``forward``.

        Args:
            coefficients: as ``forward`` returns them.
            length: number of samples of the waveform.
            passes: of the overlap-added layout alone, see :meth:`synthesis`: how many passes to
                make. None is what the frame needs for the precision of the coefficients.

        Shape:
            - coefficients: ``(..., channel, freq, slice, time)`` each, or ``(..., channel, freq,
              time)``
            - output: ``(..., channel, length)``

        Raises:
            TypeError: when the blocks are no tensors, or the length or the passes no integer.
            ValueError: when the blocks are not those of this frame, or too few for the length.
            RuntimeError: when the passes of this frame do not converge.
        """
        frame = self.frame
        blocks = check_blocks(coefficients, frame.blocks, frame.axes, frame.overlap_added)
        if not blocks[0].numel():
            raise ValueError(f"coefficients must not be empty, got {tuple(blocks[0].shape)}")
        maps = self.maps(blocks[0].dtype.to_real())
        n_slices = maps.slicing.n_slices(blocks)
        length = check_integer("length", length, 1)
        passes = None if passes is None else check_integer("passes", passes, 1)
        if length > (longest := (n_slices - 1) * frame.slice_hop):
            raise ValueError(
                f"coefficients must be of {frame.n_slices(length)} slices for length = {length}, "
                f"got {n_slices}, which hold {longest} samples"
            )
        waveform = maps.synthesise(blocks, length)
        if frame.overlap_added:
            passes = self.passes_needed(blocks[0].dtype) if passes is None else passes
            for _ in range(passes - 1):
                again = maps.analyse(waveform, n_slices)
                rest = [block - part for block, part in zip(blocks, again, strict=True)]
                waveform = waveform + maps.synthesise(rest, length)
        return waveform

    def synthesis(self, coefficients: Sequence[Tensor] | Tensor, length: int) -> Tensor:
        """Waveform of coefficients by one pass: for spectra that a mask or a network has changed.

        Of the sliced layouts this is the inverse itself. An overlap-added stream is cut into slices
        under the slicing window and goes through the sliced inverse; how near that comes to the
        inverse is told in docs/transform.md. Shapes and errors are those of :meth:`inverse`.
        """
        return self.inverse(coefficients, length, passes=1)

    def passes_needed(self, dtype: torch.dtype) -> int:
        """Passes that bring the overlap-added inverse to 120 dB (complex64) or 250 dB.

        Raises:
            RuntimeError: when the passes do not converge; the message names an argument that works.
        """
        config, decibels = self.frame_config, PRECISION_DB[dtype]
        norm = frame_contraction(config)
        return passes_needed(norm, decibels, lambda: remedy(config, frame_contraction))

    def maps(self, dtype: torch.dtype) -> Maps:
        """Analysis and one pass of synthesis as linear maps, without checks.

        Args:
            dtype: of the waveform, float32 or float64.
        """
        traced = torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
        if traced or torch.compiler.is_compiling():
            # What compiles has its own ways.
            return self._maps(dtype, OneStep(self.frame.slice_length), at_once=False)
        key = dtype, self.chunk, self.at_once
        buffers, maps = self._kept.get(key, (None, None))
        if maps is None or buffers is not self.windows:  # another device or precision since
            at_once = self.index.is_cuda if self.at_once is None else self.at_once
            n, transition = self.frame.slice_length, self.frame.transition_length
            dft = real_dft(n, dtype, self.index.device, n_zeros=n // 4 - transition // 2)
            maps = self._maps(dtype, dft, at_once and pays(self.frame.blocks))
            self._kept[key] = self.windows, maps
        return maps

    def _maps(self, dtype: torch.dtype, dft: RealDFT, at_once: bool) -> Maps:
        frame = self.frame
        windows = joined_precision(self.windows, dtype)
        places = dft.places(self.index, self.sign)
        layout = Layout(frame.slice_length, frame.blocks, *places, self.lengths, dft)
        stream = None
        if frame.overlap_added:
            sizes = [m for _, m in frame.blocks]
            stream = joined_precision(self.stream_windows, dtype).split(sizes)
        slicing = joined_precision(self.slicing_window, dtype)
        return Maps(
            Slicing(layout, frame.overlap_added, self.chunk, at_once),
            analysis=Windows(layout, windows[0], slicing=slicing),
            synthesis=Windows(layout, windows[1], stream=stream),
        )

    def __getstate__(self) -> dict[str, Any]:
        """The module without what it has computed of its buffers."""
        return {**self.__dict__, "_kept": {}}

    def extra_repr(self) -> str:
        """The frame in one line."""
        f = self.frame
        return (
            f"{self.frame_config.scale}, {f.n_bins} bins in {len(f.blocks)} blocks, "
            f"slice_length={f.slice_length}, transition_length={f.transition_length}, "
            f"redundancy={f.redundancy:.2f}"
        )


@lru_cache(maxsize=64)
def frame_contraction(config: FrameConfig) -> float:
    """:func:`contraction` of the transform of a configuration."""
    return contraction(SliCQT(**vars(config)).maps(torch.float64))


def _stream_windows(frame: Frame) -> np.ndarray:
    """The slicing window at the times of each block's coefficients, block after block."""
    return np.concatenate([frame.slicing_window_at(m) for _, m in frame.blocks])
