"""Registration of models and filterbanks with Asteroid, and of what its checkpoints hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asteroid_filterbanks
import numpy as np
import torch
from asteroid import models
from torch.torch_version import TorchVersion

from asteroid_slicq import __version__


def allow_asteroid_checkpoints() -> None:
    """Let ``torch.load(weights_only=True)`` read the checkpoints that Asteroid writes.

    Asteroid 0.7.0 writes ``torch.__version__`` into them, a ``TorchVersion`` that ``torch.load``
    refuses, so that it cannot load what it saved. Nothing of Asteroid is replaced.
    """
    torch.serialization.add_safe_globals([TorchVersion])


def register_model(model: type) -> None:
    """Make a model known to ``BaseModel.from_pretrained``; once is enough, twice is harmless."""
    if getattr(models, model.__name__, None) is not model:
        models.register_model(model)


def register_filterbank(filterbank: type, alias: str) -> None:
    """Make a filterbank known to ``asteroid_filterbanks.get`` by its class name and an alias.

    Once is enough, twice is harmless.

    Raises:
        ValueError: when another filterbank has one of the names.
    """
    taken = getattr(asteroid_filterbanks, alias, filterbank)
    if taken is not filterbank:
        raise ValueError(f"alias must be free, got {alias!r}, which is {taken!r}")
    if getattr(asteroid_filterbanks, filterbank.__name__, None) is not filterbank:
        asteroid_filterbanks.register_filterbank(filterbank)
    setattr(asteroid_filterbanks, alias, filterbank)


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
