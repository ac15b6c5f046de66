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
from asteroid_slicq.separation import SourceStream
from asteroid_slicq.wiener import apply_mix_phase


class SeparatorStream(SourceStream):
    """Separation of a mix that comes in buffers, by a causal xumx-sliCQ.

    How, tells :class:`asteroid_slicq.separation.SourceStream`. Silence, NaN or a click leave
    no trace beyond the reach of the networks.

    Args:
        model: a causal model without Wiener-EM, such as the preset ``v2-realtime``, or an export of
            one; the stream has its device, and takes its weights as they are now or at ``reset``.
        sources: which of the model's sources to return, in this order; None is all.

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
        super().__init__(model, model.transform, sources, LOOKAHEAD_SLICES)

    def reset(self) -> None:
        """Forget the stream: the next buffer begins a new one, with the weights of then."""
        super().reset()
        self._networks = self.model.blocks.stream()
        self._waiting: list[Tensor] | None = None  # coefficients of slices that have no mask yet

    def _masked(self, mix: list[Tensor], last: bool) -> list[Tensor]:
        masks = self._networks.push([block.abs() for block in mix], last)
        waiting = self._waiting or [block[..., :0, :] for block in mix]
        joined = [torch.cat(pair, dim=-2) for pair in zip(waiting, mix, strict=True)]
        n_ready = masks[0].shape[-2]
        self._waiting = [block[..., n_ready:, :].clone() for block in joined]
        return [
            apply_mix_phase(mask[:, self._wanted], block[..., :n_ready, :])
            for mask, block in zip(masks, joined, strict=True)
        ]
