"""Identity of a separation: the weights of its models, and its settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from asteroid_slicq.separation.segment_model import SegmentModel
from asteroid_slicq.separation.separator import Separator


def fingerprint(model: nn.Module) -> str:
    """Tells a model from others by its name, arguments and weights, wherever it was loaded from.

    A model that keeps weights elsewhere than in its state gives their bytes by the attribute
    ``other_weights``.
    """
    serialize = getattr(model, "serialize", None)
    if callable(serialize):
        conf: Any = serialize()
        name, arguments, state = conf["model_name"], conf["model_args"], conf["state_dict"]
    else:
        name, arguments, state = type(model).__qualname__, {}, model.state_dict()
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

    That is all that it was told but the device: its numbers and words under their names, and the
    fingerprints of its models under ``"models"``.
    """
    settings = {
        name.lstrip("_"): value
        for name, value in sorted(vars(separator).items())
        if isinstance(value, (bool, int, float, str)) or value is None
    }
    return settings | {"models": [fingerprint(model) for model in _models(vars(separator))]}


def _models(value: Any) -> Iterator[nn.Module]:
    """The models in an object, in order."""
    if isinstance(value, nn.Module):
        yield value
    elif isinstance(value, SegmentModel):
        yield from _models(value.model)
    elif isinstance(value, dict):
        yield from _models(value.values())
    elif isinstance(value, Iterable) and not isinstance(value, (str, bytes, torch.Tensor)):
        for item in value:
            yield from _models(item)
