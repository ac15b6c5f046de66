"""Train BandSplit: ``python train.py --exp_dir exp/NAME --data_dir DATA [--model small] …``.

The same command again continues a run that was interrupted.
"""

from pathlib import Path

from common.configuration import Variants
from common.training import train
from system import BandSplitSystem

SETTINGS = Variants(Path(__file__).resolve().parent / "local", option="model")


def main(arguments: list[str] | None = None) -> None:
    """Train with the settings of a command line."""
    train(BandSplitSystem, SETTINGS.parse("Train BandSplit on stems.", arguments))


if __name__ == "__main__":
    main()
