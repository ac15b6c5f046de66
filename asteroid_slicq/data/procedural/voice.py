"""A singing voice: notes and syllables through a glottis and moving formants.

The pulse has jitter, shimmer and breath; the formants' targets move from phoneme to phoneme and are
smoothed, as a tongue is slow.
"""

from dataclasses import dataclass

import numpy as np

from asteroid_slicq.data.procedural.oscillator import phase_of, scan
from asteroid_slicq.data.procedural.phonemes import CONSONANTS, VOWELS, Syllable
from asteroid_slicq.data.procedural.seeds import log_uniform
from asteroid_slicq.data.procedural.signal import Array, bandpass, place, smooth_noise
from asteroid_slicq.data.procedural.tract import filter_frames, glottal_tables, tract_response

# Compass in MIDI pitch and length of the tract as a factor on formants, per type of voice.
VOICE_TYPES: dict[str, tuple[float, float, float]] = {
    "bass": (40, 60, 0.93),
    "baritone": (43, 65, 0.98),
    "tenor": (48, 69, 1.03),
    "alto": (53, 73, 1.12),
    "mezzo": (56, 76, 1.16),
    "soprano": (59, 81, 1.20),
    "child": (59, 78, 1.33),
}
PREROLL_S = 0.45


@dataclass(frozen=True)
class SungNote:
    """A note to sing: times in seconds, MIDI pitch, loudness in (0, 1], and its syllable.

    A note without a syllable continues the vowel of the one before.
    """

    start_s: float
    end_s: float
    midi: float
    loudness: float
    syllable: Syllable | None


@dataclass(frozen=True)
class Singer:
    """A voice and its habits.

    Args:
        kind: A key of `VOICE_TYPES`.
        tract: Factor on formant frequencies.
        breath_db: Level of breath noise beside the voice.
        effort: Brightness of the glottal pulse, 0 to 1.
        vibrato_hz: Rate.
        vibrato_cents: Depth of a long note.
        vibrato_delay_s: How long a note is straight first.
        glide_s: Time constant from pitch to pitch.
        drift_cents: Deviation of the slow wandering of the pitch.
        scoop_cents: How far below a note an attack may begin.
        jitter: Deviation of the period, relative.
        shimmer: Deviation of the amplitude, relative.
        rough: Depth of subharmonic roughness, 0 to 1.
        ring_db: Strength of the singer's formant near 2.8 kHz.
        bandwidth: Factor on formant bandwidths.
        accent: Personal offsets on the formants, relative.
    """

    kind: str
    tract: float
    breath_db: float
    effort: float
    vibrato_hz: float
    vibrato_cents: float
    vibrato_delay_s: float
    glide_s: float
    drift_cents: float
    scoop_cents: float
    jitter: float
    shimmer: float
    rough: float
    ring_db: float
    bandwidth: float
    accent: tuple[float, ...]


def draw_singer(rng: np.random.Generator, kind: str) -> Singer:
    """Draw a singer of a type of voice."""
    tuned = rng.random() < 0.2  # as after hard pitch correction
    return Singer(
        kind=kind,
        tract=VOICE_TYPES[kind][2] * float(rng.normal(1.0, 0.03)),
        breath_db=float(rng.uniform(-32, -10)),
        effort=float(rng.uniform(0.45, 1.3)),
        vibrato_hz=float(rng.uniform(4.6, 6.8)),
        vibrato_cents=float(rng.choice([0.0, 1.0], p=[0.2, 0.8]) * rng.uniform(10, 90)),
        vibrato_delay_s=float(rng.uniform(0.1, 0.6)),
        glide_s=0.006 if tuned else float(rng.uniform(0.012, 0.06)),
        drift_cents=2.0 if tuned else float(rng.uniform(5, 22)),
        scoop_cents=0.0 if tuned else float(rng.uniform(0, 250)),
        jitter=float(log_uniform(rng, 0.001, 0.008)),
        shimmer=float(rng.uniform(0.01, 0.06)),
        rough=float(rng.uniform(0.2, 0.8)) if rng.random() < 0.15 else 0.0,
        ring_db=float(rng.uniform(0, 13)),
        bandwidth=float(rng.uniform(0.8, 1.5)),
        accent=tuple(float(a) for a in rng.normal(1.0, 0.04, 5)),
    )


def _smooth(x: Array, width: int) -> Array:
    width = max(width | 1, 3)
    kernel = np.hanning(width + 2)[1:-1]
    kernel /= kernel.sum()
    pad = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(width // 2, width // 2)], mode="edge")
    if x.ndim == 1:
        return np.convolve(pad, kernel, "valid")
    return np.stack([np.convolve(row, kernel, "valid") for row in pad])


class _Score:
    """Control curves of a phrase, one value a hop, and its noises."""

    def __init__(self, n_frames: int, rate: float) -> None:
        self.rate = rate
        self.n = n_frames
        self.formants = np.zeros((3, n_frames))
        self.voicing = np.zeros(n_frames)
        self.loudness = np.full(n_frames, 0.6)
        self.midi = np.zeros(n_frames)
        self.vibrato = np.zeros(n_frames)
        self.noises: list[tuple[float, float, tuple[float, float], float]] = []

    def span(self, start_s: float, end_s: float) -> slice:
        first = int(np.clip(round(start_s * self.rate), 0, self.n))
        return slice(first, int(np.clip(round(end_s * self.rate), first, self.n)))


def _consonant(score: _Score, name: str, at_s: float, loudness: float, rate: float) -> float:
    """Write a consonant that ends at `at_s`; return when it begins."""
    c = CONSONANTS[name]
    length_s, closure_s = c.length_s * rate, c.closure_s * rate
    begin_s = at_s - length_s - closure_s
    span = score.span(begin_s, at_s)
    score.formants[:, span] = np.array(c.formants)[:, None]
    score.voicing[span] = c.voicing
    if c.noise_gain > 0.0:
        gain = c.noise_gain * (0.6 + 0.4 * loudness)
        score.noises.append((at_s - length_s, at_s + 0.012, c.noise, gain))
    return begin_s


def _write_score(
    notes: list[SungNote], singer: Singer, n_frames: int, rate: float, rng: np.random.Generator
) -> _Score:
    score = _Score(n_frames, rate)
    vowel, previous = "a", None
    for i, note in enumerate(notes):
        syllable = note.syllable
        if syllable is not None:
            vowel = syllable.vowel
        following = notes[i + 1] if i + 1 < len(notes) else None
        span = score.span(note.start_s, note.end_s)
        score.formants[:, span] = np.array(VOWELS[vowel].formants)[:, None]
        score.voicing[span] = 1.0
        score.loudness[score.span(note.start_s - 0.1, note.end_s + 0.1)] = note.loudness
        if syllable is not None and syllable.glide:
            late = score.span(note.end_s - 0.4 * (note.end_s - note.start_s), note.end_s)
            score.formants[:, late] = np.array(VOWELS[syllable.glide].formants)[:, None]
        # The pitch moves a little before the vowel, and holds into the gap after it.
        until = following.start_s if following else note.end_s + 1.0
        reach = score.span(note.start_s - 0.03 if previous else 0.0, until)
        score.midi[reach] = note.midi
        if syllable is not None and singer.scoop_cents and rng.random() < 0.4:
            low = score.span(note.start_s - 0.03, note.start_s + rng.uniform(0.03, 0.12))
            score.midi[low] -= singer.scoop_cents / 100.0 * rng.random()
        if note.end_s - note.start_s > singer.vibrato_delay_s + 0.1:
            t = np.arange(span.stop - span.start) / rate
            grow = np.clip((t - singer.vibrato_delay_s) / 0.35, 0.0, 1.0)
            score.vibrato[span] = grow * singer.vibrato_cents * rng.uniform(0.6, 1.2)
        pace = float(np.clip((note.end_s - note.start_s) / 0.3, 0.55, 1.15))
        if syllable is not None and syllable.onset:
            _consonant(score, syllable.onset, note.start_s, note.loudness, pace)
        if syllable is not None and syllable.coda and note.end_s - note.start_s > 0.18:
            _consonant(score, syllable.coda, note.end_s, 0.8 * note.loudness, pace)
        previous = note
    empty = score.formants[0] == 0.0
    filled = np.flatnonzero(~empty)
    for k in range(3):
        score.formants[k] = np.interp(np.arange(n_frames), filled, score.formants[k, filled])
    return score


def sing(
    notes: list[SungNote],
    singer: Singer,
    sample_rate: int,
    rng: np.random.Generator,
    breath_in: bool = False,
) -> Array:
    """Sing a phrase of notes in order, ``(time,)``; their time 0 lies `PREROLL_S` after its start.

    Raises:
        ValueError: If there are no notes.
    """
    if not notes:
        raise ValueError("notes must hold at least one note, got an empty list")
    hop = max(round(0.0058 * sample_rate), 8)
    rate = sample_rate / hop
    shifted = [
        SungNote(n.start_s + PREROLL_S, n.end_s + PREROLL_S, n.midi, n.loudness, n.syllable)
        for n in notes
    ]
    length = int((shifted[-1].end_s + 0.25) * sample_rate)
    score = _write_score(shifted, singer, length // hop + 2, rate, rng)
    f0 = _pitch(score, singer, rng)
    formants = _formants(score, singer, f0)
    excitation = _excitation(score, singer, f0, hop, rng)
    f_hz = np.fft.rfftfreq(8 * hop, 1.0 / sample_rate)
    response = tract_response(formants, f_hz, singer.tract, singer.bandwidth, singer.ring_db)
    x = filter_frames(excitation, response, hop)
    x *= 0.35
    for start_s, end_s, band, level in score.noises:
        place(
            x,
            _hiss(rng, end_s - start_s, band, level, singer, sample_rate),
            int(start_s * sample_rate),
        )
    if breath_in:
        span_s = float(rng.uniform(0.15, 0.35))
        air = _hiss(rng, span_s, (900, 5000), rng.uniform(0.02, 0.1), singer, sample_rate)
        place(x, air, int((PREROLL_S - 0.1 - span_s) * sample_rate))
    return x


def _pitch(score: _Score, singer: Singer, rng: np.random.Generator) -> Array:
    """The pitch of each frame in Hz: glides, vibrato and drift, ``(frame,)``."""
    steady = np.arange(score.n) / score.rate
    midi = _smooth(score.midi, int(4.0 * singer.glide_s * score.rate))
    wave = np.sin(2 * np.pi * singer.vibrato_hz * steady + rng.uniform(0, 6.28))
    cents = _smooth(score.vibrato, 9) * wave
    cents += singer.drift_cents * smooth_noise(rng, score.n, 1, 0.02 * 100.0 / score.rate)
    return 440.0 * 2.0 ** ((midi - 69.0) / 12.0 + cents / 1200.0)


def _formants(score: _Score, singer: Singer, f0: Array) -> Array:
    """Five formants in Hz, ``(formant, frame)``."""
    formants = np.empty((5, score.n))
    formants[:3] = _smooth(score.formants, int(0.065 * score.rate))
    formants[3:] = np.array([[3400.0], [4450.0]])
    formants *= singer.tract * np.array(singer.accent)[:, None]
    formants[0] = np.maximum(formants[0], 0.98 * f0)  # singers tune the first formant upwards
    formants[1] = np.maximum(formants[1], formants[0] + 150.0)
    return formants


def _excitation(
    score: _Score, singer: Singer, f0: Array, hop: int, rng: np.random.Generator
) -> Array:
    """What the tract filters: the pulses of the glottis, and breath; ``(time,)``."""
    n, sample_rate = score.n * hop, round(score.rate * hop)
    voicing = _smooth(score.voicing, int(0.03 * score.rate))
    loudness = _smooth(score.loudness, int(0.12 * score.rate))
    effort = np.clip(singer.effort * (0.35 + 0.75 * loudness), 0.0, 1.0)
    grid, frames = np.arange(n) / hop, np.arange(score.n)
    f = np.interp(grid, frames, f0)
    f *= 1.0 + singer.jitter * smooth_noise(rng, n, sample_rate, 120.0)
    phase = phase_of(f, sample_rate)
    tables = glottal_tables(float(f0.max()), sample_rate)
    source = scan(tables, phase, np.interp(grid, frames, effort) * 5.0)
    source *= 1.0 + singer.shimmer * smooth_noise(rng, n, sample_rate, 60.0)
    if singer.rough:
        subharmonic = np.sin(np.pi * phase)
        source *= 1.0 + singer.rough * subharmonic * np.interp(grid, frames, loudness)
    breath = np.diff(rng.standard_normal(n + 1)) * (0.6 + 0.4 * np.cos(2 * np.pi * phase))
    gain = np.interp(grid, frames, voicing * (0.25 + 0.75 * loudness))
    return gain * (source + 10 ** (singer.breath_db / 20.0) * breath)


def _hiss(
    rng: np.random.Generator,
    length_s: float,
    band: tuple[float, float],
    level: float,
    singer: Singer,
    sample_rate: int,
) -> Array:
    n = max(int(length_s * sample_rate), 32)
    t = np.linspace(0.0, 1.0, n)
    env = np.minimum(t / 0.25, 1.0) * np.minimum((1.0 - t) / 0.25, 1.0)
    if length_s < 0.07:
        env = np.minimum(t / 0.04, 1.0) * np.exp(-3.0 * t) * (1.0 - t)
    scale = singer.tract**0.6
    noise = bandpass(rng.standard_normal(n), band[0] * scale, band[1] * scale, sample_rate, 2)
    return 0.4 * level * env * noise
