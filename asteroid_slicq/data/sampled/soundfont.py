"""Reader of SoundFonts: SF2 (16-bit samples) and SF3 (Ogg Vorbis samples).

A SoundFont is a RIFF file: presets refer to instruments, instruments to samples, both through zones
of generators and modulators (SoundFont technical specification 2.04, sections 7 and 8). Those of a
preset's zone are added to those of an instrument's zone; key and velocity ranges intersect.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asteroid_slicq.data.sampled.modulators import Modulators, by_identity
from asteroid_slicq.data.sampled.zones import INSTRUMENT, SAMPLE, Generators, Zone, resolve_zone

_Layer = tuple[Generators, Modulators]

_COMPRESSED = 16  # flag of a sample's type: Ogg Vorbis
_RIGHT = 2


@dataclass(frozen=True)
class Sample:
    """A recording of a SoundFont.

    Args:
        name: As in the file.
        rate: In Hz.
        root: MIDI key at which it sounds as recorded.
        cents: Correction of its pitch.
        loop_start: First sample of the loop.
        loop_end: Sample behind the loop.
        compressed: Whether `data` is an Ogg Vorbis file; 16-bit little-endian samples otherwise.
        data: Bytes of the recording.
        right: Whether it is the right side of a stereo pair.
    """

    name: str
    rate: int
    root: int
    cents: int
    loop_start: int
    loop_end: int
    compressed: bool
    data: bytes
    right: bool


@dataclass(frozen=True)
class Preset:
    """An instrument that can be played: its name and its zones."""

    name: str
    zones: tuple[Zone, ...]


class SoundFont:
    """A SoundFont file, read lazily.

    Args:
        path: Of an SF2 or SF3 file.

    Raises:
        ValueError: If the file is no SoundFont, or a part of it is missing or cut short.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data = path.read_bytes()
        if self._data[:4] != b"RIFF" or self._data[8:12] != b"sfbk":
            raise ValueError(f"{path} is no SoundFont")
        self._chunks: dict[bytes, tuple[int, int]] = {}
        for name, begin, size in _chunks(self._data, 12, len(self._data)):
            if name == b"LIST":
                for inner, at, length in _chunks(self._data, begin + 4, begin + size):
                    self._chunks[inner] = (at, length)
        self._preset_headers = self._records(b"phdr", "<20sHHHIII")
        self._instrument_headers = self._records(b"inst", "<20sH")
        self._sample_headers = self._records(b"shdr", "<20sIIIIIBbHH")[:-1]
        self._preset_layers = self._layers(b"p")
        self._instrument_layers = self._layers(b"i")
        self._index = {
            (header[2], header[1]): i for i, header in enumerate(self._preset_headers[:-1])
        }

    @property
    def presets(self) -> list[tuple[int, int]]:
        """Bank and programme of every preset, in order."""
        return sorted(self._index)

    @property
    def n_samples(self) -> int:
        """How many recordings there are."""
        return len(self._sample_headers)

    def sample(self, index: int) -> Sample:
        """Read a recording.

        Raises:
            ValueError: If it lies outside the file.
        """
        header = self._sample_headers[index]
        name, begin, end, loop_start, loop_end, rate, root, cents, _, kind = header
        compressed = bool(kind & _COMPRESSED)
        at, size = self._chunks[b"smpl"]
        unit = 1 if compressed else 2  # positions count bytes of Ogg, or 16-bit samples
        if not 0 <= begin * unit <= end * unit <= size:
            raise ValueError(f"sample {_text(name)!r} lies outside {self._path}")
        if not compressed:
            loop_start, loop_end = loop_start - begin, loop_end - begin
        return Sample(
            _text(name),
            rate,
            root if root < 128 else 60,
            cents,
            loop_start,
            loop_end,
            compressed,
            self._data[at + begin * unit : at + end * unit],
            bool(kind & _RIGHT),
        )

    def sample_size(self, index: int) -> int:
        """Count the bytes of a recording."""
        _, begin, end, *_, kind = self._sample_headers[index]
        return (end - begin) * (1 if kind & _COMPRESSED else 2)

    def preset(self, bank: int, programme: int) -> Preset:
        """Resolve a preset to zones of samples.

        Raises:
            KeyError: If there is no such preset.
        """
        index = self._index[bank, programme]
        header, following = self._preset_headers[index], self._preset_headers[index + 1]
        zones = []
        for outer in _zones(self._preset_layers[header[3] : following[3]], INSTRUMENT):
            instrument = outer[0][INSTRUMENT]
            first = self._instrument_headers[instrument][1]
            last = self._instrument_headers[instrument + 1][1]
            for inner in _zones(self._instrument_layers[first:last], SAMPLE):
                zone = resolve_zone(*outer, *inner)
                if zone is not None:
                    zones.append(zone)
        return Preset(_text(header[0]), tuple(zones))

    def _layers(self, level: bytes) -> list[_Layer]:
        """Read the generators and modulators of all zones of presets (p) or instruments (i)."""
        bags = self._records(level + b"bag", "<HH")
        generators = self._records(level + b"gen", "<HH")
        modulators = self._records(level + b"mod", "<HHhHH")
        for place, (records, part) in enumerate(((generators, "gen"), (modulators, "mod"))):
            starts = [bag[place] for bag in bags]
            if starts != sorted(starts) or (starts and starts[-1] > len(records)):
                raise ValueError(
                    f"zones of {self._path} refer to records that chunk "
                    f"{level.decode() + part!r} has not"
                )
        return [
            (dict(generators[g0:g1]), by_identity(modulators[m0:m1]))
            for (g0, m0), (g1, m1) in pairwise(bags)
        ]

    def _records(self, name: bytes, layout: str) -> list[tuple]:
        if name not in self._chunks:
            raise ValueError(f"{self._path} has no chunk {name.decode()!r}")
        at, size = self._chunks[name]
        step = struct.calcsize(layout)
        if size % step or at + size > len(self._data):
            raise ValueError(f"chunk {name.decode()!r} of {self._path} is cut short")
        return list(struct.iter_unpack(layout, self._data[at : at + size]))


def decode_pcm(data: bytes) -> NDArray[np.int16]:
    """Interpret the data of a sample that is not compressed.

    Shape:
        - Output: ``(time,)``
    """
    return np.frombuffer(data, dtype="<i2")


def _chunks(data: bytes, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Walk the chunks of a RIFF list: name, position and size of each."""
    while begin + 8 <= end:
        name, size = struct.unpack_from("<4sI", data, begin)
        yield name, begin + 8, size
        begin += 8 + size + size % 2


def _text(name: bytes) -> str:
    return name.split(b"\0")[0].decode("latin1").strip()


def _zones(layers: list[_Layer], target: int) -> list[_Layer]:
    """List the zones of a preset or instrument; a first one without a target holds for all."""
    common: _Layer = {}, {}
    out = []
    for i, (generators, modulators) in enumerate(layers):
        if target in generators:
            out.append((common[0] | generators, common[1] | modulators))
        elif i == 0:
            common = generators, modulators
    return out
