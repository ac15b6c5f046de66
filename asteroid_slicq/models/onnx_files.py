"""Files of exported networks: what they hold beside the graph, and how they are written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from asteroid_slicq.files import whole_file

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR_VERSION = 17, 8  # of 2022: old runtimes read it


def require(name: str) -> Any:
    """A package that an export needs.

    Raises:
        ImportError: without it, with what to do about it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"ONNX needs {name}: pip install 'asteroid-slicq[onnx]'") from error


def as_metadata(key: str, arguments: dict[str, Any], transform: str) -> dict[str, str]:
    """Arguments of a model, one of them of its transform, as JSON under a key of the metadata."""
    try:
        return {key: json.dumps(arguments, allow_nan=False)}
    except (TypeError, ValueError) as error:
        raise ValueError(
            "model must have a transform of plain arguments to be exported, such as the name of a "
            f"scale, got {arguments[transform]}"
        ) from error


def write_onnx(proto: ModelProto, path: str | os.PathLike[str]) -> None:
    """Write a graph into a file, whole or not at all."""
    with whole_file(Path(os.fsdecode(path))) as partial:
        partial.write_bytes(proto.SerializeToString())


class OnnxSession:
    """A session of ONNX Runtime on the CPU that is copied and pickled as a model is.

    Args:
        path: a file that ``asteroid-slicq export`` wrote.
        key: of its metadata, under which the arguments of the model stand.
        n_threads: of ONNX Runtime; None is as many as PyTorch has.

    Attributes:
        model_args: those arguments.

    Raises:
        ImportError: without the package ``onnxruntime``.
        ValueError: when the file holds no model of this kind that was exported.
        OSError: when it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], key: str, n_threads: int | None = None):
        require("onnxruntime")
        with open(path, "rb") as file:
            self._source = file.read(), n_threads
        try:
            self._session = _open_session(*self._source)
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.model_args: dict[str, Any] = json.loads(metadata[key])
        except Exception as error:  # each kind of broken file has its own
            raise ValueError(
                f"path must be a file that `asteroid-slicq export` wrote, got {os.fspath(path)}"
            ) from error

    @property
    def data(self) -> bytes:
        """What the file holds."""
        return self._source[0]

    def __deepcopy__(self, memo: object) -> OnnxSession:
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
        """Masks in single precision of what a network sees: magnitudes, or coefficients."""
        inputs = {
            f"block_{i}": block.float().resolve_neg().numpy() for i, block in enumerate(magnitudes)
        }
        outputs = [f"masks_{i}" for i in range(len(inputs))]
        return [torch.from_numpy(masks) for masks in self._session.run(outputs, inputs)]


def _open_session(data: bytes, n_threads: int | None) -> Any:
    runtime = require("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = n_threads or torch.get_num_threads()
    options.log_severity_level = 4  # what fails raises
    return runtime.InferenceSession(data, options, ["CPUExecutionProvider"])
