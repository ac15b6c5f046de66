"""A trained xumx-sliCQ V2 with more channels: ``python grow.py small.pth 38 44 -o large.pth``.

What it computes stays the same, to rounding: new channels see what the old ones see, by random
weights, and the old ones do not hear them yet. A training that goes on from there (``--init``)
starts where that of the small model ended.

Source: Chen, Goodfellow and Shlens, "Net2Net: accelerating learning via knowledge transfer"
(arXiv:1511.05641), for networks that grow without forgetting; channels whose outgoing weights are
zero take the place of copies.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.files import whole_file
from asteroid_slicq.hub.loading import CONFIG_FILE, read_model_file
from asteroid_slicq.registration import from_eight_bits


def grow(conf: dict[str, Any], hidden_channels: Sequence[int], seed: int = 0) -> dict[str, Any]:
    """A model that computes the same with more channels.

    Args:
        conf: of an xumx-sliCQ V2.
        hidden_channels: of the outer and the inner layer, for each source, as many as before or
            more.
        seed: of the weights by which new channels see.

    Raises:
        ValueError: for another model, or fewer channels.
    """
    known = conf["model_args"]
    if conf["model_name"] != "XUMXSliCQ" or known.get("network") != "v2":
        given = known.get("network", conf["model_name"])
        raise ValueError(f"the model must have the network v2, got {given}")
    before, after = list(known["hidden_channels"]), list(hidden_channels)
    if len(after) != 2 or any(new < old for old, new in zip(before, after, strict=True)):
        raise ValueError(f"hidden_channels must be two numbers from {before} on, got {after}")
    torch.manual_seed(seed)
    model_args = {**known, "hidden_channels": after}
    state = XUMXSliCQ(**model_args).state_dict()
    n_sources = len(known["sources"])
    for name, old in from_eight_bits(conf["state_dict"]).items():
        new = state[name]
        if new.shape == old.shape:
            new.copy_(old)
            continue
        new, old = (x.unflatten(0, (n_sources, -1)) for x in (new, old))
        _enter(name.split(".")[-2], new, old)
    return {**conf, "model_args": model_args, "state_dict": state}


def _enter(layer: str, new: Tensor, old: Tensor) -> None:
    """Put what was known of a layer into a larger one.

    Shape:
        - new, old: ``(source, channel, …)``, the axes of a convolution's weight behind the source
    """
    n_first = old.shape[1]
    kept = new[:, :n_first]
    if layer in ("encode_inner", "decode_inner"):
        n_second = old.shape[2]
        if layer == "encode_inner":  # (source, out, in, …)
            kept[:, :, n_second:] = 0
        else:  # (source, in, out, …)
            new[:, n_first:, :n_second] = 0
        kept = kept[:, :, :n_second]
    elif layer == "decode_outer":
        new[:, n_first:] = 0
    kept.copy_(old)


def main() -> None:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=summary, allow_abbrev=False)
    parser.add_argument("model", metavar="MODEL", type=Path)
    parser.add_argument("channels", metavar="N", type=int, nargs=2, help="outer and inner ones")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0, help="of the new weights (default: 0)")
    args = parser.parse_args()
    try:
        grown = grow(
            read_model_file(args.model, args.model.with_name(CONFIG_FILE)), args.channels, args.seed
        )
        with whole_file(args.output) as partial, partial.open("wb") as opened:
            torch.save(grown, opened)
    except (OSError, ValueError) as error:
        sys.exit(f"grow.py: {error}")
    print(f"{args.output}: {args.channels[0]} and {args.channels[1]} channels for each source")


if __name__ == "__main__":
    main()
