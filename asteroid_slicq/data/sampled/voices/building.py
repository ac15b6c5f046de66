"""Voices of a bank: speech is synthesised, analysed and stored when the bank is built."""

from __future__ import annotations

import hashlib
import lzma
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from asteroid_slicq.data.sampled.bank import Bank, BankWriter
from asteroid_slicq.data.sampled.catalogue import Source
from asteroid_slicq.data.sampled.voices.recorded import recorded_speakers
from asteroid_slicq.data.sampled.voices.singer import Voice
from asteroid_slicq.data.sampled.voices.speech import (
    Speaker,
    festival_speakers,
    flite_speakers,
    kokoro_speakers,
)
from asteroid_slicq.data.sampled.voices.utterances import Utterance, analyse, pack, unpack
from asteroid_slicq.data.sampled.voices.wideband import wideband_speakers
from asteroid_slicq.files import whole_file

#: Seconds that speakers of a source speak, and how often they are drawn: the better the more.
_SECONDS = {"kokoro": 36.0, "kokoro-styles": 18.0, "festvox-ru": 90.0, "mei": 40.0}
_WEIGHTS = {
    "kokoro": 2.0,
    "kokoro-styles": 1.0,
    "festvox-ru": 3.0,
    "mei": 2.0,
    "festvox-us-slt-hts": 1.0,
}
_FEW_S = 24.0
#: How often a man is drawn beside a woman: more men than women sing on records.
_MEN = 1.4
#: Raised when speech is cut or stored in another way, so that nothing old is kept.
_METHOD = 1


def add_voices(
    bank: BankWriter,
    sources: Iterable[tuple[Source, Path]],
    speakers: Iterable[Speaker] | None = None,
    progress: Callable[[str], None] | None = None,
    kept: Path | None = None,
) -> None:
    """Let the speakers of some sources speak, and enter what they said into a bank.

    Args:
        bank: takes the voices.
        sources: whose speakers speak, each with the root of its files.
        speakers: all there are; those of the sources by default.
        progress: called with the name of each speaker who is done.
        kept: folder where lines are kept for the next build; what no speaker needs is removed.
    """
    sources = list(sources)
    by_name = {source.name: source for source, _ in sources}
    folders = {source.name: root / source.folder for source, root in sources}
    used = set()
    for speaker in _speakers(folders) if speakers is None else speakers:
        source = by_name.get(speaker.source)
        if source is None:
            continue
        seconds = _SECONDS.get(source.name, _FEW_S)
        recipe = (_METHOD, source.name, bank.version(source.name), speaker.name, seconds)
        path = None
        if kept is not None:
            path = kept / f"{hashlib.sha256(repr(recipe).encode()).hexdigest()[:24]}.npz"
            used.add(path)
        data = _recalled(path) or record(speaker, seconds)
        if data is not None:
            if path is not None and not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                with whole_file(path) as partial:
                    partial.write_bytes(data)
            file = bank.add_file(f"voice {speaker.name}", data, ".npz", source.name, source.credit)
            entry = {"file": file, "source": source.name, "male": speaker.male}
            bank.voices[f"{source.name}/{speaker.name}"] = entry
        if progress is not None:
            progress(speaker.name)
    if progress is not None:
        heard = {entry["source"] for entry in bank.voices.values()}
        for name in sorted(by_name.keys() - heard):
            progress(f"{name}: no speech; needed are {by_name[name].taken}")
    if kept is not None and kept.is_dir():
        for path in set(kept.glob("*.npz")) - used:
            path.unlink()


def _recalled(path: Path | None) -> bytes | None:
    """What a speaker said in a build before; None where that is not there or damaged."""
    if path is None or not path.is_file():
        return None
    data = path.read_bytes()
    try:
        unpack(data)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, lzma.LZMAError, EOFError):
        path.unlink()
        return None
    return data


def _speakers(folders: dict[str, Path]) -> Iterator[Speaker]:
    """All speakers of the sources that have these folders."""
    if "kokoro" in folders:
        yield from kokoro_speakers(folders.get("kokoro-styles"))
    if "festvox-ru" in folders:
        yield from recorded_speakers(folders["festvox-ru"])
    if "mei" in folders:
        yield from wideband_speakers(folders["mei"])
    yield from festival_speakers()
    yield from flite_speakers()


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
    weight = _WEIGHTS.get(source, 0.5) * (_MEN if male else 1.0)
    return Voice(name, male, weight, unpack(bank.read(file)))
