"""Voices of a bank: speech is synthesised, analysed and stored when the bank is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import chain

import numpy as np

from asteroid_slicq.data.sampled.bank import Bank, BankWriter
from asteroid_slicq.data.sampled.catalogue import Source
from asteroid_slicq.data.sampled.voices.singer import Voice
from asteroid_slicq.data.sampled.voices.speech import (
    Speaker,
    festival_speakers,
    flite_speakers,
    kokoro_speakers,
)
from asteroid_slicq.data.sampled.voices.utterances import Utterance, analyse, pack, unpack

#: Seconds that speakers of a source speak, and how often they are drawn: the better the more.
_SECONDS = {"kokoro": 36.0}
_WEIGHTS = {"kokoro": 3.0, "festvox-us-slt-hts": 1.0}


def add_voices(
    bank: BankWriter,
    sources: Iterable[Source],
    speakers: Iterable[Speaker] | None = None,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Let the speakers of some sources speak, and enter what they said into a bank.

    Args:
        bank: takes the voices.
        sources: whose speakers speak.
        speakers: all there are; those of the installed packages by default.
        progress: called with the name of each speaker who is done.
    """
    by_name = {source.name: source for source in sources}
    if speakers is None:
        speakers = chain(kokoro_speakers(), festival_speakers(), flite_speakers())
    for speaker in speakers:
        source = by_name.get(speaker.source)
        if source is None:
            continue
        data = record(speaker, _SECONDS.get(source.name, 24.0))
        if data is not None:
            file = bank.add_file(f"voice {speaker.name}", data, ".npz", source.name, source.credit)
            entry = {"file": file, "source": source.name, "male": speaker.male}
            bank.voices[f"{source.name}/{speaker.name}"] = entry
        if progress is not None:
            progress(speaker.name)


def record(speaker: Speaker, seconds: float) -> bytes | None:
    """Lines of a speaker, analysed and packed; None where none has clear syllables.

    Args:
        speaker: who speaks.
        seconds: how much.
    """
    rng = np.random.default_rng([20, *speaker.name.encode()])
    utterances: list[Utterance] = []
    spoken_s = 0.0
    while spoken_s < seconds:
        samples, rate = speaker.say(rng)
        spoken_s += max(len(samples) / rate, 0.5)
        if samples.any():
            utterance = analyse(samples / np.abs(samples).max(), rate)
            utterances += [] if utterance is None else [utterance]
    return pack(utterances) if utterances else None


@lru_cache(maxsize=1)
def read_voices(bank: Bank) -> dict[str, Voice]:
    """All voices of a bank, by name; none where it was built without any."""
    return {name: _read(bank, name, **entry) for name, entry in bank.voices.items()}


def _read(bank: Bank, name: str, file: str, source: str, male: bool) -> Voice:
    return Voice(name, male, _WEIGHTS.get(source, 0.5), unpack(bank.read(file)))
