"""``asteroid-slicq publish``: a trained model for the Hugging Face Hub."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub.utils import disable_progress_bars, logging

from asteroid_slicq.cli.messages import CommandError, complain, say
from asteroid_slicq.cli.model_choice import resolve_model
from asteroid_slicq.files import unreadable
from asteroid_slicq.hub import CardFacts, publishing, read_evaluation, read_training_settings


def run(args: argparse.Namespace) -> int:
    """Publish; return the exit code."""
    if reason := unreadable(args.model):
        raise CommandError(f"model {args.model}: {reason}")
    if not os.path.exists(args.model):  # that of the Hub is published already
        raise CommandError(f"model {args.model}: no such file or folder")
    publishing.check_repo_id(args.repo)
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
            names = publishing.write_repository(
                resolve_model(args.model), folder, facts, evaluation, args.overwrite
            )
            say(f"{args.model} -> {folder}: {', '.join(names)}; nothing was published")
            return 0
        publishing.check_access(args.repo)
        with tempfile.TemporaryDirectory(prefix="asteroid-slicq-") as temporary:
            folder = Path(temporary) / "repository"
            names = publishing.write_repository(
                resolve_model(args.model), folder, facts, evaluation
            )
            url = publishing.upload(folder, args.repo, args.private)
    say(f"{args.model} -> {url}: {', '.join(names)}")
    return 0


def _training_settings(args: argparse.Namespace) -> dict:
    if args.settings is not None:
        return read_training_settings(args.settings)
    beside = Path(args.model).parent / "conf.yml"
    try:
        return read_training_settings(beside) if beside.is_file() else {}
    except ValueError:  # of something else
        return {}


@contextmanager
def _quiet():
    """Silence the client's comments for developers, and its progress bars but on terminals."""
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
