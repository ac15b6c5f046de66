"""Zones of an instrument: how one recording sounds in a range of keys and velocities."""

from dataclasses import dataclass, replace
from typing import Any

from asteroid_slicq.data.sampled.modulators import (
    Modulator,
    Modulators,
    offsets,
    resolve_modulators,
)

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
        modulators: What the key and the velocity of a note change of it, loudness and brightness
            included; ``None`` for recordings of no SoundFont.
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
    modulators: tuple[Modulator, ...] | None = None

    def at(self, key: int, velocity: int) -> "Zone":
        """Apply the modulators for a note; the zone itself if it has none.

        Args:
            key: MIDI key.
            velocity: MIDI velocity.
        """
        if self.modulators is None:
            return self
        new: dict[str, Any] = {"modulators": None}
        for number, offset in offsets(self.modulators, key, velocity).items():
            if number in _SUMS:
                name, unit = _SUMS[number]
                new[name] = new.get(name, getattr(self, name)) + unit * offset
            elif number in _FACTORS:
                name = _FACTORS[number]
                new[name] = getattr(self, name) * 2.0 ** (offset / 1200.0)
            elif number in START:
                start, *rest = new.get("moved", self.moved)
                new["moved"] = (start + round(offset * 32768 ** START.index(number)), *rest)
        for name, (low, high) in _LIMITS.items():
            new[name] = min(max(new.get(name, getattr(self, name)), low), high)
        return replace(self, **new)


# What generators add to, per unit of theirs, and what they multiply, by 1200ths of an octave.
_SUMS = {
    FILTER_Q: ("resonance_db", 0.1),
    MOD_ENV_TO_FILTER: ("sweep_cents", 1.0),
    PAN: ("pan", 1.0 / 500.0),
    MOD_SUSTAIN: ("sweep_sustain", -1.0 / 1000.0),
    SUSTAIN: ("sustain_db", 0.1),
    ATTENUATION: ("attenuation_db", 0.1),
    COARSE_TUNE: ("tune_cents", 100.0),
    FINE_TUNE: ("tune_cents", 1.0),
    SCALE_TUNING: ("scale_cents", 1.0),
}
_FACTORS = {
    FILTER_CUTOFF: "cutoff_hz",
    MOD_DECAY: "sweep_decay_s",
    DELAY: "delay_s",
    ATTACK: "attack_s",
    HOLD: "hold_s",
    DECAY: "decay_s",
    RELEASE: "release_s",
}
# Of sums (section 8.1.3).
_LIMITS = {
    "cutoff_hz": (8.176 * 2.0 ** (1500 / 1200), 8.176 * 2.0 ** (13500 / 1200)),
    "resonance_db": (0.0, 96.0),
    "sweep_cents": (-12000.0, 12000.0),
    "pan": (-1.0, 1.0),
    "sweep_sustain": (0.0, 1.0),
    "sustain_db": (0.0, 144.0),
    "attenuation_db": (0.0, 144.0),
    **dict.fromkeys(("delay_s", "attack_s", "hold_s"), (2.0**-10, 2.0 ** (5000 / 1200))),
    **dict.fromkeys(("decay_s", "release_s", "sweep_decay_s"), (2.0**-10, 2.0 ** (8000 / 1200))),
}
_MOVABLE = {*_SUMS, *_FACTORS, *START}


def _signed(value: int) -> int:
    return value - 65536 if value > 32767 else value


def resolve_zone(
    outer: Generators,
    outer_modulators: Modulators,
    inner: Generators,
    inner_modulators: Modulators,
) -> Zone | None:
    """Combine a zone of a preset with one of an instrument; ``None`` if they are disjoint.

    Args:
        outer: Generators of the preset's zone.
        outer_modulators: Modulators of the preset's zone.
        inner: Generators of the instrument's zone.
        inner_modulators: Modulators of the instrument's zone.
    """
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
        attenuation_db=round(0.04 * value(ATTENUATION), 3),
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
        modulators=tuple(
            m
            for m in resolve_modulators(outer_modulators, inner_modulators)
            if m.destination in _MOVABLE
        ),
    )
