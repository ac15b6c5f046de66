"""Sampler: recordings of a bank at any pitch, with the envelopes and filter of their zones.

A voice reads a recording at a varying rate with cubic (Catmull-Rom) interpolation, loops it, and
applies the volume envelope and low-pass of the SoundFont specification 2.04 (section 9.1), moved by
the modulators of the zone. A recording of no SoundFont has none: it is softer by 26 dB per decade
of velocity, and duller by up to an octave. What comes to the end of its recording fades out in the
last 5 ms of that.
Envelope, pitch and filter change every 32 samples; the gain in between is interpolated.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from asteroid_slicq.data.procedural.signal import Array, db
from asteroid_slicq.data.sampled.bank import Bank, Recording
from asteroid_slicq.data.sampled.zones import Zone

CONTROL = 32  # samples from one value of envelope, pitch and filter to the next
_SILENT_DB = 90.0
_LOOP_HELD = 3
_FADE_S = 0.005  # of a recording that ends


class Voice(NamedTuple):
    """A zone that sounds; times in samples of the output, places in those of the recording."""

    increment: float
    start: int
    loop: int
    loop_start: int
    loop_end: int
    fade: float  # from where to the end of the recording
    release_at: float
    delay: float
    attack: float
    hold: float
    decay: float
    sustain_db: float
    release: float
    cutoff: float  # in cycles per sample; 0 for no filter
    q: float
    sweep_cents: float
    sweep_decay: float
    sweep_sustain: float
    left: float
    right: float


@njit(cache=True, nogil=True)
def _level(t, voice):  # pragma: no cover
    """Volume envelope before the release, as a factor."""
    t -= voice.delay
    if t < 0.0:
        return 0.0
    if t < voice.attack:
        return t / voice.attack
    t -= voice.attack + voice.hold
    if t < 0.0:
        return 1.0
    return 10.0 ** (-min(100.0 * t / voice.decay, voice.sustain_db) / 20.0)


@njit(cache=True, nogil=True)
def _gain(t, voice):  # pragma: no cover
    """Volume envelope with the release, as a factor; negative once it is over."""
    if t < voice.release_at:
        level = _level(t, voice)
        return level if level > 1e-5 or t <= voice.delay + voice.attack else -1.0
    fall = 100.0 * (t - voice.release_at) / voice.release
    if fall > _SILENT_DB:
        return -1.0
    return _level(voice.release_at, voice) * 10.0 ** (-fall / 20.0)


@njit(cache=True, nogil=True)
def _lowpass(t, voice):  # pragma: no cover
    """Coefficients of a second-order low-pass (Bristow-Johnson) at time t: b0, a1, a2."""
    sweep = 1.0
    if t < voice.sweep_decay:
        sweep = 1.0 - (1.0 - voice.sweep_sustain) * t / voice.sweep_decay
    else:
        sweep = voice.sweep_sustain
    cutoff = voice.cutoff * 2.0 ** (voice.sweep_cents * sweep / 1200.0)
    w = 2.0 * np.pi * min(max(cutoff, 0.001), 0.41)
    alpha = np.sin(w) / (2.0 * voice.q)
    scale = 1.0 / (1.0 + alpha)
    return (
        0.5 * (1.0 - np.cos(w)) * scale,
        -2.0 * np.cos(w) * scale,
        (1.0 - alpha) * scale,
    )


@njit(cache=True, nogil=True)
def add_voice(out, start, pcm, voice, bend):  # pragma: no cover
    """Add a voice to a stereo buffer in place.

    Args:
        out: Buffer, ``(2, time)``.
        start: Where the voice begins; may be negative.
        pcm: Recording, 16 bits.
        voice: How it sounds.
        bend: Cents for every 32 samples, the last one held; at least one.
    """
    n = out.shape[1]
    end = pcm.shape[0]
    fade_at = end - voice.fade
    span = voice.loop_end - voice.loop_start
    position = float(voice.start)
    x1 = x2 = y1 = y2 = 0.0
    b0, a1, a2 = 1.0, 0.0, 0.0
    filtered = voice.cutoff > 0.0
    gain = _gain(0.0, voice)
    looping = voice.loop != 0
    t = 0
    while start + t < n:
        following = _gain(float(t + CONTROL), voice)
        slope = (max(following, 0.0) - gain) / CONTROL
        increment = voice.increment * 2.0 ** (bend[min(t // CONTROL, len(bend) - 1)] / 1200.0)
        # A loop that ends with its key goes on once more where no time is left for the fade.
        if voice.loop == _LOOP_HELD and t >= voice.release_at and position < fade_at:
            looping = False
        if filtered:
            b0, a1, a2 = _lowpass(float(t), voice)
        for i in range(start + t, min(start + t + CONTROL, n)):
            k = int(position)
            if looping and k >= voice.loop_end:
                position -= span * ((k - voice.loop_end) // span + 1)
                k = int(position)
            if k >= end:
                return
            k2, k3 = k + 1, k + 2
            if looping:
                k2 -= span if k2 >= voice.loop_end else 0
                k3 -= span if k3 >= voice.loop_end else 0
            s0, s1 = pcm[max(k - 1, 0)], pcm[k]
            s2, s3 = pcm[min(k2, end - 1)], pcm[min(k3, end - 1)]
            f = position - k
            c1 = 0.5 * (s2 - s0)
            c2 = s0 - 2.5 * s1 + 2.0 * s2 - 0.5 * s3
            c3 = 0.5 * (s3 - s0) + 1.5 * (s1 - s2)
            x = (((c3 * f + c2) * f + c1) * f + s1) / 32768.0
            if not looping and position > fade_at:
                x *= (end - position) / voice.fade
            position += increment
            if filtered:
                y = b0 * (x + 2.0 * x1 + x2) - a1 * y1 - a2 * y2
                x2, x1, y2, y1 = x1, x, y1, y
                x = y
            if i >= 0:
                out[0, i] += x * gain * voice.left
                out[1, i] += x * gain * voice.right
            gain += slope
        if following < 0.0:
            return
        gain = following
        t += CONTROL


class Sampler:
    """Plays instruments of a bank into stereo buffers.

    Args:
        bank: The bank.
        sample_rate: Of the buffers, in Hz.
    """

    def __init__(self, bank: Bank, sample_rate: int) -> None:
        self.bank, self._rate = bank, sample_rate

    def having(self, presets: list[str]) -> list[str]:
        """List those of some instruments that the bank has."""
        return [p for p in presets if p in self.bank.presets]

    def play(
        self,
        out: Array,
        start: int,
        preset: str,
        key: float,
        velocity: float,
        duration_s: float,
        *,
        gain: float = 1.0,
        cents: float = 0.0,
        width: float = 1.0,
        bright: float = 0.0,
        bend: Array | None = None,
    ) -> None:
        """Add a note to a buffer in place.

        Args:
            out: Buffer, ``(2, time)``.
            start: Sample at which it begins; may be negative.
            preset: ``"bank:programme"``.
            key: MIDI pitch; the zones of the nearest key sound.
            velocity: In (0, 1].
            duration_s: Until the key is released.
            gain: Factor.
            cents: Offset of the pitch.
            width: Of the stereo image, 0 to 1.
            bright: Octaves by which filters open.
            bend: Course of the pitch in cents, a value for every 32 samples.
        """
        midi_key = int(np.clip(round(key), 0, 127))
        midi_velocity = int(np.clip(round(127 * velocity), 1, 127))
        course = np.zeros(1) if bend is None or not len(bend) else np.asarray(bend, dtype=float)
        for plain in self.bank.zones(preset):
            if not (
                plain.keys[0] <= midi_key <= plain.keys[1]
                and plain.velocities[0] <= midi_velocity <= plain.velocities[1]
            ):
                continue
            zone = plain.at(midi_key, midi_velocity)
            softer_db, open_octaves = zone.attenuation_db, bright
            if plain.modulators is None:
                softer_db += 26.0 * np.log10(127.0 / midi_velocity)
                open_octaves += velocity - 1.0
            recording = self.bank.recordings[zone.sample]
            pcm = self.bank.pcm(zone.sample)
            root = recording.root if zone.root is None else zone.root
            tune = (key - root) * zone.scale_cents + zone.tune_cents + recording.cents + cents
            level = gain * db(-softer_db)
            voice = self._voice(zone, recording, len(pcm), tune, duration_s, level, width)
            cutoff_hz = zone.cutoff_hz * 2.0**open_octaves
            if cutoff_hz < 16000.0 or zone.sweep_cents:
                voice = voice._replace(cutoff=cutoff_hz / self._rate)
            add_voice(out, start, pcm, voice, course)

    def hit(self, sample: int, cents: float = 0.0) -> Array:
        """Render a recording as it is, `cents` higher.

        Shape:
            - Output: ``(time,)``
        """
        recording = self.bank.recordings[sample]
        pcm = self.bank.pcm(sample)[recording.start :]
        increment = 2.0 ** (cents / 1200.0) * recording.rate / self._rate
        at = np.arange(int((len(pcm) - 3) / increment)) * increment
        return np.interp(at, np.arange(len(pcm)), pcm / 32768.0)

    def _voice(
        self,
        zone: Zone,
        recording: Recording,
        length: int,
        tune_cents: float,
        duration_s: float,
        level: float,
        width: float,
    ) -> Voice:
        rate = self._rate
        angle = (zone.pan * width + 1.0) * np.pi / 4.0
        start = max(min(recording.start + recording.finer * zone.moved[0], length - 1), 0)
        loops = recording.loop_start + 8 < recording.loop_end <= length
        return Voice(
            increment=2.0 ** (tune_cents / 1200.0) * recording.rate / rate,
            start=start,
            loop=zone.loop if loops else 0,
            loop_start=recording.loop_start,
            loop_end=recording.loop_end,
            fade=min(_FADE_S * recording.rate, (length - start) / 4.0),
            release_at=max(duration_s * rate, 64.0),
            delay=zone.delay_s * rate - 0.001 * rate,
            attack=max(zone.attack_s * rate, 20.0),
            hold=zone.hold_s * rate,
            decay=max(zone.decay_s * rate, 1.0),
            sustain_db=zone.sustain_db,
            release=max(zone.release_s * rate, 0.03 * rate),
            cutoff=0.0,
            q=max(db(zone.resonance_db - 3.01), 0.5),
            sweep_cents=zone.sweep_cents,
            sweep_decay=max(zone.sweep_decay_s * rate, 1.0),
            sweep_sustain=zone.sweep_sustain,
            left=level * float(np.cos(angle)) * np.sqrt(2.0),
            right=level * float(np.sin(angle)) * np.sqrt(2.0),
        )
