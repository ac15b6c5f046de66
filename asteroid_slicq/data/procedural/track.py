"""One procedural song: four stereo stems from one seed."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from asteroid_slicq.data.procedural.bass import render_bass
from asteroid_slicq.data.procedural.drums import render_drums
from asteroid_slicq.data.procedural.mixing import mix_down
from asteroid_slicq.data.procedural.other import render_other
from asteroid_slicq.data.procedural.seeds import Seed, derive, generator
from asteroid_slicq.data.procedural.signal import Array
from asteroid_slicq.data.procedural.song import Song, draw_song
from asteroid_slicq.data.procedural.vocals import render_vocals
from asteroid_slicq.vocabulary import STEMS

MIN_SAMPLE_RATE = 8000
RENDERERS: dict[str, Callable[[np.random.Generator, Song], Array]] = {
    "vocals": render_vocals,
    "drums": render_drums,
    "bass": render_bass,
    "other": render_other,
}
# How often a track lacks a stem: instrumentals, unaccompanied drums, and so on.
ABSENT = {"vocals": 0.06, "drums": 0.05, "bass": 0.05, "other": 0.03}


def track_song(seed: Seed, duration_s: float, sample_rate: int = 44100) -> Song:
    """Draw the plan that `synthesize_track` plays from; its arguments are the same."""
    n_samples = length_of(duration_s, sample_rate)
    return draw_song(generator(seed, "song"), n_samples, sample_rate)


def length_of(duration_s: float, sample_rate: int) -> int:
    """Count the samples of a track; arguments and errors are those of `synthesize_track`."""
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, (int, np.integer)):
        raise TypeError(f"sample_rate must be an integer, got {sample_rate!r}")
    if sample_rate < MIN_SAMPLE_RATE:
        raise ValueError(f"sample_rate must be at least {MIN_SAMPLE_RATE} Hz, got {sample_rate}")
    if not np.isfinite(duration_s) or round(duration_s * sample_rate) < 1:
        raise ValueError(f"duration_s must be finite and at least one sample, got {duration_s}")
    return round(duration_s * sample_rate)


def synthesize_track(
    seed: Seed, duration_s: float, sample_rate: int = 44100
) -> dict[str, NDArray[np.float32]]:
    """Compose and render a song as its four stems; the mixture is their sum.

    Args:
        seed: Integer of at least 0, or a seed sequence; the same seed gives the same samples.
        duration_s: Length in seconds; the result has ``round(duration_s * sample_rate)`` samples.
        sample_rate: In Hz, at least 8000.

    Returns:
        The stems ``"vocals"``, ``"drums"``, ``"bass"`` and ``"other"``. A stem may be silent for
        a while, or throughout. Neither a stem nor the sum of all passes 1.

    Shape:
        - Output: ``(2, time)`` each

    Raises:
        ValueError: If the seed is negative, the duration shorter than a sample or not finite, or
            the sample rate below 8000 Hz.
        TypeError: If the seed or the sample rate is no integer.
    """
    seed = derive(seed)
    song = track_song(seed, duration_s, sample_rate)
    rng = generator(seed, "mix")
    absent = {name for name in STEMS if rng.random() < ABSENT[name]}
    if len(absent) > 2:
        absent = set()
    stems: dict[str, Array] = {}
    for name in STEMS:
        if name in absent:
            stems[name] = np.zeros((2, song.n_samples))
        else:
            stems[name] = RENDERERS[name](generator(seed, name), song)
    return mix_down(stems, song.style, rng, sample_rate)
