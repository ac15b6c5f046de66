"""xumx-sliCQ: networks on the blocks of a sliCQT, offline, as a stream and as ONNX."""

from asteroid_slicq.models.input_statistics import InputStatistics, input_statistics
from asteroid_slicq.models.xumx_slicq.default_model import load_default_model
from asteroid_slicq.models.xumx_slicq.model import PRESETS, Estimate, XUMXSliCQ
from asteroid_slicq.models.xumx_slicq.network_stream import NetworkStream
from asteroid_slicq.models.xumx_slicq.onnx_export import export_onnx
from asteroid_slicq.models.xumx_slicq.onnx_runtime import OnnxSeparator
from asteroid_slicq.models.xumx_slicq.stream import SeparatorStream
from asteroid_slicq.models.xumx_slicq.v2 import BlockNetwork

__all__ = [
    "PRESETS",
    "BlockNetwork",
    "Estimate",
    "InputStatistics",
    "NetworkStream",
    "OnnxSeparator",
    "SeparatorStream",
    "XUMXSliCQ",
    "export_onnx",
    "input_statistics",
    "load_default_model",
]
