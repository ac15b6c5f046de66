"""HAAQI of estimated sources, by ``pyclarity``, the implementation of the Cadenza challenges."""

from __future__ import annotations

import importlib
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asteroid_slicq.hearing import AUDIOGRAM_HZ, Audiogram, amplify, hearing_loss

_LEVEL_DB = 65.0  # of the reference, in dB SPL
_SHORTEST_S = 0.1


def require_pyclarity() -> tuple[Any, Any]:
    """Modules of pyclarity: of the index and of audiograms.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        index = importlib.import_module("clarity.evaluator.haaqi")
        audiograms = importlib.import_module("clarity.utils.audiogram")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"HAAQI needs pyclarity ({error.name} is not installed): "
            "pip install 'asteroid-slicq[haaqi]', or leave HAAQI out"
        ) from error
    return index, audiograms


def haaqi(
    references: NDArray[np.floating],
    estimates: NDArray[np.floating],
    sample_rate: float,
    audiogram: Audiogram = "normal",
    seconds: float | None = None,
) -> NDArray[np.float64]:
    """HAAQI of each source, the mean of its channels, from 0 to 1.

    The references are heard at 65 dB SPL, each by its whole excerpt. For a hearing loss, both are
    amplified by NAL-R. A channel whose reference is silent does not count.

    Args:
        references: true sources.
        estimates: estimated ones, of the same shape.
        sample_rate: in Hz.
        audiogram: see :func:`~asteroid_slicq.hearing.hearing_loss`.
        seconds: how much of the middle is heard; None for all. A second of one channel takes one
            to two seconds of a processor.

    Shape:
        - references, estimates: ``(source, channel, time)``
        - output: ``(source,)``, NaN where nothing counts

    Raises:
        ValueError: if pyclarity is not installed, the audiogram is none, or ``seconds`` is too
            short.
    """
    index, audiograms = require_pyclarity()
    loss = hearing_loss(audiogram)
    length = references.shape[-1]
    if seconds is not None:
        if not seconds >= _SHORTEST_S:
            raise ValueError(f"seconds must be at least {_SHORTEST_S}, got {seconds}")
        length = min(length, round(seconds * sample_rate))
    start = (references.shape[-1] - length) // 2
    true, estimated = (
        np.asarray(x[..., start : start + length], dtype=np.float64)
        for x in (references, estimates)
    )
    estimated = amplify(estimated, audiogram, sample_rate)
    listener = audiograms.Audiogram(levels=loss, frequencies=np.array(AUDIOGRAM_HZ))
    scores = np.full(true.shape[:2], np.nan)
    for place in np.ndindex(*scores.shape):
        rms = math.sqrt(np.mean(true[place] ** 2))
        if rms > 0:
            level = _LEVEL_DB - 20 * math.log10(rms)
            pair = true[place], sample_rate, estimated[place], sample_rate
            with _quiet():
                scores[place] = index.haaqi_v1(*pair, listener, 1, level)[0]
    counted = ~np.isnan(scores)
    total = np.where(counted, scores, 0).sum(1)
    return np.where(counted.any(1), total / np.maximum(counted.sum(1), 1), np.nan)


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of what pyclarity says about silence."""
    log = logging.getLogger("clarity.evaluator.haspi.eb")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
