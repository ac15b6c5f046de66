"""``asteroid-slicq convert``: checkpoints of the original projects for this package."""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping
from pathlib import Path

import torch
from asteroid.models import BaseModel

from asteroid_slicq.cli.messages import CommandError, say
from asteroid_slicq.cli.outputs import check_output, output_file
from asteroid_slicq.hub import build_mixin, build_xumx_slicq, not_finite


def run(args: argparse.Namespace) -> int:
    """Convert; return the exit code."""
    check_output(args.output, args.overwrite)
    model = _convert_mixin(args.state) if args.preset == "mixin" else _convert(args)
    if name := not_finite(model):
        raise CommandError(
            f"{' '.join(map(str, args.state))}: the weights {name} hold NaN or infinity"
        )
    buffer = io.BytesIO()
    torch.save(model.serialize(), buffer)
    with output_file(args.output) as partial:
        partial.write_bytes(buffer.getbuffer())
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


def _convert(args: argparse.Namespace) -> BaseModel:
    if len(args.state) != 1:
        raise CommandError(
            f"the preset {args.preset} takes one state dict, got {len(args.state)} files"
        )
    path = args.state[0]
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CommandError(f"{path} does not exist") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be read ({error.strerror or error})") from error
    except Exception as error:
        raise CommandError(f"{path} is not a state dict saved by torch.save") from error
    if not isinstance(state, Mapping):
        raise CommandError(f"{path} holds a {type(state).__name__}, not a state dict")
    try:
        return build_xumx_slicq(state, args.preset, n_bins=args.n_bins, f_min_hz=args.f_min_hz)
    except RuntimeError as error:
        raise CommandError(
            f"{path} does not fit the preset {args.preset} with --n-bins {args.n_bins} "
            f"--f-min-hz {args.f_min_hz}: are those its transform's?"
        ) from error
    except ValueError as error:
        raise CommandError(f"{path}: {error}") from error
