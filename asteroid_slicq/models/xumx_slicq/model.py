"""xumx-sliCQ: music demixing by a small network on every block of a sliCQT.

Source: Hanssian, "Music demixing with the sliCQ transform" (arXiv:2112.05509), and its second
version.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from asteroid_slicq import registration
from asteroid_slicq.models.input_statistics import average
from asteroid_slicq.models.per_target import PerTarget, with_frames
from asteroid_slicq.models.song_postfilter import STFTStatistics
from asteroid_slicq.models.xumx_slicq.arguments import sliced_arguments, two_numbers
from asteroid_slicq.models.xumx_slicq.flat import joined, separated
from asteroid_slicq.models.xumx_slicq.networks import BlockNetworks, MaskBackend, make_networks
from asteroid_slicq.models.xumx_slicq.song import SliCQTStatistics
from asteroid_slicq.models.xumx_slicq.v1 import time_kernel
from asteroid_slicq.models.xumx_slicq.v2 import LOOKAHEAD_SLICES, fixed_weights
from asteroid_slicq.separation import (
    MaskedCoefficients,
    Separable,
    check_sources,
    from_batch,
    mix_to_batch,
)
from asteroid_slicq.transform import (
    SliCQT,
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_range,
)
from asteroid_slicq.wiener import (
    apply_mix_phase,
    check_share,
    filter_all_masked,
    filter_masked,
    in_part,
    wiener_on_stft,
)

DEFAULT_SOURCES = ("bass", "vocals", "other", "drums")
_V1 = {"bandwidth_hz": 16000.0, "wiener": "stft"}

PRESETS: dict[str, dict[str, Any]] = {
    "v2": {},
    "v2-realtime": {"causal": True, "wiener_iterations": 0},
    "v2-lstm": {"network": "v2-lstm"},
    "v1": {"network": "v1", **_V1},
    "v1-lstm": {"network": "v1-lstm", **_V1},
    "large": {"hidden_channels": (38, 44)},
    "medium": {"hidden_channels": (20, 28)},
    "small": {"hidden_channels": (8, 16)},
}
"""Arguments of :class:`XUMXSliCQ` that differ from its defaults, by name."""


class Estimate(NamedTuple):
    """Coefficients and masks for a loss: one tensor a block, low frequencies first.

    Shape:
        - coefficients: ``(batch, source, channel, freq, slice, time)``, complex
        - masks: the same, real, in 0 … 1
    """

    coefficients: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]


class XUMXSliCQ(Separable, registration.Shareable):
    """xumx-sliCQ, version 1 or 2, offline or realtime.

    The magnitudes of the mix in each block of the sliCQT go through a small network of their own,
    which gives one mask for each source. The masked magnitudes get the phase of the mix and are
    transformed back. Wiener-EM refines the coefficients before, or the STFT of the waveforms after.

    Args:
        sources: names of the sources, in the order of the output.
        n_channels: audio channels of the mix.
        hidden_channels: channels of the outer and the inner layers of a network, for each source;
            None is what was published.
        causal: pad the first convolution on the left (realtime; network ``v2`` alone); the masks
            then look ahead by at most 1.5 slices, see
            :class:`asteroid_slicq.models.xumx_slicq.BlockNetwork`.
        wiener_iterations: EM iterations; 0 leaves the phase of the mix.
        wiener_share: how much of its result counts, above 0 and up to 1, the rest being that with
            the phase of the mix; 1 where blocks pass through. Half of each is safer on songs unlike
            those of the training.
        sample_rate: in Hz.
        transform: arguments of :class:`asteroid_slicq.SliCQT`, where they differ from its defaults,
            of one of its sliced layouts.
        network: ``v1``: dilated convolutions over overlap-added magnitudes; ``v2``: convolutions
            that hop by half a slice; ``v1-lstm``, ``v2-lstm``: recurrent networks that see the
            same, see :class:`asteroid_slicq.models.xumx_slicq.lstm.RecurrentBlockNetwork`.
        bandwidth_hz: blocks whose lowest bin lies above pass through: every source gets all of the
            mix there, which Wiener-EM then shares out evenly. None: there are none such.
        wiener: where Wiener-EM runs: ``slicqt``: on each block of coefficients; ``stft``: on the
            STFT (4096/1024) of the waveforms; None: nowhere, as for 0 iterations.
        input_level_db: level of the songs that it was trained on, to which :meth:`separate` brings
            a whole song, and brings its stems back: the root mean square of all samples and
            channels, in dB relative to full scale. None: songs are separated as they are, as
            mixes are by calling the model.
        backend: what computes the masks; None: a network in PyTorch for each block, with random
            weights.

    Attributes:
        transform: the :class:`asteroid_slicq.SliCQT`.
        blocks: the backend.
        at_once: whether all blocks run at once, as few operations; None: where that is faster, on
            a GPU.

    Shape:
        - mix: ``(batch, channel, time)``; ``(channel, time)`` and, of one channel, ``(time,)`` too
        - output: ``(batch, source, channel, time)``, without ``batch`` where the mix had none

    Raises:
        TypeError: when an argument is of a wrong type.
        ValueError: when one lies outside its range.

    Example:
        >>> model = XUMXSliCQ.from_preset("small").eval()
        >>> model.sources
        ['bass', 'vocals', 'other', 'drums']
        >>> model(torch.zeros(1, 2, 44100)).shape
        torch.Size([1, 4, 2, 44100])
    """

    at_once: bool | None = None

    def __init__(
        self,
        sources: Sequence[str] = DEFAULT_SOURCES,
        n_channels: int = 2,
        hidden_channels: Sequence[int] | None = None,
        causal: bool = False,
        wiener_iterations: int = 1,
        sample_rate: float = 44100,
        transform: dict[str, Any] | None = None,
        network: str = "v2",
        bandwidth_hz: float | None = None,
        wiener: str | None = "slicqt",
        input_level_db: float | None = None,
        wiener_share: float = 1.0,
        *,
        backend: MaskBackend | None = None,
    ) -> None:
        sample_rate = check_number("sample_rate", sample_rate)
        n_channels = check_integer("n_channels", n_channels, 1)
        super().__init__(sample_rate=sample_rate, in_channels=n_channels)
        self.sources = check_sources(sources)
        arguments = sliced_arguments(transform)
        if hidden_channels is not None:
            hidden_channels = two_numbers(hidden_channels)
        causal = check_flag("causal", causal)
        if wiener not in ("slicqt", "stft", None):
            raise ValueError(f"wiener must be slicqt, stft or None, got {wiener!r}")
        if input_level_db is not None:
            check_range("input_level_db", input_level_db, -100, 0, "dB")
            input_level_db = float(input_level_db)
        self.n_channels = n_channels
        self.input_level_db = input_level_db
        self.wiener_iterations = check_integer("wiener_iterations", wiener_iterations, 0)
        self.wiener = wiener
        self.wiener_share = check_share(wiener_share, bandwidth_hz is not None)
        self.transform = SliCQT(**arguments, sample_rate=sample_rate)
        if "scale" in arguments:  # in plain types, whatever it was given as
            arguments["scale"] = self.transform.config["scale"]
        self.blocks = backend or make_networks(
            self.transform.frame,
            network,
            len(self.sources),
            n_channels,
            hidden_channels,
            causal,
            bandwidth_hz,
        )
        self._args = {
            "sources": list(self.sources),
            "n_channels": n_channels,
            "hidden_channels": hidden_channels,
            "causal": causal,
            "wiener_iterations": self.wiener_iterations,
            "sample_rate": sample_rate,
            "transform": registration.plain_types(arguments),
            "network": network,
            "bandwidth_hz": registration.plain_types(bandwidth_hz),
            "wiener": wiener,
            "input_level_db": input_level_db,
        }

    @classmethod
    def from_preset(cls, name: str, **overrides: Any) -> XUMXSliCQ:
        """A model with random weights in a published or recommended configuration.

        Args:
            name: ``v1`` (6.7 M parameters), ``v2`` (offline, 15.0 M) or ``v2-realtime``, as they
                were published; ``v1-lstm`` or ``v2-lstm``, for which no weights were; ``large``
                (10.7 M), that of the model that ships, ``medium`` (4.9 M) or ``small`` (1.7 M).
            **overrides: arguments of the class that replace the preset's.

        Raises:
            ValueError: for an unknown name.
        """
        check_choice("name", name, list(PRESETS))
        return cls(**{**PRESETS[name], **overrides})

    @classmethod
    def per_target(
        cls, transforms: Mapping[str, Mapping[str, Any]], preset: str = "v2", **arguments: Any
    ) -> PerTarget:
        """A model with a sliCQT for each source, instead of one that all share.

        Wiener-EM then runs on the STFT, as often as it would on the sliCQT, and losses compare
        waveforms or their STFTs.

        Args:
            transforms: arguments of the transform of a source, by its name; a source without has
                those of the argument ``transform``.
            preset: see :meth:`from_preset`.
            **arguments: of this class that replace the preset's, and ``mixture_consistency``, see
                :class:`asteroid_slicq.models.PerTarget`.

        Raises:
            ValueError: for an unknown preset or source, or ``wiener="slicqt"``.
        """
        check_choice("preset", preset, list(PRESETS))
        arguments = {"wiener_iterations": 1, **PRESETS[preset], **arguments}
        return with_frames("XUMXSliCQ", transforms, "transform", DEFAULT_SOURCES, arguments)

    def forward(self, mix: Tensor) -> Tensor:
        """Separate a mix, see the class for the shapes."""
        batch = mix_to_batch(mix, self.n_channels)
        waveforms = self.waveforms(batch)
        if self.wiener == "stft":
            refined = wiener_on_stft(waveforms, batch, self.wiener_iterations)
            waveforms = in_part(refined, waveforms, self.wiener_share)
        return from_batch(waveforms, mix.ndim)

    def waveforms(self, mix: Tensor) -> Tensor:
        """Waveforms of all sources, before Wiener-EM where that runs on the STFT.

        Shape:
            - mix: ``(batch, channel, time)``; output: ``(batch, source, channel, time)``
        """
        coefficients = [c for c, _ in self._estimate_blocks(self.transform(mix))]
        return self.transform.inverse(coefficients, length=mix.shape[-1])

    def estimate(self, mix: Tensor) -> Estimate:
        """Coefficients and masks of all sources, before Wiener-EM where that runs on the STFT.

        Shape:
            - mix: as for ``forward``; missing dimensions are added
        """
        return self.estimate_from_coefficients(self.transform(mix_to_batch(mix, self.n_channels)))

    def estimate_from_coefficients(self, mix: Sequence[Tensor]) -> Estimate:
        """The same, when the coefficients of the mix are at hand.

        Shape:
            - mix: ``(batch, channel, freq, slice, time)``, complex, one tensor a block
        """
        coefficients, masks = zip(*self._estimate_blocks(mix), strict=True)
        return Estimate(coefficients, masks)

    def masked_coefficients(self, mix: Tensor) -> MaskedCoefficients:
        """Coefficients of all sources before Wiener-EM, for other phases than those of the mix.

        Shape:
            - mix: as for ``forward``; missing dimensions are added
        """
        blocks = self.transform(mix_to_batch(mix, self.n_channels))
        masks = self.blocks.masks(block.abs() for block in blocks)
        sources = [apply_mix_phase(m, x) for m, x in zip(masks, blocks, strict=True)]
        return MaskedCoefficients(sources, blocks, self.transform)

    def _estimate_blocks(self, mix: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Coefficients and masks of all sources, one block of the mix after the other."""
        iterations = self.wiener_iterations if self.wiener == "slicqt" else 0
        if self.runs_at_once(mix[0]):
            sizes = self.transform.frame.blocks
            flat, masks = self.masks_at_once(mix)
            refined = filter_all_masked(masks, flat, sizes, iterations)
            refined = self.in_shares(refined, masks, flat) if iterations else refined
            yield from zip(separated(refined, sizes), separated(masks, sizes), strict=True)
            return
        masks = self.blocks.masks(block.abs() for block in mix)
        for mask, block in zip(masks, mix, strict=True):
            refined = filter_masked(mask, block, iterations)
            yield self.in_shares(refined, mask, block) if iterations else refined, mask

    def in_shares(self, refined: Tensor, masks: Tensor, mix: Tensor) -> Tensor:
        """Coefficients that Wiener-EM has refined, and those with the phase of the mix, in parts.

        Shape:
            - refined, output: ``(batch, source, channel, …)``, complex; masks: the same, real
            - mix: the same without source
        """
        if self.wiener_share == 1:
            return refined
        return in_part(refined, apply_mix_phase(masks, mix), self.wiener_share)

    def masks_at_once(self, mix: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Coefficients of a mix, and masks, all blocks on a flat axis.

        Shape:
            - mix: ``(batch, channel, freq, slice, time)``, complex, one tensor a block
            - output: ``(batch, channel, place)`` and ``(batch, source, channel, place)``
        """
        flat = joined(mix)
        return flat, self.networks.masks_at_once(flat.abs(), self.transform.frame.blocks)

    def runs_at_once(self, x: Tensor) -> bool:
        """Whether all blocks run at once: where starting an operation takes longer than most do."""
        if not isinstance(self.blocks, BlockNetworks) or torch.compiler.is_compiling():
            return False
        return x.device.type == "cuda" if self.at_once is None else self.at_once

    def masks(self, magnitudes: Iterable[Tensor]) -> tuple[Tensor, ...]:
        """Masks of all sources for the magnitudes of a mix.

        Shape:
            - magnitudes: ``(batch, channel, freq, slice, time)``, real, one tensor a block
            - output: ``(batch, source, channel, freq, slice, time)`` each
        """
        return tuple(self.blocks.masks(magnitudes))

    @property
    def networks(self) -> BlockNetworks:
        """The networks of the blocks.

        Raises:
            TypeError: when they are not in PyTorch, as those of an exported model.
        """
        if not isinstance(self.blocks, BlockNetworks):
            raise TypeError(
                f"model must have its networks in PyTorch, got {type(self.blocks).__name__}"
            )
        return self.blocks

    def network_input(self, mix: Iterable[Tensor]) -> tuple[Tensor, ...]:
        """Magnitudes as the networks see them, for :meth:`set_input_statistics`.

        Args:
            mix: coefficients of the mix, one tensor a block.

        Shape:
            - mix: ``(batch, channel, freq, slice, time)``, complex
            - output: the same, real; ``(batch, channel, freq, time)`` where a network overlap-adds
        """
        return self.networks.seen(block.abs() for block in mix)

    @property
    def input_arguments(self) -> dict[str, Any]:
        """Arguments that :meth:`network_input` depends on: the transform and what is seen of it."""
        seen = ("network", "bandwidth_hz", "n_channels")
        return {
            "transform": self.transform.config,
            "network": {name: self._args[name] for name in seen},
        }

    def set_input_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Start the trainable shift and scale of each bin from the statistics of a data set.

        Args:
            mean: mean magnitude of the mix in each bin, of :meth:`network_input`.
            std: its standard deviation; bins of less than 0.01 % of the largest are left alone.

        Shape:
            - mean, std: ``(n_bins,)``, low frequencies first

        Raises:
            ValueError: for the wrong number of bins, or what is not finite.
        """
        self.networks.set_input_statistics(mean, std, self.transform.frame.bins_per_block)

    def scale_input(self, mixes: Iterable[Tensor]) -> None:
        """Start the shift and scale of each bin from mixes, see :meth:`set_input_statistics`.

        Args:
            mixes: batches; all samples count alike where all have the same length.

        Shape:
            - mixes: ``(batch, channel, time)`` each

        Raises:
            ValueError: when there are none, or their statistics are not finite.
        """
        statistics = average(self, (mix_to_batch(mix, self.n_channels) for mix in mixes))
        self.set_input_statistics(statistics.mean, statistics.std)

    @property
    def latency_s(self) -> float:
        """Algorithmic latency in seconds, the reach of an output into the future.

        A sample of the mix changes no output earlier than this before it, 7/4 of a slice and half
        a transition: the masks of a slice wait for the slice after the next, whose window ends at
        3/4 and half a transition, and a slice of its own lies in between. For the default frame
        that is 768 ms. Infinite for a model that is not causal, as are all with Wiener-EM, whose
        covariances are sums over all of the song. Time to compute comes on top.
        """
        filters = self.wiener is not None and self.wiener_iterations > 0
        if filters or not self._args["causal"]:
            return math.inf
        frame = self.transform.frame
        samples = LOOKAHEAD_SLICES * frame.slice_hop + frame.reach_samples - 1
        return samples / float(self._args["sample_rate"])

    @property
    def reach_s(self) -> float:
        """How far around a sample the networks look, in seconds; infinite for recurrent ones.

        The covariances of Wiener-EM, sums over all that the model sees, come on top.
        """
        frame, network = self.transform.frame, self._args["network"]
        if network.endswith("lstm"):
            return math.inf
        # All of the first kernel of a causal network lies in the past.
        n_slices = float(LOOKAHEAD_SLICES + self._args["causal"])
        if network == "v1":  # four kernels of every other step, on either side
            n_slices = 1 + max(8 * (time_kernel(m) - 1) / m for _, m in frame.blocks)
        return (n_slices * frame.slice_hop + frame.reach_samples) / float(self._args["sample_rate"])

    @property
    def segment_step_samples(self) -> int:
        """Distance of the slices: segments of a long file start on a multiple of it."""
        return self.transform.frame.slice_hop

    def song_statistics(self) -> SliCQTStatistics | STFTStatistics | None:
        """What is measured over a whole song that comes in segments, for `Separator`.

        These are the covariances of one iteration of Wiener-EM in stereo; ``None`` where the model
        makes more or none.
        """
        if self.wiener is None or self.wiener_iterations != 1 or self.n_channels != 2:
            return None
        if self.wiener == "stft":
            return STFTStatistics()
        return SliCQTStatistics(self.transform.frame.blocks)

    def fixed_weights(self) -> AbstractContextManager[None]:
        """A context in which the weights do not change: they are laid out for inference once.

        :meth:`separate` makes use of it. For calls of the model itself, where they are many, in
        evaluation mode and in this thread; the model is not changed:

        >>> model = XUMXSliCQ.from_preset("small").eval()
        >>> with torch.no_grad(), model.fixed_weights():
        ...     sources = [model(torch.zeros(1, 2, 4410)) for _ in range(2)]
        """
        return fixed_weights(self)

    def get_model_args(self) -> dict[str, Any]:
        """Arguments that build this model again, in plain types."""
        may_change = ["wiener", "wiener_iterations", "input_level_db"]
        if self.wiener_share != 1:  # files without it stay what they were
            may_change.append("wiener_share")
        return {**self._args, **{name: getattr(self, name) for name in may_change}}

    def serialize(self) -> dict[str, Any]:
        """The model as a dictionary of plain types and tensors, for ``torch.save``.

        Raises:
            TypeError: for a model whose networks are not in PyTorch.
        """
        _ = self.networks  # an export has no weights to save
        return super().serialize()


registration.register_model(XUMXSliCQ)
