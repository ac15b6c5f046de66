"""The sliCQT as a filterbank of Asteroid: the matrix layout behind Asteroid's hooks.

Asteroid's ``Encoder`` always runs a strided convolution and its ``Decoder`` a transposed one. Here
the filters are an identity as long as the stride, so that the first cuts the waveform into steps
and the second lays steps end to end; paddings that a model asks for act on the waveform, as they
would with any filterbank. The transform stands between the convolutions and the coefficients.

Design: Holighaus, Dörfler, Velasco, Grill (2013), arXiv:1210.0084, for the transform; Schörkhuber,
Klapuri, Holighaus, Dörfler (2014) for its full rasterisation. docs/filterbank.md tells how
Asteroid's numbers map, and which models use it how.
"""

from __future__ import annotations

import logging
from typing import Any, cast

import numpy as np
import torch
from asteroid_filterbanks import Filterbank
from asteroid_filterbanks.scripting import is_tracing
from torch import Tensor

from asteroid_slicq import registration
from asteroid_slicq.filterbank.sizes import in_whole_hops, passes_needed
from asteroid_slicq.filterbank.tracing import (
    traced_analysis,
    traced_synthesis,
    whole_halves,
    whole_steps,
)
from asteroid_slicq.transform import (
    FrameConfig,
    Scale,
    SliCQT,
    check_integer,
    check_sample_type,
)

_FROM_ASTEROID = {"encoder_activation"}  # some of its models pass it on when they are reloaded
_OF_THE_MATRIX = ("n_bins", "rasterize", "overlap_added", "n_coefficients")  # follow from the rest
_log = logging.getLogger(__name__)


class SliCQTFB(Filterbank):
    """Constant-Q (Bark, mel, ERB, …) filterbank with an exact inverse, without parameters.

    Real parts of all bins come first, then imaginary parts. A sine of amplitude a at the centre of
    a bin has a coefficient of magnitude a·stride/2 there. The first half of a slice lies before the
    first sample; the decoder leaves it out and returns whole half-slices, the input's length at
    least.

    Args:
        n_filters: rows of the matrix: twice the number of bins, DC and Nyquist counted. Even.
        kernel_size: kept for the configuration. Lengths of windows follow from the scale.
        stride: hop of the matrix in samples, at most ``slice_length`` over the width of the widest
            bin; None is half the kernel size.
        sample_rate: in Hz; None is Asteroid's default, 8000.
        scale: frequency scale, or a pair ``(f_hz, q)``, see :class:`asteroid_slicq.FrameConfig`;
            ``octave``, whose bins are counted otherwise, is ``log`` here.
        f_min_hz: lowest centre frequency of the scale.
        f_max_hz: highest; None, or half the sample rate, makes Nyquist the scale's end.
        slice_length: in samples; rounded up to a multiple of 4·stride. None is what the scale
            suggests.
        transition_length: rise of the slicing window in samples; None is an eighth of the slice,
            which one pass of synthesis restores better than a quarter.
        window: of the analysis; like the next four, see :class:`asteroid_slicq.FrameConfig`.
        phase: ``global``, with which a delayed waveform has delayed coefficients, as Asteroid's
            other filterbanks give them, or ``local``.
        passes: of synthesis in the decoder. None is what brings a spectrum that nothing has changed
            back to within 100 dB of the waveform in float32, for most frames 2; 1 costs a third of
            2 and comes to about 80 dB.
        **kwargs: ignored, as by Asteroid's filterbanks, but logged.

    Attributes:
        slicqt: the transform, with its ``frame``.
        passes: of synthesis in the decoder.
        stride: of the convolutions, equal to the hop of the matrix; 2 where that is 1.
        kernel_size: of the convolutions, equal to their stride. ``get_config`` has both as given.

    Shape:
        - waveform: ``(time,)``, ``(batch, 1, time)``, ``(batch, channel, time)``, …
        - coefficients: ``(n_filters, frames)``, ``(batch, n_filters, frames)``, ``(batch, channel,
          n_filters, frames)``, …

    Raises:
        TypeError: when a size is no integer.
        ValueError: when an argument lies outside its range; the nearest that works is named.

    Example:
        >>> from asteroid_filterbanks import make_enc_dec
        >>> encoder, decoder = make_enc_dec("slicqt", n_filters=64, kernel_size=16, stride=8)
        >>> waveform = torch.randn(3, 1, 8000, generator=torch.Generator().manual_seed(0))
        >>> coefficients = encoder(waveform)
        >>> tuple(coefficients.shape)
        (3, 64, 1080)
        >>> error = decoder(coefficients, length=8000) - waveform
        >>> bool(error.square().mean() < 1e-10 * waveform.square().mean())
        True
    """

    _identity: Tensor

    def __init__(
        self,
        n_filters: int,
        kernel_size: int,
        stride: int | None = None,
        sample_rate: float | None = 8000.0,
        scale: Scale = "bark",
        f_min_hz: float = 32.9,
        f_max_hz: float | None = None,
        slice_length: int | None = None,
        transition_length: int | None = None,
        window: str = "hann",
        min_width: int = 32,
        min_bandwidth_hz: float = 0.0,
        bandwidth_factor: float = 1.0,
        gamma_hz: float = 0.0,
        phase: str = "global",
        passes: int | None = None,
        **kwargs: Any,
    ) -> None:
        if ignored := sorted(kwargs.keys() - _FROM_ASTEROID):
            _log.warning("SliCQTFB ignores %s", ", ".join(ignored))
        n_filters = check_integer("n_filters", n_filters, 2)
        kernel_size = check_integer("kernel_size", kernel_size, 1)
        hop = check_integer("stride", kernel_size // 2 if stride is None else stride, 1)
        if n_filters % 2:
            raise ValueError(
                f"n_filters must be even, twice the number of bins, got {n_filters}; "
                f"the nearest is {n_filters + 1}"
            )
        rate = 8000.0 if sample_rate is None else sample_rate
        bins = (scale, n_filters // 2, f_min_hz, f_max_hz, rate, slice_length, transition_length)
        widths = (window, min_width, min_bandwidth_hz, bandwidth_factor, gamma_hz)
        given = FrameConfig(*bins, *widths, phase=phase)
        config = in_whole_hops(given, hop, n_filters)

        step = max(2, hop)  # Asteroid cannot invert filters of size one.
        super().__init__(n_filters, step, stride=step, sample_rate=given.sample_rate)
        # Of NumPy, since a model may be built without memory, on the device ``meta``.
        identity = torch.from_numpy(np.eye(step)).to(torch.get_default_dtype())
        self.register_buffer("_identity", identity, persistent=False)
        self.slicqt = SliCQT(**vars(config))
        if self.slicqt.frame.n_bins != n_filters // 2:
            raise ValueError(
                f"n_filters must be twice the bins of the scale, DC and Nyquist counted, "
                f"{2 * self.slicqt.frame.n_bins} here, got {n_filters}"
            )
        self.passes = 1 if passes is None else check_integer("passes", passes, 1)
        if passes is None or self.passes > 1:  # which make no sense where they diverge
            enough = passes_needed(given, hop, n_filters)
            self.passes = enough if passes is None else self.passes
        self._config = {
            "n_filters": n_filters,
            "kernel_size": kernel_size,
            "stride": hop,
            **{name: value for name, value in vars(given).items() if name not in _OF_THE_MATRIX},
            "passes": None if passes is None else self.passes,
        }

    def get_config(self) -> dict[str, Any]:
        """Arguments of this filterbank, in plain Python types."""
        return {"fb_name": self.__class__.__name__, **self._config}

    def filters(self) -> Tensor:
        """Filters that cut a waveform into steps.

        In double precision, where the device has it: single precision convolutions are rounded to
        ten bits on many GPUs, and by autocast.

        Shape:
            - output: ``(stride, 1, stride)``
        """
        return self._identity.unsqueeze(1).to(self._conv_dtype())

    def pre_analysis(self, wav: Tensor) -> Tensor:
        """Pad a waveform to whole steps; one of integers raises a ``TypeError``."""
        check_sample_type(wav.dtype, wav.is_floating_point())
        return whole_steps(wav.to(self._conv_dtype()), self.stride)

    def post_analysis(self, spec: Tensor) -> Tensor:
        """Coefficients of a waveform in steps.

        Shape:
            - spec: ``(..., stride, steps)``; output: ``(..., n_filters, frames)``
        """
        waveform = spec.transpose(-1, -2).flatten(-2).to(self._dtype())
        if is_tracing():
            c = traced_analysis(waveform, *self._traced_buffers())
        else:
            c = self.slicqt(waveform)
        return torch.cat([c.real, c.imag], dim=-2).to(self._identity.dtype)

    def pre_synthesis(self, spec: Tensor) -> Tensor:
        """Waveform in steps of coefficients, by ``passes`` passes.

        Frames that fill no half slice are filled up with zeros.

        Shape:
            - spec: ``(..., n_filters, frames)``; output: ``(..., stride, steps)``
        """
        if spec.ndim < 2 or spec.shape[-2] != self.n_filters:
            raise ValueError(
                f"coefficients must be (..., n_filters = {self.n_filters}, frames), "
                f"got {tuple(spec.shape)}"
            )
        frame = self.slicqt.frame
        c = torch.complex(*spec.to(self._dtype()).chunk(2, dim=-2))
        c = whole_halves(c, frame.blocks[0][1] // 2)
        if is_tracing():
            waveform = traced_synthesis(self.passes, c, *self._traced_buffers())
        else:
            length = c.shape[-1] * frame.slice_length // frame.blocks[0][1] - frame.slice_length
            waveform = self.slicqt.inverse(c, length, self.passes)
        return waveform.unflatten(-1, (-1, self.stride)).transpose(-1, -2).to(self._conv_dtype())

    def post_synthesis(self, wav: Tensor) -> Tensor:
        """Cast a waveform to the precision of the module."""
        return wav.to(self._identity.dtype)

    def _dtype(self) -> torch.dtype:
        return torch.promote_types(self._identity.dtype, torch.float32)

    def _conv_dtype(self) -> torch.dtype:
        return torch.float32 if self._identity.device.type == "mps" else torch.float64

    def _traced_buffers(self) -> tuple[Tensor, ...]:
        """Arguments of the traced maps: slicing windows, index, and factors of both ways."""
        maps = self.slicqt.maps(self._dtype())
        layout, there, back = maps.layout, maps.analysis, maps.synthesis
        slicing, stream = cast(Tensor, there.slicing), cast(tuple[Tensor], back.stream)
        factors = (there.analysis_factors, back.synthesis_factors)
        return slicing, stream[0], layout.index, *(pairs.view(-1, 2) for pairs in factors)


registration.register_filterbank(SliCQTFB, "slicqt")
