"""Separators as Asteroid models, each in a room of its own."""

from asteroid_slicq.models.bandsplit import BandSplit
from asteroid_slicq.models.baselines import NMF, UNet, WaveUNet
from asteroid_slicq.models.hpss import HPSS, hpss
from asteroid_slicq.models.input_statistics import InputStatistics, input_statistics
from asteroid_slicq.models.mixin import MiXiN
from asteroid_slicq.models.onnx_files import require
from asteroid_slicq.models.per_target import PerTarget
from asteroid_slicq.models.xumx_slicq import XUMXSliCQ, load_default_model

__all__ = [
    "HPSS",
    "NMF",
    "BandSplit",
    "InputStatistics",
    "MiXiN",
    "PerTarget",
    "UNet",
    "WaveUNet",
    "XUMXSliCQ",
    "hpss",
    "input_statistics",
    "load_default_model",
    "require",
]
