"""Which model and which device does a command line mean?"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asteroid_slicq.cli.messages import CommandError
from asteroid_slicq.models.xumx_slicq import PRESETS

DEFAULT_MODELS = ("default", "small")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_URL = re.compile(r"https?://\S+")
_FILE_SUFFIXES = frozenset((".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".th", ".h5"))

Loader = Callable[[str], nn.Module]


def resolve_model(
    spec: str | None,
    load_default: Callable[[], nn.Module] | None = None,
    load_pretrained: Loader | None = None,
) -> nn.Module:
    """Loads the model that a user names.

    Args:
        spec: ``None``, ``"default"`` or ``"small"`` for the model that ships with the package; a
            model file or folder, or a Hub id such as ``user/name`` or ``user/name@revision``, see
            :func:`asteroid_slicq.load_model`.
        load_default: loads the model that ships; ``None`` for the package's.
        load_pretrained: loads a file or a Hub id; ``None`` for :func:`asteroid_slicq.load_model`.

    Raises:
        CommandError: no such model, one without trained weights, or one that cannot be loaded.
    """
    if spec is None or spec in DEFAULT_MODELS:
        try:
            return (load_default or _load_default)()
        except (OSError, RuntimeError, ImportError) as error:
            raise CommandError(
                f"the model that ships with the package cannot be loaded ({_first_line(error)})"
            ) from error
    load_pretrained = load_pretrained or _load_pretrained
    if os.path.isdir(spec) or os.path.isfile(spec):
        return _load_file(spec, load_pretrained)
    if spec in PRESETS:
        raise CommandError(
            f"model {spec}: this preset has no trained weights; train it with the recipe or "
            "convert published weights with `asteroid-slicq convert`, then name the file"
        )
    if not (_URL.fullmatch(spec) or (_HUB_ID.fullmatch(spec) and not _looks_like_file(spec))):
        raise CommandError(
            f"model {spec}: no such file, and neither a Hub id (user/name) nor a model that ships "
            f"({', '.join(DEFAULT_MODELS)})"
        )
    return _load_hub(spec, load_pretrained)


def resolve_device(name: str) -> str:
    """The device that a user names, such as ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    ``auto`` is ``cuda`` where there is one, else ``cpu``.

    Raises:
        CommandError: the device does not exist here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except Exception as error:  # each backend has its own kind
        usable = ["cpu"] + [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        if torch.backends.mps.is_available():
            usable.append("mps")
        raise CommandError(
            f"device {name}: not available here; usable are {', '.join(usable)}"
        ) from error
    if device.type == "meta":
        raise CommandError(f"device {name}: holds no samples")
    return name


def _load_default() -> nn.Module:
    import asteroid_slicq

    return asteroid_slicq.load_default_model()


def _load_pretrained(spec: str) -> nn.Module:
    from asteroid_slicq.hub import load_model

    return load_model(spec)


def _looks_like_file(spec: str) -> bool:
    return spec.startswith((".", "/", "~")) or Path(spec).suffix.lower() in _FILE_SUFFIXES


def _load_file(path: str, load: Loader) -> nn.Module:
    try:
        return load(path)
    except OSError as error:
        raise CommandError(f"model {path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # a broken pickle raises almost anything
        raise CommandError(f"model {path}: {_why_not_loaded(error)}") from error


def _why_not_loaded(error: Exception) -> str:
    from asteroid_slicq.hub import ModelFileError

    return (
        error.reason if isinstance(error, ModelFileError) else "is no model file that can be read"
    )


def _load_hub(spec: str, load: Loader) -> nn.Module:
    from huggingface_hub import errors
    from huggingface_hub.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # without a network it comments on each attempt
    try:
        return load(spec)
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise CommandError(
            f"model {spec}: the Hub cannot be reached, and the model is not in the cache"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise CommandError(f"model {spec}: not on the Hub, or private") from error
    except errors.EntryNotFoundError as error:
        raise CommandError(f"model {spec}: has no model file on the Hub") from error
    except errors.HFValidationError as error:
        raise CommandError(f"model {spec}: neither a file nor a Hub id (user/name)") from error
    except OSError as error:  # what network clients raise derives from it
        raise CommandError(f"model {spec}: cannot be downloaded ({_first_line(error)})") from error
    except Exception as error:
        raise CommandError(f"model {spec}: {_why_not_loaded(error)}") from error
    finally:
        logging.set_verbosity(verbosity)


def _first_line(error: BaseException) -> str:
    lines: list[Any] = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
