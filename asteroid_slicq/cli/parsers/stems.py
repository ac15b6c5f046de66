"""Options of the stems that a separation of files writes: which, in what format, by what names."""

from __future__ import annotations

import argparse

from asteroid_slicq.cli.parsers.arguments import number
from asteroid_slicq.vocabulary import (
    AUDIO_FORMATS,
    BIT_DEPTHS,
    CLIPPINGS,
    DEFAULT_TEMPLATE,
    LOSSY_FORMATS,
    STEM_FIELDS,
)

OPTIONS = {
    "two_stems": "--two-stems",
    "residual": "--residual",
    "remix": "--mix",
    "audio_format": "--format",
    "bit_depth": "--bit-depth",
    "bitrate": "--bitrate",
    "clip": "--clip",
    "template": "--output-template",
    "downmix": "--downmix",
}
"""Options by the names of their values, which are those of ``separation.FileOutput``."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add them, but for those that a stream has, too."""
    group = parser.add_argument_group("options of the output")
    group.add_argument(
        "--two-stems",
        metavar="STEM",
        help="write this stem and no_STEM, the rest of the mix (karaoke: --two-stems vocals); they "
        "sum to the mix, in WAV and FLAC to the sample",
    )
    group.add_argument(
        "--residual",
        action="store_true",
        help="add what no written stem claims to other or, where other is not written, write it as "
        "a stem, residual: all stems sum to the mix, in WAV and FLAC to the sample",
    )
    group.add_argument(
        "--residual-to",
        metavar="NAME",
        dest="residual",
        help="the same, but to the stem of that name",
    )
    group.add_argument(
        "--mix",
        metavar="A=GAIN,B=GAIN",
        dest="remix",
        type=gains,
        help="write one file, remix, the sum of these stems times their gains, for example "
        "vocals=0.3,drums=1; stems that are not named are left out (with --two-stems vocals: "
        "vocals=0.3,no_vocals=1)",
    )
    group.add_argument(
        "--format",
        choices=AUDIO_FORMATS,
        dest="audio_format",
        default="wav",
        help="of the files; m4a is AAC; opus has 48 kHz whatever the input (default: wav)",
    )
    group.add_argument(
        "--bit-depth",
        choices=BIT_DEPTHS,
        help="of WAV and FLAC; 32f is float, WAV only, and has no full scale (default: as in the "
        "input; 16 for lossy formats and 8 bits)",
    )
    group.add_argument(
        "--bitrate",
        metavar="RATE",
        type=bitrate,
        help=f"of {', '.join(LOSSY_FORMATS)}, for example 192k (default: mp3 320k, m4a 256k, opus "
        "192k; half of it in mono)",
    )
    group.add_argument(
        "--clip",
        choices=CLIPPINGS,
        help="where a sample would exceed full scale: rescale lowers all stems of the song by the "
        "same factor, clamp limits the sample; either is said (default: rescale; clamp with "
        "--two-stems and --residual, where other stems take what was over, so that the sum holds)",
    )
    group.add_argument(
        "--output-template",
        metavar="TEMPLATE",
        dest="template",
        default=DEFAULT_TEMPLATE,
        help=f"of the names in OUT, with the fields {', '.join(STEM_FIELDS)} (default: "
        f'"{DEFAULT_TEMPLATE}"; all in one folder: "{{track}} - {{stem}}.{{ext}}")',
    )
    group.add_argument(
        "--downmix",
        action="store_true",
        help="mix surround sound to stereo first: front left and right, center and surrounds at "
        "-3 dB, no low-frequency effects (ITU-R BS.775); nothing is rescaled",
    )


def check(args: argparse.Namespace) -> None:
    """End with a usage error where they contradict one another."""
    lossy = args.audio_format in LOSSY_FORMATS
    pairs = (
        ("--stems", args.two_stems and args.stems, "--two-stems names the one that is written"),
        ("--residual", args.two_stems and args.residual, "--two-stems writes what is left"),
        ("--stems", args.remix and args.stems, "--mix names those that it is made of"),
        ("--bit-depth", lossy and args.bit_depth, f"{args.audio_format} has --bitrate instead"),
        ("--bitrate", not lossy and args.bitrate, f"{args.audio_format} has --bit-depth instead"),
    )
    for option, is_given, reason in pairs:
        if is_given:
            args.parser.error(f"argument {option}: {reason}")
    if args.audio_format == "flac" and args.bit_depth == "32f":
        args.parser.error("argument --bit-depth: FLAC holds 16 or 24 bits, 32f needs --format wav")


def gains(text: str) -> dict[str, float]:
    """Gains of stems, such as vocals=0.3,drums=1."""
    found: dict[str, float] = {}
    for word in text.split(","):
        name, equals, value = (part.strip() for part in word.partition("="))
        if not (name and equals):
            raise argparse.ArgumentTypeError(f"must be STEM=GAIN,STEM=GAIN …, got {word!r}")
        if name in found:
            raise argparse.ArgumentTypeError(f"must name each stem once, got {name} twice")
        found[name] = number(value)
    return found


def bitrate(text: str) -> int:
    """Bits a second, such as 192k."""
    digits = text.strip().lower().removesuffix("bps").removesuffix("k")
    if not digits.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a number of kbit/s such as 192k, got {text!r}")
    value = int(digits)
    return value if value >= 4096 and digits == text.strip() else value * 1000
