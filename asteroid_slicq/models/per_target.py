"""A separator whose targets have a transform each: several models of one source, as one.

Source: an idea that Hanssian's "Music demixing with the sliCQT transform" (arXiv:2112.05509) leaves
for later work: the frame that suits a source best differs from source to source.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, NamedTuple, cast

import torch
from asteroid import models
from torch import Tensor, nn

from asteroid_slicq import registration
from asteroid_slicq.models.input_statistics import Scaled, average
from asteroid_slicq.models.song_postfilter import STFTStatistics
from asteroid_slicq.separation import (
    Separable,
    check_sources,
    common_level,
    from_batch,
    mix_to_batch,
)
from asteroid_slicq.transform import STFT, check_choice, check_flag, check_integer, check_number
from asteroid_slicq.wiener import check_share, in_part, wiener_on_stft

FAMILIES = ("XUMXSliCQ", "BandSplit")
"""Models that may have a transform for each target."""

_OURS = ("sources", "n_channels", "sample_rate", "backend")
_TOGETHER = ("wiener_iterations", "wiener_share", "mixture_consistency")


class PerTargetEstimate(NamedTuple):
    """Waveforms, and their coefficients in the common STFT, for a loss.

    Shape:
        - waveforms: ``(batch, source, channel, time)``
        - coefficients: one block, ``(batch, source, channel, freq, time)``, complex
        - masks: none: those of the targets belong to different transforms
    """

    waveforms: Tensor
    coefficients: tuple[Tensor, ...]
    masks: tuple[Tensor, ...] = ()


class Seen(NamedTuple):
    """What the network of a target sees of mixes, for :func:`models.input_statistics`.

    It names all sources, since a mix is their sum.
    """

    sources: list[str]
    transform: Any
    input_arguments: dict[str, Any]
    network_input: Any


class PerTarget(Separable, registration.Shareable):
    """A separator with a transform of its own for each source.

    Every source has a model of one source; they share nothing but the mix. Their blocks do not
    match, so what needs all sources in one domain happens to the waveforms or on an STFT
    (4096/1024): Wiener-EM, mixture consistency, and the coefficients that losses compare.

    Args:
        sources: names of the sources, in the order of the output.
        model: class of the models: ``XUMXSliCQ`` or ``BandSplit``.
        arguments: of every model.
        targets: arguments of the model of a source, by its name, over those: ``{"bass":
            {"transform": {"n_bins": 627}}}`` of an ``XUMXSliCQ``, ``transform_arguments`` of a
            ``BandSplit``.
        n_channels: audio channels of the mix.
        sample_rate: in Hz.
        wiener_iterations: of Wiener-EM on the STFT of the waveforms; 0: none.
        wiener_share: how much of its result counts, see :class:`asteroid_slicq.XUMXSliCQ`.
        mixture_consistency: share what the sources lack to the mix out among them evenly.

    Attributes:
        networks: the models in the order of the sources, by the name of their source; one that
            no module may have, such as ``keys`` or ``a.b``, is its number in brackets.
        transform: the STFT that :meth:`estimate` takes its coefficients from.

    Shape:
        - mix: ``(batch, channel, time)``; ``(channel, time)`` and, of one channel, ``(time,)`` too
        - output: ``(batch, source, channel, time)``, without ``batch`` where the mix had none

    Raises:
        TypeError: when an argument is of a wrong type.
        ValueError: when one lies outside its range, or needs all sources in one transform.

    Example:
        >>> from asteroid_slicq import XUMXSliCQ
        >>> frames = {"vocals": {"n_bins": 120}, "drums": {"n_bins": 60}}
        >>> model = XUMXSliCQ.per_target(frames, sources=["vocals", "drums"])
        >>> [network.transform.frame.n_bins for network in model.networks.values()]
        [121, 61]
        >>> model.eval()(torch.zeros(1, 2, 4410)).shape
        torch.Size([1, 2, 2, 4410])
    """

    def __init__(
        self,
        sources: Sequence[str],
        model: str = "XUMXSliCQ",
        arguments: Mapping[str, Any] | None = None,
        targets: Mapping[str, Mapping[str, Any]] | None = None,
        n_channels: int = 2,
        sample_rate: float = 44100,
        wiener_iterations: int = 0,
        mixture_consistency: bool = False,
        wiener_share: float = 1.0,
    ) -> None:
        sample_rate = check_number("sample_rate", sample_rate)
        n_channels = check_integer("n_channels", n_channels, 1)
        super().__init__(sample_rate=sample_rate, in_channels=n_channels)
        self.sources, self.n_channels = check_sources(sources), n_channels
        check_choice("model", model, FAMILIES)
        self.wiener_iterations = check_integer("wiener_iterations", wiener_iterations, 0)
        self.wiener_share = check_share(wiener_share)
        self.mixture_consistency = check_flag("mixture_consistency", mixture_consistency)
        common = _checked("arguments", arguments or {}, model)
        own = {
            name: _checked(f"targets[{name!r}]", a, model) for name, a in (targets or {}).items()
        }
        if unknown := [name for name in own if name not in self.sources]:
            raise ValueError(
                f"targets must be of the sources {', '.join(self.sources)}, got {unknown[0]!r}"
            )
        alone: dict[str, Any] = {"n_channels": n_channels, "sample_rate": sample_rate}
        if model == "XUMXSliCQ":  # of one source: where all are known, Wiener-EM is ours
            alone |= {"wiener_iterations": 0, "wiener": None, "wiener_share": 1.0}
        family = models.get(model)
        self.networks = nn.ModuleDict(
            {
                key: family(**{**common, **own.get(name, {}), **alone, "sources": [name]})
                for key, name in zip(_keys(self.sources), self.sources, strict=True)
            }
        )
        self.transform = STFT(4096, 1024, sample_rate)
        self._args = {
            "sources": list(self.sources),
            "model": model,
            "arguments": registration.plain_types(common),
            "targets": {
                name: self._arguments_of(network)
                for name, network in zip(self.sources, self.networks.values(), strict=True)
            },
            "n_channels": n_channels,
            "sample_rate": sample_rate,
        }

    def _arguments_of(self, network: nn.Module) -> dict[str, Any]:
        """All arguments of the model of a source that this one does not set."""
        arguments = cast(Any, network).get_model_args()
        return {k: v for k, v in arguments.items() if k not in (*_OURS, *_TOGETHER, "wiener")}

    def forward(self, mix: Tensor) -> Tensor:
        """Separate a mix, see the class for the shapes."""
        batch = mix_to_batch(mix, self.n_channels)
        waveforms = self.waveforms(batch)
        if self.wiener_iterations:
            refined = wiener_on_stft(waveforms, batch, self.wiener_iterations)
            waveforms = in_part(refined, waveforms, self.wiener_share)
        if self.mixture_consistency:
            lacking = batch - waveforms.sum(1)
            waveforms = waveforms + lacking.unsqueeze(1) / len(self.sources)
        return from_batch(waveforms, mix.ndim)

    def waveforms(self, mix: Tensor) -> Tensor:
        """Waveforms of all sources as their models make them.

        Shape:
            - mix: ``(batch, channel, time)``; output: ``(batch, source, channel, time)``
        """
        return torch.cat([network(mix) for network in self.networks.values()], 1)

    def estimate(self, mix: Tensor) -> PerTargetEstimate:
        """Waveforms of all sources, and their coefficients in the common STFT.

        Shape:
            - mix: as for ``forward``; missing dimensions are added
        """
        waveforms = self(mix_to_batch(mix, self.n_channels))
        with torch.autocast(mix.device.type, enabled=False):
            return PerTargetEstimate(waveforms, self.transform(waveforms))

    def seen(self) -> Iterator[tuple[Any, Seen]]:
        """What each network sees, for :func:`models.input_statistics`, and what is scaled by it.

        The latter has a method ``set_input_statistics`` of means and standard deviations.
        """
        for each in self.networks.values():
            each = cast(Any, each)
            seen = Seen(self.sources, each.transform, each.input_arguments, each.network_input)
            yield getattr(each, "network", each), seen

    @torch.no_grad()
    def scale_input(self, mixes: Iterable[Tensor]) -> None:
        """Scale the input of every model by the statistics of mixes.

        Args:
            mixes: batches; all samples count alike where all have the same length.

        Shape:
            - mixes: ``(batch, channel, time)`` each

        Raises:
            ValueError: when there are none.
        """
        batches = [mix_to_batch(mix, self.n_channels) for mix in mixes]
        for network, seen in self.seen():
            statistics = average(cast(Scaled, seen), batches)
            network.set_input_statistics(statistics.mean, statistics.std)

    @property
    def latency_s(self) -> float:
        """Algorithmic latency in seconds, that of the slowest model; infinite with Wiener-EM."""
        if self.wiener_iterations:
            return math.inf
        return max(cast(Any, network).latency_s for network in self.networks.values())

    @property
    def reach_s(self) -> float:
        """How far around a sample the networks look, in seconds."""
        return max(cast(Any, network).reach_s for network in self.networks.values())

    @property
    def segment_step_samples(self) -> int:
        """Distance of slices or STFT frames where it is the same for all targets, else 1."""
        steps = {cast(Any, network).segment_step_samples for network in self.networks.values()}
        return steps.pop() if len(steps) == 1 else 1

    @property
    def input_level_db(self) -> float | None:
        """The level that all models want songs at; ``None`` where they differ."""
        return common_level(self.networks.values())

    def song_statistics(self) -> STFTStatistics | None:
        """What is measured over a whole song that comes in segments, for `Separator`.

        These are the covariances of one iteration of Wiener-EM in stereo, unless something else
        comes behind it.
        """
        is_served = self.wiener_iterations == 1 and self.n_channels == 2
        return STFTStatistics() if is_served and not self.mixture_consistency else None

    def fixed_weights(self) -> AbstractContextManager[Any]:
        """A context in which the weights do not change, see :class:`XUMXSliCQ`."""
        stack = ExitStack()
        for network in self.networks.values():
            stack.enter_context(getattr(network, "fixed_weights", nullcontext)())
        return stack

    def get_model_args(self) -> dict[str, Any]:
        """Arguments that build this model again, in plain types."""
        together = {name: getattr(self, name) for name in _TOGETHER}
        if self.wiener_share == 1:  # files without it stay what they were
            del together["wiener_share"]
        return {**self._args, **together}


def with_frames(
    model: str,
    transforms: Mapping[str, Mapping[str, Any]],
    argument: str,
    default_sources: Sequence[str],
    arguments: dict[str, Any],
) -> PerTarget:
    """A model of each source in a frame of its own, see :meth:`XUMXSliCQ.per_target`.

    Args:
        model: class of the models.
        transforms: arguments of the transform by source.
        argument: what they are called by the class.
        default_sources: where ``arguments`` name none.
        arguments: of the class and of :class:`PerTarget`; changed.
    """
    if not isinstance(transforms, Mapping):
        raise TypeError(f"transforms must be a dictionary of sources, got {transforms!r}")
    names = ("sources", "n_channels", "sample_rate", *_TOGETHER)
    ours = {name: arguments.pop(name) for name in names if name in arguments}
    if arguments.get("wiener") == "slicqt":
        raise ValueError(
            "wiener must be stft or None: Wiener-EM needs all sources in one transform, and here "
            "each has its own"
        )
    if "wiener" in arguments and arguments.pop("wiener") is None:
        ours["wiener_iterations"] = 0
    targets = {name: {argument: frame} for name, frame in transforms.items()}
    ours.setdefault("sources", default_sources)
    return PerTarget(model=model, arguments=arguments, targets=targets, **ours)


def _keys(sources: Sequence[str]) -> list[str]:
    """Names of sources as a ``ModuleDict`` takes them."""
    taken = nn.ModuleDict()
    return [
        f"[{i}]" if hasattr(taken, name) or "." in name or name.startswith("[") else name
        for i, name in enumerate(sources)
    ]


def _checked(name: str, arguments: Any, model: str) -> dict[str, Any]:
    """Arguments of a model of one source, without what concerns all sources."""
    if not isinstance(arguments, Mapping):
        raise TypeError(f"{name} must be a dictionary of arguments, got {arguments!r}")
    for key in arguments:
        if key in _OURS:
            raise ValueError(f"{name} must not hold {key}: it is that of all sources")
        is_neutral = arguments[key] == 1 if key == "wiener_share" else not arguments[key]
        if key in (*_TOGETHER, "wiener") and not is_neutral:
            own = "wiener_iterations" if key == "wiener" else key
            raise ValueError(
                f"{name} must not hold {key}, which needs all sources in one transform: give "
                f"PerTarget its own {own}"
            )
    return {k: v for k, v in arguments.items() if k not in (*_TOGETHER, "wiener")}


registration.register_model(PerTarget)
