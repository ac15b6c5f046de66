"""MiXiN: harmonic, percussive and vocal parts of music by autoencoders on the matrix of an NSGT.

Sources: Hanssian, "MiXiN, music extraction with nonstationary Gabor transforms" (2021, software);
Grais, Plumbley (arXiv:1703.08019) for the networks; FitzGerald, "Harmonic/percussive separation
using median filtering" (DAFx 2010) for the soft masks.

Every channel is separated on its own, in chunks of a second. The original cuts the chunks side by
side and leaves out the last one; here they overlap and are cross-faded, and none is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from asteroid_slicq import registration
from asteroid_slicq.models.mixin.network import DenoisingAutoencoder, refine, run_together
from asteroid_slicq.separation import (
    MaskedCoefficients,
    Separable,
    check_sources,
    crossfade,
    from_batch,
    mix_to_batch,
)
from asteroid_slicq.transform import NSGT, Pair, check_flag, check_integer, check_number

SOURCES = ("harmonic", "percussive", "vocals")
"""Names of the published networks, in the order of the output."""

_TRANSFORM: dict[str, Any] = {"scale": "bark", "n_bins": 96, "f_min_hz": 0.0, "length": 44032}
_VOCALS = "vocals"
_EPS = 1e-10  # of the sum of squares in the soft masks: 60 dB under a soft tone's coefficients


class MiXiNEstimate(NamedTuple):
    """Coefficients, magnitudes and masks for a loss.

    Shape:
        - coefficients: ``(batch, source, channel, freq, chunk, time)``, complex
        - magnitudes: the same, real, not negative: what the networks say
        - masks: the same, in 0 … 1, with a sum of one over the sources; None for ``single_model``
    """

    coefficients: Tensor
    magnitudes: Tensor
    masks: Tensor | None


class MiXiN(Separable, registration.Shareable):
    """MiXiN: small autoencoders that estimate the magnitudes of each source from those of the mix.

    The magnitudes ``v_i`` of all sources make soft masks, ``v_i² / Σ_j v_j²``, for the coefficients
    of the mix; so the sources sum to the mix. The two modes may be changed in a model at any time:

    - ``instrumental``: for music without a voice; the network of ``vocals`` is left out.
    - ``single_model``: each source has the magnitudes of its own network and the phase of the mix,
      whatever the other networks say; so the sources do not sum to the mix.

    Args:
        sources: names of the sources, one network for each.
        instrumental: leave the source ``vocals`` out.
        single_model: magnitudes instead of soft masks.
        overlap_samples: what neighbouring chunks share, at most half a chunk: a quarter at either
            end is context alone, the half between is cross-faded. None is an eighth of a chunk.
        sample_rate: in Hz.
        transform: arguments of :class:`asteroid_slicq.NSGT`, where they differ from 96 Bark bins
            from 0 Hz to half the sample rate and a chunk of 44 032 samples (``length``).

    Attributes:
        transform: the :class:`asteroid_slicq.NSGT` of a chunk, a matrix of 96 × 1948 coefficients.

    Shape:
        - mix: ``(batch, channel, time)``, any number of channels and of samples;
          ``(channel, time)`` and ``(time,)`` too
        - output: ``(batch, source, channel, time)``, without the axes that the mix had not

    Raises:
        TypeError: when an argument is of a wrong type.
        ValueError: when one lies outside its range.

    Example:
        >>> model = MiXiN().eval()
        >>> model.sources, tuple(model.transform.frame.blocks)
        (['harmonic', 'percussive', 'vocals'], ((96, 1948),))
        >>> with torch.no_grad():
        ...     model(torch.zeros(1, 2, 50000)).shape
        torch.Size([1, 3, 2, 50000])
    """

    fade: Tensor

    def __init__(
        self,
        sources: Sequence[str] = SOURCES,
        instrumental: bool = False,
        single_model: bool = False,
        overlap_samples: int | None = None,
        sample_rate: float = 44100,
        transform: dict[str, Any] | None = None,
    ) -> None:
        sample_rate = check_number("sample_rate", sample_rate)
        super().__init__(sample_rate=sample_rate, in_channels=1)
        self._names = check_sources(sources)
        instrumental = check_flag("instrumental", instrumental)
        if instrumental and not {_VOCALS} < set(self._names):
            raise ValueError(
                f"instrumental leaves out the source {_VOCALS!r} and keeps the others, so sources "
                f"must hold both, got {self._names}"
            )
        if transform is not None and not isinstance(transform, Mapping):
            raise TypeError(f"transform must be a dictionary of arguments, got {transform!r}")
        for name in ("sample_rate", "rasterize"):
            if name in (transform or {}):
                raise ValueError(f"transform must not hold {name}: the model sets it")
        arguments = {**_TRANSFORM, **(transform or {})}
        self.transform = NSGT(**arguments, sample_rate=sample_rate, rasterize="full")
        length = self.transform.frame.length
        if overlap_samples is not None:
            overlap_samples = check_integer("overlap_samples", overlap_samples)
        overlap = length // 8 if overlap_samples is None else overlap_samples
        if not 0 <= overlap <= length // 2:
            raise ValueError(
                f"overlap_samples must lie in 0 … {length // 2}, half a chunk, got "
                f"{overlap_samples}; nearest that works: {min(max(overlap, 0), length // 2)}"
            )
        self.n_channels = 1
        self.instrumental = instrumental
        self.single_model = check_flag("single_model", single_model)
        self.overlap_samples = overlap
        self.networks = nn.ModuleList(DenoisingAutoencoder() for _ in self._names)
        self.register_buffer("fade", torch.from_numpy(crossfade(overlap)), persistent=False)
        self._args = {
            "overlap_samples": overlap_samples,
            "sample_rate": sample_rate,
            "transform": registration.plain_types(transform or {}),
        }

    @property
    def sources(self) -> list[str]:
        """Names of the sources in the order of the output."""
        return [name for name in self._names if not (self.instrumental and name == _VOCALS)]

    @property
    def segment_step_samples(self) -> int:
        """Distance of the chunks: segments of a long file start on a multiple of it."""
        return self.transform.frame.length - self.overlap_samples

    def forward(self, mix: Tensor) -> Tensor:
        """Separate a mix, see the class for the shapes."""
        batch = mix_to_batch(mix)
        chunks = self._cut(batch)
        b, c = chunks.shape[:2]
        # Chunk by chunk where that keeps all that lies between in the cache; all at once elsewhere.
        rows = chunks.reshape(-1, 1, chunks.shape[-1])
        parts = rows.split(1 if rows.device.type == "cpu" else len(rows))
        separated = torch.cat([self._separate_chunks(part) for part in parts])
        by_channel = rearrange(separated, "(b c s) j t -> b j c s t", b=b, c=c)
        waveforms = self._join(by_channel, mix.shape[-1])
        return from_batch(waveforms, mix.ndim)

    def estimate(self, mix: Tensor) -> MiXiNEstimate:
        """Coefficients, magnitudes and masks of all sources.

        Shape:
            - mix: as for ``forward``; missing dimensions are added
        """
        return self.estimate_from_coefficients(self.analyse(mix_to_batch(mix)))

    def estimate_from_coefficients(self, mix: Tensor) -> MiXiNEstimate:
        """The same, when the coefficients of the mix are at hand.

        Shape:
            - mix: ``(batch, channel, freq, chunk, time)``, complex
        """
        b, c, f, _, t = mix.shape
        coarse = self._run_networks(rearrange(mix, "b c f s t -> (b c s) f t"))
        pattern = "(b c s) j f t -> b j c f s t"
        magnitudes = rearrange(refine(coarse, f, t), pattern, b=b, c=c)
        if self.single_model:
            return MiXiNEstimate(magnitudes * mix.sgn().unsqueeze(1), magnitudes, None)
        masks = rearrange(refine(soft_masks(coarse), f, t), pattern, b=b, c=c)
        return MiXiNEstimate(masks * mix.unsqueeze(1), magnitudes, masks)

    def masked_coefficients(self, mix: Tensor) -> MaskedCoefficients:
        """Coefficients of all sources and those of the mix, for other phases than those of the mix.

        Shape:
            - mix: as for ``forward``; missing dimensions are added
        """
        of_mix = self.analyse(mix_to_batch(mix))
        sources = self.estimate_from_coefficients(of_mix).coefficients
        whole = Pair(self.analyse, lambda blocks, length: self.synthesise(blocks[0], length))
        return MaskedCoefficients([sources], [of_mix], whole)

    def analyse(self, waveform: Tensor) -> Tensor:
        """Coefficients of the overlapping chunks of a waveform, the last one filled with zeros.

        Shape:
            - waveform: ``(..., channel, time)``
            - output: ``(..., channel, freq, chunk, time)``, complex

        Raises:
            ValueError: for a waveform without samples.
        """
        return cast(Tensor, self.transform(self._cut(waveform))).transpose(-3, -2)

    def synthesise(self, coefficients: Tensor, n_samples: int) -> Tensor:
        """Waveform of coefficients, its chunks cross-faded; the inverse of ``analyse``.

        Shape:
            - coefficients: ``(..., channel, freq, chunk, time)``, complex
            - output: ``(..., channel, n_samples)``
        """
        n_samples = check_integer("n_samples", n_samples, 1)
        return self._join(self.transform.inverse(coefficients.transpose(-3, -2)), n_samples)

    def _run_networks(self, mix: Tensor) -> Tensor:
        """``(n, freq, time)``, complex → ``(n, source, …)``, magnitudes as coarse as they come."""
        sources = self.sources
        networks = [
            cast(DenoisingAutoencoder, network)
            for name, network in zip(self._names, self.networks, strict=True)
            if name in sources
        ]
        magnitudes = mix.abs()
        dtype = networks[0].encode_outer.weight.dtype
        return run_together(networks, magnitudes.to(dtype)).to(magnitudes.dtype)

    def _separate_chunks(self, chunks: Tensor) -> Tensor:
        """``(n, 1, length)`` → ``(n, source, length)``."""
        mix = cast(Tensor, self.transform(chunks))
        coarse = self._run_networks(mix[:, 0])
        if self.single_model:
            mix = mix.sgn()
        else:
            coarse = soft_masks(coarse)
        return self.transform.inverse(refine(coarse, *mix.shape[-2:]) * mix)

    def _cut(self, waveform: Tensor) -> Tensor:
        """``(..., time)`` → ``(..., chunk, length)``."""
        n_samples = waveform.shape[-1]
        if not n_samples:
            raise ValueError(f"waveform holds no samples: shape {tuple(waveform.shape)}")
        length, hop = self.transform.frame.length, self.segment_step_samples
        n_chunks = 1 + math.ceil(max(0, n_samples - length) / hop)
        padded = F.pad(waveform, (0, length + (n_chunks - 1) * hop - n_samples))
        return padded.unfold(-1, length, hop)

    def _join(self, chunks: Tensor, n_samples: int) -> Tensor:
        """``(..., chunk, length)`` → ``(..., n_samples)``, cross-faded."""
        overlap, hop = self.overlap_samples, self.segment_step_samples
        tails = F.pad(chunks[..., :-1, hop:], (0, 0, 1, 0))
        # The first chunk has none before it: there its own weight is one.
        weight = F.pad(self.fade.expand(chunks.shape[-2] - 1, overlap), (0, 0, 1, 0), value=1.0)
        heads = chunks[..., :overlap] * weight + tails * (1 - weight)
        joined = torch.cat([heads, chunks[..., overlap:hop]], -1).flatten(-2)
        return torch.cat([joined, chunks[..., -1, hop:]], -1)[..., :n_samples]

    def get_model_args(self) -> dict[str, Any]:
        """Arguments that build this model again, in plain types."""
        return {
            "sources": list(self._names),
            "instrumental": self.instrumental,
            "single_model": self.single_model,
            **self._args,
        }


def soft_masks(magnitudes: Tensor, sources_dim: int = 1) -> Tensor:
    """Each source's share of the power, v_i² / Σ_j v_j²; equal shares where no source has any.

    Shape:
        - magnitudes: with the sources on any axis, which ``sources_dim`` names
        - output: the same, with a sum of one over the sources
    """
    power = magnitudes.square() + _EPS / magnitudes.shape[sources_dim]
    return power / power.sum(sources_dim, keepdim=True)


registration.register_model(MiXiN)
