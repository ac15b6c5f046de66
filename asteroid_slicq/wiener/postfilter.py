"""Wiener-EM after a separation, on an STFT of the waveforms.

Source: Hanssian, "Music demixing with the sliCQ transform" (arXiv:2112.05509): version 1 filters on
either, version 2 on the sliCQT. The filter itself is :func:`~asteroid_slicq.wiener.wiener_em`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from asteroid_slicq.transform import STFT, check_integer
from asteroid_slicq.wiener.filtering import wiener_em
from asteroid_slicq.wiener.song import SongCovariances

_Refine = Callable[[Tensor, Tensor, int], Tensor]
_N_FFT, _HOP = 4096, 1024
_WINDOW_FRAMES = 300


def wiener_on_stft(
    estimates: Tensor,
    mix: Tensor,
    iterations: int = 1,
    n_fft: int = _N_FFT,
    hop: int = _HOP,
    window_frames: int = _WINDOW_FRAMES,
) -> Tensor:
    """Wiener-EM on the STFT of separated waveforms, differentiably.

    The song goes through in stretches of ``window_frames`` STFT frames, each with spatial
    covariances of its own; what is left at its end, of fewer frames, belongs to the last stretch.
    Only one stretch is a spectrum at a time.

    Args:
        estimates: waveforms of the sources.
        mix: waveform of the mix.
        iterations: EM iterations; 0 returns the estimates.
        n_fft: samples of an STFT frame, under a Hann window, a multiple of 4.
        hop: samples between STFT frames; it divides ``n_fft`` by at least 4.
        window_frames: STFT frames over which a spatial covariance is constant.

    Shape:
        - estimates: ``(batch, source, channel, time)``, real
        - mix: ``(batch, channel, time)``, real; output: as ``estimates``

    Raises:
        ValueError: for shapes that do not fit, or a number outside its range.

    Example:
        >>> mix = torch.randn(1, 2, 9000)
        >>> refined = wiener_on_stft(torch.stack([0.25 * mix, 0.75 * mix], dim=1), mix)
        >>> bool((refined.sum(1) - mix).abs().max() < 0.01)
        True
    """
    if estimates.ndim != 4 or estimates[:, 0].shape != mix.shape:
        raise ValueError(
            "estimates must be (batch, source, channel, time) and mix the same without source, "
            f"got {tuple(estimates.shape)} and {tuple(mix.shape)}"
        )
    check_integer("iterations", iterations, 0)
    n_fft, hop = check_integer("n_fft", n_fft), check_integer("hop", hop)
    window_frames = check_integer("window_frames", window_frames, 1)
    if hop < 1 or n_fft % hop or n_fft < 4 * hop:
        raise ValueError(f"hop must divide n_fft = {n_fft} by at least 4, got {hop}")
    if iterations == 0 or mix.shape[-1] == 0:
        return estimates

    def refine(sources: Tensor, of_mix: Tensor, _: int) -> Tensor:
        return wiener_em(sources, of_mix, iterations, window_frames=None)

    frames = _Frames(estimates, mix, _stft(n_fft, hop, mix.device))
    return frames.filtered(refine, _stretches(frames.n_frames, window_frames))


@lru_cache(maxsize=8)
def _stft(n_fft: int, hop: int, device: torch.device) -> STFT:
    """An STFT; to move its window there for every segment would wait for a GPU."""
    with torch.inference_mode(False):
        return STFT(n_fft, hop).to(device)


class SongPostfilter:
    """:func:`wiener_on_stft`, one iteration, of a stereo song that comes in segments.

    A first pass over the segments adds up the sums of the covariances, a second one filters. Frames
    and windows are those of the whole song.
    """

    def __init__(self) -> None:
        self._sums = SongCovariances(_WINDOW_FRAMES, joins_rest=True, dtype=torch.float32)

    def observe(
        self, estimates: Tensor, mix: Tensor, position: int, start: int, stop: int | None
    ) -> None:
        """Measure a part of a segment; every sample of the song once.

        Args:
            estimates: waveforms of the sources in the segment.
            mix: waveform of the mix.
            position: of the segment in the song, in samples.
            start: first sample to measure, counted in the segment.
            stop: sample after the last; ``None`` is the end of the song.

        Shape:
            - estimates: ``(batch, source, channel, time)``; mix: ``(batch, channel, time)``
        """
        frames = self._frames(estimates, mix, position)
        first = -(-(position + start) // _HOP) - frames.first
        last = frames.n_frames if stop is None else -(-(position + stop) // _HOP) - frames.first
        if last <= first:
            return
        for part in _stretches(last - first, _WINDOW_FRAMES, first):
            spectra = frames.spectra(part)
            self._sums.add(spectra[:, 1:], spectra[:, 0], frames.first + part.start)

    def refine(self, estimates: Tensor, mix: Tensor, position: int) -> Tensor:
        """Refined waveforms of a segment of a song that was measured.

        Shape:
            - estimates and output: ``(batch, source, channel, time)``; mix: without source
        """
        frames = self._frames(estimates, mix, position)
        return frames.filtered(self._sums.refine, _stretches(frames.n_frames, _WINDOW_FRAMES))

    def _frames(self, estimates: Tensor, mix: Tensor, position: int) -> _Frames:
        return _Frames(estimates, mix, _stft(_N_FFT, _HOP, mix.device), position)


class _Frames:
    """The STFT frames in which the samples of a segment lie, in those of a song.

    Every sample lies in n_fft / hop of them: squared Hann windows then sum to 3/8 of that.

    Attributes:
        first: number of the first frame in the song.
        n_frames: number of frames.
    """

    def __init__(self, estimates: Tensor, mix: Tensor, stft: STFT, position: int = 0) -> None:
        self._stft, self._lead, self._length = stft, stft.n_fft - stft.hop, mix.shape[-1]
        self.first, late = divmod(position, stft.hop)
        self._ahead = self._lead + late  # samples before the segment's
        self.n_frames = math.ceil((self._length + self._ahead) / stft.hop)
        behind = self.n_frames * stft.hop - self._length - late
        waveforms = torch.cat([mix.to(estimates.dtype).unsqueeze(1), estimates], dim=1)
        self._waveforms = F.pad(waveforms, (self._ahead, behind))

    def spectra(self, frames: slice) -> Tensor:
        """Spectra of the mix and, after it, its sources.

        Shape:
            ``(batch, 1 + source, channel, freq, frame)``
        """
        hop = self._stft.hop
        samples = slice(frames.start * hop, (frames.stop - 1) * hop + self._stft.n_fft)
        return self._stft.frames(self._waveforms[..., samples])

    def filtered(self, refine: _Refine, stretches: list[slice]) -> Tensor:
        """Waveforms of the refined sources.

        Args:
            refine: spectra of the sources, for those, the mix, and the first frame's number.
            stretches: what is a spectrum at a time.
        """
        parts: list[Tensor] = []
        tail: Tensor | None = None
        n_fft, hop = self._stft.n_fft, self._stft.hop
        for stretch in stretches:
            spectra = self.spectra(stretch)
            refined = refine(spectra[:, 1:], spectra[:, 0], self.first + stretch.start)
            added = self._stft.overlap_add(refined)
            if tail is not None:
                added = added + F.pad(tail, (0, added.shape[-1] - self._lead))
            n_done = (stretch.stop - stretch.start) * hop
            parts.append(added[..., :n_done])
            tail = added[..., n_done:]
        joined = torch.cat(parts, dim=-1)[..., self._ahead : self._ahead + self._length]
        return joined * (8 / 3 * hop / n_fft)


def _stretches(n_frames: int, size: int, first: int = 0) -> list[slice]:
    """Frames in stretches of a size; what is left at the end belongs to the last.

    >>> _stretches(8, 3)
    [slice(0, 3, None), slice(3, 8, None)]
    """
    edges = [first + size * index for index in range(max(1, n_frames // size))]
    return [slice(*pair) for pair in zip(edges, [*edges[1:], first + n_frames], strict=True)]
