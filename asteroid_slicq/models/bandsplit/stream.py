"""A causal band-split model on a stream: buffers of the mix in, the sources out."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from asteroid_slicq.models.bandsplit.model import BandSplit
from asteroid_slicq.models.bandsplit.network import StreamState
from asteroid_slicq.separation import SourceStream


class BandSplitStream(SourceStream):
    """Separation of a mix that comes in buffers, by a causal BandSplit.

    How, tells :class:`asteroid_slicq.separation.SourceStream`. A sample that is not finite spoils
    what follows until ``reset``.

    Args:
        model: a causal model in evaluation mode, such as of the preset ``bandsplit-realtime``; the
            stream has its device.
        sources: which of the model's sources to return, in this order; None is all.

    Raises:
        TypeError: when the model is no ``BandSplit``, or an export.
        ValueError: when it is not causal or in training mode; for a source that it has not.

    Example:
        >>> import torch
        >>> model = BandSplit.from_preset("bandsplit-realtime", width=32, n_layers=1).eval()
        >>> mix = torch.randn(2, 44100, generator=torch.Generator().manual_seed(0))
        >>> separator = BandSplitStream(model)
        >>> out = [separator.push(buffer) for buffer in mix.split(1024, dim=-1)]
        >>> out.append(separator.flush())
        >>> with torch.no_grad():
        ...     bool((torch.cat(out, dim=-1) - model(mix)).abs().max() < 1e-3)
        True
        >>> round(separator.latency_s, 3)
        0.563
    """

    def __init__(self, model: BandSplit, sources: Sequence[str] | None = None) -> None:
        if not isinstance(model, BandSplit):
            raise TypeError(f"model must be a BandSplit, got {type(model).__name__}")
        _ = model.own_network  # an export runs on whole segments
        if not model.causal:
            raise ValueError(
                "model must be causal to run on a stream, such as the preset bandsplit-realtime; "
                "this one is an offline model"
            )
        if model.training:
            raise ValueError("model must be in evaluation mode on a stream: call model.eval()")
        super().__init__(model, model.slicqt, sources)

    def reset(self) -> None:
        """Forget the stream: the next buffer begins a new one."""
        super().reset()
        self._state = StreamState()

    def _masked(self, mix: list[Tensor], last: bool) -> list[Tensor]:
        return [c[:, self._wanted] for c in self.model.masked(mix, self._state)[0]]
