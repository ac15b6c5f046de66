"""Models and devices by the names that users give them."""

from __future__ import annotations

import argparse
import os
import re
import warnings
from pathlib import Path

import torch
from asteroid.models import BaseModel
from huggingface_hub import errors
from huggingface_hub.utils import logging
from torch import nn

from asteroid_slicq.cli.messages import CommandError
from asteroid_slicq.files import unreadable
from asteroid_slicq.hub import HUB_ID, ModelFileError, load_model
from asteroid_slicq.models.bandsplit import OnnxBandSplit
from asteroid_slicq.models.hpss import HPSS
from asteroid_slicq.models.xumx_slicq import OnnxSeparator, load_default_model
from asteroid_slicq.separation import Ensemble
from asteroid_slicq.transform import check_device
from asteroid_slicq.vocabulary import BANDSPLIT_PRESETS, XUMX_SLICQ_PRESETS

DEFAULT_MODELS = ("default", "free-stems")
HPSS_NAME = "hpss"
_URL = re.compile(r"https?://\S+")
_FILE_SUFFIXES = frozenset((".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".th", ".h5"))


def resolve(args: argparse.Namespace) -> tuple[nn.Module, str]:
    """Load the model that ``--model`` and ``--runtime`` name, and find the device.

    Those of ``--ensemble`` become one model.

    Raises:
        CommandError: what does not go together or cannot be loaded, in one sentence.
    """
    if args.ensemble:
        return _resolve_ensemble(args), resolve_device(args.device)
    spec: str = args.model or ""
    is_onnx = spec.lower().endswith(".onnx")
    runtime = args.runtime or ("onnx" if is_onnx else "torch")
    if runtime == "torch" and is_onnx:
        raise CommandError(f"model {spec}: is an ONNX file, which needs --runtime onnx")
    if runtime == "onnx" and not is_onnx:
        raise CommandError(
            "--runtime onnx needs --model FILE.onnx, which `asteroid-slicq export` writes"
        )
    if runtime == "torch":
        device = resolve_device(args.device)
        if spec == HPSS_NAME:
            return _hpss(args), device
        return resolve_model(args.model), device
    if args.device not in ("auto", "cpu"):
        raise CommandError(f"device {args.device}: --runtime onnx runs on the CPU alone")
    return _load_onnx(spec), "cpu"


def _hpss(args: argparse.Namespace) -> HPSS:
    """Harmonic/percussive separation; with vocals where a stem that is asked for needs them."""
    named = {*(args.stems or ()), args.two_stems, *(args.remix or ())}
    try:
        return HPSS(args.hpss_transform, "vocals" in named, args.hpss_margin).eval()
    except ValueError as error:
        raise CommandError(f"--model hpss: {error}") from error


def _resolve_ensemble(args: argparse.Namespace) -> nn.Module:
    members = [resolve_separator(spec) for spec in args.ensemble]
    try:
        return Ensemble(members, args.ensemble_weights, args.ensemble_domain).eval()
    except ValueError as error:
        names = ", ".join(f"{i} is {spec}" for i, spec in enumerate(args.ensemble, 1))
        raise CommandError(f"--ensemble {','.join(args.ensemble)}: {error} ({names})") from error


def resolve_separator(spec: str | None) -> nn.Module:
    """The same as :func:`resolve_model`, and ``"hpss"``, which has no weights to load."""
    return HPSS().eval() if spec == HPSS_NAME else resolve_model(spec)


def resolve_model(spec: str | None) -> BaseModel:
    """Load a model by name: what :func:`asteroid_slicq.load_model` takes, or the one that ships.

    That has the names ``"default"`` and ``"free-stems"``; ``None`` is it, too.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, for developers
        if spec is None or spec in DEFAULT_MODELS:
            return _load_default()
        if os.path.isdir(spec) or os.path.isfile(spec):
            return _load_file(spec)
        if reason := unreadable(spec):
            raise CommandError(f"model {spec}: {reason}")
        if spec in XUMX_SLICQ_PRESETS:
            raise CommandError(
                f"model {spec}: this preset has no trained weights; use `default`, which ships, or "
                "train it with the recipe or convert published weights with `asteroid-slicq "
                "convert`, then name the file"
            )
        if spec in BANDSPLIT_PRESETS:
            raise CommandError(
                f"model {spec}: this preset has no trained weights; use `default`, which ships, or "
                "train it, then name the file"
            )
        if _URL.fullmatch(spec) or (HUB_ID.fullmatch(spec) and not _looks_like_file(spec)):
            return _load_hub(spec)
        raise CommandError(
            f"model {spec}: no such file, and neither a Hub id (user/name) nor a model that ships "
            f"({', '.join((*DEFAULT_MODELS, HPSS_NAME))})"
        )


def resolve_device(name: str) -> str:
    """Find a device by name, such as ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    ``auto`` is ``cuda`` where there is one, else ``cpu``.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        check_device(name)
    except ValueError as error:
        raise CommandError(str(error)) from error
    return name


def _looks_like_file(spec: str) -> bool:
    return spec.startswith((".", "/", "~")) or Path(spec).suffix.lower() in _FILE_SUFFIXES


def _load_default() -> BaseModel:
    try:
        return load_default_model()
    except (OSError, RuntimeError) as error:
        raise CommandError(
            f"the model that ships with the package cannot be loaded ({_first_line(error)})"
        ) from error


def _load_file(path: str) -> BaseModel:
    try:
        return load_model(path)
    except OSError as error:
        raise CommandError(f"model {path}: cannot be read ({error.strerror})") from error
    except ModelFileError as error:
        raise CommandError(f"model {path}: {error.reason}") from error


def _load_hub(spec: str) -> BaseModel:
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # without a network it comments on each attempt
    try:
        return load_model(spec)
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
    except ModelFileError as error:
        raise CommandError(f"model {spec}: {error.reason}") from error
    finally:
        logging.set_verbosity(verbosity)


def _load_onnx(path: str) -> nn.Module:
    if not os.path.isfile(path):
        raise CommandError(f"model {path}: {unreadable(path) or 'no such file'}")
    try:
        try:
            return OnnxSeparator(path)
        except ValueError:
            return OnnxBandSplit(path)
    except ImportError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"model {path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise CommandError(
            f"model {path}: is no file that `asteroid-slicq export` wrote"
        ) from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
