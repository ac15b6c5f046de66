"""BandSplit: bands of a sliCQT or an STFT that hear each other."""

from asteroid_slicq.models.bandsplit.bands import BandGroup, Bands
from asteroid_slicq.models.bandsplit.model import PRESETS, BandSplit, BandSplitEstimate
from asteroid_slicq.models.bandsplit.network import BandNetwork, StreamState
from asteroid_slicq.models.bandsplit.onnx_export import export_onnx
from asteroid_slicq.models.bandsplit.onnx_runtime import OnnxBandSplit
from asteroid_slicq.models.bandsplit.stream import BandSplitStream

__all__ = [
    "PRESETS",
    "BandGroup",
    "BandNetwork",
    "BandSplit",
    "BandSplitEstimate",
    "BandSplitStream",
    "Bands",
    "OnnxBandSplit",
    "StreamState",
    "export_onnx",
]
