"""Options of ``asteroid-slicq separate``, for files and for streams."""

from __future__ import annotations

import argparse
from pathlib import Path

from asteroid_slicq.cli.parsers import hpss, stems
from asteroid_slicq.cli.parsers.arguments import (
    count,
    file_name,
    folder_or_address,
    list_of,
    numbers,
    positive_seconds,
    seconds,
)
from asteroid_slicq.vocabulary import (
    DEFAULT_OVERLAP_S,
    DEFAULT_PHASE_ITERATIONS,
    DEFAULT_SEGMENT_S,
    ENSEMBLE_DOMAINS,
    PHASES,
)

SAMPLE_FORMATS = {"f32le": "<f4", "s16le": "<i2"}
"""Raw samples by name: 32-bit floats in −1 … 1, or 16-bit integers; both little-endian."""

_EXAMPLES = """\
examples:
  asteroid-slicq separate song.wav -o stems
  asteroid-slicq separate song.flac album/ -o stems --stems vocals,drums --format flac
  asteroid-slicq separate song.mp3 -o karaoke --two-stems vocals --format mp3
  asteroid-slicq separate song.mp3 -o stems --model user/xumx-slicq --device cuda
  asteroid-slicq separate song.wav -o parts --model hpss
  asteroid-slicq separate album/ mixtape.m3u "more/*.mp3" -o stems --jobs 4 --skip-existing
  asteroid-slicq separate - --stdin-name song -o stems < song.mp3
  arecord -t raw -f FLOAT_LE -r 44100 -c 2 \\
      | asteroid-slicq separate --stream --model realtime.pth --stems vocals \\
      | aplay -t raw -f FLOAT_LE -r 44100 -c 2

OUT/<track>/<source>.wav is written, with the sample rate, channels, length and tags of the input.
Levels stay as they are, unless a sample would exceed full scale (--clip).

A folder stands for all audio files and videos in it and below; its tree is mirrored in OUT. Stems
that this command wrote, which are marked inside, are passed over there, and so are stems beside a
file named mixture, as in MUSDB18-HQ; that is said. Of two inputs with the same name, the later one
goes to OUT/<track>-2. A playlist stands for its entries.
Runs over several songs note in OUT/.asteroid-slicq.jsonl what stems were made from, by which model
and with which settings: by that --skip-existing knows what is done already.

With --stream, raw interleaved PCM is read from standard input and the stems go to standard output,
as soon as they are known, in the same sample format and at the rate of the model. A frame of the
output holds the channels of the first stem, then those of the second and so on; as many frames come
out as went in. It needs a causal model, such as one of the preset v2-realtime. Silence stands for
samples that are NaN or infinite; the exit code is 2 then.

MODEL may be any model of Asteroid's, too: use this command in place of `asteroid-infer`, which
knows no plugins and writes no stereo.

exit code: 0 when all was done, now or, with --skip-existing, before; 2 when an input or option was
refused (the others are done), 130 after Ctrl-C, 128 + N after signal N; nothing half-written stays
behind, and what a run that was killed left is removed by the next one that writes there.
"""
_FILE_OPTIONS = (
    "output",
    *stems.OPTIONS,
    "segment_seconds",
    "overlap_seconds",
    "shifts",
    "one_pass",
    "no_cuda_graphs",
    "ensemble",
    "phase",
    "overwrite",
    "skip_existing",
    "jobs",
    "ray",
    "stdin_name",
)


def add_quality_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that trade time for quality."""
    group = parser.add_argument_group("options that trade time for quality")
    group.add_argument(
        "--shifts",
        metavar="N",
        type=count,
        default=1,
        help="separate N times, each time a little later, and take the mean; N times as slow "
        "(default: 1)",
    )
    group.add_argument(
        "--one-pass",
        action="store_true",
        help="let each segment measure what it needs, such as the covariances of Wiener-EM, and "
        "not the whole song first: 30 %% less time; the stems then depend on the segments",
    )
    group.add_argument(
        "--ensemble",
        metavar="A,B",
        type=list_of(),
        help="the mean of several models in place of --model, each named as there; they must have "
        "the same sources and sample rate",
    )
    group.add_argument(
        "--ensemble-domain",
        choices=ENSEMBLE_DOMAINS,
        default="waveform",
        help="of their waveforms, or of their soft masks, which filter the mix, so that the stems "
        "sum to it (default: waveform)",
    )
    group.add_argument(
        "--ensemble-weights",
        metavar="W,W",
        type=numbers,
        help="how much each model counts, such as 2,1 (default: all the same)",
    )
    group.add_argument(
        "--phase",
        metavar="METHOD[:N]",
        type=phase,
        help=f"of the magnitudes that the model's masks give: {', '.join(PHASES)}, the last three "
        f"in N iterations (default: N = {DEFAULT_PHASE_ITERATIONS}; without this option, as the "
        "model does, by Wiener-EM for instance)",
    )


def phase(text: str) -> tuple[str, int]:
    """A method for phases and its iterations, such as griffin-lim:32."""
    method, colon, iterations = text.partition(":")
    if method not in PHASES:
        raise argparse.ArgumentTypeError(
            f"must be {', '.join(PHASES)}, or such as griffin-lim:32, got {text!r}"
        )
    if colon and method == "mix":
        raise argparse.ArgumentTypeError(f"mix has no iterations, got {text!r}")
    return method, count(iterations) if colon else DEFAULT_PHASE_ITERATIONS


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command to the main parser."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "separate",
        help="separate songs into stems",
        description="Separate songs into stems: vocals, drums, bass and other.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="audio files, videos, folders, playlists (.m3u, .m3u8), quoted patterns, - for a file "
        "on standard input, or addresses such as s3://bucket/album",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=folder_or_address,
        default=Path("separated"),
        help="folder for the stems (default: ./separated)",
    )
    _add_model_options(parser)
    parser.add_argument(
        "--stems", metavar="A,B", type=list_of(), help="only these, for example vocals,drums"
    )
    _add_segment_options(parser)
    add_quality_options(parser)
    _add_work_options(parser)
    stems.add_options(parser)
    hpss.add_options(parser)
    _add_stream_options(parser)
    parser.set_defaults(check=_check)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add what separates, and where."""
    parser.add_argument(
        "-m",
        "--model",
        metavar="MODEL",
        help="a model file, a Hub id such as user/name, or the name of a model that ships, such as "
        "hpss (default: the model that ships with the package)",
    )
    parser.add_argument(
        "-d",
        "--device",
        default="auto",
        help="auto, cpu, cuda, cuda:1, mps (default: auto: cuda where there is one, else cpu)",
    )
    parser.add_argument(
        "--no-cuda-graphs",
        action="store_true",
        help="launch the kernels of each segment on a GPU one by one; otherwise they are recorded "
        "once and replayed, where that works, which is faster and takes more of its memory",
    )
    parser.add_argument(
        "--runtime",
        choices=("torch", "onnx"),
        help="what runs the networks; onnx: ONNX Runtime, on the CPU, for a MODEL.onnx that "
        "`asteroid-slicq export` wrote (default: onnx for such a file, else torch)",
    )


def _add_segment_options(parser: argparse.ArgumentParser) -> None:
    """Add how much of a song is separated at a time."""
    parser.add_argument(
        "--segment-seconds",
        metavar="S",
        type=positive_seconds,
        default=DEFAULT_SEGMENT_S,
        help="length of the segments that are separated at a time; memory grows with it "
        f"(default: {DEFAULT_SEGMENT_S:g})",
    )
    parser.add_argument(
        "--overlap-seconds",
        metavar="S",
        type=seconds,
        help="what neighbouring segments share, at most half a segment (default: "
        f"{DEFAULT_OVERLAP_S:g}, or a quarter of a shorter segment)",
    )


def _add_work_options(parser: argparse.ArgumentParser) -> None:
    """Add what is kept, and who works."""
    parser.add_argument("--overwrite", action="store_true", help="replace stems that exist")
    parser.add_argument(
        "--skip-existing",
        action="store_true",
        help="keep stems that were made with the same model and settings, and do the rest: goes on "
        "with a run that was broken off; stems are made again if the song, the model or a setting "
        "has changed, or one is missing, but not if somebody edited them",
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=count,
        help="songs to separate at the same time, each by a process with its share of the "
        "processors; memory grows with it, by 1 GB each (default: 1)",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="separate on a cluster of Ray, with as many workers as it has room for or --jobs: "
        "local for one on this machine, auto for the one that it is in, or HOST:PORT",
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        type=count,
        help="CPU threads to compute with, in each process (default: all, shared by --jobs; "
        "1 with --ray)",
    )
    parser.add_argument(
        "--stdin-name",
        metavar="NAME",
        type=file_name,
        default="stdin",
        help="of the song on standard input, if INPUT is - (default: stdin)",
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing but warnings and errors"
    )


def _add_stream_options(parser: argparse.ArgumentParser) -> None:
    """Add what concerns ``--stream`` alone."""
    stream = parser.add_argument_group("options of a stream")
    stream.add_argument(
        "--stream",
        action="store_true",
        help="read raw PCM from standard input, write raw PCM of the stems to standard output; "
        "needs --model, a causal one",
    )
    stream.add_argument(
        "--sample-format",
        choices=tuple(SAMPLE_FORMATS),
        help="of both; s16le is clipped (default: f32le)",
    )
    stream.add_argument(
        "--channels",
        metavar="N",
        type=count,
        help="of the input and of each stem (default: as the model's)",
    )


def _check(args: argparse.Namespace) -> None:
    parser: argparse.ArgumentParser = args.parser
    if args.stream and args.inputs:
        parser.error(f"argument --stream: reads standard input, so no INPUT, got {args.inputs[0]}")
    if args.ray and "-" in args.inputs:
        parser.error("argument --ray: its machines have no standard input of this one")
    if not (args.stream or args.inputs):
        parser.error("the following arguments are required: INPUT")
    foreign = _FILE_OPTIONS if args.stream else ("sample_format", "channels")
    where = "files, not for --stream" if args.stream else "--stream alone"
    for name in foreign:
        if getattr(args, name) != parser.get_default(name):
            option = stems.OPTIONS.get(name, f"--{name.replace('_', '-')}")
            parser.error(f"argument {option}: is for {where}")
    if args.overlap_seconds is not None and args.overlap_seconds > args.segment_seconds / 2:
        parser.error(
            f"argument --overlap-seconds: must be at most half of --segment-seconds "
            f"({args.segment_seconds / 2:g}), got {args.overlap_seconds:g}"
        )
    if args.ensemble and (args.model or args.runtime):
        given = "--model" if args.model else "--runtime"
        parser.error(f"argument --ensemble: names the models itself, so no {given}")
    if args.ensemble and args.phase:
        parser.error("argument --phase: is for the magnitudes of one model, not for --ensemble")
    for name in ("ensemble_domain", "ensemble_weights"):
        if not args.ensemble and getattr(args, name) != parser.get_default(name):
            parser.error(f"argument --{name.replace('_', '-')}: needs --ensemble A,B")
    weights = args.ensemble_weights
    if args.ensemble and weights is not None and len(weights) != len(args.ensemble):
        parser.error(
            f"argument --ensemble-weights: must be one for each of {len(args.ensemble)} models, "
            f"got {len(weights)}"
        )
    hpss.check(args)
    stems.check(args)
