"""Scores of models and transforms: metrics, oracles, frame search, reports."""

from asteroid_slicq.evaluation.frame_search import (
    SPACE,
    Config,
    InvalidFrameError,
    Journal,
    Trial,
    best,
    search_frames,
    without,
)
from asteroid_slicq.evaluation.listener import haaqi, require_pyclarity
from asteroid_slicq.evaluation.metrics import (
    nan_median,
    summarise_tracks,
    track_sdr,
    utterance_sdr,
)
from asteroid_slicq.evaluation.oracle_scores import (
    Excerpt,
    middle_of,
    oracle_sdr,
    oracle_windows,
    source_sparsity,
    sparsity_parts,
)
from asteroid_slicq.evaluation.oracles import oracle
from asteroid_slicq.evaluation.pool import EvaluationError, score_tracks
from asteroid_slicq.evaluation.recommendation import (
    CANDIDATES,
    Comparison,
    Standing,
    compare,
)
from asteroid_slicq.evaluation.records import (
    CSDR,
    MODEL,
    Evaluation,
    json_text,
)
from asteroid_slicq.evaluation.references import find_reference_tracks
from asteroid_slicq.evaluation.report import Report
from asteroid_slicq.evaluation.scoring import oracle_of, sounding_sdr
from asteroid_slicq.evaluation.sparsity import SPARSER_IS_LESS

__all__ = [
    "CANDIDATES",
    "CSDR",
    "MODEL",
    "SPACE",
    "SPARSER_IS_LESS",
    "Comparison",
    "Config",
    "Evaluation",
    "EvaluationError",
    "Excerpt",
    "InvalidFrameError",
    "Journal",
    "Report",
    "Standing",
    "Trial",
    "best",
    "compare",
    "find_reference_tracks",
    "haaqi",
    "json_text",
    "middle_of",
    "nan_median",
    "oracle",
    "oracle_of",
    "oracle_sdr",
    "oracle_windows",
    "require_pyclarity",
    "score_tracks",
    "search_frames",
    "sounding_sdr",
    "source_sparsity",
    "sparsity_parts",
    "summarise_tracks",
    "track_sdr",
    "utterance_sdr",
    "without",
]
