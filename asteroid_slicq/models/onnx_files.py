"""Files of exported networks: what they hold beside the graph, and how they are written."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
