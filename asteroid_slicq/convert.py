"""State dicts of the original xumx-sliCQ, read into the models of this package.

The original keeps one small ``Sequential`` for each block and target; here the targets are groups
of one convolution, so their weights are stacked along the output channels.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from asteroid_slicq.xumx import PRESETS, XUMXSliCQ

_LAYERS = {
    "0": "encode_outer",
    "1": "norm_encode_outer",
    "3": "encode_inner",
    "4": "norm_encode_inner",
    "6": "decode_inner",
    "7": "norm_decode_inner",
    "9": "decode_outer",
}
"""Index in the original's ``Sequential`` → layer of a ``BlockNetwork``."""


def convert_v2_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of an original xumx-sliCQ V2 as one of :class:`XUMXSliCQ`.

    Args:
        state: keys ``sliced_umx.<block>.input_mean``, ``….input_scale`` and
            ``….cdaes.<target>.<layer>.<name>``; targets in the order bass, vocals, other, drums.

    Raises:
        ValueError: for keys that no xumx-sliCQ V2 has, or for targets that are missing.
    """
    converted: dict[str, Tensor] = {}
    targets: dict[str, dict[int, Tensor]] = {}
    for key, value in state.items():
        parts = key.split(".")
        if len(parts) == 3 and parts[0] == "sliced_umx" and parts[2] == "input_mean":
            converted[f"blocks.{parts[1]}.shift"] = value
        elif len(parts) == 3 and parts[0] == "sliced_umx" and parts[2] == "input_scale":
            converted[f"blocks.{parts[1]}.scale"] = value
        elif len(parts) == 6 and parts[2] == "cdaes" and parts[4] in _LAYERS:
            _, block, _, target, layer, name = parts
            destination = f"blocks.{block}.{_LAYERS[layer]}.{name}"
            targets.setdefault(destination, {})[int(target)] = value
        else:
            raise ValueError(f"state has the key {key!r}, which no xumx-sliCQ V2 has")
    n_targets = 1 + max((t for group in targets.values() for t in group), default=-1)
    for destination, group in targets.items():
        if sorted(group) != list(range(n_targets)):
            raise ValueError(f"state lacks targets of {destination}: it has {sorted(group)}")
        ordered = [group[target] for target in range(n_targets)]
        converted[destination] = ordered[0] if ordered[0].ndim == 0 else torch.cat(ordered)
    if not converted:
        raise ValueError("state is empty")
    return converted


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
    """Run ``asteroid-slicq convert``; 2 and one sentence on stderr for bad input."""
    temporary = args.output.with_name(args.output.name + ".part")
    try:
        try:
            state = torch.load(args.state, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise ValueError(f"{args.state} does not exist") from None
        except Exception as error:
            raise ValueError(f"{args.state} is not a state dict saved by torch.save") from error
        if not isinstance(state, Mapping):
            raise ValueError(f"{args.state} holds a {type(state).__name__}, not a state dict")
        model = XUMXSliCQ.from_preset(
            args.preset, transform={"n_bins": args.n_bins, "f_min_hz": args.f_min_hz}
        )
        try:
            model.load_state_dict(convert_v2_state(state))
        except RuntimeError as error:
            raise ValueError(
                f"{args.state} does not fit the preset {args.preset} with --n-bins {args.n_bins} "
                f"--f-min-hz {args.f_min_hz}: are those its transform's?"
            ) from error
        torch.save(model.serialize(), temporary)
        temporary.replace(args.output)
    except (ValueError, OSError) as error:
        print(f"asteroid-slicq convert: {error}", file=sys.stderr)
        return 2
    finally:
        temporary.unlink(missing_ok=True)
    return 0
