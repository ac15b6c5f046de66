"""Voices of a bank: speech is synthesised, analysed and stored when the bank is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import numpy as np

from asteroid_slicq.data.sampled.voices.singer import Voice
from asteroid_slicq.data.sampled.voices.speech import (
    Speaker,
    festival_speakers,
    flite_speakers,
    kokoro_speakers,
)
from asteroid_slicq.data.sampled.voices.utterances import Utterance, analyse, pack, unpack

#: How often a voice of each source is drawn, by how good it sounds when sung.
WEIGHTS = {"kokoro": 3.0, "festvox-us-slt-hts": 1.0}


def installed_speakers() -> Iterator[Speaker]:
    """All speakers whose packages are installed."""
    return chain(kokoro_speakers(), festival_speakers(), flite_speakers())


def record(
    speakers: Iterable[Speaker],
    seconds: float = 60.0,
    progress: Callable[[str], None] | None = None,
) -> Iterator[tuple[Speaker, bytes]]:
    """Lines of each speaker, analysed and packed.

    Args:
        speakers: who speaks.
        seconds: of speech that each one gives.
        progress: called with the name of each speaker that is done.
    """
    for number, speaker in enumerate(speakers):
        rng = np.random.default_rng([20, number])
        utterances: list[Utterance] = []
        spoken_s = 0.0
        while spoken_s < seconds:
            samples, rate = speaker.say(rng)
            spoken_s += max(len(samples) / rate, 0.5)
            utterance = analyse(samples / (np.abs(samples).max() + 1e-9), rate)
            if utterance is not None:
                utterances.append(utterance)
        if utterances:
            yield speaker, pack(utterances)
        if progress is not None:
            progress(speaker.name)


def read_voice(name: str, source: str, male: bool, data: bytes) -> Voice:
    """A voice of a bank."""
    return Voice(name, male, WEIGHTS.get(source, 0.5), unpack(data))
