"""What runs a model: PyTorch on some device, or ONNX Runtime?"""

from __future__ import annotations

import argparse
import os
import warnings

from torch import nn

from asteroid_slicq.cli.messages import CommandError

RUNTIMES = ("torch", "onnx")


def add_runtime_argument(parser: argparse.ArgumentParser) -> None:
    """Adds ``--runtime``."""
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        help="what runs the networks; onnx: ONNX Runtime, on the CPU, for a MODEL.onnx that "
        "`asteroid-slicq export` wrote (default: onnx for such a file, else torch)",
    )


def load_model(args: argparse.Namespace) -> tuple[nn.Module, str]:
    """The model that ``--model``, ``--runtime`` and ``--device`` name, and the device.

    Raises:
        CommandError: what does not go together or cannot be loaded, in one sentence.
    """
    spec: str = args.model or ""
    is_onnx = spec.lower().endswith(".onnx")
    runtime = args.runtime or ("onnx" if is_onnx else "torch")
    if runtime == "torch" and is_onnx:
        raise CommandError(f"model {spec}: is an ONNX file, which needs --runtime onnx")
    if runtime == "onnx" and not is_onnx:
        raise CommandError(
            "--runtime onnx needs --model FILE.onnx, which `asteroid-slicq export` writes"
        )
    from asteroid_slicq.cli.models import resolve_device, resolve_model

    if runtime == "torch":
        device = resolve_device(args.device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries, for developers
            return resolve_model(args.model), device
    if args.device not in ("auto", "cpu"):
        raise CommandError(f"device {args.device}: --runtime onnx runs on the CPU alone")
    from asteroid_slicq.models.xumx_slicq import OnnxSeparator

    if not os.path.isfile(spec):
        raise CommandError(f"model {spec}: no such file")
    try:
        return OnnxSeparator(spec), "cpu"
    except ImportError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"model {spec}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise CommandError(
            f"model {spec}: is no file that `asteroid-slicq export` wrote"
        ) from error
