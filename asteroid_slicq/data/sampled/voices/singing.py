"""Syllables of speech on the notes of a melody, by the vocoder WORLD.

A map from time in the song to time in the speech places every nucleus on its note, with its
consonants before the beat; long vowels wander to and fro within the nucleus instead of standing
still. Pitch is the melody's; the envelope is the speech's, with formants moved by the length of
the tract, and carried on above the band of the recording, so that no voice ends where it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from asteroid_slicq.data.procedural.voice import SungNote
from asteroid_slicq.data.sampled.voices.singer import Singer
from asteroid_slicq.data.sampled.voices.utterances import (
    APERIODICITY_HZ,
    FRAME_S,
    LOWEST_HZ,
    N_BANDS,
    Utterance,
    mel,
)

Array = NDArray[np.float64]

PREROLL_S = 0.3
_N_FFT = 1024  # of the vocoder: longer than the impulse responses of vocal tracts
_SILENT_DB = -80.0


@dataclass(frozen=True)
class _Plan:
    """Where in the speech every vocoder frame of a phrase comes from.

    Attributes:
        source: frame of the speech, a fraction; negative where nothing is sung.
        gain_db: loudness of the score.
        nucleus: whether it is a vowel that is held.

    Shape:
        - all: ``(frame,)``
    """

    source: Array
    gain_db: Array
    nucleus: NDArray[np.bool_]


def sing(
    notes: Sequence[SungNote],
    singer: Singer,
    utterance: Utterance,
    sample_rate: int,
    rng: np.random.Generator,
    speech: float = 0.0,
) -> Array:
    """A phrase, sung; it begins ``PREROLL_S`` before time 0.

    Args:
        notes: times in seconds from the begin of the phrase. Notes without a syllable continue the
            one before.
        singer: who sings.
        utterance: the line whose syllables are sung, one a note.
        sample_rate: in Hz.
        rng: random stream.
        speech: 0 sings, 1 speaks in the rhythm of the notes, as rap does.

    Shape:
        - output: ``(time,)``
    """
    import pyworld

    plan = _place_syllables(notes, utterance, rng)
    sung = plan.source >= 0
    if not sung.any():
        return np.zeros(1)
    frames = np.arange(len(sung))
    source = np.interp(frames, np.flatnonzero(sung), plan.source[sung])
    voiced = (utterance.f0_hz > 0)[np.round(source).astype(int)] | plan.nucleus
    pitch = _pitch(notes, singer, utterance, source, rng, speech)
    f0_hz = np.where(voiced & sung, 440 * 2 ** ((pitch - 69) / 12), 0.0)
    f_hz = np.linspace(0, sample_rate / 2, _N_FFT // 2 + 1)
    level_db = _envelopes(singer, utterance, source, voiced, f_hz, float(np.mean(pitch)))
    level_db = _even_out(level_db, plan.nucleus & sung, f_hz, singer.steadiness)
    power = 10 ** ((level_db + gaussian_filter1d(plan.gain_db, 1.5)[:, None]) / 10)
    noise = _aperiodicity(singer, utterance, source, voiced, f_hz)
    if rng.random() < 0.35:
        _breathe_in(power, noise, f0_hz, plan.nucleus, f_hz, rng)
    return pyworld.synthesize(
        f0_hz.astype(np.float64),
        np.ascontiguousarray(power, np.float64),
        np.ascontiguousarray(noise, np.float64),
        sample_rate,
        1e3 * FRAME_S,
    )


def _place_syllables(
    notes: Sequence[SungNote], utterance: Utterance, rng: np.random.Generator
) -> _Plan:
    groups: list[tuple[float, float, float]] = []  # begin, end, loudness of each syllable
    for note in notes:
        if note.syllable is None and groups:
            groups[-1] = (groups[-1][0], note.end_s, groups[-1][2])
        else:
            groups.append((note.start_s, note.end_s, note.loudness))
    n_frames = int((notes[-1].end_s + PREROLL_S + 0.25) / FRAME_S) + 1
    source, gain_db = np.full(n_frames, -1.0), np.full(n_frames, _SILENT_DB)
    nucleus = np.zeros(n_frames, bool)
    syllables = utterance.syllables
    offset = int(rng.integers(max(1, len(syllables) - len(groups) + 1)))

    def onset_s(i: int) -> float:
        """How long before its note the syllable begins: its consonants, if there is room."""
        begin, first, *_ = syllables[(offset + i) % len(syllables)]
        room_s = groups[i][0] - (groups[i - 1][0] if i else -PREROLL_S)
        return min((first - begin) * FRAME_S, 0.45 * max(room_s, 0.05), 0.22)

    for i, (start_s, end_s, loudness) in enumerate(groups):
        begin, first, last, end = syllables[(offset + i) % len(syllables)]
        coda_s = (end - last) * FRAME_S
        follows = i + 1 < len(groups) and groups[i + 1][0] - end_s < 0.09
        if follows:
            stop_s = groups[i + 1][0] - onset_s(i + 1)
            coda_s = min(coda_s, 0.35 * (stop_s - start_s), 0.25)
        else:
            coda_s = min(coda_s, 0.2)
            stop_s = end_s + 0.5 * coda_s
        onset = onset_s(i)
        hold_s = max(stop_s - coda_s, start_s + 0.02)
        times_s = [start_s - onset, start_s, hold_s, max(stop_s, start_s + 0.04)]
        a = max(int((times_s[0] + PREROLL_S) / FRAME_S), 0)
        b = min(int((times_s[3] + PREROLL_S) / FRAME_S), n_frames)
        t = np.arange(a, b) * FRAME_S - PREROLL_S
        from_frames = [
            max(begin, first - onset / FRAME_S),
            first,
            last,
            min(end - 1, last + coda_s / FRAME_S + 1),
        ]
        at = np.interp(t, times_s, from_frames)
        held = (t > start_s) & (t < hold_s)
        if hold_s - start_s > 2.2 * max(last - first, 1) * FRAME_S:
            wandering = 6 * gaussian_filter1d(rng.normal(0, 1, len(t)), 10)
            at = np.where(held, np.clip(at + wandering, first, last), at)
        source[a:b], gain_db[a:b], nucleus[a:b] = at, 20 * np.log10(max(loudness, 0.1)), held
        if not follows:
            n = min(20, b - a)
            gain_db[b - n : b] -= np.linspace(0, 24, n)
    return _Plan(source, gain_db, nucleus)


def _pitch(
    notes: Sequence[SungNote],
    singer: Singer,
    utterance: Utterance,
    source: Array,
    rng: np.random.Generator,
    speech: float,
) -> Array:
    """MIDI pitch of every vocoder frame: melody, glides, scoops, vibrato, drift and ripples."""
    n = len(source)
    t = np.arange(n) * FRAME_S - PREROLL_S
    target = np.full(n, float(notes[0].midi))
    for note in notes:
        target[t >= note.start_s - 0.6 * singer.glide_s] = note.midi
    pitch = gaussian_filter1d(target, max(0.6 * singer.glide_s / FRAME_S, 0.6))
    depth = np.zeros(n)
    for note in notes:
        since, length_s = t - note.start_s, note.end_s - note.start_s
        inside = (since >= 0) & (t < note.end_s)
        if length_s > 0.3:
            grown = np.clip((since - singer.vibrato_delay_s) / 0.35, 0, 1)
            depth += inside * grown * singer.vibrato_semitones * rng.uniform(0.6, 1.2)
        if rng.random() < 0.45:
            pitch -= inside * singer.scoop_semitones * np.exp(-np.clip(since, 0, None) / 0.05)
    rate_hz = singer.vibrato_hz * (1 + 0.06 * gaussian_filter1d(rng.normal(0, 3, n), 30))
    pitch += gaussian_filter1d(depth, 6) * np.sin(2 * np.pi * np.cumsum(rate_hz) * FRAME_S)
    drift = gaussian_filter1d(rng.normal(0, 1, n), 12)
    pitch += singer.drift_semitones * drift / (drift.std() + 1e-9)
    f0_hz = utterance.f0_hz
    known = np.flatnonzero(f0_hz > 0)
    spoken = np.interp(np.arange(len(f0_hz)), known, 12 * np.log2(f0_hz[known]))
    ripple = np.interp(source, np.arange(len(spoken)), spoken - gaussian_filter1d(spoken, 14))
    pitch += np.clip(0.5 * ripple, -1.5, 1.5) * (0.25 if singer.tuned else 1.0)
    if speech > 0:
        tune = np.interp(source, np.arange(len(spoken)), spoken - spoken.mean())
        centre = float(np.mean([note.midi for note in notes]))
        pitch = (1 - speech) * pitch + speech * (centre + 1.1 * tune)
    return pitch


def _envelopes(
    singer: Singer,
    utterance: Utterance,
    source: Array,
    voiced: NDArray[np.bool_],
    f_hz: Array,
    mean_pitch: float,
) -> Array:
    """Levels in dB of every vocoder frame at every frequency, above the recording's band, too."""
    k = np.minimum(source.astype(int), len(utterance.envelopes) - 2)
    part = (source - k)[:, None]
    e = utterance.envelopes
    bands = e[k] * (1 - part) + e[k + 1] * part
    # Larynxes rise with the pitch.
    tract = singer.tract * (1 + 0.002 * (mean_pitch - (50 if singer.male else 62)))
    top_hz = 0.87 * tract * utterance.top_hz
    position = (mel(np.minimum(f_hz, top_hz) / tract) - mel(LOWEST_HZ)) * (N_BANDS - 1)
    position = np.clip(position / (mel(utterance.top_hz) - mel(LOWEST_HZ)), 0, N_BANDS - 1.001)
    low = position.astype(int)
    share = position - low
    level_db = bands[:, low] * (1 - share) + bands[:, low + 1] * share
    near_top = (f_hz > 0.8 * top_hz) & (f_hz < 0.99 * top_hz)
    at_top = gaussian_filter1d(level_db[:, near_top].mean(1), 1)[:, None]
    above = f_hz > 0.95 * top_hz
    octaves = np.log2(f_hz[above] / (0.95 * top_hz))
    slope_db = np.where(voiced, singer.air_db, singer.hiss_db)[:, None]
    carried = np.clip(octaves / 0.15, 0, 1)
    level_db[:, above] *= 1 - carried
    level_db[:, above] += carried * (at_top - slope_db * octaves)
    tilt = np.clip(np.log2(np.maximum(f_hz, 100) / 1000), -2, 3)
    return level_db + singer.tilt_db * tilt


def _even_out(level_db: Array, nucleus: NDArray[np.bool_], f_hz: Array, steadiness: float) -> Array:
    """The same with nuclei of about the same loudness, 0 dB at their median."""
    if not nucleus.any():
        return level_db
    speech = (f_hz > 200) & (f_hz < 4000)
    loudness = 10 * np.log10((10 ** (level_db[:, speech] / 10)).mean(1) + 1e-12)
    known = np.flatnonzero(nucleus)
    deviation = loudness[known] - np.median(loudness[known])
    deviation = gaussian_filter1d(np.interp(np.arange(len(loudness)), known, deviation), 8)
    return level_db - steadiness * deviation[:, None] - np.median(loudness[known])


def _aperiodicity(
    singer: Singer, utterance: Utterance, source: Array, voiced: NDArray[np.bool_], f_hz: Array
) -> Array:
    """Share of noise of every vocoder frame at every frequency."""
    at = utterance.aperiodicity[source.astype(int)]
    # Above 8 kHz the harmonics go under slowly, as they do in recordings of a wider band, and for
    # no two singers at the same frequency.
    ends = [0.5 * at[:, -1:] + 0.5 * singer.noisiest, np.full((len(at), 1), singer.noisiest)]
    at = np.concatenate([0.3 * at[:, :1], at, *ends], axis=1)
    at_hz = (0.0, *APERIODICITY_HZ, singer.noisy_hz, 22050.0)
    place = np.interp(f_hz, at_hz, np.arange(at.shape[1]))
    low = np.minimum(place.astype(int), at.shape[1] - 2)
    share = place - low
    noise = at[:, low] * (1 - share) + at[:, low + 1] * share
    noise = noise + singer.breath * np.clip(f_hz / 6000, 0, 1)
    return np.clip(np.where(voiced[:, None], noise, 1.0), 1e-3, 1 - 1e-3)


def _breathe_in(
    power: Array,
    noise: Array,
    f0_hz: Array,
    nucleus: NDArray[np.bool_],
    f_hz: Array,
    rng: np.random.Generator,
) -> None:
    """Write a breath in front of the phrase: noise in the shape of its first vowel, in place."""
    vowels = np.flatnonzero(nucleus)
    begin, end = 4, int(0.75 * PREROLL_S / FRAME_S)
    if not len(vowels) or vowels[0] <= end:
        return
    shape = gaussian_filter1d(power[vowels[0]], 8) * np.clip(f_hz / 1500, 0.1, 3)
    swell_db = rng.uniform(-36, -28) + 6 * np.hanning(end - begin)
    power[begin:end] = shape * 10 ** (swell_db[:, None] / 10)
    f0_hz[begin:end], noise[begin:end] = 0.0, 1 - 1e-3
