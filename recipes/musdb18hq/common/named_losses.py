"""Losses of waveforms that a configuration names: of this package, or of any other.

Only the configuration of a training names one. A model's file holds none, and nothing that is
loaded from it runs.
"""

import importlib
import inspect
from typing import Any


def make_time_loss(settings: dict[str, Any], sample_rate: float) -> dict[str, Any]:
    """The settings of a loss, with the object in place of a name ``package.module:Class``.

    Args:
        settings: the section of a configuration; ``time_loss`` may be such a name, and
            ``time_options`` the arguments of its class.
        sample_rate: in Hz; an argument of that name gets it.

    Raises:
        ValueError: what is named is not there, is no loss, or does not take the arguments.
    """
    name, options = settings["time_loss"], dict(settings["time_options"])
    if name == "haaqi":
        return {**settings, "time_options": {"sample_rate": sample_rate, **options}}
    if ":" not in str(name):
        return settings
    module_name, _, class_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        why = f"{error}".removesuffix(".")
        raise ValueError(f"time_loss {name}: {module_name} cannot be imported ({why})") from error
    except (ValueError, TypeError):
        raise ValueError(f"time_loss must be like package.module:Class, got {name!r}") from None
    made = getattr(module, class_name, None)
    if not inspect.isclass(made):
        found = "has no" if made is None else "is no class:"
        raise ValueError(f"time_loss {name}: {module_name} {found} {class_name}")
    try:
        if "sample_rate" in inspect.signature(made.__init__).parameters:
            options.setdefault("sample_rate", sample_rate)
        loss = made(**options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"time_loss {name} with time_options {options}: {error}") from error
    if not callable(loss):
        raise ValueError(f"time_loss {name}: a {class_name} cannot be called")
    return {**settings, "time_loss": loss, "time_options": {}}
