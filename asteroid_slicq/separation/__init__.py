"""Separation of whole songs, segment by segment, with any model of short mixes."""

from asteroid_slicq.separation.axes import (
    from_batch,
    from_model_channels,
    mix_to_batch,
    to_model_channels,
)
from asteroid_slicq.separation.ensemble import Ensemble
from asteroid_slicq.separation.file_output import FileOutput
from asteroid_slicq.separation.graphs import capture_cuda, replayed, replays
from asteroid_slicq.separation.identity import describe, fingerprint
from asteroid_slicq.separation.level import common_level
from asteroid_slicq.separation.methods import Separable, separate
from asteroid_slicq.separation.names import check_sources, choose_sources
from asteroid_slicq.separation.phase import MaskedCoefficients, PhaseModel
from asteroid_slicq.separation.segment_model import SegmentModel
from asteroid_slicq.separation.segments import crossfade
from asteroid_slicq.separation.separator import Separator
from asteroid_slicq.separation.source_stream import SourceStream

__all__ = [
    "Ensemble",
    "FileOutput",
    "MaskedCoefficients",
    "PhaseModel",
    "SegmentModel",
    "Separable",
    "Separator",
    "SourceStream",
    "capture_cuda",
    "check_sources",
    "choose_sources",
    "common_level",
    "crossfade",
    "describe",
    "fingerprint",
    "from_batch",
    "from_model_channels",
    "mix_to_batch",
    "replayed",
    "replays",
    "separate",
    "to_model_channels",
]
