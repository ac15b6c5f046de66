"""Score a trained MiXiN on whole tracks: ``python eval.py --exp_dir exp/NAME --data_dir DATA``.

Writes into the experiment ``metrics.json``, ``results.md``, the box plot ``results.png`` and, in
``eval/<model>/``, files for each track. In a mode that is not the model's own, these names end
with it: ``metrics_instrumental.json``. The same command after it was stopped goes on with the
tracks that are left.
"""

import shared  # noqa: F401 - first: it says where the modules of all recipes are

# isort: split
import argparse

from asteroid.utils.parser_utils import str2bool_arg
from scoring import evaluate, load, make_parser, run

from asteroid_slicq.models.mixin import MiXiN

MODES = ("instrumental", "single_model")


def main(args: argparse.Namespace) -> None:
    """Score every track of the split, then all of them together.

    For music without a voice, the mix is the sum of the other sources.
    """
    model = load(args)
    if not isinstance(model, MiXiN):
        raise ValueError(f"the model must be a MiXiN, got a {type(model).__name__}")
    changed = []
    for mode in MODES:
        own, wanted = getattr(model, mode), getattr(args, mode)
        if wanted is not None and wanted != own:
            setattr(model, mode, wanted)
            changed.append(mode if wanted else f"not_{mode}")
    evaluate(args, model, mode="_".join(changed), remix=model.instrumental)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("Score a trained MiXiN on whole tracks.")
    own = "default: as the model says"
    parser.add_argument("--instrumental", type=str2bool_arg, help=f"music, no voice; {own}")
    parser.add_argument("--single_model", type=str2bool_arg, help=f"no soft masks; {own}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run(lambda: main(parse()))
