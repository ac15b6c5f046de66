"""A band-split separator whose bands are those of an overlap-added sliCQT.

Sources: Luo, Yu, "Music source separation with band-split RNN" (arXiv:2209.15174), for the split
into bands that hear each other; Schörkhuber et al. (AES 2014) for blocks of few time resolutions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from asteroid_slicq import registration
from asteroid_slicq.models.bandsplit.arguments import check_arguments, make_transform
from asteroid_slicq.models.bandsplit.bands import bands_of
from asteroid_slicq.models.bandsplit.level import relative_to_level
from asteroid_slicq.models.bandsplit.network import BandNetwork, StreamState
from asteroid_slicq.models.input_statistics import average
from asteroid_slicq.models.per_target import PerTarget, with_frames
from asteroid_slicq.separation import (
    MaskedCoefficients,
    Separable,
    check_sources,
    from_batch,
    mix_to_batch,
)
from asteroid_slicq.transform import STFT, SliCQT, check_choice
from asteroid_slicq.vocabulary import STEMS

PRESETS: dict[str, dict[str, Any]] = {
    "bandsplit": {},
    "bandsplit-small": {"width": 64, "n_layers": 3, "head_width": 12},
    "bandsplit-large": {"width": 224, "n_layers": 8, "head_width": 40},
    "bandsplit-realtime": {"width": 96, "n_layers": 4, "time_mixer": "lstm", "causal": True},
}
"""Arguments of :class:`BandSplit` that differ from its defaults, by name."""


class BandSplitEstimate(NamedTuple):
    """Waveforms, coefficients and masks for a loss; of the latter one tensor a block.

    Shape:
        - waveforms: ``(batch, source, channel, time)``
        - coefficients: ``(batch, source, channel, freq, time)`` each, complex
        - masks: the same, complex; real in 0 … 1 where the model's masks are
    """

    waveforms: Tensor
    coefficients: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]


class BandSplit(Separable, registration.Shareable):
    """A separator of bands that hear each other, on an overlap-added sliCQT or an STFT.

    The coefficients of the mix, relative to its level, are split into bands; each band becomes a
    vector per network step. Layers mix the vectors along time and along bands in turn. A head for
    each source and band makes masks for the coefficients, and one pass of the synthesis makes
    waveforms of them. A mix that is louder by some factor gives sources that are, too.

    Args:
        sources: names of the sources, in the order of the output.
        n_channels: audio channels of the mix.
        sample_rate: in Hz.
        transform: ``slicqt`` or ``stft``.
        transform_arguments: of :class:`asteroid_slicq.SliCQT`, where they differ from its defaults
            with Hann windows of at least 32 DFT bins; or ``n_fft`` and ``hop`` of the STFT, where
            they differ from 93 ms and a network step.
        steps_per_s: network steps per second, as near as the transform allows.
        bands_per_octave: how narrow bands are; a band has a number of bins that is a power of two
            times the smallest.
        min_band_hz: the least bandwidth of a band.
        width: features of the vector of a band; a multiple of 32 for attention.
        n_layers: pairs of layers, along time and along bands.
        head_width: features of the head of a source and band.
        time_mixer: layers along time: ``attention`` (rotary) or ``lstm``.
        band_mixer: layers along bands, likewise; or ``none``, and no band hears another.
        attention_reach_s: how far attention along time reaches in a layer, in seconds into past and
            future; None is all of the mix, in a time that grows with its square. It saves time
            from five times as much on.
        complex_input: whether the network sees phases, or magnitudes alone.
        complex_masks: whether masks are complex and unbounded, or real in 0 … 1.
        mixture_consistency: share what the masks of all sources lack to one out among them, so that
            the coefficients of the sources sum to the mix.
        band_dropout: probability in training that a band of an example is not heard.
        layer_dropout: probability in training that an example passes by a layer.
        causal: see no later network step, and measure the level of the mix from its start up to
            each step; of LSTMs along time on the sliCQT alone.
            :class:`asteroid_slicq.models.bandsplit.BandSplitStream` runs such a model on a stream.

    Attributes:
        transform: the :class:`asteroid_slicq.SliCQT` or the STFT.
        bands: which bins are a band, see :class:`asteroid_slicq.models.bandsplit.Bands`.

    Shape:
        - mix: ``(batch, channel, time)``; ``(channel, time)`` and, of one channel, ``(time,)`` too
        - output: ``(batch, source, channel, time)``, without ``batch`` where the mix had none

    Raises:
        TypeError: when a size is no integer, a flag no flag, or another value no number.
        ValueError: when an argument lies outside its range.

    Example:
        >>> model = BandSplit.from_preset("bandsplit-small").eval()
        >>> model.sources
        ['vocals', 'drums', 'bass', 'other']
        >>> model.bands.n_bands
        36
        >>> model(torch.zeros(1, 2, 4410)).shape
        torch.Size([1, 4, 2, 4410])
    """

    def __init__(
        self,
        sources: Sequence[str] = STEMS,
        n_channels: int = 2,
        sample_rate: float = 44100,
        transform: str = "slicqt",
        transform_arguments: dict[str, Any] | None = None,
        steps_per_s: float = 78.0,
        bands_per_octave: float = 5.0,
        min_band_hz: float = 33.0,
        width: int = 128,
        n_layers: int = 5,
        head_width: int = 24,
        time_mixer: str = "attention",
        band_mixer: str = "attention",
        complex_input: bool = True,
        complex_masks: bool = True,
        mixture_consistency: bool = False,
        band_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        causal: bool = False,
        attention_reach_s: float | None = None,
    ) -> None:
        args = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        check_arguments(args)
        args["sources"] = check_sources(sources)
        args["transform_arguments"] = dict(transform_arguments or {})
        super().__init__(sample_rate=sample_rate, in_channels=n_channels)
        self._args = registration.plain_types(args)
        self.sources, self.n_channels = list(args["sources"]), n_channels
        self.mixture_consistency, self.causal = mixture_consistency, causal
        self.transform = make_transform(
            transform, sample_rate, steps_per_s, args["transform_arguments"]
        )
        self.bands = bands_of(self.transform, bands_per_octave, min_band_hz, steps_per_s)
        reach = None
        if attention_reach_s is not None:
            steps = attention_reach_s * sample_rate / self.bands.step_samples
            reach = max(1, round(steps))
        self._reach = reach
        self.network = BandNetwork(
            self.bands,
            len(self.sources),
            n_channels,
            width,
            n_layers,
            head_width,
            time_mixer,
            band_mixer,
            complex_input,
            complex_masks,
            band_dropout,
            layer_dropout,
            causal,
            reach,
        )

    @classmethod
    def from_preset(cls, name: str, **overrides: Any) -> BandSplit:
        """A model with random weights in a recommended configuration.

        Args:
            name: ``bandsplit`` (3.5 M parameters), ``bandsplit-small`` (1.1 M),
                ``bandsplit-large`` (11.7 M) or the causal ``bandsplit-realtime`` (2.2 M).
            **overrides: arguments of the class that replace the preset's.

        Raises:
            ValueError: for an unknown name.
        """
        check_choice("name", name, list(PRESETS))
        return cls(**{**PRESETS[name], **overrides})

    @classmethod
    def per_target(
        cls,
        transforms: Mapping[str, Mapping[str, Any]],
        preset: str = "bandsplit",
        **arguments: Any,
    ) -> PerTarget:
        """A model with a transform and a network for each source, instead of shared ones.

        Args:
            transforms: ``transform_arguments`` by the name of the source; a source without has
                those of the argument.
            preset: see :meth:`from_preset`.
            **arguments: of this class that replace the preset's; ``mixture_consistency`` acts on
                waveforms. ``wiener_iterations`` and ``wiener_share``, see
                :class:`asteroid_slicq.models.PerTarget`.

        Raises:
            ValueError: for an unknown preset or source.
        """
        check_choice("preset", preset, list(PRESETS))
        arguments = {**PRESETS[preset], **arguments}
        return with_frames("BandSplit", transforms, "transform_arguments", STEMS, arguments)

    def forward(self, mix: Tensor) -> Tensor:
        """Separate a mix, see the class for the shapes."""
        return from_batch(self.estimate(mix).waveforms, mix.ndim)

    def estimate(self, mix: Tensor) -> BandSplitEstimate:
        """Waveforms, coefficients and masks of all sources.

        Shape:
            - mix: as for ``forward``; missing dimensions are added
        """
        mix = mix_to_batch(mix, self.n_channels)
        with _all_bits(mix):
            blocks = self.transform(mix)
        return self.estimate_from_coefficients(blocks, mix.shape[-1])

    def estimate_from_coefficients(self, mix: Sequence[Tensor], length: int) -> BandSplitEstimate:
        """The same, when the coefficients of the mix are at hand.

        Args:
            mix: coefficients of the mix, one tensor a block.
            length: number of samples of the waveforms.

        Shape:
            - mix: ``(batch, channel, freq, time)`` each, complex
        """
        coefficients, masks = self.masked(mix)
        with _all_bits(mix[0]):
            return BandSplitEstimate(self.synthesise(coefficients, length), coefficients, masks)

    def masked_coefficients(self, mix: Tensor) -> MaskedCoefficients:
        """Coefficients of all sources and those of the mix, for other phases than the masks give.

        Shape:
            - mix: as for ``forward``; missing dimensions are added
        """
        mix = mix_to_batch(mix, self.n_channels)
        with _all_bits(mix):
            blocks = self.transform(mix)
        return MaskedCoefficients(self.masked(blocks)[0], blocks, self.transform)

    def masked(
        self, mix: Sequence[Tensor], state: StreamState | None = None
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Coefficients and masks of all sources.

        Args:
            mix: coefficients of the mix, one tensor a block.
            state: of a stream of a causal model, to go on from and to be updated.

        Shape:
            - mix: ``(batch, channel, freq, time)`` each, complex
        """
        with _all_bits(mix[0]):
            relative = self._relative(mix, state)
        masks = self.network(relative, state)
        with _all_bits(mix[0]):
            masks = tuple(map(self._finished, masks, mix))
            return tuple(m * c.unsqueeze(1) for m, c in zip(masks, mix, strict=True)), masks

    def synthesise(self, coefficients: Sequence[Tensor], length: int) -> Tensor:
        """Waveforms of coefficients by one pass, linear in the coefficients.

        Shape:
            - coefficients: ``(…, freq, time)`` each, complex; output: ``(…, length)``
        """
        if isinstance(self.transform, STFT):
            return self.transform.inverse(coefficients, length)
        return self.transform.synthesis(coefficients, length)

    @torch.no_grad()
    def scale_input(self, mixes: Iterable[Tensor]) -> None:
        """Scale the input of the network by the statistics of mixes.

        Args:
            mixes: batches; all samples count alike where all have the same length.

        Shape:
            - mixes: ``(batch, channel, time)`` each

        Raises:
            ValueError: when there are none.
        """
        batches = (mix_to_batch(mix, self.n_channels) for mix in mixes)
        statistics = average(self, batches)
        self.own_network.set_input_statistics(statistics.mean, statistics.std)

    def network_input(self, mix: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Magnitudes as the network sees them before it shifts and scales them.

        Args:
            mix: coefficients of the mix, one tensor a block.

        Shape:
            - mix: ``(batch, channel, freq, time)`` each, complex
            - output: the same, real
        """
        return tuple(map(self.own_network.compressed, self._relative(mix)))

    @property
    def own_network(self) -> BandNetwork:
        """The network, where it is in PyTorch.

        Raises:
            TypeError: when it is not, as that of an exported model.
        """
        if not isinstance(self.network, BandNetwork):
            raise TypeError(
                f"model must have its network in PyTorch, got {type(self.network).__name__}"
            )
        return self.network

    @property
    def input_arguments(self) -> dict[str, Any]:
        """Arguments that :meth:`network_input` depends on."""
        names = ("transform", "transform_arguments", "sample_rate", "n_channels", "causal")
        return {"bandsplit": {name: self._args[name] for name in (*names, "steps_per_s")}}

    @property
    def latency_s(self) -> float:
        """Algorithmic latency in seconds, the reach of an output into the future.

        A sample of the mix changes no output earlier than this before it, 5/4 of a slice and half a
        transition: coefficients at the end of a slice wait for the next slice, whose window ends at
        3/4 and half a transition, and the output begins with the slice. For the default frame that
        is 563 ms; infinite for a model that is not causal. Time to compute comes on top.
        """
        if not self.causal:
            return math.inf
        frame = self.slicqt.frame
        reach = frame.slice_hop + frame.reach_samples - 1
        return reach / float(self._args["sample_rate"])

    @property
    def reach_s(self) -> float:
        """How far around a sample the network looks, in seconds; infinite without a limit.

        The layers along time reach as far as each of them, one after the other; on top comes how
        far a sample and the coefficients lie apart that depend on each other, on the way in and on
        the way out. The level of the mix, by which its
        coefficients are seen, is that of all that the model sees.
        """
        if self._reach is None or self._args["time_mixer"] != "attention":
            return math.inf
        if isinstance(self.transform, STFT):
            reach = self.transform.n_fft
        else:
            reach = 2 * self.transform.frame.reach_samples
        n_steps = self._args["n_layers"] * self._reach + 1  # which hold some coefficients each
        layers = n_steps * self.bands.step_samples
        return (layers + reach) / float(self._args["sample_rate"])

    @property
    def slicqt(self) -> SliCQT:
        """The transform, where it is a sliCQT.

        Raises:
            TypeError: when it is an STFT.
        """
        if not isinstance(self.transform, SliCQT):
            raise TypeError("model must have transform='slicqt', got 'stft'")
        return self.transform

    @property
    def segment_step_samples(self) -> int:
        """Distance of slices or STFT frames: segments of a song start on a multiple of it."""
        if isinstance(self.transform, STFT):
            return self.transform.hop
        return self.transform.frame.slice_hop

    def get_model_args(self) -> dict[str, Any]:
        """Arguments that build this model again, in plain types."""
        return {**self._args, "mixture_consistency": self.mixture_consistency}

    def serialize(self) -> dict[str, Any]:
        """The model as a dictionary of plain types and tensors, for ``torch.save``.

        Raises:
            TypeError: for a model whose network is not in PyTorch.
        """
        _ = self.own_network  # an export has no weights to save
        return super().serialize()

    def _relative(self, mix: Sequence[Tensor], state: StreamState | None = None) -> list[Tensor]:
        """What the network sees: coefficients relative to the level of the mix, in parts."""
        return relative_to_level(mix, self.bands, (state or StreamState()) if self.causal else None)

    def _finished(self, mask: Tensor, mix: Tensor) -> Tensor:
        """Masks of a block from the network's output, complex ones as complex numbers."""
        mask = mask.to(mix.dtype.to_real())
        mask = torch.view_as_complex(mask.contiguous()) if mask.shape[-1] == 2 else mask[..., 0]
        if self.mixture_consistency:
            mask = mask + (1 - mask.sum(1, keepdim=True)) / len(self.sources)
        return mask


def _all_bits(tensor: Tensor) -> torch.autocast:
    """Full precision for transforms, features and synthesis, whatever the network has."""
    return torch.autocast(tensor.device.type, enabled=False)


registration.register_model(BandSplit)
