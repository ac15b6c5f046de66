"""Check of the samples of tracks: numbers all of them, and mixtures that are sums of stems."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from asteroid_slicq.data import Track

_CHUNK = 2**18
_SAME_DB = -20.0  # what a lossy codec or the rounding of a loud mix may change


def inspect_samples(
    tracks: Iterable[Track], mixture: str, stems: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Read every sample of the files of tracks, as many tracks at a time as there are processors.

    Returns:
        A line for each file that cannot be used, and one for each mixture that is not the sum of
        its stems, which a model is scored on but not trained with.
    """
    problems, notes = [], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for wrong, odd in pool.map(lambda track: _inspect(track, mixture, stems), tracks):
            problems += wrong
            notes += odd
    return problems, notes


def _inspect(track: Track, mixture: str, stems: Sequence[str]) -> tuple[list[str], list[str]]:
    problems: dict[str, str] = {}
    power = difference = 0.0
    for start in range(0, track.length_samples, _CHUNK):
        length = min(_CHUNK, track.length_samples - start)
        rest = 0.0
        for name in (mixture, *stems):
            if name in problems:
                continue
            try:
                audio = track.read_frames(name, start, length)
            except OSError as error:
                problems[name] = str(error)
                continue
            rest = rest + (audio if name == mixture else -audio)
            if name == mixture:
                power += float(np.square(audio, dtype=np.float64).sum())
        difference += float(np.square(rest, dtype=np.float64).sum())
    ratio_db = 10 * np.log10(max(difference, 1e-12) / max(power, 1e-12))
    if problems or ratio_db < _SAME_DB:
        return list(problems.values()), []
    file = track.path / f"{mixture}.wav"
    return [], [
        f"{file}: is not the sum of its stems: they differ by {ratio_db:.0f} dB of the mixture. "
        "A training takes the sum, an evaluation this file"
    ]
