"""Contents of the files of models: plain types, which any ``torch.load`` accepts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.torch_version import TorchVersion

from asteroid_slicq import __version__


def allow_asteroid_checkpoints() -> None:
    """Let ``torch.load(weights_only=True)`` read the checkpoints that Asteroid writes.

    Asteroid 0.7.0 writes ``torch.__version__`` into them, a ``TorchVersion`` that ``torch.load``
    refuses, so that it cannot load what it saved. Nothing of Asteroid is replaced.
    """
    torch.serialization.add_safe_globals([TorchVersion])


def plain_types(value: Any) -> Any:
    """A value, such as an argument of a model, in plain Python types."""
    if isinstance(value, Mapping):
        return {key: plain_types(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain_types(item) for item in value)
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return value.tolist()
    return value


def plain_serialization(conf: dict[str, Any]) -> dict[str, Any]:
    """Serialised model in plain Python types, which any ``torch.load`` accepts.

    Args:
        conf: what ``BaseModel.serialize`` returned; not changed.
    """
    versions = {key: str(value) for key, value in conf["infos"]["software_versions"].items()}
    versions["asteroid_slicq_version"] = __version__
    return {**conf, "infos": {**conf["infos"], "software_versions": versions}}
