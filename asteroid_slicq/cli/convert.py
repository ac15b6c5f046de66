"""``asteroid-slicq convert``: checkpoints of the original projects for this package."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from asteroid.models import BaseModel

from asteroid_slicq.cli.messages import CommandError, say
from asteroid_slicq.hub import build_mixin, convert_v1_state, convert_v2_state
from asteroid_slicq.models.xumx_slicq import XUMXSliCQ

_CONVERTERS = {
    "v1": convert_v1_state,
    "v2": convert_v2_state,
    "v2-realtime": convert_v2_state,
}
"""Converter of the state dicts of each preset that the original xumx-sliCQ trained."""

_MIXIN = "mixin"


def add_convert_parser(subparsers) -> None:
    """Add ``asteroid-slicq convert`` to the command line."""
    parser = subparsers.add_parser(
        "convert",
        help="turn weights of the original xumx-sliCQ or MiXiN into a model for this package",
        description="Turn a state dict of the original xumx-sliCQ, or the three Keras files of the "
        "original MiXiN, into a file that BaseModel.from_pretrained and `separate --model` load.",
    )
    parser.add_argument(
        "state",
        metavar="UPSTREAM_STATE",
        type=Path,
        nargs="+",
        help="state dict, .pth; for mixin the .h5 of harmonic, percussive and vocals",
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True)
    parser.add_argument("--overwrite", action="store_true", help="replace FILE where it exists")
    parser.add_argument("--preset", choices=[*_CONVERTERS, _MIXIN], default="v2")
    parser.add_argument("--n-bins", type=int, default=262, help="bins of the Bark scale")
    parser.add_argument("--f-min-hz", type=float, default=32.9, help="lowest frequency in Hz")


def run_convert(args: argparse.Namespace) -> int:
    """Runs the command.

    Raises:
        CommandError: what cannot be read, converted or written, in one sentence.
    """
    if os.path.lexists(args.output) and not args.overwrite:
        raise CommandError(f"{args.output}: exists; replacing must be asked for (--overwrite)")
    model: Any = _convert_mixin(args.state) if args.preset == _MIXIN else _convert(args)
    temporary = args.output.with_name(args.output.name + ".part")
    try:
        torch.save(model.serialize(), temporary)
        temporary.replace(args.output)
    except (OSError, RuntimeError) as error:
        raise CommandError(f"{args.output} cannot be written ({error})") from error
    finally:
        temporary.unlink(missing_ok=True)
    say(f"{' '.join(map(str, args.state))} -> {args.output}: {args.preset}")
    return 0


def _convert_mixin(paths: list[Path]) -> BaseModel:
    try:
        return build_mixin(paths)
    except FileNotFoundError as error:
        raise CommandError(f"{error.filename} does not exist") from None
    except OSError as error:
        raise CommandError(f"{error.filename or paths[0]} cannot be read ({error})") from error
    except (ImportError, ValueError) as error:
        raise CommandError(str(error)) from error


def _convert(args: argparse.Namespace) -> XUMXSliCQ:
    if len(args.state) != 1:
        raise CommandError(
            f"the preset {args.preset} takes one state dict, got {len(args.state)} files"
        )
    path = args.state[0]
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CommandError(f"{path} does not exist") from None
    except Exception as error:
        raise CommandError(f"{path} is not a state dict saved by torch.save") from error
    if not isinstance(state, Mapping):
        raise CommandError(f"{path} holds a {type(state).__name__}, not a state dict")
    transform = {"n_bins": args.n_bins, "f_min_hz": args.f_min_hz}
    model = XUMXSliCQ.from_preset(args.preset, transform=transform)
    try:
        converted = _CONVERTERS[args.preset](state)
        if args.preset == "v1" and f"blocks.{len(model.networks) - 1}.shift" in converted:
            # The original was trained on all of the bandwidth.
            model = XUMXSliCQ.from_preset(args.preset, transform=transform, bandwidth_hz=None)
        model.load_state_dict(converted)
    except RuntimeError as error:
        raise CommandError(
            f"{path} does not fit the preset {args.preset} with --n-bins {args.n_bins} "
            f"--f-min-hz {args.f_min_hz}: are those its transform's?"
        ) from error
    except ValueError as error:
        raise CommandError(f"{path}: {error}") from error
    return model
