"""Train xumx-sliCQ: ``python train.py --exp_dir exp/NAME --data_dir DATA [--model small] …``.

The same command again continues a run that was interrupted.
"""

from pathlib import Path

from common.configuration import Variants
from common.training import train
from system import XUMXSystem

SETTINGS = Variants(Path(__file__).resolve().parent / "local", base="v2", option="model")


def main(arguments: list[str] | None = None) -> None:
    """Train with the settings of a command line."""
    train(XUMXSystem, SETTINGS.parse("Train xumx-sliCQ on stems.", arguments))


if __name__ == "__main__":
    main()
