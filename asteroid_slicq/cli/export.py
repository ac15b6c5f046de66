"""``asteroid-slicq export``: the networks of a model as an ONNX file."""

from __future__ import annotations

import argparse
import os
import secrets
import warnings
from pathlib import Path

from asteroid_slicq.cli.messages import CommandError, say

_EXAMPLES = """\
examples:
  asteroid-slicq export realtime.pth -o realtime.onnx
  asteroid-slicq separate song.wav --model realtime.onnx

The file has an input for each block of the transform, block_0, block_1 … (the magnitudes of the
mix, low frequencies first: batch, channel, freq, slice, time), and an output for each, masks_0,
masks_1 … (batch, source, channel, freq, slice, time). The transform, the phase of the mix and
Wiener-EM stay outside. It needs onnx and onnxruntime: pip install 'asteroid-slicq[onnx]'.

exit code: 0 when done, 2 when the model or an option was refused; nothing half-written stays.
"""
_TOLERANCE = 1e-4  # of masks, against PyTorch


def add_export_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the command to the main parser."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "export",
        help="write a model's networks as ONNX",
        description="Write the networks of an xumx-sliCQ V2 as ONNX, and check it by ONNX Runtime.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model", metavar="MODEL", help="a model file, a Hub id, or the name of a model that ships"
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True)
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    parser.set_defaults(parser=parser)


def run_export(args: argparse.Namespace) -> int:
    """Exports; returns the exit code.

    Raises:
        CommandError: what cannot be exported or written, in one sentence.
    """
    output: Path = args.output
    if output.suffix.lower() != ".onnx":
        raise CommandError(f"{output}: the name must end in .onnx")
    if os.path.isdir(output):
        raise CommandError(f"{output}: cannot be written, a folder has that name")
    if os.path.lexists(output) and not args.overwrite:
        raise CommandError(f"{output}: exists; replacing must be asked for (--overwrite)")
    if not os.path.isdir(output.parent):
        raise CommandError(f"{output}: cannot be written, there is no folder {output.parent}")
    from asteroid_slicq.cli.models import resolve_model
    from asteroid_slicq.models.xumx_slicq import export_onnx, require

    temporary = output.with_name(f".{output.stem}-{secrets.token_hex(4)}.part")
    try:
        for package in ("onnx", "onnxruntime"):
            require(package)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries, for developers
            model = resolve_model(args.model)
        export_onnx(model, temporary)  # pyright: ignore[reportArgumentType]
        difference = _difference(model, temporary)
        if difference > _TOLERANCE:
            raise CommandError(
                f"{output}: not written, ONNX Runtime differs from PyTorch by {difference:.1g}"
            )
        n_bytes = temporary.stat().st_size
        temporary.replace(output)
    except (ImportError, TypeError) as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{output}: cannot be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)
    if not args.quiet:
        say(
            f"{args.model} -> {output}: {n_bytes / 1e6:.1f} MB; "
            f"masks differ from PyTorch's by at most {difference:.1g}"
        )
    return 0


def _difference(model, path: Path) -> float:
    """Largest difference of a mask for noise of a few lengths."""
    import torch

    from asteroid_slicq.models.xumx_slicq import OnnxSeparator

    exported, largest = OnnxSeparator(path), 0.0
    generator = torch.Generator().manual_seed(0)
    for n_slices in (1, 2, 3, 9):
        magnitudes = [
            torch.rand(1, model.n_channels, n, n_slices, m, generator=generator)
            for n, m in model.transform.frame.blocks
        ]
        with torch.no_grad():
            wanted = model.eval().masks(magnitudes)
        for found, masks in zip(exported.masks(magnitudes), wanted, strict=True):
            largest = max(largest, float((found - masks).abs().max()))
    return largest
