"""``asteroid-slicq separate``: songs into stems."""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import fields
from pathlib import Path

import torch
from torch import nn

from asteroid_slicq.audio import AudioWarning
from asteroid_slicq.cli.messages import CommandError, complain, one_line, say
from asteroid_slicq.cli.model_choice import resolve
from asteroid_slicq.cli.progress import SongBar, aside, tell_summary
from asteroid_slicq.cli.standard_input import file_of_standard_input
from asteroid_slicq.cli.stream import run_stream
from asteroid_slicq.jobs import (
    Manifest,
    Outcome,
    Work,
    collect_jobs,
    is_address,
    refuse_collisions,
    refuse_replaced_songs,
    separate_jobs,
)
from asteroid_slicq.processes import n_processors
from asteroid_slicq.separation import FileOutput, PhaseModel, Separator


def run(args: argparse.Namespace) -> int:
    """Separate; return the exit code.

    Raises:
        CommandError: a model, a device or a folder that cannot be used, in one sentence.
        CrewError: workers that cannot be had, in one sentence.
    """
    if args.stream:
        return run_stream(args)
    if not is_address(args.output):
        _check_output(args.output)
    with ExitStack() as stack:
        if "-" in args.inputs:
            copy = stack.enter_context(file_of_standard_input(args.stdin_name))
            args.inputs = [copy if text == "-" else text for text in args.inputs]
            return _run_files(args, {copy: "standard input"})
        return _run_files(args, {})


def _run_files(args: argparse.Namespace, labels: dict[str, str]) -> int:
    output = FileOutput(**{field.name: getattr(args, field.name) for field in fields(FileOutput)})
    manifest = Manifest(args.output)
    with _warnings_as_lines():
        earlier = manifest if args.skip_existing else None
        jobs, problems = collect_jobs(args.inputs, args.output, earlier, labels)
    told = manifest.problem
    for problem in filter(None, [told, *problems]):
        complain(problem)
    if not jobs:
        return 2
    work = _work(args, output)
    refuse_collisions(work, jobs)
    if args.overwrite:
        refuse_replaced_songs(work, jobs)
    outcomes: list[Outcome] = []
    records = len(jobs) > 1 or args.skip_existing or manifest.exists()
    run = separate_jobs(
        work,
        jobs,
        manifest if records else None,
        overwrite=args.overwrite,
        skip_existing=args.skip_existing,
        n_jobs=args.jobs,
        n_threads=args.threads,
        ray=args.ray,
        progress=lambda job, done_s, total_s: bar.advance(job, done_s, total_s),
    )
    with SongBar(jobs, args.quiet, args.jobs or 1) as bar, closing(run):
        for outcome in run:
            outcomes.append(outcome)
            bar.finish(outcome)
            with aside():
                _tell(outcome, args, work.separator.device)
    if manifest.problem != told:
        complain(manifest.problem)
    if len(outcomes) + len(problems) > 1 and not args.quiet:
        tell_summary(outcomes, problems)
    return 2 if problems or any(outcome.status == "failed" for outcome in outcomes) else 0


def _work(args: argparse.Namespace, output: FileOutput) -> Work:
    """What is done with every song."""
    threads = args.threads
    if threads is None and args.jobs and not args.ray:
        threads = max(1, n_processors() // args.jobs)
    if threads is not None:
        torch.set_num_threads(threads)
    model, device = resolve(args)
    if args.ray and args.device == "auto":
        device = None  # what its machines have
    if args.phase:
        model = _with_phase(model, *args.phase)
    separator = Separator(
        model,
        args.segment_seconds,
        args.overlap_seconds,
        device,
        args.shifts,
        two_passes=not args.one_pass,
        cuda_graphs=not args.no_cuda_graphs,
    )
    if separator.edge_warning:
        complain(f"warning: {separator.edge_warning}")
    output.selection(separator.sources)  # refuses names that the model does not have
    return Work(separator, output, args.output, "--overwrite")


def _with_phase(model: nn.Module, method: str, iterations: int) -> nn.Module:
    """The model with phases found by a method.

    Raises:
        CommandError: for a model that has no magnitudes.
    """
    try:
        return PhaseModel(model, method, iterations)
    except TypeError as error:
        raise CommandError(f"--phase {method}: {error}") from error


def _tell(outcome: Outcome, args: argparse.Namespace, device: torch.device | None) -> None:
    """Print what came of a song.

    Raises:
        RuntimeError: with ``--debug``, why a model fails.
    """
    job = outcome.job
    for text in outcome.warnings:
        complain(f"warning: {text}")
    if outcome.status == "failed":
        if outcome.cause == "model" and args.debug:
            raise RuntimeError(outcome.trace)
        if outcome.cause == "memory":
            on_cpu = "" if device is None or device.type == "cpu" else ", or --device cpu"
            complain(
                f"{job.name}: out of memory; try --segment-seconds {args.segment_seconds / 2:g}"
                f"{on_cpu}"
            )
        else:
            complain(one_line(outcome.reason))
    elif not args.quiet:
        folder = os.path.join(args.output, job.track)
        if outcome.stems and not is_address(args.output):
            folder = os.path.commonpath([os.path.dirname(stem) for stem in outcome.stems.values()])
        words = ", ".join(outcome.stems)
        if outcome.status == "kept":
            words = f"kept ({outcome.reason or 'done already'})"
        elif outcome.reason:
            words += f" (again: {outcome.reason})"
        say(one_line(f"{job.name} -> {folder}: {words}"))


def _check_output(output: Path) -> None:
    """Refuse, before any work, an output folder that cannot be one."""
    existing = next((p for p in (output, *output.absolute().parents) if os.path.lexists(p)), output)
    if os.path.islink(existing) and not os.path.exists(existing):
        raise CommandError(f"{existing}: is a link that leads nowhere")
    if not os.path.isdir(existing):
        raise CommandError(f"{existing}: is a file, so {output} cannot be a folder for the stems")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise CommandError(f"{output}: cannot be written (permission denied)")


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print warnings of audio files as lines, and drop others, which are for developers."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", AudioWarning)
        yield
    for warning in caught:
        complain(f"warning: {warning.message}")
