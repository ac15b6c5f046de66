"""Levels of the stems, and their rounding to files that sum to the mixture exactly."""

import numpy as np
from numpy.typing import NDArray

from asteroid_slicq.data.procedural.signal import Array, db, highpass
from asteroid_slicq.vocabulary import STEMS

FULL_SCALE = 32767
# Mean and deviation in dB of the level of each stem while it plays.
LEVELS_DB = {
    "vocals": (0.0, 3.0),
    "drums": (0.0, 3.0),
    "bass": (-1.0, 2.8),
    "other": (-0.5, 3.2),
}


def active_level(x: Array, sample_rate: int) -> float:
    """Measure the RMS of a sound over the blocks in which it is heard (ITU-R BS.1770's gate)."""
    block = max(int(0.4 * sample_rate), 1)
    power = np.mean(x**2, axis=0)
    n = -(-len(power) // block)
    edges = np.pad(power, (0, n * block - len(power))).reshape(n, block).mean(axis=1)
    heard = edges[edges > max(edges.max() * 1e-2, 1e-12)]
    return float(np.sqrt(heard.mean())) if len(heard) else 0.0


def balance_stems(
    stems: dict[str, Array],
    rng: np.random.Generator,
    sample_rate: int,
    levels_db: dict[str, tuple[float, float]] = LEVELS_DB,
) -> dict[str, NDArray[np.float32]]:
    """Give the stems, ``(2, time)`` each, their levels, and the whole a loudness; nothing clips."""
    gains = {
        name: float(np.clip(rng.normal(mean, deviation), mean - 8, mean + 7))
        for name, (mean, deviation) in levels_db.items()
    }
    target_db = float(np.clip(rng.normal(-19.0, 3.0), -32.0, -12.0))
    ceiling = float(rng.uniform(0.6, 0.985))
    out: dict[str, Array] = {}
    for name in STEMS:
        x = highpass(stems[name], 22.0, sample_rate, 2)
        level = active_level(x, sample_rate)
        out[name] = x * (db(gains[name]) / level) if level > 1e-7 else np.zeros_like(x)
    mix = sum_stems(out)
    level = active_level(mix, sample_rate)
    if level <= 0.0:
        return {name: x.astype(np.float32) for name, x in out.items()}
    peak = max(np.abs(mix).max(), *(np.abs(x).max() for x in out.values()))
    gain = min(db(target_db) / level, ceiling / peak)
    return {name: (gain * x).astype(np.float32) for name, x in out.items()}


def sum_stems(stems: dict[str, Array]) -> Array:
    """Add the stems of a track to their mixture.

    Shape:
        - Input and output: ``(2, time)``
    """
    return stems["vocals"] + stems["drums"] + stems["bass"] + stems["other"]


def quantise(stems: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.int16]]:
    """Round stems to 16 bits, and add their mixture as the integer sum of what was rounded.

    Args:
        stems: Keys are `STEMS`; values lie in [-1, 1].

    Returns:
        The stems and ``"mixture"``, by name.

    Shape:
        - Input: ``(2, time)`` each
        - Output: ``(2, time)`` each

    Raises:
        ValueError: If the sum of the stems does not fit into 16 bits.
    """
    whole = {
        n: np.rint(x.astype(np.float64) * FULL_SCALE).astype(np.int32) for n, x in stems.items()
    }
    mixture = sum(whole[name] for name in STEMS)
    whole["mixture"] = np.asarray(mixture)
    peak = max(int(np.abs(x).max(initial=0)) for x in whole.values())
    if peak > FULL_SCALE:
        raise ValueError(
            f"stems must sum to at most full scale (1.0), got a peak of {peak / FULL_SCALE:.3f}"
        )
    return {name: x.astype(np.int16) for name, x in whole.items()}
