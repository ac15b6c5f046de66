"""The logger of a training: TensorBoard, or another of Lightning's."""

import hashlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from common.configuration import Configuration


def make_logger(conf: Configuration, exp_dir: Path, step: int) -> Logger:
    """The logger that the settings name.

    Args:
        conf: settings of the training; ``logger`` is ``tensorboard``, ``csv``, ``wandb`` or
            ``module:Class``, and ``logger_options`` is YAML, the arguments of the logger.
        exp_dir: folder of the experiment.
        step: at which the training goes on; what was logged after it is logged again.

    Raises:
        ValueError: there is no such logger, it is not installed, or it refuses its options.
    """
    name, text = conf["run"]["logger"], conf["run"]["logger_options"]
    try:
        options = yaml.safe_load(text) if isinstance(text, str) else text
        if not isinstance(options or {}, dict):
            raise ValueError(f"logger_options must be like '{{project: songs}}', got {text!r}")
        make, arguments = _known(name, exp_dir, step)
        return make(**{**arguments, **(options or {})})
    except yaml.YAMLError as error:
        raise ValueError(
            f"logger_options must be like '{{project: songs}}', got {text!r}"
        ) from error
    except ImportError as error:
        raise ValueError(f"the logger {name} is not installed: {error}") from error
    except (AttributeError, TypeError) as error:
        raise ValueError(f"the logger {name} cannot be made: {error}") from error


def _known(name: str, exp_dir: Path, step: int) -> tuple[Callable[..., Logger], dict[str, Any]]:
    """The class of a logger, and its arguments."""
    if name == "tensorboard":
        return TensorBoardLogger, _in(exp_dir, name="tensorboard", version="", purge_step=step)
    if name == "csv":  # which writes its file anew wherever a training goes on
        return CSVLogger, _in(exp_dir, name="csv", version=f"from_step_{step}")
    if name == "wandb":
        run = hashlib.sha256(str(exp_dir.resolve()).encode()).hexdigest()[:16]
        return WandbLogger, _in(exp_dir, name=exp_dir.resolve().name, id=run, resume="allow")
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValueError(f"logger must be tensorboard, csv, wandb or module:Class, got {name!r}")
    return getattr(import_module(module), attribute), {}


def _in(exp_dir: Path, **arguments: Any) -> dict[str, Any]:
    return {"save_dir": exp_dir, **arguments}
