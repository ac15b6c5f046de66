"""The transforms: sliCQT, NSGT and STFT, the design of their frames, and their streams."""

from asteroid_slicq.transform.checks import (
    check_choice,
    check_device,
    check_flag,
    check_integer,
    check_number,
    check_range,
    check_sample_type,
    check_waveform,
)
from asteroid_slicq.transform.convergence import PRECISION_DB, contraction, passes_needed, remedy
from asteroid_slicq.transform.conversion import convert
from asteroid_slicq.transform.frame import Frame
from asteroid_slicq.transform.frame_config import FrameConfig
from asteroid_slicq.transform.frame_design import UnfitError, design_frame, frame_of
from asteroid_slicq.transform.invertible import (
    InvertibleTransform,
    Pair,
    analyse_to_blocks,
    resynthesise,
)
from asteroid_slicq.transform.layout import overlap_add
from asteroid_slicq.transform.nsgt import NSGT
from asteroid_slicq.transform.operators import Maps
from asteroid_slicq.transform.phase_retrieval import (
    griffin_lim,
    phase_factors,
    spectral_convergence,
)
from asteroid_slicq.transform.scales import Array, Scale
from asteroid_slicq.transform.slicqt import SliCQT, frame_contraction
from asteroid_slicq.transform.stft import STFT
from asteroid_slicq.transform.streaming import SliCQTInverseStream, SliCQTStream

__all__ = [
    "NSGT",
    "PRECISION_DB",
    "STFT",
    "Array",
    "Frame",
    "FrameConfig",
    "InvertibleTransform",
    "Maps",
    "Pair",
    "Scale",
    "SliCQT",
    "SliCQTInverseStream",
    "SliCQTStream",
    "UnfitError",
    "analyse_to_blocks",
    "check_choice",
    "check_device",
    "check_flag",
    "check_integer",
    "check_number",
    "check_range",
    "check_sample_type",
    "check_waveform",
    "contraction",
    "convert",
    "design_frame",
    "frame_contraction",
    "frame_of",
    "griffin_lim",
    "overlap_add",
    "passes_needed",
    "phase_factors",
    "remedy",
    "resynthesise",
    "spectral_convergence",
]
