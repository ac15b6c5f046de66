"""Name, arguments and shapes of the model in a file, without its weights and without PyTorch.

A file of ``torch.save`` is a ZIP archive, whose ``data.pkl`` names the tensors that lie beside it.
It is unpickled with stand-ins: of all that it may name, a tensor becomes its shape, and whatever is
not known here is refused, so nothing in it runs.
"""

from __future__ import annotations

import io
import json
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MAX_BYTES = 2**26  # of a header; those of models have some kilobytes
_COUNTED_NOT = ("running_mean", "running_var", "num_batches_tracked")
_SCALE = "_scale"  # of a weight in 8 bits, behind its name, as registration.eight_bits has it


class HeaderError(ValueError):
    """A file whose header cannot be read; the message is what is wrong, without the file's name."""


@dataclass(frozen=True)
class Header:
    """What a file says about its model.

    Attributes:
        model_name: its class.
        model_args: arguments of the class.
        n_parameters: numbers in its weights, but for the statistics of batch norms.
        sources: names of its sources; empty where it does not say.
        sample_rate: in Hz; ``None`` where it does not say.
        about: what a card says: ``trained_on`` and ``license``, where the file has it.
    """

    model_name: str
    model_args: dict[str, Any]
    n_parameters: int
    sources: tuple[str, ...]
    sample_rate: float | None
    about: dict[str, str]


def read_header(path: Path, config: Path | None = None) -> Header | None:
    """The header of a model file; ``None`` for a file that is whole, but no model of Asteroid's.

    Args:
        path: a ``.safetensors``, or a file of ``torch.save``.
        config: the ``config.json`` of a ``.safetensors``.

    Raises:
        HeaderError: the file is broken, or of a format that nothing here reads.
        OSError: it cannot be read.
    """
    if path.suffix.lower() == ".safetensors":
        conf = None if config is None else _read_json(config)
        if conf is None or not _names_a_model(conf):
            return None
        shapes = _safetensors_shapes(path)
    else:
        conf = _read_archive(path)
        if not _names_a_model(conf) or not isinstance(conf.get("state_dict"), Mapping):
            return None
        shapes = {str(k): v for k, v in conf["state_dict"].items() if isinstance(v, tuple)}
    return _header(conf, shapes)


def _names_a_model(conf: Any) -> bool:
    return (
        isinstance(conf, Mapping)
        and isinstance(conf.get("model_name"), str)
        and isinstance(conf.get("model_args"), Mapping)
    )


def _header(conf: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> Header:
    args = {str(key): value for key, value in conf["model_args"].items()}
    counted = conf.get("n_parameters")
    if not isinstance(counted, int):
        counted = sum(math.prod(shape) for name, shape in shapes.items() if _counts(name, shapes))
    sources = conf.get("sources") or args.get("sources") or ()
    rate = conf.get("sample_rate") or args.get("sample_rate")
    infos = conf.get("infos")
    stated = {**infos, **conf} if isinstance(infos, Mapping) else conf
    about = {
        "trained_on": stated.get("trained_on") or stated.get("dataset"),
        "license": stated.get("license") or stated.get("licenses"),
    }
    return Header(
        model_name=conf["model_name"],
        model_args=args,
        n_parameters=counted,
        sources=tuple(map(str, sources)) if isinstance(sources, (list, tuple)) else (),
        sample_rate=float(rate) if isinstance(rate, (int, float)) else None,
        about={key: value for key, value in about.items() if isinstance(value, str)},
    )


def _counts(name: str, names: Container[str]) -> bool:
    """Whether it is a weight: no statistic, and no scale of a weight in 8 bits."""
    if name.endswith(_SCALE) and name.removesuffix(_SCALE) in names:
        return False
    return name.rpartition(".")[2] not in _COUNTED_NOT


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise HeaderError(f"{path.name} is no JSON") from error


def _safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by name: the file begins with the length of a JSON header, and the header."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, _MAX_BYTES):
            raise HeaderError("is no safetensors file that can be read")
        try:
            tensors = json.loads(file.read(length))
            named = {k: v for k, v in tensors.items() if k != "__metadata__"}
            end = max((v["data_offsets"][1] for v in named.values()), default=0)
            shapes = {k: tuple(map(int, v["shape"])) for k, v in named.items()}
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise HeaderError("is no safetensors file that can be read") from error
    if size != 8 + length + end:
        raise HeaderError("is not whole")
    return shapes


def _read_archive(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = [n for n in archive.namelist() if n.rpartition("/")[2] == "data.pkl"]
            if archive.getinfo(name).file_size > _MAX_BYTES:
                raise HeaderError("has a header that is too long")
            content = archive.read(name)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, EOFError) as error:
        if isinstance(error, HeaderError):
            raise
        raise HeaderError("is no model file that can be read") from error
    try:
        return _Shapes(io.BytesIO(content)).load()
    except _ForeignError:
        return None
    except Exception as error:  # a broken pickle raises almost anything
        raise HeaderError("is no model file that can be read") from error


class _ForeignError(Exception):
    """A pickle that holds more than a model does."""


def _tensor(_: Any, __: Any, shape: tuple[int, ...], *___: Any) -> tuple[int, ...]:
    return tuple(map(int, shape))


def _first(value: Any, *_: Any) -> Any:
    return value


class _Shapes(pickle.Unpickler):
    """Reads what ``torch.save`` wrote of a model, with the shape in the place of each tensor."""

    def find_class(self, module: str, name: str) -> Any:
        """Stand-ins for the few names that a model's file needs; no others are looked up."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _first
        if (module, name) == ("torch.torch_version", "TorchVersion"):
            return str
        if (module, name) == ("torch", "Size"):
            return tuple
        if module == "torch" and name.endswith("Storage"):
            return name
        raise _ForeignError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        """Storages lie beside the pickle and stay there."""
        return None
