"""The level of a song, brought to that of the songs which a model was trained on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

_MOST_DB = 60.0


def model_level(model: Any) -> float | None:
    """The level a model wants songs at, its ``input_level_db``; ``None`` where it names none.

    It is the root mean square of all samples and channels, in dB relative to full scale.
    """
    level_db = getattr(model, "input_level_db", None)
    return None if level_db is None else float(level_db)


def common_level(models: Iterable[Any]) -> float | None:
    """The level that all models want; ``None`` where they do not want the same."""
    levels = {model_level(model) for model in models}
    return levels.pop() if len(levels) == 1 else None


def song_gain(buffers: Iterable[np.ndarray], level_db: float) -> np.ndarray:
    """The gain that brings a song to a level, by 60 dB at most; 1 for silence.

    Args:
        buffers: the song; shape of each ``(batch, channel, time)``.
        level_db: see `model_level`.

    Returns:
        A gain for each item of the batch. Shape: ``(batch, 1, 1)``.
    """
    energy: Any = np.zeros((1, 1, 1))
    n_samples = 0
    for buffer in buffers:
        energy = energy + np.square(buffer, dtype=np.float64).sum((1, 2), keepdims=True)
        n_samples += buffer.shape[1] * buffer.shape[2]
    power = energy / max(n_samples, 1)
    heard = power > 0
    gain_db = level_db - 10 * np.log10(np.where(heard, power, 1))
    gain_db = np.where(heard, np.clip(gain_db, -_MOST_DB, _MOST_DB), 0)
    return np.power(10.0, gain_db / 20).astype(np.float32)
