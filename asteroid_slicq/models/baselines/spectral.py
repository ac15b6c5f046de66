"""A spectrogram of one block, the STFT or the matrix of a sliCQT, and masks for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from asteroid_slicq import registration
from asteroid_slicq.separation import Separable, check_sources, from_batch, mix_to_batch
from asteroid_slicq.transform import STFT, SliCQT, check_choice, check_number, check_range

_STFT_S = 4096 / 44100  # length of an STFT frame
_SLICQT = {"window": "hann", "min_width": 32}  # one pass inverts this frame at 85 dB
_LAYOUT = {"rasterize": "full", "overlap_added": True}


class SpectralEstimate(NamedTuple):
    """Waveforms, coefficients and masks for a loss; of the latter one block each.

    Shape:
        - waveforms: ``(batch, source, channel, time)``
        - coefficients: ``(batch, source, channel, freq, time)``, complex
        - masks: the same, real, in 0 … 1
    """

    waveforms: Tensor
    coefficients: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]


class SpectralModel(Separable, registration.Shareable):
    """A separator that masks a spectrogram of one block and keeps the phase of the mix.

    The coefficients of a matrix of a sliCQT follow one another as fast as its widest bin needs;
    what a network sees are means of so many of them that there are ``steps_per_s`` in a second,
    or as near as that goes, and a mask holds for all of them.

    Args:
        sources: names of the sources, in the order of the output.
        n_channels: audio channels of the mix; None for a model that separates each for itself.
        sample_rate: in Hz.
        transform: ``stft`` or ``slicqt``.
        transform_arguments: ``n_fft`` and ``hop`` of the STFT, where they differ from 93 ms and a
            quarter of it; or of :class:`asteroid_slicq.SliCQT`, where they differ from its defaults
            with Hann windows of at least 32 DFT bins.
        steps_per_s: of what is seen, per second, at most.
        exponent: of the magnitudes whose means are seen.
    """

    def __init__(
        self,
        sources: Any,
        n_channels: int | None,
        sample_rate: float,
        transform: str,
        transform_arguments: Mapping[str, Any] | None,
        steps_per_s: float,
        exponent: float,
    ) -> None:
        sample_rate = check_number("sample_rate", sample_rate)
        super().__init__(sample_rate=sample_rate, in_channels=n_channels or 1)
        self.sources, self.n_channels = check_sources(sources), n_channels or 1
        self._any_channels, self.exponent = n_channels is None, exponent
        check_range("steps_per_s", steps_per_s, 1e-3, 1e6, "")
        self.transform = _make_transform(transform, sample_rate, transform_arguments)
        self.pool = max(1, round(self._coefficients_per_s / steps_per_s))
        self._args: dict[str, Any] = {
            "sources": list(self.sources),
            "sample_rate": sample_rate,
            "transform": transform,
            "transform_arguments": registration.plain_types(dict(transform_arguments or {})),
            "steps_per_s": steps_per_s,
        }
        if n_channels is not None:
            self._args["n_channels"] = n_channels

    def masks(self, seen: Tensor) -> Tensor:
        """Masks of all sources from magnitudes of the mix, to the power of the exponent.

        Shape:
            - seen: ``(batch, channel, freq, step)``; output: ``(batch, source, channel, freq,
              step)``
        """
        raise NotImplementedError

    def forward(self, mix: Tensor) -> Tensor:
        """Separate a mix, see the class for the shapes."""
        return from_batch(self.estimate(mix).waveforms, mix.ndim)

    def estimate(self, mix: Tensor) -> SpectralEstimate:
        """Waveforms, coefficients and masks of all sources.

        Shape:
            - mix: as for ``forward``; missing dimensions are added
        """
        batch = mix_to_batch(mix, None if self._any_channels else self.n_channels)
        with torch.autocast(mix.device.type, enabled=False):
            (block,) = self.analyse(batch)
            seen = self.seen(block)
        masks = self.masks(seen)
        with torch.autocast(mix.device.type, enabled=False):
            masks = masks.to(seen.dtype).repeat_interleave(self.pool, -1)[..., : block.shape[-1]]
            coefficients = masks * block.unsqueeze(1)
            waveforms = self.synthesise(coefficients, mix.shape[-1])
        return SpectralEstimate(waveforms, (coefficients,), (masks,))

    def analyse(self, waveform: Tensor) -> tuple[Tensor]:
        """Coefficients as one block, ``(…, time)`` → ``(…, freq, time)``, complex."""
        blocks = self.transform(waveform)
        return (blocks if isinstance(blocks, Tensor) else blocks[0],)

    def synthesise(self, coefficients: Tensor, length: int) -> Tensor:
        """Waveforms of a block by one pass, linear in the coefficients."""
        if isinstance(self.transform, STFT):
            return self.transform.inverse([coefficients], length)
        return self.transform.synthesis(coefficients, length)

    def seen(self, block: Tensor) -> Tensor:
        """Means over time of the magnitudes to the power of the exponent.

        Shape:
            - block: ``(…, freq, time)``, complex; output: ``(…, freq, step)``
        """
        magnitudes = block.abs()
        if self.exponent != 1:
            magnitudes = magnitudes.pow(self.exponent)
        magnitudes = F.pad(magnitudes, (0, -magnitudes.shape[-1] % self.pool))
        return magnitudes.unflatten(-1, (-1, self.pool)).mean(-1)

    @property
    def n_bins(self) -> int:
        """Bins of the spectrogram."""
        if isinstance(self.transform, STFT):
            return self.transform.n_fft // 2 + 1
        return self.transform.frame.n_bins

    @property
    def segment_step_samples(self) -> int:
        """Distance of slices or STFT frames: segments of a song start on a multiple of it."""
        if isinstance(self.transform, STFT):
            return self.transform.hop
        return self.transform.frame.slice_hop

    @property
    def _coefficients_per_s(self) -> float:
        rate = cast(float, self.sample_rate)
        if isinstance(self.transform, STFT):
            return rate / self.transform.hop
        frame = self.transform.frame
        return frame.blocks[0][1] / frame.slice_length * rate

    def get_model_args(self) -> dict[str, Any]:
        """Arguments that build this model again, in plain types."""
        return dict(self._args)


def _make_transform(
    kind: str, sample_rate: float, arguments: Mapping[str, Any] | None
) -> STFT | SliCQT:
    check_choice("transform", kind, ("stft", "slicqt"))
    if not isinstance(arguments, Mapping | None):
        raise TypeError(f"transform_arguments must be a dictionary, got {arguments!r}")
    arguments = dict(arguments or {})
    own = {"sample_rate", *(_LAYOUT if kind == "slicqt" else ())}
    if held := sorted(own & arguments.keys()):
        raise ValueError(f"transform_arguments must not hold {held[0]}: the model sets it")
    if kind == "slicqt":
        return SliCQT(**{**_SLICQT, **arguments}, **_LAYOUT, sample_rate=sample_rate)
    n_fft = arguments.get("n_fft", 2 ** max(2, round(math.log2(_STFT_S * sample_rate))))
    return STFT(**{"n_fft": n_fft, "hop": n_fft // 4, **arguments}, sample_rate=sample_rate)
