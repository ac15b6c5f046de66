"""Scores of a model on a track, by the fast measures and by museval."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asteroid_slicq.evaluation import museval_format as museval_json
from asteroid_slicq.evaluation.listener import haaqi
from asteroid_slicq.evaluation.metrics import bsseval_v4, frame_sdr, track_sdr, utterance_sdr
from asteroid_slicq.evaluation.oracles import oracle
from asteroid_slicq.evaluation.records import (
    CSDR,
    MIXTURE,
    MODEL,
    USDR,
    Evaluation,
    Frames,
    Scores,
    oracle_title,
)
from asteroid_slicq.evaluation.references import Audio
from asteroid_slicq.models.mixin import MiXiN
from asteroid_slicq.separation import Separator

_ORACLE_SEGMENT_S = 60


def estimate(evaluation: Evaluation, model: Any, stems: Audio, mix: Audio) -> tuple[Scores, Audio]:
    """Separate a track; the fast scores, and the model's estimates for museval.

    Beside the model stand the mix in place of each estimate and, if asked for, the oracle.

    Shape:
        - stems and estimates: ``(source, channel, time)``
        - mix: ``(channel, time)``

    Raises:
        ValueError: an estimate is not finite: its scores would look like those of silence.
    """
    separator = Separator(model, segment_s=evaluation.segment_s, shifts=evaluation.shifts)
    estimates = separator.separate_waveform(mix, evaluation.sample_rate)
    for name, waveform in zip(evaluation.sources, estimates, strict=True):
        if not np.isfinite(waveform).all():
            raise ValueError(f"the model's estimate of {name} holds NaN or infinite samples")
    scores = {
        MODEL: fast_scores(evaluation, stems, estimates),
        MIXTURE: fast_scores(evaluation, stems, np.broadcast_to(mix, stems.shape)),
    }
    if evaluation.oracle is not None:
        bound = oracle_estimates(model, mix, stems, evaluation.oracle)
        scores[oracle_title(evaluation.oracle)] = fast_scores(evaluation, stems, bound)
    return scores, estimates


def fast_scores(
    evaluation: Evaluation, stems: Audio, estimates: Audio
) -> dict[str, dict[str, float]]:
    """SDR of frames, as :func:`sounding_sdr`, and of the whole track; NaN for a silent source."""
    kept = ~silent(stems)
    csdr = sounding_sdr(stems, estimates, evaluation.sample_rate)
    usdr = np.full(len(stems), np.nan)
    if kept.any():
        usdr[kept] = utterance_sdr(stems[kept], estimates[kept])
    return {
        name: dict(zip(evaluation.sources, map(float, values), strict=True))
        for name, values in ((CSDR, csdr), (USDR, usdr))
    }


def sounding_sdr(stems: Audio, estimates: Audio, sample_rate: float) -> NDArray[np.float64]:
    """:func:`track_sdr` of the sources that sound; NaN for those that are silent throughout.

    A source that is silent throughout is left out, as museval leaves out what is missing: it does
    not silence the windows of the others. A window counts for all that are left, or for none.

    Shape:
        - stems, estimates: ``(source, channel, time)``
        - output: ``(source,)``, in dB
    """
    kept = ~silent(stems)
    scores = np.full(len(stems), np.nan)
    if kept.any():
        scores[kept] = track_sdr(stems[kept], estimates[kept], sample_rate)
    return scores


def haaqi_scores(
    evaluation: Evaluation,
    audiogram: str | tuple[float, ...],
    stems: Audio,
    mix: Audio,
    estimates: Audio,
) -> dict[str, dict[str, float]]:
    """HAAQI of the model and of the mixture in its place, by source."""
    return {
        method: dict(
            zip(
                evaluation.sources,
                haaqi(
                    stems, waveforms, evaluation.sample_rate, audiogram, evaluation.haaqi_s
                ).tolist(),
                strict=True,
            )
        )
        for method, waveforms in (
            (MODEL, estimates),
            (MIXTURE, np.broadcast_to(mix, stems.shape)),
        )
    }


def museval_frames(evaluation: Evaluation, stems: Audio, estimates: Audio) -> Frames:
    """Scores of museval in every window, for the sources that are not silent throughout.

    museval refuses an estimate that is silent throughout; by its own rule for frames, no frame
    counts then, for any source.
    """
    kept = ~silent(stems)
    names = [name for name, keep in zip(evaluation.sources, kept, strict=True) if keep]
    stems, estimates = stems[kept], estimates[kept]
    if not names:
        return {}
    if silent(estimates).any():
        n_frames = frame_sdr(stems, estimates, evaluation.sample_rate).shape[-1]
        values = dict.fromkeys(museval_json.METRICS, np.full((len(names), n_frames), np.nan))
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of frames without an error, which are NaN
            values = bsseval_v4(
                stems,
                estimates,
                evaluation.sample_rate,
                filter_length=evaluation.filter_length,
            )
    return {name: {m: values[m][i] for m in museval_json.METRICS} for i, name in enumerate(names)}


def silent(waveforms: Audio) -> NDArray[np.bool_]:
    """Mask of the sources that are silent throughout, for museval: in the sum of the channels."""
    return np.array([not w.sum(0, dtype=np.float64).any() for w in waveforms], dtype=bool)


@torch.no_grad()
def oracle_estimates(model: Any, mix: Audio, stems: Audio, name: str = "mix-phase") -> Audio:
    """Estimates of an oracle, segment by segment to bound the memory.

    In the transform of the model; a model that cuts its own chunks (``analyse``, ``synthesise``)
    does so here. Names and shapes are those of :func:`asteroid_slicq.evaluation.oracle`.
    """
    chunked = hasattr(model, "analyse") and hasattr(model, "synthesise")
    transform = _Chunks(model) if chunked else model.transform
    device = next(model.parameters()).device
    step = round(_ORACLE_SEGMENT_S * model.sample_rate)
    parts = [
        oracle(
            name,
            transform,
            torch.from_numpy(mix[..., start : start + step]).to(device),
            torch.from_numpy(stems[..., start : start + step]).to(device),
        ).cpu()
        for start in range(0, mix.shape[-1], step)
    ]
    return torch.cat(parts, -1).numpy()


def oracle_of(model: Any) -> str | None:
    """The oracle that bounds a model of its kind; None for one without a transform.

    That is the soft masks of the true powers for a MiXiN that makes such masks, and the true
    magnitudes with the phase of the mix for all others.
    """
    if isinstance(model, MiXiN) and not model.single_model:
        return "irm2"
    return "mix-phase" if hasattr(model, "transform") else None


class _Chunks:
    """The transform of a model that cuts a waveform into chunks itself."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, waveform: Tensor) -> Tensor:
        return self._model.analyse(waveform)

    def inverse(self, coefficients: Any, length: int) -> Tensor:
        return self._model.synthesise(coefficients[0], length)
