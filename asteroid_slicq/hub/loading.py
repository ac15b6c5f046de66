"""Models from files, folders and the Hub, read without running anyone's code.

Asteroid reads ``pytorch_model.bin``, a pickle, which ``weights_only=True`` restricts to tensors and
plain types. A repository or folder may also hold ``model.safetensors``, which is no pickle at all,
beside a ``config.json`` that names the model: then that one is read.
"""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from asteroid import models
from asteroid.models import BaseModel
from asteroid.utils import hub_utils

# What these rooms register with Asteroid is found by name.
import asteroid_slicq.filterbank
import asteroid_slicq.models.bandsplit
import asteroid_slicq.models.mixin
import asteroid_slicq.models.xumx_slicq  # noqa: F401
from asteroid_slicq import registration
from asteroid_slicq.files import given_path, unreadable

registration.allow_asteroid_checkpoints()

PICKLE_FILE = "pytorch_model.bin"
SAFETENSORS_FILE = "model.safetensors"
SAFETENSORS_SUFFIX = ".safetensors"
CONFIG_FILE = "config.json"

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
"""Hub ids, ``user/name`` or ``user/name@revision``."""
_UNSAFE = re.compile(r"GLOBAL ([\w.]+)|use of ([\w.]+) is not|class ([\w.]+)")


class ModelFileError(ValueError):
    """A file that holds no model; ``reason`` says why in a sentence without its subject."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"{os.fspath(path)}: {reason}")
        self.path, self.reason = os.fspath(path), reason

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process makes it of its arguments, not of its message alone."""
        return ModelFileError, (self.path, self.reason)


def load_model(spec: str | os.PathLike[str]) -> BaseModel:
    """Load a model, ready to separate, from wherever it lies. Nothing that is read runs as code.

    Args:
        spec: a file (``.pth``, ``.bin``, or ``.safetensors`` with a ``config.json`` beside it), a
            folder or a Hub id such as ``user/name`` or ``user/name@revision`` that holds
            ``model.safetensors`` and ``config.json``, or ``pytorch_model.bin``; or whatever else
            Asteroid's ``from_pretrained`` takes.

    Raises:
        ModelFileError: what was found holds no model, or more than a model.
        OSError: it cannot be read or downloaded; of the Hub, an error of ``huggingface_hub``.

    Example:
        >>> from asteroid_slicq import XUMXSliCQ
        >>> model = XUMXSliCQ.from_preset("small", transform={"n_bins": 14, "f_min_hz": 150.0})
        >>> folder = getfixture("tmp_path")
        >>> torch.save(model.serialize(), folder / "pytorch_model.bin")
        >>> load_model(folder).sources
        ['bass', 'vocals', 'other', 'drums']
    """
    path, config = find_model(spec, cache_dir=hub_utils.CACHE_DIR)
    return _build(path, read_model_file(path, config))


def find_model(
    spec: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
) -> tuple[Path, Path | None]:
    """The file of a model, and the ``config.json`` that a ``.safetensors`` needs.

    A revision of ``None`` is what ``@`` in ``spec`` says, or ``main``. Other arguments are those of
    :meth:`asteroid_slicq.registration.Shareable.from_pretrained`, errors those of
    :func:`load_model`.
    """
    name = os.fspath(given_path(spec, "spec"))
    if reason := unreadable(name):
        raise ModelFileError(name, reason)
    if os.path.isdir(name):
        return _find_in_folder(Path(name))
    if os.path.isfile(name):
        return Path(name), Path(name).with_name(CONFIG_FILE)
    if Path(name).suffix.lower() in (".pth", ".bin", SAFETENSORS_SUFFIX) and "://" not in name:
        raise ModelFileError(name, "no such file")
    if HUB_ID.fullmatch(name) and name not in hub_utils.MODELS_URLS_HASHTABLE:
        repo_id, _, tag = name.partition("@")
        options = {"revision": revision or tag or None, "cache_dir": cache_dir, "token": token}
        return _find_on_hub(partial(_download, repo_id, **options))
    if "://" in name or name in hub_utils.MODELS_URLS_HASHTABLE:
        return Path(hub_utils.cached_download(name)), None
    raise ModelFileError(
        name, "no such file or folder, and neither an id of the Hub (user/name) nor an address"
    )


def read_model_file(path: Path, config: Path | None = None) -> dict[str, Any]:
    """What a file of :func:`find_model` holds: name, arguments and weights of a model."""
    return _read_safetensors(path, config) if _is_safetensors(path) else _read_pickle(path)


def not_finite(model: BaseModel) -> str | None:
    """Name of the first weights of a model that hold NaN or infinity; ``None`` where none do."""
    for name, tensor in model.get_state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            return name
    return None


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a ``config.json`` that names a model and its arguments."""
    try:
        config = json.loads(given_path(path, "path").read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelFileError(path, "is no JSON") from error
    if (
        not isinstance(config, dict)
        or not isinstance(config.get("model_name"), str)
        or not isinstance(config.get("model_args"), dict)
    ):
        raise ModelFileError(path, "names no model (model_name, model_args)")
    return config


def _is_safetensors(path: Path) -> bool:
    return path.suffix.lower() == SAFETENSORS_SUFFIX


def _find_in_folder(folder: Path) -> tuple[Path, Path | None]:
    config = folder / CONFIG_FILE
    if (folder / SAFETENSORS_FILE).is_file() and config.is_file():
        return folder / SAFETENSORS_FILE, config
    if (folder / PICKLE_FILE).is_file():
        return folder / PICKLE_FILE, None
    raise ModelFileError(
        folder, f"the folder holds no {PICKLE_FILE}, and no {SAFETENSORS_FILE} with a {CONFIG_FILE}"
    )


def _find_on_hub(download: Callable[[str], Path]) -> tuple[Path, Path | None]:
    """Download what is not in the cache; the ``.bin`` only where it is the only choice."""
    from huggingface_hub.errors import EntryNotFoundError

    try:
        config = download(CONFIG_FILE)
        read_config(config)  # some other library's does not count
        return download(SAFETENSORS_FILE), config
    except (EntryNotFoundError, ModelFileError) as missing:
        try:
            return download(PICKLE_FILE), None
        except EntryNotFoundError as error:
            raise error from missing


def _download(repo_id: str, file: str, **options: Any) -> Path:
    import huggingface_hub

    return Path(huggingface_hub.hf_hub_download(repo_id, file, **options))


def _read_pickle(path: Path) -> dict[str, Any]:
    try:
        conf = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except pickle.UnpicklingError as error:
        unsafe = _UNSAFE.search(str(error))
        if unsafe is None:
            raise ModelFileError(path, "is no model file that can be read") from error
        what = next(filter(None, unsafe.groups()))
        raise ModelFileError(
            path, f"is refused: besides weights it holds {what}, and reading that may run code"
        ) from error
    except Exception as error:  # a broken file raises almost anything
        raise ModelFileError(path, "is no model file that can be read") from error
    if not isinstance(conf, dict) or not {"model_name", "model_args", "state_dict"} <= set(conf):
        raise ModelFileError(
            path,
            "holds weights but not the name of their model; weights of the original projects go "
            "through `asteroid-slicq convert` first",
        )
    return conf


def _read_safetensors(path: Path, config: Path | None) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    if config is None or not config.is_file():
        raise ModelFileError(path, f"has no {CONFIG_FILE} beside it, which names its model")
    conf = read_config(config)
    try:
        state = load(path.read_bytes())
    except SafetensorError as error:
        raise ModelFileError(path, "is no safetensors file that can be read") from error
    return {**conf, "state_dict": state}


def _build(path: Path, conf: dict[str, Any]) -> BaseModel:
    name = conf["model_name"]
    try:
        model_class = models.get(name)
    except ValueError:
        model_class = None
    if not (isinstance(model_class, type) and issubclass(model_class, BaseModel)):
        raise ModelFileError(path, f"names the model {name!r}, which is not known here")
    try:
        model = model_class(**conf["model_args"])
    except (TypeError, ValueError) as error:
        raise ModelFileError(path, f"has arguments that {name} does not take ({error})") from error
    try:
        model.load_state_dict(conf["state_dict"])
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ModelFileError(path, "its weights do not fit the model that it names") from error
    return model.eval()
