"""``asteroid-slicq export``: the networks of a model as an ONNX file."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from asteroid_slicq.cli.messages import CommandError, say
from asteroid_slicq.cli.model_choice import resolve_model
from asteroid_slicq.cli.outputs import check_output, output_file
from asteroid_slicq.hub import not_finite
from asteroid_slicq.models import require
from asteroid_slicq.models.bandsplit import BandSplit, OnnxBandSplit
from asteroid_slicq.models.bandsplit import export_onnx as export_bandsplit
from asteroid_slicq.models.xumx_slicq import OnnxSeparator, export_onnx

_TOLERANCE = 1e-4  # of masks, against PyTorch


def run(args: argparse.Namespace) -> int:
    """Export; return the exit code."""
    output: Path = args.output
    if output.suffix.lower() != ".onnx":
        raise CommandError(f"{output}: the name must end in .onnx")
    check_output(output, args.overwrite)
    try:
        for package in ("onnx", "onnxruntime"):
            require(package)
        model = resolve_model(args.model)
        if name := not_finite(model):
            raise CommandError(
                f"model {args.model}: its weights {name} hold NaN or infinity; its training failed"
            )
        with output_file(output) as partial:
            if isinstance(model, BandSplit):
                export_bandsplit(model, partial)
                difference = _difference_of_bands(model, partial)
            else:
                export_onnx(model, partial)  # pyright: ignore[reportArgumentType]
                difference = _difference(model, partial)
            if not difference <= _TOLERANCE:  # nor NaN
                raise CommandError(
                    f"{output}: not written, ONNX Runtime differs from PyTorch by {difference:.1g}"
                )
            n_bytes = partial.stat().st_size
    except (ImportError, TypeError) as error:
        raise CommandError(str(error)) from error
    if not args.quiet:
        say(
            f"{args.model} -> {output}: {n_bytes / 1e6:.1f} MB; "
            f"masks differ from PyTorch's by at most {difference:.1g}"
        )
    return 0


def _difference(model, path: Path) -> float:
    """Largest difference of a mask for noise of a few lengths."""
    exported, differences = OnnxSeparator(path), []
    generator = torch.Generator().manual_seed(0)
    for n_slices in (1, 2, 3, 9):
        magnitudes = [
            torch.rand(1, model.n_channels, n, n_slices, m, generator=generator)
            for n, m in model.transform.frame.blocks
        ]
        with torch.no_grad():
            wanted = model.eval().masks(magnitudes)
        for found, masks in zip(exported.masks(magnitudes), wanted, strict=True):
            differences.append((found - masks).abs().max())
    return float(torch.stack(differences).max())  # which is NaN where one is


def _difference_of_bands(model: BandSplit, path: Path) -> float:
    """The same of a band-split model, whose masks are those of coefficients."""
    exported, differences = OnnxBandSplit(path), []
    generator = torch.Generator().manual_seed(0)
    sizes = list(zip(model.bands.bins_per_block, model.bands.rates, strict=True))
    for n_steps in (1, 3, 20):
        blocks = [
            torch.randn(1, model.n_channels, n, rate * n_steps, 2, generator=generator)
            for n, rate in sizes
        ]
        with torch.no_grad():
            pairs = zip(exported.network(blocks), model.eval().network(blocks), strict=True)
            differences += [(found - masks).abs().max() for found, masks in pairs]
    return float(torch.stack(differences).max())
