"""``asteroid-slicq publish``: a trained model for the Hugging Face Hub."""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

from asteroid_slicq.cli.messages import CommandError, complain, say

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


def add_publish_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the command to the main parser."""
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
    parser.set_defaults(parser=parser)


def run_publish(args: argparse.Namespace) -> int:
    """Publishes; returns the exit code.

    Raises:
        CommandError: what cannot be read; other errors are those of
            `asteroid_slicq.hub.publishing`.
    """
    if not args.dry_run and (args.output is not None or args.overwrite):
        args.parser.error("-o and --overwrite go with --dry-run")
    if args.metrics and not (args.trained_on or args.evaluated_on):
        args.parser.error("--metrics needs --evaluated-on or --trained-on: the data of the scores")

    from asteroid_slicq.hub import CardFacts, read_evaluation
    from asteroid_slicq.hub import publishing as publish

    publish.check_repo_id(args.repo)
    evaluation = read_evaluation(args.metrics) if args.metrics else None
    # eval.py knows the test set of MUSDB18-HQ when it sees it.
    if (
        evaluation
        and not args.evaluated_on
        and args.trained_on.lower() == "musdb18-hq"
        and not evaluation.get("dataset", "unknown")
    ):
        args.evaluated_on = "other tracks"
        complain(
            "warning: the scores are not of the 50 test tracks of MUSDB18-HQ; the card says "
            "they are of other tracks, or what --evaluated-on names"
        )
    facts = CardFacts(
        repo_id=args.repo,
        trained_on=args.trained_on,
        evaluated_on=args.evaluated_on,
        license=args.license,
        language=None if args.language == "none" else args.language,
        training_settings=_training_settings(args),
    )
    data = facts.training_data
    if data and data.is_academic and "nc" not in (facts.stated_license or "").split("-"):
        complain(
            f"warning: {data.title} is for non-commercial use, which the licence "
            f"{facts.stated_license} does not say; the card does"
        )
    with _quiet():
        if args.dry_run:
            folder = args.output or Path(args.repo.split("/")[1])
            names = publish.write_repository(
                _load(args.model), folder, facts, evaluation, args.overwrite
            )
            say(f"{args.model} -> {folder}: {', '.join(names)}; nothing was published")
            return 0
        publish.check_access(args.repo)
        with tempfile.TemporaryDirectory(prefix="asteroid-slicq-") as temporary:
            folder = Path(temporary) / "repository"
            names = publish.write_repository(_load(args.model), folder, facts, evaluation)
            url = publish.upload(folder, args.repo, args.private)
    say(f"{args.model} -> {url}: {', '.join(names)}")
    return 0


def _load(spec: str):
    """The model in a file or folder; that of the Hub is published already."""
    from asteroid_slicq.hub import ModelFileError, load_model

    if not Path(spec).exists():
        raise CommandError(f"model {spec}: no such file or folder")
    try:
        return load_model(spec)
    except (ModelFileError, OSError) as error:
        raise CommandError(f"model {error}") from error


def _training_settings(args: argparse.Namespace) -> dict:
    from asteroid_slicq.hub import read_training_settings

    if args.settings is not None:
        return read_training_settings(args.settings)
    beside = Path(args.model).parent / "conf.yml"
    try:
        return read_training_settings(beside) if beside.is_file() else {}
    except ValueError:  # of something else
        return {}


@contextmanager
def _quiet():
    """No comments of the client for developers; progress bars on terminals alone."""
    from huggingface_hub.utils import disable_progress_bars, logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not sys.stderr.isatty():
                disable_progress_bars()
            yield
    finally:
        logging.set_verbosity(verbosity)
