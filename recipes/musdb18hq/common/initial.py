"""The weights that a training starts from: random ones, or those of another model of its kind."""

import json
import pickle
from pathlib import Path
from typing import Any

import torch

from asteroid_slicq.hub import load_model

#: Arguments of models that change no weight.
_FREE = {
    *("wiener_iterations", "wiener_share", "input_level_db", "single_model", "instrumental"),
    *("mixture_consistency", "band_dropout", "layer_dropout"),
}


def start_from(model: Any, source: str) -> None:
    """Give a model the weights of another one, to train them further.

    Args:
        model: changed in place.
        source: a file, folder or Hub id as :func:`asteroid_slicq.hub.load_model` takes it; or a
            checkpoint of a training, ``.ckpt``.

    Raises:
        ValueError: that is another model, or none.
        OSError: it cannot be read or downloaded.
    """
    if source.endswith(".ckpt"):
        state = _state_of_checkpoint(Path(source))
    else:
        other = load_model(source)
        differing = _differing(model, other)
        if differing:
            listing = "\n  ".join(differing)
            raise ValueError(
                f"init: {source} is another model than the settings make:\n  {listing}"
            )
        state = other.state_dict()
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[1:2] or [str(error)]
        raise ValueError(
            f"init: {source} has other weights than the settings make: {reason[0].strip()}"
        ) from error


def _differing(model: Any, other: Any) -> list[str]:
    if type(model) is not type(other):
        return [f"{type(other).__name__}, not {type(model).__name__}"]
    ours, theirs = (_plain(each.get_model_args()) for each in (model, other))
    return [
        f"{name}: {theirs.get(name)}, not {ours.get(name)}"
        for name in sorted(ours.keys() | theirs.keys())
        if name not in _FREE and ours.get(name) != theirs.get(name)
    ]


def _plain(arguments: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(arguments, default=repr))


def _state_of_checkpoint(file: Path) -> dict[str, Any]:
    prefix = "model."
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    except (RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise ValueError(f"init: {file} is no checkpoint of a training") from error
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
