"""A realtime separator: the mix in buffers of any size, the sources out as soon as they are known.

The transform, the networks and the inverse each run as streams; none looks at a sample twice. What
comes out is what the model makes of the whole mix, sample by sample, after a fixed latency.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asteroid_slicq.models.xumx_slicq.model import XUMXSliCQ
from asteroid_slicq.models.xumx_slicq.v2 import LOOKAHEAD_SLICES
from asteroid_slicq.separation import choose_sources
from asteroid_slicq.transform import SliCQTInverseStream, SliCQTStream
from asteroid_slicq.wiener import apply_mix_phase


class SeparatorStream:
    """Separation of a mix that comes in buffers.

    What ``push`` and ``flush`` return, joined along time, is ``model.eval()(mix)``, aligned with
    the mix and as long. What is kept is a few slices of coefficients and of each layer, however
    long the stream. Silence, NaN or a click leave no trace beyond the reach of the networks. No
    gradient runs through it.

    Args:
        model: a causal model without Wiener-EM, such as the preset ``v2-realtime``, or an export of
            one; the stream has its device, and takes its weights as they are now or at ``reset``.
        sources: which of the model's sources to return, in this order; None is all.

    Attributes:
        latency_samples: sample n of the sources is out once sample n + this of the mix is in.
        latency_s: the same in seconds.
        sources: names of the sources, in the order of the output.

    Raises:
        TypeError: when the model is no ``XUMXSliCQ``, such as an ``OnnxSeparator`` is, too.
        ValueError: when it is not causal or runs Wiener-EM; for a source that it has not.

    Example:
        >>> model = XUMXSliCQ.from_preset("v2-realtime", hidden_channels=(2, 2)).eval()
        >>> mix = torch.randn(2, 66150, generator=torch.Generator().manual_seed(0))
        >>> separator = SeparatorStream(model)
        >>> out = [separator.push(buffer) for buffer in mix.split(1024, dim=-1)]
        >>> out.append(separator.flush())
        >>> with torch.no_grad():
        ...     bool((torch.cat(out, dim=-1) - model(mix)).abs().max() < 1e-5)
        True
        >>> round(separator.latency_s, 3)
        0.768
    """

    def __init__(self, model: XUMXSliCQ, sources: Sequence[str] | None = None) -> None:
        if not isinstance(model, XUMXSliCQ):
            raise TypeError(
                f"model must be an XUMXSliCQ or an OnnxSeparator, got {type(model).__name__}"
            )
        args = model.get_model_args()
        if not args["causal"]:
            raise ValueError(
                "model must be causal to run on a stream, such as the preset v2-realtime; this one "
                "is an offline model"
            )
        if args["wiener"] is not None and args["wiener_iterations"]:
            raise ValueError(
                "model must run without Wiener-EM on a stream (wiener_iterations=0), got "
                f"wiener_iterations={args['wiener_iterations']}"
            )
        self.sources = choose_sources(sources, model.sources, "sources")
        self.model = model
        self._wanted = [model.sources.index(name) for name in self.sources]
        self._analysis = SliCQTStream(model.transform)
        self._synthesis = SliCQTInverseStream(model.transform)
        self.latency_samples = (
            self._analysis.latency_samples
            + self._synthesis.latency_samples
            + LOOKAHEAD_SLICES * model.transform.frame.slice_hop
        )
        self.reset()

    @property
    def latency_s(self) -> float:
        """Latency in seconds, see the class."""
        return self.latency_samples / float(self.model.sample_rate)

    def reset(self) -> None:
        """Forget the stream: the next buffer begins a new one, with the weights of then."""
        self._analysis.reset()
        self._synthesis.reset()
        self._networks = self.model.blocks.stream()
        self._waiting: list[Tensor] | None = None  # coefficients of slices that have no mask yet
        self._length, self._ended = 0, False
        self._leading: tuple[int, ...] = ()  # a batch, where the first buffer has one

    @torch.no_grad()
    def push(self, mix: Tensor) -> Tensor:
        """The samples of the sources that are known by now.

        Args:
            mix: the next samples, any number of them.

        Shape:
            - mix: ``(channel, time)`` or ``(batch, channel, time)``
            - output: ``(source, channel, time)`` or ``(batch, source, channel, time)``, with time
              of 0 or more samples

        Raises:
            TypeError: for what is no tensor.
            ValueError: for other shapes, for a mix that does not go on as the stream began, and
                after ``flush``.
        """
        if self._ended:
            raise ValueError("mix must not go on after flush(); reset() begins a new stream")
        if not isinstance(mix, Tensor):
            raise TypeError(f"mix must be a tensor, got {type(mix).__name__}")
        n_channels = self.model.n_channels
        if mix.ndim not in (2, 3) or mix.shape[-2] != n_channels:
            raise ValueError(
                f"mix must be ({n_channels} channels, time) or (batch, {n_channels} channels, "
                f"time), got {tuple(mix.shape)}"
            )
        coefficients = self._analysis.push(mix)
        self._leading = tuple(mix.shape[:-2])
        self._length += mix.shape[-1]
        if not coefficients[0].shape[-2]:
            return mix.new_zeros(
                *mix.shape[:-2],
                len(self.sources),
                n_channels,
                0,
                dtype=coefficients[0].dtype.to_real(),
            )
        return self._synthesis.push(self._masked(coefficients, last=False))

    @torch.no_grad()
    def flush(self) -> Tensor:
        """The rest of the sources, so that they are as long as the mix; the stream has ended.

        Shape:
            - output: as of :meth:`push`; ``(source, channel, 0)`` where nothing was pushed

        Raises:
            ValueError: when it was called before.
        """
        if self._ended:
            raise ValueError("flush() must be called once a stream; reset() begins a new one")
        self._ended = True
        if not self._length:
            shape = *self._leading, len(self.sources), self.model.n_channels, 0
            return torch.zeros(shape, device=self.model.transform.index.device)
        masked = self._masked(self._analysis.flush(), last=True)
        return self._synthesis.flush(masked, self._length)

    def _masked(self, mix: Sequence[Tensor] | Tensor, last: bool) -> list[Tensor]:
        """Coefficients of the sources of all slices whose masks are known by now."""
        one = mix[0].ndim == 4
        new = [block[None] if one else block for block in mix]
        masks = self._networks.push([block.abs() for block in new], last)
        waiting = self._waiting or [block[..., :0, :] for block in new]
        joined = [torch.cat(pair, dim=-2) for pair in zip(waiting, new, strict=True)]
        n_ready = masks[0].shape[-2]
        self._waiting = [block[..., n_ready:, :].clone() for block in joined]
        masked = [
            apply_mix_phase(mask[:, self._wanted], block[..., :n_ready, :])
            for mask, block in zip(masks, joined, strict=True)
        ]
        return [block[0] for block in masked] if one else masked
