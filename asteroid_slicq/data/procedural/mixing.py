"""Stems to a mix: levels, dynamics, and rounding to files that sum to the mixture exactly."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d

from asteroid_slicq.data.procedural.signal import (
    Array,
    compression_gain,
    db,
    highpass,
    lowpass,
)
from asteroid_slicq.vocabulary import STEMS

FULL_SCALE = 32767
_LOOKAHEAD_S = 0.005
# Mean and deviation in dB of the level of each stem while it plays.
LEVELS_DB = {
    "vocals": (0.0, 3.0),
    "drums": (0.0, 3.0),
    "bass": (-1.0, 2.8),
    "other": (-0.5, 3.2),
}


# How often the kick ducks the bass and the other instruments, by style.
DUCKED = {"dance": 0.6, "hiphop": 0.15, "trap": 0.15, "pop": 0.15}


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
    """Give the stems, ``(2, time)`` each, their levels, and the whole a loudness; nothing clips.

    Peaks are limited by up to 8 dB, by one gain for all stems, so that they still sum to the mix.
    """
    gains = {
        name: float(np.clip(rng.normal(mean, deviation), mean - 8, mean + 7))
        for name, (mean, deviation) in levels_db.items()
    }
    target_db = float(np.clip(rng.normal(-20.0, 3.0), -32.0, -12.0))
    ceiling, most_db = float(rng.uniform(0.6, 0.985)), float(rng.uniform(0.0, 8.0))
    lowest_hz = {"bass": rng.uniform(28.0, 45.0), "drums": rng.uniform(28.0, 45.0)}
    out: dict[str, Array] = {}
    for name in STEMS:
        x = highpass(stems[name], float(lowest_hz.get(name, 30.0)), sample_rate, 2)
        level = active_level(x, sample_rate)
        out[name] = x * (db(gains[name]) / level) if level > 1e-7 else np.zeros_like(x)
    mix = sum_stems(out)
    level = active_level(mix, sample_rate)
    if level <= 0.0:
        return {name: x.astype(np.float32) for name, x in out.items()}
    gain = db(target_db) / level
    curve = limiting_gain([gain * x for x in (mix, *out.values())], ceiling, most_db, sample_rate)
    return {name: (curve * gain * x).astype(np.float32) for name, x in out.items()}


def limiting_gain(
    sounds: Sequence[Array], ceiling: float, most_db: float, sample_rate: int
) -> Array:
    """Compute the gain, ``(time,)``, by which no sound passes a ceiling.

    Peaks that pass it are turned down by up to `most_db`, a few milliseconds ahead; where that is
    not enough, all is.

    Shape:
        - sounds: ``(channel, time)`` each
    """
    peaks = np.max([np.abs(x).max(axis=0) for x in sounds], axis=0)
    whole = min(1.0, ceiling * db(most_db) / max(float(peaks.max(initial=0.0)), 1e-12))
    gain = np.minimum(1.0, ceiling / np.maximum(whole * peaks, 1e-12))
    width = 2 * max(round(_LOOKAHEAD_S * sample_rate), 1) + 1
    # The least gain around each sample, smoothed over as many: it never lies above what is needed.
    return whole * uniform_filter1d(minimum_filter1d(gain, width), width)


def duck(x: Array, trigger: Array, depth_db: float, sample_rate: int) -> Array:
    """Turn a sound down where another one is loud in its lows, as by the kick of dance music.

    Shape:
        - x, trigger, output: ``(2, time)``
    """
    lows = np.abs(lowpass(trigger.mean(axis=0), 120.0, sample_rate))
    held = maximum_filter1d(lows, max(round(0.05 * sample_rate), 1))
    held = uniform_filter1d(held, max(round(0.08 * sample_rate), 1))
    return x * db(-depth_db) ** (held / max(float(held.max(initial=0.0)), 1e-12))


def glue(
    stems: dict[str, NDArray[np.float32]], rng: np.random.Generator, sample_rate: int
) -> dict[str, NDArray[np.float32]]:
    """Compress the mixture, at times, by one gain for all stems, so that they still sum to it.

    Shape:
        - Input and output: ``(2, time)`` each
    """
    compressed = rng.random() < 0.6
    threshold_db, ratio = rng.uniform(-12.0, -3.0), rng.uniform(1.3, 3.0)
    attack_s, release_s = rng.uniform(0.005, 0.03), rng.uniform(0.1, 0.4)
    makeup = db(rng.uniform(0.0, 4.0))
    if not compressed:
        return stems
    mix = sum_stems(stems)
    gain = compression_gain(mix, sample_rate, threshold_db, ratio, attack_s, release_s)
    peak = max(np.abs(gain * x).max(initial=0.0) for x in (mix, *stems.values()))
    gain *= min(makeup, 0.985 / max(peak, 1e-9))
    return {name: (gain * x).astype(np.float32) for name, x in stems.items()}


def mix_down(
    stems: dict[str, Array],
    style: str,
    rng: np.random.Generator,
    sample_rate: int,
    levels_db: dict[str, tuple[float, float]] = LEVELS_DB,
) -> dict[str, NDArray[np.float32]]:
    """Make a song of its stems: ducked by the kick at times, at their levels, compressed at times.

    Args:
        stems: Keys are `STEMS`.
        style: Of the song, a key of `song.STYLES`.
        rng: Random stream.
        sample_rate: In Hz.
        levels_db: Mean and deviation of the level of each stem while it plays.

    Shape:
        - Input and output: ``(2, time)`` each
    """
    ducked = rng.random() < DUCKED.get(style, 0.05)
    depths_db = {"bass": rng.uniform(2.0, 12.0), "other": rng.uniform(1.0, 9.0)}
    if ducked:
        stems = dict(stems)
        for name, depth_db in depths_db.items():
            stems[name] = duck(stems[name], stems["drums"], float(depth_db), sample_rate)
    return glue(balance_stems(stems, rng, sample_rate, levels_db), rng, sample_rate)


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
