"""xumx-sliCQ V2: music demixing by a convolutional network on every block of a sliCQT.

Source: Hanssian, "Music demixing with the sliCQ transform" (arXiv:2112.05509), second version.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple, cast

import torch
from asteroid.models import BaseModel
from einops import rearrange
from torch import Tensor, nn

from asteroid_slicq import host
from asteroid_slicq.networks import BlockNetwork
from asteroid_slicq.transform import SliCQT
from asteroid_slicq.wiener import apply_mix_phase, wiener_em

PRESETS: dict[str, dict[str, Any]] = {
    "v2": {},
    "v2-realtime": {"causal": True, "wiener_iterations": 0},
    "small": {"hidden_channels": (8, 16)},
}
"""Arguments of :class:`XUMXSliCQ` that differ from its defaults, by name."""


class Estimate(NamedTuple):
    """What a loss needs: one tensor a block, low frequencies first.

    Shape:
        - coefficients: ``(batch, source, channel, freq, slice, time)``, complex
        - masks: the same, real, in 0 … 1
    """

    coefficients: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]


class XUMXSliCQ(BaseModel):
    """xumx-sliCQ V2, offline or realtime.

    The magnitudes of the mix in each block of the sliCQT go through a small network of their own,
    which gives one mask for each source. The masked magnitudes get the phase of the mix, are
    refined by Wiener-EM (offline) and transformed back.

    Args:
        sources: names of the sources, in the order of the output.
        n_channels: audio channels of the mix.
        hidden_channels: channels of the outer and the inner convolutions, for each source.
        causal: pad the first convolution on the left (realtime); the masks then look ahead by at
            most 1.5 slices, see :class:`asteroid_slicq.networks.BlockNetwork`.
        wiener_iterations: EM iterations on the coefficients; 0 leaves the phase of the mix.
        sample_rate: in Hz.
        transform: arguments of :class:`asteroid_slicq.SliCQT`, where they differ from its defaults.

    Shape:
        - mix: ``(batch, channel, time)``; ``(channel, time)`` and, of one channel, ``(time,)`` too
        - output: ``(batch, source, channel, time)``, without ``batch`` where the mix had none

    Raises:
        ValueError: when an argument lies outside its range.

    Example:
        >>> model = XUMXSliCQ.from_preset("small").eval()
        >>> model.sources
        ['bass', 'vocals', 'other', 'drums']
        >>> model(torch.zeros(1, 2, 44100)).shape
        torch.Size([1, 4, 2, 44100])
    """

    def __init__(
        self,
        sources: Sequence[str] = ("bass", "vocals", "other", "drums"),
        n_channels: int = 2,
        hidden_channels: Sequence[int] = (50, 51),
        causal: bool = False,
        wiener_iterations: int = 1,
        sample_rate: float = 44100,
        transform: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(sample_rate=sample_rate, in_channels=n_channels)
        if isinstance(sources, str) or not sources or len(set(sources)) != len(sources):
            raise ValueError(f"sources must be distinct names, at least one, got {sources!r}")
        if n_channels < 1:
            raise ValueError(f"n_channels must be at least 1, got {n_channels}")
        if not isinstance(hidden_channels, Sequence) or len(hidden_channels) != 2:
            raise ValueError(f"hidden_channels must be two numbers, got {hidden_channels!r}")
        outer, inner = hidden_channels
        if min(outer, inner) < 1:
            raise ValueError(f"hidden_channels must be at least 1, got {tuple(hidden_channels)}")
        if "sample_rate" in (transform or {}):
            raise ValueError("transform must not hold sample_rate: the model's own is its")
        if wiener_iterations < 0:
            raise ValueError(f"wiener_iterations must be at least 0, got {wiener_iterations}")
        self.sources = list(sources)
        self.n_channels = n_channels
        self.wiener_iterations = wiener_iterations
        self.transform = SliCQT(**{**(transform or {}), "sample_rate": sample_rate})
        self.blocks = nn.ModuleList(
            BlockNetwork(
                n_bins, n_coefficients, len(self.sources), n_channels, (outer, inner), causal
            )
            for n_bins, n_coefficients in self.transform.frame.blocks
        )
        self._args = {
            "sources": list(sources),
            "n_channels": n_channels,
            "hidden_channels": [outer, inner],
            "causal": causal,
            "wiener_iterations": wiener_iterations,
            "sample_rate": sample_rate,
            "transform": dict(transform or {}),
        }

    @classmethod
    def from_preset(cls, name: str, **overrides: Any) -> XUMXSliCQ:
        """A model with random weights in a published or recommended configuration.

        Args:
            name: ``v2`` (offline, 15.0 M parameters), ``v2-realtime``, or ``small``.
            **overrides: arguments of the class that replace the preset's.

        Raises:
            ValueError: for an unknown name.
        """
        if name not in PRESETS:
            raise ValueError(f"name must be one of {', '.join(PRESETS)}, got {name!r}")
        return cls(**{**PRESETS[name], **overrides})

    def forward(self, mix: Tensor) -> Tensor:
        """Separate a mix, see the class for the shapes."""
        shape = mix.shape
        estimate = self.estimate(mix)
        waveforms = self.transform.inverse(estimate.coefficients, length=shape[-1])
        if mix.ndim == 1:
            return waveforms[0, :, 0]
        return waveforms[0] if mix.ndim == 2 else waveforms

    def estimate(self, mix: Tensor) -> Estimate:
        """Coefficients and masks of all sources.

        Shape:
            - mix: as for ``forward``; missing dimensions are added
        """
        return self.estimate_from_coefficients(self.transform(self._to_batch(mix)))

    def estimate_from_coefficients(self, mix: Sequence[Tensor]) -> Estimate:
        """The same, when the coefficients of the mix are at hand.

        Shape:
            - mix: ``(batch, channel, freq, slice, time)``, complex, one tensor a block
        """
        masks = tuple(network(block.abs()) for network, block in zip(self.blocks, mix, strict=True))
        coefficients = tuple(
            self._refine(apply_mix_phase(mask, block), block)
            for mask, block in zip(masks, mix, strict=True)
        )
        return Estimate(coefficients, masks)

    def set_input_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Start the trainable shift and scale of each bin from the statistics of a data set.

        Args:
            mean: mean magnitude of the mix in each bin.
            std: its standard deviation; bins of less than 0.01 % of the largest are left alone.

        Shape:
            - mean, std: ``(n_bins,)``, low frequencies first

        Raises:
            ValueError: for the wrong number of bins.
        """
        n_bins = self.transform.frame.n_bins
        if mean.shape != (n_bins,) or std.shape != (n_bins,):
            raise ValueError(
                f"mean and std must have shape ({n_bins},), got {tuple(mean.shape)} and "
                f"{tuple(std.shape)}"
            )
        std = std.clamp(min=max(1e-4 * float(std.max()), 1e-8))
        sizes = list(self.transform.frame.bins_per_block)
        with torch.no_grad():
            for block, m, s in zip(self.blocks, mean.split(sizes), std.split(sizes), strict=True):
                network = cast(BlockNetwork, block)
                network.shift.copy_(-m)
                network.scale.copy_(1 / s)

    @property
    def segment_step_samples(self) -> int:
        """Distance of the slices: segments of a long file start on a multiple of it."""
        return self.transform.frame.slice_hop

    def separate(self, wav: Any, *args: Any, **kwargs: Any) -> Any:
        """Separate an array, a tensor or a file; see :func:`asteroid_slicq.separator.separate`."""
        from asteroid_slicq import separator

        return separator.separate(self, wav, *args, **kwargs)

    def file_separate(self, filename: str, *args: Any, **kwargs: Any) -> Any:
        """Separate a file; Asteroid's own takes no song in stereo."""
        return self.separate(filename, *args, **kwargs)

    def get_model_args(self) -> dict[str, Any]:
        """Arguments that build this model again, in plain types."""
        return {**self._args, "wiener_iterations": self.wiener_iterations}

    def serialize(self) -> dict[str, Any]:
        """The model as a dictionary of plain types and tensors, for ``torch.save``."""
        return host.plain_serialization(super().serialize())

    def _to_batch(self, mix: Tensor) -> Tensor:
        batch = mix.reshape((1,) * (3 - mix.ndim) + mix.shape) if mix.ndim < 3 else mix
        if batch.ndim != 3 or batch.shape[1] != self.n_channels:
            raise ValueError(
                f"mix must be (batch, {self.n_channels} channels, time), got {tuple(mix.shape)}"
            )
        return batch

    def _refine(self, estimates: Tensor, mix: Tensor) -> Tensor:
        if self.wiener_iterations == 0:
            return estimates
        refined = wiener_em(
            rearrange(estimates, "b j c f s t -> b j c f (s t)"),
            rearrange(mix, "b c f s t -> b c f (s t)"),
            self.wiener_iterations,
        )
        return rearrange(refined, "b j c f (s t) -> b j c f s t", t=mix.shape[-1])


def load_default_model() -> XUMXSliCQ:
    """The small model that ships with the package, ready to separate.

    Its card, ``asteroid_slicq/weights/README.md``, says what it was trained on and how it scores.

    Example:
        >>> load_default_model().sources
        ['bass', 'vocals', 'other', 'drums']
    """
    file = resources.files("asteroid_slicq") / "weights" / "small.pth"
    with resources.as_file(file) as path:
        return XUMXSliCQ.from_pretrained(str(path)).eval()


host.register_model(XUMXSliCQ)
