"""``asteroid-slicq separate``: songs into stems."""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import torch
from tqdm import tqdm

from asteroid_slicq.audio import AudioError, AudioWarning
from asteroid_slicq.cli.messages import CommandError, complain, say
from asteroid_slicq.cli.models import resolve
from asteroid_slicq.cli.stream import run_stream
from asteroid_slicq.jobs import collect_jobs
from asteroid_slicq.separation import FileOutput, Separator


def run(args: argparse.Namespace) -> int:
    """Separate; return the exit code.

    Raises:
        CommandError: a model, a device or a folder that cannot be used, in one sentence.
    """
    if args.stream:
        return run_stream(args)
    _check_output(args.output)
    output = FileOutput(**{field.name: getattr(args, field.name) for field in fields(FileOutput)})
    with _warnings_as_lines():
        jobs, problems = collect_jobs(args.inputs, args.output)
    for problem in problems:
        complain(problem)
    if not jobs:
        return 2
    output.refuse_collisions({job.path: job.track for job in jobs}, args.output)

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    model, device = resolve(args)
    separator = Separator(
        model, args.segment_seconds, args.overlap_seconds, device, shifts=args.shifts
    )
    if separator.edge_warning:
        complain(f"warning: {separator.edge_warning}")
    output.selection(separator.sources)  # refuses names that the model does not have
    failed = bool(problems)
    for job in jobs:
        try:
            with _warnings_as_lines(), _progress(job.track, args.quiet) as progress:
                paths = separator.separate_file(
                    job.path,
                    args.output,
                    track=job.track,
                    overwrite=args.overwrite,
                    progress=progress,
                    **vars(output),
                )
        except (AudioError, OSError) as error:
            complain(str(error))
            failed = True
        except (MemoryError, RuntimeError) as error:
            if _is_out_of_memory(error):
                complain(
                    f"{job.path}: out of memory; try --segment-seconds {args.segment_seconds / 2:g}"
                    + ("" if device == "cpu" else ", or --device cpu")
                )
            elif args.debug:
                raise
            else:
                complain(f"{job.path}: the model fails ({str(error).splitlines()[0]})")
            failed = True
        else:
            if not args.quiet:
                folder = os.path.commonpath([path.parent for path in paths.values()])
                say(f"{job.path} -> {folder}: {', '.join(paths)}")
    return 2 if failed else 0


def _check_output(output: Path) -> None:
    """Refuse, before any work, an output folder that cannot be one."""
    existing = next((p for p in (output, *output.absolute().parents) if os.path.lexists(p)), output)
    if not os.path.isdir(existing):
        raise CommandError(f"{existing}: is a file, so {output} cannot be a folder for the stems")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise CommandError(f"{output}: cannot be written (permission denied)")


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return "allocate memory" in str(error) or "not enough memory" in str(error)


@contextmanager
def _progress(track: str, quiet: bool) -> Iterator:
    """A progress bar in seconds of audio, on terminals only."""
    bar = tqdm(
        desc=track,
        unit="s",
        leave=False,
        disable=True if quiet else None,
        bar_format="{desc}: {percentage:3.0f}% |{bar}| {n:.0f} of {total:.0f} s "
        "[{elapsed}, {remaining} left]",
        total=1,
    )

    def update(done_s: float, total_s: float) -> None:
        bar.total = max(total_s, done_s)
        bar.update(done_s - bar.n)

    with bar:
        yield update


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print warnings of audio files as lines, and drop others, which are for developers."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", AudioWarning)
        yield
    for warning in caught:
        complain(f"warning: {warning.message}")
