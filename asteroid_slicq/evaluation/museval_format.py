"""Scores in museval's file format.

The format is that of ``museval.TrackStore``, so that ``museval.EvalStore`` reads it: targets hold
frames, and frames hold the metrics, rounded to five decimals. Nothing of museval is imported here:
the package as a whole asks for an ``ffmpeg`` binary, and for nothing but its own data set.

A score that is not defined is ``NaN`` in these files, as museval's schema asks for a number and
its reader for that spelling; it is no JSON to strict readers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from asteroid_slicq.evaluation.metrics import nan_median

METRICS = ("SDR", "SIR", "SAR", "ISR")
_DECIMALS = 5


def track_document(
    scores: Mapping[str, Mapping[str, ArrayLike]], frame_s: float = 1.0
) -> dict[str, Any]:
    """The scores of a track in museval's format.

    Args:
        scores: ``scores[target][metric]``, a value for each frame in dB, of all :data:`METRICS`.
        frame_s: length and distance of the frames in seconds.
    """
    targets = [
        {
            "name": target,
            "frames": [
                {
                    "time": i * frame_s,
                    "duration": frame_s,
                    "metrics": dict(zip(METRICS, map(_rounded, values), strict=True)),
                }
                for i, values in enumerate(
                    zip(*(np.asarray(metrics[name]) for name in METRICS), strict=True)
                )
            ],
        }
        for target, metrics in scores.items()
    ]
    return {"targets": targets, "museval_version": metadata.version("museval")}


def dumps(document: Mapping[str, Any]) -> str:
    """The text of a file."""
    return json.dumps(document, indent=2) + "\n"


def track_scores(
    document: Mapping[str, Any], targets: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Median over the frames of a track, ``scores[metric][target]``.

    Args:
        document: in museval's format.
        targets: names to have scores of; NaN for those that the document does not have.

    >>> frames = {"SDR": [1.0, 3.0, np.nan], "SIR": [5.0] * 3, "SAR": [6.0] * 3, "ISR": [7.0] * 3}
    >>> track_scores(track_document({"bass": frames}), ["bass", "drums"])["SDR"]
    {'bass': 2.0, 'drums': nan}
    """
    frames = {target["name"]: target["frames"] for target in document["targets"]}
    nothing = [{"metrics": dict.fromkeys(METRICS, math.nan)}]
    return {
        metric: {
            target: float(nan_median([f["metrics"][metric] for f in frames.get(target) or nothing]))
            for target in targets
        }
        for metric in METRICS
    }


def _rounded(value: float) -> float:
    value = float(value)
    return round(value, _DECIMALS) if np.isfinite(value) else float("nan")
