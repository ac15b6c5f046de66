"""An exported band-split model: ONNX Runtime makes the masks, PyTorch does the rest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from asteroid_slicq.models.bandsplit.model import BandSplit
from asteroid_slicq.models.bandsplit.network import BandNetwork, StreamState
from asteroid_slicq.models.bandsplit.onnx_export import ARGS_KEY
from asteroid_slicq.models.onnx_files import OnnxSession


class OnnxBandSplit(BandSplit):
    """An exported :class:`asteroid_slicq.BandSplit`, for evaluation on the CPU.

    Args:
        path: a file that ``asteroid-slicq export`` wrote.
        n_threads: of ONNX Runtime; None is as many as PyTorch has.

    Raises:
        ImportError: without the package ``onnxruntime``.
        ValueError: when the file holds no BandSplit that was exported.
        OSError: when it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], n_threads: int | None = None) -> None:
        session = OnnxSession(path, ARGS_KEY, n_threads)
        super().__init__(**session.model_args)
        self.network = cast(BandNetwork, _Network(session))
        self.other_weights = session.data

    @torch.no_grad()
    def forward(self, mix: Tensor) -> Tensor:
        """Separate a mix without gradients, which the masks have not."""
        return super().forward(mix)


class _Network(nn.Module):
    """The network of a session, with the face of a BandNetwork that is called."""

    def __init__(self, session: OnnxSession) -> None:
        super().__init__()
        self.session: Any = session

    def forward(self, blocks: Sequence[Tensor], state: StreamState | None = None) -> list[Tensor]:
        """Masks of the coefficients of a mix, see :class:`.network.BandNetwork`.

        Raises:
            TypeError: with the state of a stream, which the graph does not take.
        """
        if state is not None:
            raise TypeError("an exported BandSplit runs on whole segments, not as a stream")
        return self.session.masks(blocks)
