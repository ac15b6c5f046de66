"""Train MiXiN: ``python train.py --exp_dir exp/NAME --data_dir DATA [--conf quick] …``.

The same command again continues a run that was interrupted.
"""

from pathlib import Path

from common.configuration import Variants
from common.training import train
from system import MiXiNSystem

SETTINGS = Variants(Path(__file__).resolve().parent / "local")


def main(arguments: list[str] | None = None) -> None:
    """Train with the settings of a command line."""
    train(MiXiNSystem, SETTINGS.parse("Train MiXiN on stems.", arguments))


if __name__ == "__main__":
    main()
