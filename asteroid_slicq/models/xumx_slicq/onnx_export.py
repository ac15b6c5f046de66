"""The networks of xumx-sliCQ V2 as one ONNX graph: magnitudes of the mix in, masks out.

The transform, the phase of the mix and Wiener-EM stay outside: they have complex numbers and no
weights. The graph is put together here node by node, four convolutions a block with the batch norms
in their kernels, so that it needs no tracing and holds for every number of slices.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from einops import rearrange
from torch import Tensor

from asteroid_slicq import __version__
from asteroid_slicq.models.onnx_files import IR_VERSION, OPSET, as_metadata, require, write_onnx
from asteroid_slicq.models.xumx_slicq.layers import PassThrough
from asteroid_slicq.models.xumx_slicq.matrices import TIME_KERNEL, with_norm
from asteroid_slicq.models.xumx_slicq.model import XUMXSliCQ
from asteroid_slicq.models.xumx_slicq.v2 import BlockNetwork

if TYPE_CHECKING:
    from onnx import ModelProto

ARGS_KEY = "asteroid_slicq.XUMXSliCQ"
"""Key in an ONNX file's metadata, under which the arguments of the model stand as JSON."""


def to_onnx(model: XUMXSliCQ) -> ModelProto:
    """The networks of a model in evaluation mode, in single precision.

    Inputs ``block_0``, ``block_1`` … are the magnitudes of the mix, low frequencies first, and
    outputs ``masks_0``, ``masks_1`` … the masks. The metadata hold the arguments of the model.

    Args:
        model: of the network ``v2``, offline or realtime.

    Shape:
        - inputs: ``(batch, channel, freq, slice, time)``, any number of batches and slices
        - outputs: ``(batch, source, channel, freq, slice, time)``

    Raises:
        ImportError: without the package ``onnx``.
        TypeError: when the model is no ``XUMXSliCQ``, or is an export itself.
        ValueError: for another network, or a transform whose arguments are not plain.
    """
    require("onnx")
    if not isinstance(model, XUMXSliCQ):
        raise TypeError(f"model must be an XUMXSliCQ, got {type(model).__name__}")
    args = model.get_model_args()
    if args["network"] != "v2":
        raise ValueError(f"model must have the network v2 to be exported, got {args['network']}")
    return _Graph(model).build(as_metadata(ARGS_KEY, args, "transform"))


def export_onnx(model: XUMXSliCQ, path: str | os.PathLike[str]) -> None:
    """Write :func:`to_onnx` into a file.

    Raises:
        ImportError, TypeError, ValueError: as :func:`to_onnx`.
        OSError: when the file cannot be written.
    """
    write_onnx(to_onnx(model), path)


class _Graph:
    """Nodes and constants on the way to a model."""

    def __init__(self, model: XUMXSliCQ) -> None:
        from onnx import helper, numpy_helper

        self.model, self.helper, self.to_tensor = model, helper, numpy_helper.from_array
        self.nodes, self.constants, self.inputs, self.outputs = [], [], [], []

    def build(self, metadata: dict[str, str]) -> ModelProto:
        """All of the graph."""
        from onnx import TensorProto

        j, c = len(self.model.sources), self.model.n_channels
        frame, networks = self.model.transform.frame, self.model.networks
        n_slices = self.add("Gather", [self.add("Shape", ["block_0"]), self.ints([3])], axis=0)
        n_short = None  # frames that a short input lacks
        for i, ((f, m), network) in enumerate(zip(frame.blocks, networks, strict=True)):
            shape = ["batch", c, f, "slice", m]
            value = self.helper.make_tensor_value_info(f"block_{i}", TensorProto.FLOAT, shape)
            self.inputs.append(value)
            shape.insert(1, j)
            value = self.helper.make_tensor_value_info(f"masks_{i}", TensorProto.FLOAT, shape)
            self.outputs.append(value)
            if isinstance(network, PassThrough):
                self.pass_through(f"block_{i}", f"masks_{i}", j)
            else:
                network = cast(BlockNetwork, network)
                n_short = n_short or self.frames_lacking(n_slices, network.causal)
                self.block(f"block_{i}", f"masks_{i}", network, n_slices, n_short)
        graph = self.helper.make_graph(
            self.nodes, "xumx-sliCQ", self.inputs, self.outputs, self.constants
        )
        opsets = [self.helper.make_opsetid("", OPSET)]
        proto = self.helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=IR_VERSION,
            producer_name="asteroid-slicq",
            producer_version=__version__,
        )
        self.helper.set_model_props(proto, metadata)
        return proto

    def frames_lacking(self, n_slices: str, causal: bool) -> str:
        """Number of frames that the first layer makes too few for the inner kernel."""
        n_frames = self.add("Mul", [n_slices, self.ints([2])])
        wanted = self.ints([TIME_KERNEL if causal else TIME_KERNEL + 1])
        return self.add("Max", [self.add("Sub", [wanted, n_frames]), self.ints([0])])

    def block(
        self, source: str, result: str, network: BlockNetwork, n_slices: str, n_short: str
    ) -> None:
        """The network of a block, as ``BlockNetwork`` runs it."""
        j, c = network.n_sources, network.n_channels
        outer, inner = network.encode_outer, network.encode_inner
        f, m = network.shift.numel(), outer.kernel_size[1]
        x = self.add("Add", [source, self.floats(network.shift[:, None, None])])
        x = self.add("Mul", [x, self.floats(network.scale[:, None, None])])
        x = self.add("Reshape", [x, self.ints([0, 0, 0, -1])])
        before = self.ints([0, 0, 0, m - 1 if network.causal else 0, 0, 0, 0, 0])
        after = self.add("Mul", [n_short, self.ints([0] * 7 + [m // 2])])
        x = self.add("Pad", [x, self.add("Add", [before, after])])
        x = self.convolution(
            "Conv", x, *with_norm(outer.weight, network.norm_encode_outer), strides=[1, m // 2]
        )
        x = self.add("Relu", [x])
        x = self.convolution(
            "Conv", x, *with_norm(inner.weight, network.norm_encode_inner), group=j
        )
        x = self.add("Relu", [x])
        weight = rearrange(network.decode_inner.weight, "(j i) o k n -> (j o) i k n", j=j)
        weight, bias = with_norm(weight, network.norm_decode_inner)
        weight = rearrange(weight, "(j o) i k n -> (j i) o k n", j=j)
        x = self.add("Relu", [self.convolution("ConvTranspose", x, weight, bias, group=j)])
        weight, bias = network.decode_outer.weight, cast(Tensor, network.decode_outer.bias)
        x = self.convolution("ConvTranspose", x, weight, bias, group=j, strides=[1, m // 2])
        stop = self.add("Mul", [n_slices, self.ints([m])])
        x = self.add("Slice", [x, self.ints([0]), stop, self.ints([3])])
        x = self.add("Sigmoid", [x])
        self.add("Reshape", [x, self.ints([0, j, c, f, -1, m])], result)

    def pass_through(self, source: str, result: str, n_sources: int) -> None:
        """Masks of one."""
        shape = self.add("Shape", [source])
        batch, rest = self.ints([0]), self.ints([1, 2, 3, 4])
        sizes = [
            self.add("Gather", [shape, batch], axis=0),
            self.ints([n_sources]),
            self.add("Gather", [shape, rest], axis=0),
        ]
        one = self.constant(np.ones(1, np.float32))
        self.add("Expand", [one, self.add("Concat", sizes, axis=0)], result)

    def convolution(
        self, operator: str, x: str, weight: Tensor, bias: Tensor, **attributes: Any
    ) -> str:
        """A convolution or a transposed one."""
        return self.add(operator, [x, self.floats(weight), self.floats(bias)], **attributes)

    def add(self, operator: str, inputs: list[str], result: str | None = None, **attributes) -> str:
        """A node; returns the name of its result."""
        result = result or f"{operator}_{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(operator, inputs, [result], **attributes))
        return result

    def ints(self, values: list[int]) -> str:
        """A constant of integers."""
        return self.constant(np.array(values, np.int64))

    def floats(self, values: Tensor) -> str:
        """A constant of single precision."""
        return self.constant(values.detach().float().cpu().numpy())

    def constant(self, values: np.ndarray) -> str:
        """A constant; returns its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(self.to_tensor(np.ascontiguousarray(values), name))
        return name
