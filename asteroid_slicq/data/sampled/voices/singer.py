"""A singer: whose speech is sung, in which compass, and with what habits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from asteroid_slicq.data.procedural.seeds import log_uniform
from asteroid_slicq.data.sampled.voices.utterances import Utterance

#: Odds of the compasses of men and women, in MIDI pitch.
COMPASSES = {
    True: {(43, 62): 0.4, (45, 65): 1.0, (48, 68): 1.0, (50, 70): 1.0, (52, 72): 1.0},
    False: {(53, 71): 1.0, (55, 74): 1.0, (57, 77): 1.0, (60, 80): 1.0},
}
FARTHEST = 31  # semitones from the pitch of speech to the highest that is sung


@dataclass(frozen=True)
class Voice:
    """Recorded lines of one speaker.

    Attributes:
        name: of the speaker.
        male: whether it speaks in a man's compass.
        weight: how often it is drawn.
        utterances: the lines.
    """

    name: str
    male: bool
    weight: float
    utterances: Sequence[Utterance]


@dataclass(frozen=True)
class Singer:
    """A voice with the habits of a singer.

    Attributes:
        voice: whose lines are sung.
        male: whether it sings as a man does.
        low: lowest MIDI pitch.
        high: highest.
        tract: factor on formants; above 1 a shorter tract.
        vibrato_hz: rate.
        vibrato_semitones: depth on a long note.
        vibrato_delay_s: how long a note is straight first.
        glide_s: from pitch to pitch.
        scoop_semitones: how far below a note it may begin.
        drift_semitones: slow wandering of the pitch.
        breath: noise that is added above 6 kHz, as a share.
        noisy_hz: where its harmonics have mostly gone under in noise.
        noisiest: share of noise at 22 kHz.
        tilt_db: per octave, above or below 1 kHz.
        air_db: fall per octave above the band of the recording, where voiced.
        hiss_db: the same, where unvoiced.
        steadiness: share of the loudness differences of nuclei that is evened out.
        tuned: pitch corrected by a machine: quick steps, no vibrato.
    """

    voice: Voice
    male: bool
    low: int
    high: int
    tract: float
    vibrato_hz: float
    vibrato_semitones: float
    vibrato_delay_s: float
    glide_s: float
    scoop_semitones: float
    drift_semitones: float
    breath: float
    noisy_hz: float
    noisiest: float
    tilt_db: float
    air_db: float
    hiss_db: float
    steadiness: float
    tuned: bool

    def again(self, rng: np.random.Generator, likeness: float = 1.0) -> Singer:
        """The same singer in another take; less alike, a brother or sister.

        Args:
            rng: random stream.
            likeness: 1 for a double, less for a second voice.
        """
        spread = 0.02 + 0.06 * (1 - likeness)
        return replace(
            self,
            tract=self.tract * float(np.exp(rng.normal(0, spread / 2))),
            vibrato_hz=self.vibrato_hz * rng.uniform(0.9, 1.1),
            glide_s=self.glide_s * rng.uniform(0.8, 1.3),
            tilt_db=self.tilt_db + rng.normal(0, 10 * spread),
        )


def _draw_compass(rng: np.random.Generator, voice: Voice, male: bool) -> tuple[int, int]:
    """A compass that lies within reach of the speech; the lowest one if none does."""
    f0_hz = np.concatenate([u.f0_hz[u.f0_hz > 0] for u in voice.utterances])
    spoken = 69 + 12 * np.log2(np.median(f0_hz) / 440)
    within = {c: odds for c, odds in COMPASSES[male].items() if c[1] <= spoken + FARTHEST}
    compasses = list(within) or [min(COMPASSES[male])]
    odds = np.array([within.get(c, 1.0) for c in compasses])
    return compasses[int(rng.choice(len(compasses), p=odds / odds.sum()))]


def draw_singer(rng: np.random.Generator, voices: Mapping[str, Voice]) -> Singer:
    """A random singer; one in seven sings as the other sex, with formants to match."""
    names = sorted(voices)
    weights = np.array([voices[name].weight for name in names])
    voice = voices[str(rng.choice(names, p=weights / weights.sum()))]
    male, tract = voice.male, float(np.exp(rng.normal(0, 0.06)))
    if rng.random() < 0.15:
        male = not male
        tract *= 0.87 if male else 1.14
    low, high = _draw_compass(rng, voice, male)
    tuned = bool(rng.random() < 0.15)
    return Singer(
        voice=voice,
        male=male,
        low=low,
        high=high,
        tract=tract,
        vibrato_hz=rng.uniform(4.6, 6.4),
        vibrato_semitones=log_uniform(rng, 0.06, 0.6) * (0.25 if tuned else 1.0),
        vibrato_delay_s=rng.uniform(0.15, 0.45),
        glide_s=rng.uniform(0.03, 0.09) * (0.25 if tuned else 1.0),
        scoop_semitones=rng.uniform(0, 1.8) * (0.25 if tuned else 1.0),
        drift_semitones=rng.uniform(0.03, 0.10) * (0.25 if tuned else 1.0),
        breath=float(rng.uniform(0, 0.35) ** 1.5),
        noisy_hz=log_uniform(rng, 9000, 18000),
        noisiest=float(rng.uniform(0.6, 0.98)),
        tilt_db=rng.normal(0, 1.5),
        air_db=rng.uniform(12, 24),
        hiss_db=rng.uniform(6, 16),
        steadiness=rng.uniform(0.5, 0.85),
        tuned=tuned,
    )
