"""Score a trained model on whole tracks: ``python eval.py --exp_dir exp/NAME --data_dir DATA``.

Writes into the experiment ``metrics.json``, ``results.md`` with published scores beside, the box
plot ``results.png`` and, in ``eval/<model>/``, files for each track. The same command after it was
stopped goes on with the tracks that are left.
"""

import quiet  # noqa: F401 - first: some of what it leaves out is said by the imports

# isort: split
import argparse

from scoring import evaluate, load, make_parser, run


def main(args: argparse.Namespace) -> None:
    """Score every track of the split, then all of them together."""
    evaluate(args, load(args))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    return make_parser("Score a trained model on whole tracks.").parse_args(arguments)


if __name__ == "__main__":
    run(lambda: main(parse()))
