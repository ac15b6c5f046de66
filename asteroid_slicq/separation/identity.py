"""Identity of a separation: the weights of its models, and its settings."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from asteroid.models import BaseModel
from torch import nn

from asteroid_slicq.separation.separator import Separator


def fingerprint(model: nn.Module) -> str:
    """Tells a model from others by its name, arguments and weights, wherever it was loaded from.

    Of a model that cannot be serialised as Asteroid's can, its numbers and words count as
    arguments, and so do the models in it. One that keeps weights elsewhere than in its state gives
    their bytes by the attribute ``other_weights``.
    """
    if isinstance(model, BaseModel):  # whose `serialize` would load more than it needs
        name, arguments, state = type(model).__name__, model.get_model_args(), model.state_dict()
    else:
        name, arguments = type(model).__qualname__, _plain(model)
        arguments["modules"] = [fingerprint(child) for child in model.children()]
        state = dict(model.named_parameters(recurse=False))
        state |= dict(model.named_buffers(recurse=False))
    head = json.dumps([name, arguments], sort_keys=True, default=str)
    digest = hashlib.sha256(head.encode())
    for key, tensor in sorted(state.items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{key} {tuple(values.shape)} {values.dtype}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    digest.update(getattr(model, "other_weights", b""))
    return digest.hexdigest()


def describe(separator: Separator) -> dict[str, Any]:
    """What the stems of a separator depend on, whichever song it is; in types that JSON has.

    That is all that it was told but the device: its numbers and words, those of a `SegmentModel`
    under its name, and under ``"model"`` the fingerprint of the model.
    """
    passes = separator._passes
    return {
        **_plain(separator),
        **_plain(passes),
        "segment_model": _plain(passes.model),
        "model": fingerprint(passes.model.model),
    }


def _plain(thing: object) -> dict[str, Any]:
    """Attributes that are numbers, words or lists of them."""
    return {
        name.lstrip("_"): value
        for name, value in sorted(vars(thing).items())
        if name != "training" and _is_plain(value)
    }


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return isinstance(value, (bool, int, float, str))
