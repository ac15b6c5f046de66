"""``asteroid-slicq convert``: a checkpoint of the original xumx-sliCQ for this package."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch

from asteroid_slicq.commands import CommandError, say
from asteroid_slicq.convert import convert_v2_state
from asteroid_slicq.xumx import PRESETS, XUMXSliCQ


def add_convert_parser(subparsers) -> None:
    """Add ``asteroid-slicq convert`` to the command line."""
    parser = subparsers.add_parser(
        "convert",
        help="turn a checkpoint of the original xumx-sliCQ into one for this package",
        description="Turn a state dict of the original xumx-sliCQ into a file that "
        "BaseModel.from_pretrained and `separate --model` load.",
    )
    parser.add_argument("state", metavar="UPSTREAM_STATE", type=Path, help="state dict, .pth")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True)
    parser.add_argument("--preset", choices=[n for n in PRESETS if n.startswith("v")], default="v2")
    parser.add_argument("--n-bins", type=int, default=262, help="bins of the Bark scale")
    parser.add_argument("--f-min-hz", type=float, default=32.9, help="lowest frequency in Hz")


def run_convert(args: argparse.Namespace) -> int:
    """Runs the command.

    Raises:
        CommandError: what cannot be read, converted or written, in one sentence.
    """
    temporary = args.output.with_name(args.output.name + ".part")
    try:
        torch.save(_convert(args).serialize(), temporary)
        temporary.replace(args.output)
    except (OSError, RuntimeError) as error:
        raise CommandError(f"{args.output} cannot be written ({error})") from error
    finally:
        temporary.unlink(missing_ok=True)
    say(f"{args.state} -> {args.output}: {args.preset}")
    return 0


def _convert(args: argparse.Namespace) -> XUMXSliCQ:
    try:
        state = torch.load(args.state, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CommandError(f"{args.state} does not exist") from None
    except Exception as error:
        raise CommandError(f"{args.state} is not a state dict saved by torch.save") from error
    if not isinstance(state, Mapping):
        raise CommandError(f"{args.state} holds a {type(state).__name__}, not a state dict")
    model = XUMXSliCQ.from_preset(
        args.preset, transform={"n_bins": args.n_bins, "f_min_hz": args.f_min_hz}
    )
    try:
        model.load_state_dict(convert_v2_state(state))
    except RuntimeError as error:
        raise CommandError(
            f"{args.state} does not fit the preset {args.preset} with --n-bins {args.n_bins} "
            f"--f-min-hz {args.f_min_hz}: are those its transform's?"
        ) from error
    except ValueError as error:
        raise CommandError(f"{args.state}: {error}") from error
    return model
