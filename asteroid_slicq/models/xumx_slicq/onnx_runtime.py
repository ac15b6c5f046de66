"""An exported model: ONNX Runtime makes the masks, PyTorch does the rest, without weights."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor

from asteroid_slicq.models.onnx_files import OnnxSession
from asteroid_slicq.models.xumx_slicq.model import XUMXSliCQ
from asteroid_slicq.models.xumx_slicq.onnx_export import ARGS_KEY
from asteroid_slicq.models.xumx_slicq.v2 import LOOKAHEAD_SLICES

_PAST_SLICES = 3  # before a slice that its masks depend on


class OnnxMasks(OnnxSession):
    """The masks of an exported model, by ONNX Runtime on the CPU.

    Args:
        path: a file that ``asteroid-slicq export`` wrote.
        n_threads: of ONNX Runtime; None is as many as PyTorch has.

    Raises:
        ImportError, ValueError, OSError: as :class:`asteroid_slicq.models.onnx_files.OnnxSession`.
    """

    def __init__(self, path: str | os.PathLike[str], n_threads: int | None = None) -> None:
        super().__init__(path, ARGS_KEY, n_threads)

    def stream(self) -> WindowStream:
        """Masks of magnitudes that come slice by slice."""
        return WindowStream(self)


class OnnxSeparator(XUMXSliCQ):
    """An exported :class:`asteroid_slicq.XUMXSliCQ`, for evaluation on the CPU.

    Args:
        path: a file that ``asteroid-slicq export`` wrote.
        n_threads: of ONNX Runtime; None is as many as PyTorch has.

    Raises:
        ImportError: without the package ``onnxruntime``.
        ValueError: when the file holds no model that was exported.
        OSError: when it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], n_threads: int | None = None) -> None:
        backend = OnnxMasks(path, n_threads)
        super().__init__(**backend.model_args, backend=backend)
        self.other_weights = backend.data

    @torch.no_grad()
    def forward(self, mix: Tensor) -> Tensor:
        """Separate a mix without gradients, which the masks have not."""
        return super().forward(mix)


class WindowStream:
    """Masks of magnitudes that come slice by slice, by running all that a slice depends on.

    That is the three slices before it and the two behind it; see :class:`.networks.MaskStream`.
    """

    def __init__(self, backend: OnnxMasks) -> None:
        self._backend = backend
        self._known: list[Tensor] | None = None
        self._n_done = 0  # of those known, that have been returned

    def push(self, magnitudes: Sequence[Tensor], last: bool = False) -> list[Tensor]:
        """Masks that are final by now: all but those of the last two slices, or all at the end."""
        known = list(magnitudes)
        if self._known is not None:
            pairs = zip(self._known, known, strict=True)
            known = [torch.cat(pair, dim=-2) for pair in pairs]
        n_known = known[0].shape[-2]
        n_ready = n_known if last else max(self._n_done, n_known - LOOKAHEAD_SLICES)
        if n_ready == self._n_done:  # nothing is final, so a slice stands for all
            masks = [m[..., :0, :] for m in self._backend.masks([b[..., :1, :] for b in known])]
        else:
            masks = [block[..., self._n_done : n_ready, :] for block in self._backend.masks(known)]
        start = max(0, n_ready - _PAST_SLICES)
        self._known = [block[..., start:, :].clone() for block in known]
        self._n_done = n_ready - start
        return masks
