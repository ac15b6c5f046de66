"""An exported model: ONNX Runtime makes the masks, PyTorch does the rest, without weights."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from asteroid_slicq.models.onnx_files import require
from asteroid_slicq.models.xumx_slicq.model import XUMXSliCQ
from asteroid_slicq.models.xumx_slicq.onnx_export import ARGS_KEY
from asteroid_slicq.models.xumx_slicq.v2 import LOOKAHEAD_SLICES

_PAST_SLICES = 3  # before a slice that its masks depend on


class OnnxMasks:
    """The masks of an exported model, by ONNX Runtime on the CPU, and the model's arguments.

    Arguments and errors are those of :class:`OnnxSeparator`.
    """

    def __init__(self, path: str | os.PathLike[str], n_threads: int | None = None) -> None:
        require("onnxruntime")
        with open(path, "rb") as file:
            self._source = file.read(), n_threads
        try:
            self._session = _open_session(*self._source)
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.model_args: dict[str, Any] = json.loads(metadata[ARGS_KEY])
        except Exception as error:  # each kind of broken file has its own
            raise ValueError(
                f"path must be a file that `asteroid-slicq export` wrote, got {os.fspath(path)}"
            ) from error

    @property
    def data(self) -> bytes:
        """What the file holds."""
        return self._source[0]

    def __deepcopy__(self, memo: object) -> OnnxMasks:
        """Itself: a session never changes, and any number of threads may run it."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """All but the session, which no other process can share."""
        return {key: value for key, value in self.__dict__.items() if key != "_session"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open a session anew."""
        self.__dict__.update(state)
        self._session = _open_session(*self._source)

    @torch.no_grad()
    def masks(self, magnitudes: Iterable[Tensor]) -> list[Tensor]:
        """Masks in single precision, see :class:`.networks.MaskBackend`."""
        inputs = {
            f"block_{i}": block.float().resolve_neg().numpy() for i, block in enumerate(magnitudes)
        }
        outputs = [f"masks_{i}" for i in range(len(inputs))]
        return [torch.from_numpy(masks) for masks in self._session.run(outputs, inputs)]

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


def _open_session(data: bytes, n_threads: int | None) -> Any:
    runtime = require("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = n_threads or torch.get_num_threads()
    options.log_severity_level = 4  # what fails raises
    return runtime.InferenceSession(data, options, ["CPUExecutionProvider"])


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
