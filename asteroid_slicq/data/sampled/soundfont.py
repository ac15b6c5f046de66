"""Reader of SoundFonts: SF2 (16-bit samples) and SF3 (Ogg Vorbis samples).

A SoundFont is a RIFF file: presets refer to instruments, instruments to samples, both through zones
of generators (SoundFont technical specification 2.04, sections 7 and 8). Generators of a preset's
zone are added to those of an instrument's zone; key and velocity ranges intersect.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Generators = dict[int, int]

# Generators (section 8.1.2) by number.
FILTER_CUTOFF, FILTER_Q, MOD_ENV_TO_FILTER, PAN = 8, 9, 11, 17
MOD_DECAY, MOD_SUSTAIN = 28, 29
DELAY, ATTACK, HOLD, DECAY, SUSTAIN, RELEASE = 33, 34, 35, 36, 37, 38
INSTRUMENT, KEY_RANGE, VELOCITY_RANGE, ATTENUATION = 41, 43, 44, 48
COARSE_TUNE, FINE_TUNE, SAMPLE, SAMPLE_MODES, SCALE_TUNING = 51, 52, 53, 54, 56
EXCLUSIVE_CLASS, ROOT_KEY = 57, 58
# Offsets of positions in the sample, of an instrument alone: in samples, and in 32768 of them.
START, END, LOOP_START, LOOP_END = (0, 4), (1, 12), (2, 45), (3, 50)
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
class Zone:
    """How one sample sounds in a range of keys and velocities.

    Args:
        sample: Index of the sample.
        keys: First and last MIDI key.
        velocities: First and last MIDI velocity.
        root: Key at which the sample sounds as recorded; ``None`` for the sample's own.
        tune_cents: Offset of the pitch.
        scale_cents: Cents per key.
        loop: Whether the sample loops: 0 never, 1 always, 3 until the key is released.
        attenuation_db: How much softer it is than recorded.
        pan: -1 (left) to 1.
        delay_s: Of the volume envelope, as the next five are.
        attack_s: Linear rise.
        hold_s: At the peak.
        decay_s: For a fall by 100 dB.
        sustain_db: How far it falls.
        release_s: For a fall by 100 dB.
        cutoff_hz: Of the low-pass.
        resonance_db: Of the low-pass.
        sweep_cents: How much the second envelope raises the cutoff at first.
        sweep_decay_s: Of the second envelope.
        sweep_sustain: Where it settles, 0 to 1.
        choke: Class of sounds that silence each other; 0 for none.
        moved: By how many samples the start, the end and the loop's start and end of the sample are
            moved; 0 in a bank, whose recordings are.
    """

    sample: int
    keys: tuple[int, int] = (0, 127)
    velocities: tuple[int, int] = (0, 127)
    root: int | None = None
    tune_cents: float = 0.0
    scale_cents: float = 100.0
    loop: int = 0
    attenuation_db: float = 0.0
    pan: float = 0.0
    delay_s: float = 0.0
    attack_s: float = 0.001
    hold_s: float = 0.001
    decay_s: float = 0.001
    sustain_db: float = 0.0
    release_s: float = 0.001
    cutoff_hz: float = 19912.0
    resonance_db: float = 0.0
    sweep_cents: float = 0.0
    sweep_decay_s: float = 0.001
    sweep_sustain: float = 1.0
    choke: int = 0
    moved: tuple[int, int, int, int] = (0, 0, 0, 0)


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
        self._preset_zones = self._records(b"pbag", "<HH"), self._records(b"pgen", "<HH")
        self._instrument_zones = self._records(b"ibag", "<HH"), self._records(b"igen", "<HH")
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
        for outer in _zones(*self._preset_zones, header[3], following[3], INSTRUMENT):
            instrument = outer[INSTRUMENT]
            first = self._instrument_headers[instrument][1]
            last = self._instrument_headers[instrument + 1][1]
            for inner in _zones(*self._instrument_zones, first, last, SAMPLE):
                zone = _resolve(outer, inner)
                if zone is not None:
                    zones.append(zone)
        return Preset(_text(header[0]), tuple(zones))

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


def _signed(value: int) -> int:
    return value - 65536 if value > 32767 else value


def _zones(
    bags: list[tuple], generators: list[tuple], first: int, last: int, target: int
) -> list[Generators]:
    """List the zones of a preset or instrument; a first one without a target holds for all."""
    common: Generators = {}
    out = []
    for i in range(first, last):
        zone = dict(generators[bags[i][0] : bags[i + 1][0]])
        if target in zone:
            out.append(common | zone)
        elif i == first:
            common = zone
    return out


def _resolve(outer: Generators, inner: Generators) -> Zone | None:
    """Combine the generators of a preset's and an instrument's zone; ``None`` if disjoint."""
    keys, velocities = [0, 127], [0, 127]
    for generators in (outer, inner):
        for span, number in ((keys, KEY_RANGE), (velocities, VELOCITY_RANGE)):
            if number in generators:
                low, high = generators[number] & 255, generators[number] >> 8
                span[:] = [max(span[0], low), min(span[1], high)]
    if keys[0] > keys[1] or velocities[0] > velocities[1]:
        return None

    def value(number: int, default: int = 0) -> int:
        return _signed(inner.get(number, default % 65536)) + _signed(outer.get(number, 0))

    def seconds(number: int) -> float:
        return round(2.0 ** (min(max(value(number, -12000), -12000), 8000) / 1200.0), 6)

    def samples(generators: tuple[int, int]) -> int:
        fine, coarse = (_signed(inner.get(number, 0)) for number in generators)
        return fine + 32768 * coarse

    root = inner.get(ROOT_KEY, 65535)
    return Zone(
        sample=inner[SAMPLE],
        keys=(keys[0], keys[1]),
        velocities=(velocities[0], velocities[1]),
        root=root if root < 128 else None,
        tune_cents=100.0 * value(COARSE_TUNE) + value(FINE_TUNE),
        scale_cents=float(value(SCALE_TUNING, 100)),
        loop=inner.get(SAMPLE_MODES, 0) & 3,
        # In centibels; every synthesiser since the first takes 0.4 of it.
        attenuation_db=round(max(0.04 * value(ATTENUATION), 0.0), 3),
        pan=min(max(value(PAN) / 500.0, -1.0), 1.0),
        delay_s=seconds(DELAY),
        attack_s=seconds(ATTACK),
        hold_s=seconds(HOLD),
        decay_s=seconds(DECAY),
        sustain_db=min(max(value(SUSTAIN), 0), 1440) / 10.0,
        release_s=seconds(RELEASE),
        cutoff_hz=round(8.176 * 2.0 ** (value(FILTER_CUTOFF, 13500) / 1200.0), 2),
        resonance_db=value(FILTER_Q) / 10.0,
        sweep_cents=float(value(MOD_ENV_TO_FILTER)),
        sweep_decay_s=seconds(MOD_DECAY),
        sweep_sustain=min(max(1.0 - value(MOD_SUSTAIN) / 1000.0, 0.0), 1.0),
        choke=inner.get(EXCLUSIVE_CLASS, 0),
        moved=(samples(START), samples(END), samples(LOOP_START), samples(LOOP_END)),
    )
