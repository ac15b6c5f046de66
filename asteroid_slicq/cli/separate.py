"""``asteroid-slicq separate``: songs into stems."""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asteroid_slicq.cli.arguments import count, positive_seconds, seconds
from asteroid_slicq.cli.messages import CommandError, complain, say
from asteroid_slicq.cli.runtime import add_runtime_argument
from asteroid_slicq.cli.stream import (
    STREAM_HELP,
    add_stream_arguments,
    check_stream_options,
    run_stream,
)
from asteroid_slicq.vocabulary import AUDIO_FORMATS, BIT_DEPTHS

_EXAMPLES = f"""\
examples:
  asteroid-slicq separate song.wav -o stems
  asteroid-slicq separate song.flac album/ -o stems --stems vocals,drums --format flac
  asteroid-slicq separate song.mp3 -o stems --model user/xumx-slicq --device cuda
  arecord -t raw -f FLOAT_LE -r 44100 -c 2 \\
      | asteroid-slicq separate --stream --model realtime.pth --stems vocals \\
      | aplay -t raw -f FLOAT_LE -r 44100 -c 2

OUT/<track>/<source>.wav is written, with the sample rate, channels and length of the input.
A folder stands for all audio files in it and below; its tree is mirrored in OUT. Of two inputs
with the same name, the later one goes to OUT/<track>-2. Nothing is rescaled.

{STREAM_HELP}
exit code: 0 when all was done, 2 when an input or option was refused (the others are done),
130 after Ctrl-C; nothing half-written stays behind.
"""


def add_separate_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the command to the main parser."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "separate",
        help="separate songs into stems",
        description="Separate songs into stems: vocals, drums, bass and other.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="audio files or folders")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        default=Path("separated"),
        help="folder for the stems (default: ./separated)",
    )
    parser.add_argument(
        "-m",
        "--model",
        metavar="MODEL",
        help="a model file, a Hub id such as user/name, or the name of a model that ships "
        "(default: the small model that ships with the package)",
    )
    parser.add_argument(
        "-d",
        "--device",
        default="auto",
        help="auto, cpu, cuda, cuda:1, mps (default: auto: cuda where there is one, else cpu)",
    )
    add_runtime_argument(parser)
    parser.add_argument(
        "--stems", metavar="A,B", type=_names, help="only these, for example vocals,drums"
    )
    parser.add_argument(
        "--format", choices=AUDIO_FORMATS, default="wav", help="of the stems (default: wav)"
    )
    parser.add_argument(
        "--bit-depth",
        choices=BIT_DEPTHS,
        help="of the stems; 32f is float and never clips (default: as in the input; 16 for MP3, "
        "OGG and 8 bits)",
    )
    parser.add_argument(
        "--segment-seconds",
        metavar="S",
        type=positive_seconds,
        default=10.0,
        help="length of the segments that are separated at a time; memory grows with it "
        "(default: 10)",
    )
    parser.add_argument(
        "--overlap-seconds",
        metavar="S",
        type=seconds,
        help="what neighbouring segments share, at most half a segment (default: 1, or a quarter "
        "of a shorter segment)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace stems that exist")
    parser.add_argument("--threads", metavar="N", type=count, help="CPU threads to compute with")
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing but warnings and errors"
    )
    add_stream_arguments(parser)
    parser.set_defaults(parser=parser)


def run_separate(args: argparse.Namespace) -> int:
    """Separates; returns the exit code."""
    _check_options(args)
    if args.stream:
        return run_stream(args)
    _check_output(args.output)

    from asteroid_slicq.cli.inputs import collect_jobs

    jobs, problems = collect_jobs(args.inputs, args.output)
    for problem in problems:
        complain(problem)
    if not jobs:
        return 2

    import torch

    from asteroid_slicq.audio import AudioError
    from asteroid_slicq.cli.runtime import load_model
    from asteroid_slicq.separation import Separator

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    model, device = load_model(args)
    separator = Separator(model, args.segment_seconds, args.overlap_seconds, device)
    stems = separator.check_stems(args.stems)
    failed = bool(problems)
    for job in jobs:
        try:
            with _warnings_as_lines(), _progress(job.track, args.quiet) as progress:
                paths = separator.separate_file(
                    job.path,
                    args.output,
                    track=job.track,
                    stems=stems,
                    audio_format=args.format,
                    bit_depth=args.bit_depth,
                    overwrite=args.overwrite,
                    progress=progress,
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
                say(f"{job.path} -> {args.output / job.track}: {', '.join(paths)}")
    return 2 if failed else 0


def _check_options(args: argparse.Namespace) -> None:
    check_stream_options(args)
    if not (args.inputs or args.stream):
        args.parser.error("the following arguments are required: INPUT")
    if args.overlap_seconds is not None and args.overlap_seconds > args.segment_seconds / 2:
        args.parser.error(
            f"argument --overlap-seconds: must be at most half of --segment-seconds "
            f"({args.segment_seconds / 2:g}), got {args.overlap_seconds:g}"
        )
    if args.format == "flac" and args.bit_depth == "32f":
        args.parser.error("argument --bit-depth: FLAC holds 16 or 24 bits, 32f needs --format wav")


def _check_output(output: Path) -> None:
    """Refuses, before any work, an output folder that cannot be one."""
    existing = next((p for p in (output, *output.absolute().parents) if os.path.lexists(p)), output)
    if not os.path.isdir(existing):
        raise CommandError(f"{existing}: is a file, so {output} cannot be a folder for the stems")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise CommandError(f"{output}: cannot be written (permission denied)")


def _is_out_of_memory(error: BaseException) -> bool:
    import torch

    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return "allocate memory" in str(error) or "not enough memory" in str(error)


@contextmanager
def _progress(track: str, quiet: bool) -> Iterator:
    """A progress bar in seconds of audio, on terminals only."""
    from tqdm import tqdm

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
    """What the audio files' owner should know becomes a line; other warnings are for developers."""
    from asteroid_slicq.audio import AudioWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", AudioWarning)
        yield
    for warning in caught:
        complain(f"warning: {warning.message}")


def _names(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise argparse.ArgumentTypeError("expected names separated by commas")
    return names
