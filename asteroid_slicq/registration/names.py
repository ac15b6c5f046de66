"""Models and filterbanks, known to Asteroid by their names."""

from __future__ import annotations

import asteroid_filterbanks
from asteroid import models


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
