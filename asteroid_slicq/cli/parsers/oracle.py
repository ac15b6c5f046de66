"""Options of ``asteroid-slicq oracle``."""

from __future__ import annotations

import argparse
from pathlib import Path

from asteroid_slicq.cli.parsers.arguments import (
    count,
    list_of,
    positive_number,
    positive_seconds,
    seed_number,
    stft_sizes,
)
from asteroid_slicq.cli.parsers.slicqt import add_slicqt_options
from asteroid_slicq.vocabulary import ORACLES, SEARCH_METHODS, SPARSITY_MEASURES, STEMS

_EXAMPLES = """\
examples:
  asteroid-slicq oracle musdb18hq --split test --stft 4096/1024 -o oracles.json
  asteroid-slicq oracle musdb18hq --scale mel --n-bins 600 --f-min 20 --window hann \\
      --min-bandwidth 30 --overlap-added --seconds 30 --oracles mix-phase,irm1 --sparsity
  asteroid-slicq oracle musdb18hq --split train --tracks 14 --seconds 20 --overlap-added \\
      --search bayesian --trials 100 --objective mix-phase --max-redundancy 2.5 -o search.jsonl
  asteroid-slicq oracle my_stems --recommend vocals --seconds 20

A table holds the median over tracks of the median SDR over windows of one second, in dB, and the
mean of the sources. Without options the sliCQT is the published one. A search varies the scale,
bins, lowest frequency, window, bandwidth floor and factor, slice length and gamma of the sliCQT,
except those that are given; a journal that exists is continued.

exit code: 0 when done, 2 when the data or an option was refused.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command to the main parser."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "oracle",
        help="score the oracles of a transform on stems, or search for a better transform",
        description="Score what separators could reach at best in a sliCQT and in STFTs, on tracks "
        "whose stems are known.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "path",
        metavar="PATH",
        type=Path,
        help="<split>/<track>/<source>.wav as in MUSDB18-HQ, a folder of tracks, or a track",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="JSON; with --search, its journal"
    )
    parser.add_argument("--split", choices=("train", "test"), help="(default: test, if there)")
    parser.add_argument(
        "--sources",
        metavar="A,B,…",
        type=list_of(),
        default=STEMS,
        help=f"files of the sources (default: {','.join(STEMS)})",
    )
    parser.add_argument("--tracks", metavar="N", type=count, help="only the first N")
    parser.add_argument(
        "--seconds", metavar="S", type=positive_seconds, help="only the middle S seconds of each"
    )
    parser.add_argument(
        "--oracles",
        metavar="A,B,…",
        type=list_of(ORACLES),
        default=ORACLES,
        help=f"of {', '.join(ORACLES)} (default: all)",
    )
    parser.add_argument(
        "--sparsity",
        action="store_true",
        help=f"measure {', '.join(SPARSITY_MEASURES)} of the sources too",
    )
    parser.add_argument(
        "--stft",
        metavar="N/HOP",
        type=stft_sizes,
        action="append",
        default=[],
        help="an STFT to compare with, such as 4096/1024; may be repeated",
    )
    parser.add_argument("--no-slicqt", action="store_true", help="score the STFTs alone")
    parser.add_argument(
        "--recommend",
        metavar="SOURCE",
        help="compare frames on the stems, and recommend one for this source, with the uncertainty",
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, … (default: auto)")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    add_slicqt_options(parser.add_argument_group("sliCQT (default: the published frame)"))
    search = parser.add_argument_group("search for a sliCQT")
    search.add_argument("--search", choices=SEARCH_METHODS, help="how (bayesian needs Optuna)")
    search.add_argument("--trials", metavar="N", type=count, default=50, help="(default: 50)")
    search.add_argument("--seed", metavar="K", type=seed_number, default=0, help="(default: 0)")
    search.add_argument(
        "--objective",
        choices=(*ORACLES, *SPARSITY_MEASURES),
        default="mix-phase",
        help="an oracle's SDR or a measure of sparsity (default: mix-phase)",
    )
    search.add_argument(
        "--target", default="all", help="the source that counts, or all (default: all)"
    )
    search.add_argument(
        "--max-redundancy", metavar="R", type=positive_number, help="skip frames of more data"
    )
