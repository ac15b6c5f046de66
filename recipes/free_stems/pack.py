"""A trained model in half the bytes: ``python pack.py best_model.pth -o small.pth``.

Kernels are stored in 16 bits, everything else as it is; what loads them has 32 bits again.
"""

import argparse
from pathlib import Path

import torch

from asteroid_slicq.files import whole_file


def pack(source: Path, target: Path) -> None:
    """Write a model with its kernels in half precision."""
    conf = torch.load(source, map_location="cpu", weights_only=True)
    state = conf["state_dict"]
    for name, value in state.items():
        if value.is_floating_point() and value.ndim >= 3:
            state[name] = value.half()
    with whole_file(target) as partial, partial.open("wb") as opened:
        torch.save(conf, opened)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    pack(args.model, args.output)
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
