"""The plan of a song: tempo, meter, key, chords, sections, and when each part plays."""

from dataclasses import dataclass

import numpy as np

from asteroid_slicq.data.procedural.harmony import (
    MODE_WEIGHTS,
    Chord,
    draw_colour,
    draw_degrees,
    scale_classes,
    stack_thirds,
)
from asteroid_slicq.data.procedural.seeds import pick
from asteroid_slicq.data.procedural.signal import Array

# How likely a style is, and its slowest and fastest tempo in beats a minute.
STYLES = {
    "rock": (3.0, (95, 165)),
    "pop": (3.0, (80, 130)),
    "funk": (1.5, (90, 120)),
    "dance": (2.0, (112, 150)),
    "hiphop": (2.0, (76, 104)),
    "trap": (1.5, (60, 85)),
    "ballad": (1.5, (60, 85)),
    "shuffle": (1.0, (80, 140)),
    "metal": (1.5, (95, 180)),
    "jazz": (0.7, (75, 180)),
    "folk": (1.0, (70, 140)),
}


@dataclass(frozen=True)
class Section:
    """A run of bars of one character; `energy` in [0, 1] says how full it is."""

    name: str
    first_bar: int
    n_bars: int
    energy: float


@dataclass(frozen=True)
class Song:
    """The plan every instrument of a track plays from. Time is counted in steps (sixteenths).

    Args:
        style: A key of `STYLES`.
        tempo_bpm: Beats a minute; a beat has `steps_per_beat` steps.
        meter: ``"4/4"``, ``"3/4"`` or ``"6/8"``.
        steps_per_beat: 4, or 6 in 6/8.
        steps_per_bar: 16 or 12.
        key: Pitch class of the tonic.
        mode: A key of `harmony.MODES`.
        tuning_cents: Offset of the whole song from 440 Hz.
        swing: Where the off-beat falls within its pair, 0.5 (straight) to 0.67.
        swing_steps: Steps of such a pair: 2 or 4.
        looseness_s: Standard deviation of the players' timing.
        lead_in_s: How much of the first bar lies before the recording.
        sections: In order, without gaps.
        chords: In order, without gaps.
        sample_rate: In Hz.
        n_samples: Length of the recording.
    """

    style: str
    tempo_bpm: float
    meter: str
    steps_per_beat: int
    steps_per_bar: int
    key: int
    mode: str
    tuning_cents: float
    swing: float
    swing_steps: int
    looseness_s: float
    lead_in_s: float
    sections: tuple[Section, ...]
    chords: tuple[Chord, ...]
    sample_rate: int
    n_samples: int

    @property
    def step_s(self) -> float:
        """Mean length of a step in seconds."""
        return 60.0 / self.tempo_bpm / self.steps_per_beat

    @property
    def n_bars(self) -> int:
        """Number of bars of all sections."""
        return sum(s.n_bars for s in self.sections)

    @property
    def scale(self) -> tuple[int, ...]:
        """Pitch classes of the key, tonic first."""
        return scale_classes(self.key, self.mode)

    def time_s(self, step: float) -> float:
        """Find when a step sounds, swing included, in seconds of the recording."""
        pair, within = divmod(step, self.swing_steps)
        half = self.swing_steps / 2.0
        if within < half:
            within = within * 2.0 * self.swing
        else:
            within = self.swing_steps * self.swing + (within - half) * 2.0 * (1.0 - self.swing)
        return (pair * self.swing_steps + within) * self.step_s - self.lead_in_s

    def sample(self, step: float, rng: np.random.Generator, tight: float = 1.0) -> int:
        """Find the sample a player hits a step at, with human timing scaled by `tight`."""
        late_s = rng.normal(0.0, self.looseness_s * tight)
        return round((self.time_s(step) + late_s) * self.sample_rate)

    def hz(self, midi: float) -> float:
        """Frequency of a MIDI pitch in the song's tuning."""
        return float(440.0 * 2.0 ** ((midi - 69.0) / 12.0 + self.tuning_cents / 1200.0))

    def chord_at(self, step: float) -> Chord:
        """Find the chord that sounds at a step."""
        for chord in self.chords:
            if step < chord.end:
                return chord
        return self.chords[-1]

    def presence(self, rng: np.random.Generator, threshold: float, spread: float = 0.2) -> Array:
        """Decide bar by bar whether a part plays: where the energy passes the part's threshold."""
        out = np.zeros(self.n_bars, dtype=bool)
        for s in self.sections:
            plays = s.energy + rng.normal(0.0, spread) > threshold
            out[s.first_bar : s.first_bar + s.n_bars] = plays
        return out


def _draw_sections(rng: np.random.Generator, n_bars: int) -> tuple[Section, ...]:
    energies = {"intro": 0.35, "verse": 0.55, "chorus": 0.9, "bridge": 0.6, "break": 0.2}
    after = {
        "intro": {"verse": 3.0, "chorus": 1.0},
        "verse": {"chorus": 3.0, "verse": 1.0, "break": 0.4},
        "chorus": {"verse": 2.0, "chorus": 1.0, "bridge": 1.0, "break": 1.0},
        "bridge": {"chorus": 2.0, "break": 0.5},
        "break": {"chorus": 2.0, "verse": 1.0},
    }
    name = pick(rng, {"intro": 1.5, "verse": 3.0, "chorus": 3.0, "bridge": 0.5, "break": 0.3})
    sections: list[Section] = []
    bar = 0
    while bar < n_bars:
        size = int(rng.choice([2, 4, 4, 4, 8])) if name in ("verse", "chorus") else 2
        size = min(size if rng.random() < 0.9 else size + 1, n_bars - bar)
        energy = float(np.clip(energies[name] + rng.normal(0, 0.12), 0.0, 1.0))
        sections.append(Section(name, bar, size, energy))
        bar += size
        name = pick(rng, after[name])
    return tuple(sections)


def _draw_chords(
    rng: np.random.Generator,
    sections: tuple[Section, ...],
    steps_per_bar: int,
    key: int,
    mode: str,
    richness: float,
) -> tuple[Chord, ...]:
    songbook: dict[str, list[tuple[int, int, tuple[int, ...]]]] = {}
    per_chord = int(steps_per_bar * rng.choice([0.5, 1.0, 2.0], p=[0.25, 0.6, 0.15]))
    chords: list[Chord] = []
    for section in sections:
        if section.name not in songbook:
            entry = []
            for degree in draw_degrees(rng):
                root, tones = stack_thirds(degree, mode, draw_colour(rng, richness), rng)
                if mode == "minor" and degree == 4 and rng.random() < 0.4:
                    tones = (0, 4, *tones[2:])  # the dominant borrowed from harmonic minor
                bass = int(rng.choice(tones[:3])) if rng.random() < 0.12 else 0
                entry.append(((key + root) % 12, (key + root + bass) % 12, tones))
            songbook[section.name] = entry
        entry = songbook[section.name]
        step = section.first_bar * steps_per_bar
        end = step + section.n_bars * steps_per_bar
        i = 0
        while step < end:
            root, bass, tones = entry[i % len(entry)]
            stop = min(step + per_chord, end)
            chords.append(Chord(step, stop, root, bass, tones))
            step, i = stop, i + 1
    return tuple(chords)


def draw_song(rng: np.random.Generator, n_samples: int, sample_rate: int) -> Song:
    """Draw the plan of a song long enough for a recording."""
    style = pick(rng, {name: odds for name, (odds, _) in STYLES.items()})
    tempo = float(rng.uniform(*STYLES[style][1]))
    odd = {"ballad": 0.35, "folk": 0.4, "jazz": 0.2, "pop": 0.08, "rock": 0.08, "metal": 0.1}
    meter = "4/4"
    if rng.random() < odd.get(style, 0.0):
        meter = "3/4" if rng.random() < 0.5 else "6/8"
    steps_per_beat = 6 if meter == "6/8" else 4
    if meter == "6/8":
        tempo = float(np.clip(tempo * 0.6, 40.0, 90.0))
    steps_per_bar = 16 if meter == "4/4" else 12
    swing, swing_steps = 0.5, 2
    if meter != "6/8":
        if style in ("shuffle", "jazz"):
            swing, swing_steps = float(rng.uniform(0.6, 0.68)), 4
        elif style in ("hiphop", "funk") or rng.random() < 0.15:
            swing = float(rng.uniform(0.5, 0.62))
    electronic = style in ("dance", "trap")
    bar_s = 60.0 / tempo / steps_per_beat * steps_per_bar
    lead_in_s = float(rng.uniform(0.0, bar_s)) if rng.random() < 0.6 else 0.0
    n_bars = int(np.ceil((n_samples / sample_rate + lead_in_s) / bar_s)) + 1
    key = int(rng.integers(12))
    mode = pick(rng, MODE_WEIGHTS)
    sections = _draw_sections(rng, n_bars)
    richness = {"jazz": 3.0, "funk": 1.2, "metal": 0.05, "rock": 0.2}.get(style, 0.5)
    return Song(
        style=style,
        tempo_bpm=tempo,
        meter=meter,
        steps_per_beat=steps_per_beat,
        steps_per_bar=steps_per_bar,
        key=key,
        mode=mode,
        tuning_cents=float(rng.normal(0, 18)) if rng.random() < 0.35 else 0.0,
        swing=swing,
        swing_steps=swing_steps,
        looseness_s=float(rng.uniform(0.0, 0.003) if electronic else rng.uniform(0.002, 0.011)),
        lead_in_s=lead_in_s,
        sections=sections,
        chords=_draw_chords(rng, sections, steps_per_bar, key, mode, richness),
        sample_rate=sample_rate,
        n_samples=n_samples,
    )
