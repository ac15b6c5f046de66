"""Options of ``asteroid-slicq export``."""

from __future__ import annotations

import argparse
from pathlib import Path

_EXAMPLES = """\
examples:
  asteroid-slicq export realtime.pth -o realtime.onnx
  asteroid-slicq separate song.wav --model realtime.onnx

The file has an input for each block of the transform, block_0, block_1 … (the magnitudes of the
mix, low frequencies first: batch, channel, freq, slice, time), and an output for each, masks_0,
masks_1 … (batch, source, channel, freq, slice, time). Of a BandSplit the inputs are coefficients
relative to the level of the mix, and both have real and imaginary parts last. The transform, the
phase of the mix and Wiener-EM stay outside. It needs onnx and onnxruntime:
pip install 'asteroid-slicq[onnx]'.

exit code: 0 when done, 2 when the model or an option was refused; nothing half-written stays.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command to the main parser."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "export",
        help="write a model's networks as ONNX",
        description="Write the networks of an xumx-sliCQ V2 or a BandSplit as ONNX, and check it "
        "by ONNX Runtime.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model", metavar="MODEL", help="a model file, a Hub id, or the name of a model that ships"
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True)
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
