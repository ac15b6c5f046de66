"""The network of a band-split model as an ONNX graph: coefficients of the mix in, masks out.

The transform, the level of the mix and the synthesis stay outside: they have no weights.
"""

from __future__ import annotations

import copy
import io
import os
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.onnx import (
    register_custom_op_symbolic,  # pyright: ignore[reportPrivateImportUsage]
    symbolic_helper,
    unregister_custom_op_symbolic,  # pyright: ignore[reportPrivateImportUsage]
)

from asteroid_slicq.models.bandsplit.model import BandSplit
from asteroid_slicq.models.onnx_files import OPSET, as_metadata, require, write_onnx

if TYPE_CHECKING:
    from onnx import ModelProto

ARGS_KEY = "asteroid_slicq.BandSplit"
"""Key in an ONNX file's metadata, under which the arguments of the model stand as JSON."""

_RMS_NORM = "aten::rms_norm"  # for which this opset has no operator


def to_onnx(model: BandSplit) -> ModelProto:
    """The network of a model in evaluation mode, in single precision.

    Inputs ``block_0``, ``block_1`` … are the coefficients of the mix as amplitudes relative to its
    level, low frequencies first, and outputs ``masks_0``, ``masks_1`` … the masks, as of
    :class:`asteroid_slicq.models.bandsplit.BandNetwork`. The metadata hold the arguments of the
    model.

    Shape:
        - inputs: ``(batch, channel, freq, time, 2)``, any number of batches and network steps
        - outputs: ``(batch, source, channel, freq, time, 2)``; 1 for the 2 of real masks

    Raises:
        ImportError: without the package ``onnx``.
        TypeError: when the model is no ``BandSplit``, or is an export itself.
        ValueError: for a transform whose arguments are not plain.
    """
    onnx = require("onnx")
    if not isinstance(model, BandSplit):
        raise TypeError(f"model must be a BandSplit, got {type(model).__name__}")
    metadata = as_metadata(ARGS_KEY, model.get_model_args(), "transform_arguments")
    bands, n_steps = model.bands, 5
    blocks = [
        torch.zeros(2, model.n_channels, n_bins, rate * n_steps, 2)
        for n_bins, rate in zip(bands.bins_per_block, bands.rates, strict=True)
    ]
    inputs = [f"block_{i}" for i in range(len(blocks))]
    outputs = [f"masks_{i}" for i in range(len(blocks))]
    axes = {name: {0: "batch", 3: f"time_{i}"} for i, name in enumerate(inputs)}
    axes |= {name: {0: "batch", 4: f"time_{i}"} for i, name in enumerate(outputs)}
    file = io.BytesIO()
    register_custom_op_symbolic(_RMS_NORM, _rms_norm, OPSET)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the tracer, for the shapes, which tests vary
            torch.onnx.export(
                _Network(model),
                tuple(blocks),
                file,  # pyright: ignore[reportArgumentType]
                input_names=inputs,
                output_names=outputs,
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,  # the other exporter needs one more package
            )
    finally:
        unregister_custom_op_symbolic(_RMS_NORM, OPSET)
    proto = onnx.load_from_string(file.getvalue())
    onnx.helper.set_model_props(proto, metadata)
    return proto


def export_onnx(model: BandSplit, path: str | os.PathLike[str]) -> None:
    """Write :func:`to_onnx` into a file.

    Raises:
        ImportError, TypeError, ValueError: as :func:`to_onnx`.
        OSError: when the file cannot be written.
    """
    write_onnx(to_onnx(model), path)


class _Network(nn.Module):
    """The network with a block an argument, in single precision on the CPU."""

    def __init__(self, model: BandSplit) -> None:
        super().__init__()
        self.network = copy.deepcopy(model.own_network).cpu().float().eval()

    def forward(self, *blocks: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network(blocks))


@symbolic_helper.parse_args("v", "is", "v", "f")
def _rms_norm(graph: Any, x: Any, shape: list[int], weight: Any, eps: float) -> Any:
    """``x / √(mean x² + eps)`` over the last axis, times the weight where there is one."""
    constant = graph.op("Constant", value_t=torch.tensor(eps))
    mean = graph.op("ReduceMean", graph.op("Mul", x, x), axes_i=[-1])
    y = graph.op("Div", x, graph.op("Sqrt", graph.op("Add", mean, constant)))
    return y if weight.node().mustBeNone() else graph.op("Mul", y, weight)
