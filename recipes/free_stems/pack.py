"""A trained model in half the bytes: ``python pack.py best_model.pth -o small.pth``.

Kernels are stored in 16 bits, everything else as it is; what loads them has 32 bits again. Of
several models, which trainings from the same weights have made, the mean is stored.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from asteroid_slicq.files import whole_file


def mean(confs: list[dict[str, Any]]) -> dict[str, Any]:
    """A model whose weights are the means of those of the models, in double precision.

    Raises:
        ValueError: where their settings differ.
    """
    first, *others = confs
    if any(conf["model_args"] != first["model_args"] for conf in others):
        raise ValueError("the models have different settings")
    state = {
        name: torch.stack([conf["state_dict"][name].double() for conf in confs]).mean(0).to(value)
        if value.is_floating_point()
        else value
        for name, value in first["state_dict"].items()
    }
    return {**first, "state_dict": state}


def pack(sources: list[Path], target: Path) -> None:
    """Write a model, or the mean of several, with its kernels in half precision."""
    conf = mean([torch.load(file, map_location="cpu", weights_only=True) for file in sources])
    state = conf["state_dict"]
    for name, value in state.items():
        if value.is_floating_point() and value.ndim >= 3:
            state[name] = value.half()
    with whole_file(target) as partial, partial.open("wb") as opened:
        torch.save(conf, opened)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("models", metavar="MODEL", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    try:
        pack(args.models, args.output)
    except ValueError as error:
        sys.exit(f"pack.py: {error}")
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
