"""Options of ``asteroid-slicq publish``."""

from __future__ import annotations

import argparse
from pathlib import Path

_EXAMPLES = """\
examples:
  asteroid-slicq publish exp/best_model.pth --repo user/xumx-slicq --trained-on musdb18-hq \\
      --metrics exp/metrics.json
  asteroid-slicq publish exp/best_model.pth --repo user/xumx-slicq --dry-run -o card

The token is that of `hf auth login`, or HF_TOKEN. All files go in one commit: pytorch_model.bin,
model.safetensors, config.json, README.md (the card) and, with --metrics, evaluation.json.

exit code: 0 when it is published, 2 when not; then nothing was changed on the Hub, but that a
repository which was not there may be, empty.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command to the main parser."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "publish",
        help="publish a model on the Hugging Face Hub",
        description="Publish a trained model, with its card, on the Hugging Face Hub.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a model file, or a folder with one")
    parser.add_argument("--repo", metavar="USER/NAME", required=True, help="repository on the Hub")
    parser.add_argument(
        "--private", action="store_true", help="create it so that only its owner can read it"
    )
    parser.add_argument(
        "--metrics", metavar="FILE", type=Path, help="scores, as eval.py of the recipe writes them"
    )
    parser.add_argument(
        "--trained-on",
        metavar="DATA",
        help="musdb18-hq, musdb18, procedural, or the title of other data",
    )
    parser.add_argument(
        "--evaluated-on",
        metavar="DATA",
        help="data of the scores (default: that of the training)",
    )
    parser.add_argument(
        "--settings",
        metavar="FILE",
        type=Path,
        help="settings of the training (default: conf.yml beside the model, if there is one)",
    )
    parser.add_argument(
        "--license",
        metavar="ID",
        help="licence of the weights, as the Hub spells it, such as mit (default: "
        "cc-by-nc-sa-4.0 for MUSDB18, mit for procedural stems, else none stated)",
    )
    parser.add_argument("--language", metavar="CODE", default="none", help="default: none")
    parser.add_argument(
        "--dry-run", action="store_true", help="write the files to a folder, and publish nothing"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        help="folder for --dry-run (default: ./NAME of the repository)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files in the folder of --dry-run"
    )
    parser.set_defaults(check=_check)


def _check(args: argparse.Namespace) -> None:
    if not args.dry_run and (args.output is not None or args.overwrite):
        args.parser.error("-o and --overwrite go with --dry-run")
    if args.metrics and not (args.trained_on or args.evaluated_on):
        args.parser.error("--metrics needs --evaluated-on or --trained-on: the data of the scores")
