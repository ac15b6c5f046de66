"""The one place where this package meets its host: registration, and what today's Asteroid needs.

Asteroid 0.7.0 writes ``torch.__version__`` into its checkpoints, a ``TorchVersion`` that
``torch.load`` refuses by default, so that it cannot load what it saved. Declaring that class safe
heals every Asteroid checkpoint, old and new; nothing of the host is replaced.
"""

from __future__ import annotations

import importlib
from typing import Any

import asteroid_filterbanks
import torch
from asteroid import models
from torch.torch_version import TorchVersion


def heal() -> None:
    """Let ``torch.load(weights_only=True)`` read the checkpoints that Asteroid writes."""
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


def plain_serialization(conf: dict[str, Any]) -> dict[str, Any]:
    """A serialised model in plain Python types, which any ``torch.load`` accepts.

    Args:
        conf: what ``BaseModel.serialize`` returned; not changed.
    """
    versions = {key: str(value) for key, value in conf["infos"]["software_versions"].items()}
    package = importlib.import_module("asteroid_slicq")
    versions["asteroid_slicq_version"] = package.__version__
    return {**conf, "infos": {**conf["infos"], "software_versions": versions}}
