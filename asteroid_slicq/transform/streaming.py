"""The sliCQT of a stream: buffers of audio of any size in, coefficients out, and the way back.

The slicing window is zero on the outer N/4 − tr/2 samples of a slice. So slice s, which is centred
on sample s·N/2, needs N/2 + tr samples alone, the last of them N/4 + tr/2 behind its centre. A
sample is final once both slices over it are in; of the overlap-added layout, once both slices over
each of their coefficients are. Nothing waits for more, and the state is as small however long the
stream. The maths is that of :mod:`asteroid_slicq.transform.operators`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from asteroid_slicq.transform.checks import check_blocks, check_integer, check_sample_type
from asteroid_slicq.transform.slicqt import SliCQT
from asteroid_slicq.transform.stream_state import Analysis, Passes, StreamFormat


class SliCQTStream:
    """Coefficients of a waveform that comes in buffers.

    What ``push`` and ``flush`` return, joined along ``slice`` (``time`` where overlap-added), is
    ``slicqt(waveform)``. A stream keeps less than a slice of samples and, where overlap-added, half
    a slice of coefficients. It has the device of the transform and the precision of its first
    buffer. No gradient runs through it.

    Args:
        slicqt: the transform.

    Raises:
        TypeError: when it is no :class:`SliCQT`.

    Attributes:
        latency_samples: slice s, centred on sample s·hop, is out once sample s·hop + this is in;
            where overlap-added, so are the coefficients of all times before s·hop.

    Example:
        >>> slicqt = SliCQT()
        >>> analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt)
        >>> waveform = torch.randn(2, 44100, generator=torch.Generator().manual_seed(0))
        >>> out = [synthesis.push(analysis.push(buffer)) for buffer in waveform.split(1024, dim=-1)]
        >>> out.append(synthesis.flush(analysis.flush(), length=44100))
        >>> bool((torch.cat(out, dim=-1) - waveform).abs().max() < 1e-5)
        True
        >>> analysis.latency_samples + synthesis.latency_samples  # 358 ms
        15802
    """

    def __init__(self, slicqt: SliCQT) -> None:
        _check_transform(slicqt)
        frame = slicqt.frame
        self.slicqt = slicqt
        self.latency_samples = (frame.slice_hop + frame.transition_length) // 2 - 1
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next buffer begins a new one."""
        self._analysis: Analysis | None = None
        self._length = 0

    @torch.no_grad()
    def push(self, waveform: Tensor) -> tuple[Tensor, ...] | Tensor:
        """Coefficients of the slices that are complete: of none, one or more.

        Args:
            waveform: the next samples, any number of them.

        Shape:
            - waveform: ``(..., channel, time)``
            - output: ``(..., channel, freq, slice, time)`` each, or ``(..., channel, freq, time)``,
              with 0 or more slices; one tensor for ``rasterize="full"``

        Raises:
            TypeError: for what is no tensor, or one of integers.
            ValueError: for a waveform that is complex, has no channel, lies on another device than
                the transform, or is not of the shape and precision that this stream began with.
        """
        if not isinstance(waveform, Tensor):
            raise TypeError(f"waveform must be a tensor, got {type(waveform).__name__}")
        leading = waveform.shape[:-1]
        if waveform.ndim < 1 or waveform.is_complex() or not math.prod(leading):
            raise ValueError(
                "waveform must be real and (…, channel, time) with one channel or more, got "
                f"{tuple(waveform.shape)} of {waveform.dtype}"
            )
        check_sample_type(waveform.dtype, waveform.is_floating_point())
        if waveform.dtype not in (torch.float32, torch.float64):
            waveform = waveform.float()
        fmt = StreamFormat(tuple(leading), waveform.dtype, waveform.device)
        fmt.check("waveform", self.slicqt, self._analysis)
        if self._analysis is None:
            self._analysis = Analysis(self.slicqt, fmt)
        self._length += waveform.shape[-1]
        blocks = self._analysis.push(waveform.reshape(fmt.batch, waveform.shape[-1]))
        return self._shaped(blocks, fmt)

    @torch.no_grad()
    def flush(self) -> tuple[Tensor, ...] | Tensor:
        """The rest of the coefficients; the next buffer begins a new stream.

        Shape:
            - output: as of :meth:`push`, with one or two slices

        Raises:
            ValueError: when the stream has no sample.
        """
        if self._analysis is None or not self._length:
            raise ValueError("waveform must hold at least one sample: push() some before flush()")
        analysis, n_slices = self._analysis, self.slicqt.frame.n_slices(self._length)
        self.reset()
        return self._shaped(analysis.finish(n_slices), analysis.fmt)

    def _shaped(self, blocks: list[Tensor], fmt: StreamFormat) -> tuple[Tensor, ...] | Tensor:
        shaped = tuple(block.view(*fmt.leading, *block.shape[1:]) for block in blocks)
        return shaped[0] if self.slicqt.frame_config.rasterize == "full" else shaped


class SliCQTInverseStream:
    """Waveform of coefficients that come slice by slice.

    What ``push`` and ``flush`` return, joined, is ``slicqt.inverse(coefficients, length)``; where
    overlap-added, ``slicqt.inverse(coefficients, length, passes)``. A stream keeps half a slice of
    samples and, where overlap-added, half a slice of coefficients; every pass after the first, less
    than two and a half slices of samples and two of coefficients. No gradient runs through it.

    Args:
        slicqt: the transform.
        passes: of the overlap-added layout alone, see :meth:`SliCQT.synthesis`; each one takes a
            slice of latency. With ``slicqt.passes_needed(torch.complex64)`` the inverse is exact.

    Attributes:
        latency_samples: sample n is out once the slices that are centred up to sample n + this are
            in; behind an analysis, once sample n + the sum of both latencies is in.

    Raises:
        TypeError: when ``slicqt`` is no transform or ``passes`` no integer.
        ValueError: when ``passes`` is less than one.
    """

    def __init__(self, slicqt: SliCQT, passes: int = 1) -> None:
        _check_transform(slicqt)
        passes = check_integer("passes", passes, 1)
        added = slicqt.frame.overlap_added
        self.slicqt = slicqt
        self.passes = passes if added else 1
        self.latency_samples = slicqt.frame.slice_hop * (2 * passes if added else 1)
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next coefficients begin a new one."""
        self._synthesis: Passes | None = None
        self._n_steps = 0

    @torch.no_grad()
    def push(self, coefficients: Sequence[Tensor] | Tensor) -> Tensor:
        """Samples that are final: none, or a multiple of the hop.

        Args:
            coefficients: of the next slices, any number of them; where overlap-added, of the next
                half slices. As :class:`SliCQTStream` returns them.

        Shape:
            - coefficients: ``(..., channel, freq, slice, time)`` each, or ``(..., channel, freq,
              time)``
            - output: ``(..., channel, time)``

        Raises:
            ValueError: when these are not blocks of the frame, lie on another device than the
                transform, or are not of the shape and precision that this stream began with.
        """
        synthesis, blocks, n_steps = self._begin(coefficients)
        self._n_steps += n_steps
        samples = synthesis.push(blocks)
        return samples.reshape(*synthesis.fmt.leading, samples.shape[-1])

    @torch.no_grad()
    def flush(
        self, coefficients: Sequence[Tensor] | Tensor | None = None, length: int | None = None
    ) -> Tensor:
        """The rest of the samples; the next coefficients begin a new stream.

        The last slice ends behind the waveform, and what ``push`` returns cannot be taken back. So
        give the last coefficients here: ``synthesis.flush(analysis.flush(), length)``.

        Args:
            coefficients: the last ones; None when all were pushed.
            length: number of samples of the whole stream; None is all that the slices hold.

        Shape:
            - coefficients, output: as of :meth:`push`

        Raises:
            ValueError: as :meth:`push`; when the stream has less than two slices; or when
                ``length`` is less than what is final already, or more than the slices hold.
        """
        synthesis, blocks, n_steps = self._synthesis, None, 0
        if coefficients is not None:
            synthesis, blocks, n_steps = self._begin(coefficients)
        n_slices = self._n_steps + n_steps - self.slicqt.frame.overlap_added
        if synthesis is None or n_slices < 2:
            raise ValueError(f"coefficients must be of two slices or more, got {max(0, n_slices)}")
        shortest, longest = max(1, synthesis.length), (n_slices - 1) * self.slicqt.frame.slice_hop
        length = longest if length is None else check_integer("length", length)
        if not shortest <= length <= longest:
            raise ValueError(
                f"length must lie in {shortest} … {longest} for these slices, got {length}; "
                "the last coefficients are for flush(), since push() returns all that is final"
            )
        samples = synthesis.push(blocks or synthesis.nothing, n_slices, length)
        self.reset()
        return samples.reshape(*synthesis.fmt.leading, samples.shape[-1])

    def _begin(self, coefficients: Sequence[Tensor] | Tensor) -> tuple[Passes, list[Tensor], int]:
        """The passes, the blocks with one batch axis, and their number of slices or half slices."""
        frame = self.slicqt.frame
        blocks = check_blocks(coefficients, frame.blocks, frame.axes, frame.overlap_added)
        n_axes, (n_steps, m) = len(frame.axes), blocks[0].shape[-2:]
        if frame.overlap_added:
            n_steps = m // (frame.blocks[0][1] // 2)
        leading = tuple(blocks[0].shape[:-n_axes])
        if not math.prod(leading):
            raise ValueError(f"coefficients must have one channel or more, got {leading}")
        fmt = StreamFormat(leading, blocks[0].dtype.to_real(), blocks[0].device)
        fmt.check("coefficients", self.slicqt, self._synthesis)
        if self._synthesis is None:
            self._synthesis = Passes(self.slicqt, fmt, self.passes)
        flat = [block.reshape(fmt.batch, *block.shape[-n_axes:]) for block in blocks]
        return self._synthesis, flat, n_steps


def _check_transform(slicqt: object) -> None:
    if not isinstance(slicqt, SliCQT):
        raise TypeError(f"slicqt must be a SliCQT, got a {type(slicqt).__name__}")
