r"""The NSGT: the nonstationary Gabor transform of a whole signal, the sliCQT's unsliced relative.

Sources: Balazs, Dörfler, Jaillet, Holighaus, Velasco (2011), "Theory, implementation and
applications of nonstationary Gabor frames" [B11], for the painless case; Velasco, Holighaus,
Dörfler, Grill (2011), "Constructing an invertible constant-Q transform with non-stationary Gabor
frames" [V11], for bins and windows.

The signal, n samples, is one slice without a slicing window, so the transform is circular: the end
joins the beginning. With ν_k = f_k·n/fs, DC first and Nyquist last,

    c_k[m] = IDFT_{M_k} { X[p_k + j] · g_k[j] },  p_k = round(ν_k),  L_k = round(ν_{k+1} − ν_{k−1}),

with g_k of width L_k, even or odd, from j = −⌊L_k/2⌋ on, M_k ≥ L_k, and phases that count from the
first sample. As in the ``nsgt`` package, a tie rounds to even, and the last bin of the scale is
moved halfway between its neighbours, so that its window just fills the gap between them.

The inverse divides by Σ_k M_k·|g_k|² at the DFT bins 0 … n//2 alone, since the others follow from
them in a real signal. DC and Nyquist count once in that sum, the rest with their mirror images. Of
DC's and Nyquist's own spectra it reads the half that lies in 0 … n//2; for coefficients of a real
signal, masked or not, the other half says the same. For odd n the window of "Nyquist" lies half a
DFT bin beside its own mirror image, so only the sum over that half is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from asteroid_slicq.transform.checks import (
    check_blocks,
    check_integer,
    check_range,
    check_waveform,
)
from asteroid_slicq.transform.fourier import OneStep
from asteroid_slicq.transform.frame_config import FrameConfig
from asteroid_slicq.transform.layout import Layout, Windows, joined_precision
from asteroid_slicq.transform.nsgt_frame import NSGTFrame, nsgt_frame_of, nsgt_row
from asteroid_slicq.transform.operators import analyse, synthesise
from asteroid_slicq.transform.scales import Scale
from asteroid_slicq.transform.slicing import Unsliced


class NSGT(nn.Module):
    """Nonstationary Gabor transform of signals of one length, with an exact inverse.

    Neighbouring bins with the same number of coefficients form a block; the transform of a waveform
    is a tuple of blocks, low frequencies first. In a long signal almost every bin is a block. Both
    directions are differentiable, and their backward passes save nothing.

    Args:
        scale: the frequency scale and, like all that are not described here, an argument of
            :class:`FrameConfig`.
        length: of the signals, in samples, at least 4, even or odd.
        min_width: least width of a bin in DFT bins of the signal.
        rasterize: ``none`` (ragged) or ``full`` (a matrix: the widest bin's number of coefficients
            for all).

    Attributes:
        frame: centre frequencies, widths and times of the bins, an :class:`NSGTFrame`.

    Shape:
        - waveform: ``(..., channel, length)``, float32 or float64; any leading shape
        - block: ``(..., channel, freq, time)``, complex

    Raises:
        TypeError: when a size is no integer, or the scale of a wrong type.
        ValueError: when an argument lies outside its range, or no bin covers some DFT bin; the
            nearest that works is named.

    Example:
        >>> import torch
        >>> nsgt = NSGT(n_bins=48, length=44101)
        >>> waveform = torch.randn(2, 44101, generator=torch.Generator().manual_seed(0))
        >>> blocks = nsgt(waveform)
        >>> len(blocks), tuple(blocks[-1].shape)
        (49, (2, 1, 3808))
        >>> bool((nsgt.inverse(blocks) - waveform).abs().max() < 1e-5)
        True
        >>> tuple(NSGT(n_bins=48, length=44101, rasterize="full")(waveform).shape)
        (2, 49, 3808)
    """

    index: Tensor
    sign: Tensor
    lengths: Tensor
    windows: Tensor
    frame: NSGTFrame

    def __init__(
        self,
        scale: Scale = "bark",
        n_bins: int = 262,
        f_min_hz: float = 32.9,
        f_max_hz: float | None = None,
        sample_rate: float = 44100,
        *,
        length: int,
        window: str = "hann",
        min_width: int = 4,
        min_bandwidth_hz: float = 0.0,
        bandwidth_factor: float = 1.0,
        gamma_hz: float = 0.0,
        rasterize: str = "none",
    ) -> None:
        super().__init__()
        self.rasterize = rasterize
        bins = (scale, n_bins, f_min_hz, f_max_hz, sample_rate)
        widths = (window, min_width, min_bandwidth_hz, bandwidth_factor, gamma_hz)
        config = FrameConfig(*bins, None, None, *widths, rasterize)
        self.frame = nsgt_frame_of(config, length)
        # Functions of the configuration, so not part of the state dict.
        for name, values in nsgt_row(self.frame, min_width).tensors().items():
            self.register_buffer(name, values, persistent=False)

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...] | Tensor:
        """Coefficients of a waveform.

        Args:
            waveform: real samples at ``frame.sample_rate``, ``frame.length`` of them.

        Returns:
            One complex tensor a block, low frequencies first; for ``rasterize="full"`` the one
            tensor itself.

        Shape:
            - waveform: ``(..., channel, length)``
            - output: ``(..., channel, freq, time)`` each

        Raises:
            TypeError: for what is no tensor.
            ValueError: for a complex waveform, or one of another length.
        """
        waveform = check_waveform(waveform)
        length = waveform.shape[-1]
        if length != self.frame.length:
            raise ValueError(
                f"waveform must have the {self.frame.length} samples that this NSGT was built for, "
                f"got {length}: pad or cut it, or build an NSGT of length={length}"
            )
        whole = self._whole()
        windows = Windows(whole.layout, joined_precision(self.windows[:, 0], waveform.dtype))
        blocks = analyse(waveform, 1, whole, windows)
        return blocks[0] if self.rasterize == "full" else blocks

    def inverse(self, coefficients: Sequence[Tensor] | Tensor, length: int | None = None) -> Tensor:
        """Waveform of coefficients; the exact inverse of ``forward``.

        Args:
            coefficients: as ``forward`` returns them.
            length: number of samples to return, from the first on; None is ``frame.length``.

        Shape:
            - coefficients: ``(..., channel, freq, time)`` each
            - output: ``(..., channel, length)``

        Raises:
            ValueError: when the blocks are not those of this frame, or too few for the length.
        """
        blocks = check_blocks(coefficients, self.frame.blocks)
        if not blocks[0].numel():
            raise ValueError(f"coefficients must not be empty, got {tuple(blocks[0].shape)}")
        length = self.frame.length if length is None else check_integer("length", length)
        check_range("length", length, 1, self.frame.length, "samples")
        whole, dtype = self._whole(), blocks[0].dtype.to_real()
        windows = Windows(whole.layout, joined_precision(self.windows[:, 1], dtype))
        return synthesise(blocks, self.frame.length, whole, windows)[..., :length]

    def extra_repr(self) -> str:
        """The frame in one line."""
        f = self.frame
        return (
            f"{f.n_bins} bins in {len(f.blocks)} blocks, length={f.length}, "
            f"redundancy={f.redundancy:.2f}"
        )

    def _whole(self) -> Unsliced:
        frame = self.frame
        row = self.index, self.sign, self.lengths
        return Unsliced(Layout(frame.length, frame.blocks, *row, OneStep(frame.length)))
