"""The stem of everything else from recordings: one to five instruments, their desk and room."""

from collections.abc import Callable

import numpy as np

from asteroid_slicq.data.procedural.comping import Event, arpeggio, block_chords, riff
from asteroid_slicq.data.procedural.other import (
    BASE,
    FAVOURED,
    WIDE,
    channel_strip,
    mix_parts,
    play_part,
)
from asteroid_slicq.data.procedural.seeds import log_uniform, pick
from asteroid_slicq.data.procedural.signal import (
    Array,
    compress,
    db,
    saturate,
    smooth_noise,
)
from asteroid_slicq.data.procedural.song import Song
from asteroid_slicq.data.procedural.space import (
    balance,
    centre,
    chorus,
    pan,
    position,
    reverberate,
    room_response,
    spread,
)
from asteroid_slicq.data.sampled import guitars
from asteroid_slicq.data.sampled.articulation import Expression
from asteroid_slicq.data.sampled.noise import add_floor, excite
from asteroid_slicq.data.sampled.performance import perform
from asteroid_slicq.data.sampled.sampler import Sampler

FAMILIES = {
    "piano": ["0:0", "0:0", "0:0", "0:2"],
    "epiano": ["0:4", "0:5", "8:4", "0:2"],
    "organ": ["0:16", "0:17", "0:18", "0:19", "0:20", "0:21"],
    "clav": ["0:7", "0:6"],
    "mallet": ["0:8", "0:9", "0:10", "0:11", "0:12", "0:13", "0:108", "0:114", "0:46", "0:15"],
    "pad": ["0:89", "0:90", "0:50", "0:51", "0:92", "0:93", "0:95", "0:88", "0:97", "0:99"],
    "stab": ["0:90", "0:62", "0:63", "0:81", "0:80", "0:100"],
    "strings": ["0:48", "0:49", "0:45", "8:50"],
    "brass": ["0:61", "0:56", "0:57", "0:60", "8:61"],
    "acoustic": ["0:24", "0:25", "8:25", "8:24", "16:25", "0:105", *["steel-guitar:0"] * 3],
    "clean": ["0:26", "0:27", "0:28", "8:28", *guitars.ELECTRIC, *guitars.ELECTRIC],
    "leadsynth": ["0:80", "0:81", "0:84", "0:86", "0:82"],
    "wind": [
        *("0:73", "0:71", "0:68", "0:64", "0:65", "0:66", "0:67", "0:72", "0:74", "0:22"),
        *("saxophone:0", "saxophone:1"),
    ],
    "bow": ["0:40", "0:41", "0:42", "0:110"],
    "world": ["0:104", "0:106", "0:107", "0:109", "0:111", "0:46", "0:98", "0:102"],
    "solobrass": ["0:56", "0:57", "0:59", "0:58"],
}
# Beside the kinds of the composer.
_MORE = {"wind": 0.8, "bow": 0.6, "world": 0.3, "solobrass": 0.4}
_SOLO = ("leadsynth", "wind", "bow", "world", "solobrass")
_SYNTHETIC = ("pad", "stab", "leadsynth")
_PLUCKED = ("acoustic", "clean")
_DOUBLED = ("acoustic", "clean", "clav", "brass", "strings", "bow")
_CHORUSED = ("strings", "pad", "stab", "epiano", "organ", "clean", "leadsynth")
_SWELLING = ("strings", "pad", "wind", "bow", "solobrass", "brass")
_MANNERS = {
    "pad": {"chords": 1.0},
    "strings": {"chords": 3.0, "riff": 1.0},
    "mallet": {"arp": 2.0, "riff": 2.0},
    "brass": {"chords": 2.0, "riff": 1.0},
}
_WHOLE: dict[str, tuple[list[str], Callable[..., Array]]] = {
    "crunch": (guitars.CRUNCH, guitars.crunch),
    "leadguitar": (guitars.LEAD, guitars.lead),
}


def _events(rng: np.random.Generator, song: Song, kind: str, plays: Array) -> list[Event]:
    centre = float(rng.uniform(50, 60) if kind in _PLUCKED else rng.uniform(52, 72))
    manner = {"riff": 1.0} if kind in _SOLO else _MANNERS.get(kind)
    how = pick(rng, manner or {"chords": 3.0, "arp": 2.0, "riff": 0.6})
    if how == "arp":
        return arpeggio(rng, song, plays, centre + 2, int(rng.integers(3, 6)))
    if how == "riff":
        return riff(rng, song, plays, centre + 8, rng.uniform(0.2, 0.7))
    strum_s = float(rng.uniform(0.004, 0.025)) if kind in _PLUCKED else 0.0
    events = block_chords(rng, song, plays, centre, int(rng.integers(3, 6)), strum_s)
    if kind == "piano" and rng.random() < 0.6:  # the left hand
        events += block_chords(rng, song, plays, 42, 1)
    return events


def _part(rng: np.random.Generator, song: Song, sampler: Sampler, kind: str, plays: Array) -> Array:
    """Render one instrument, dry, as ``(2, time)``; synthesised where the bank has none."""
    if kind in _WHOLE and sampler.having(_WHOLE[kind][0]):
        return _WHOLE[kind][1](rng, song, sampler, plays)
    presets = sampler.having(FAMILIES.get(kind, []))
    strums = sampler.bank.strums and sampler.having(guitars.STEEL)
    if kind == "acoustic" and strums and rng.random() < 0.35:
        return guitars.strummed(rng, song, sampler, plays)
    odds = 0.5 if kind in _SYNTHETIC else 0.05
    synthesised = kind in BASE and not sampler.bank.for_tests
    if not presets or (synthesised and rng.random() < odds):
        return play_part(kind if kind in BASE else "acoustic", rng, song, plays)
    solo = kind in _SOLO and kind not in ("leadsynth", "world")
    preset, events = str(rng.choice(presets)), _events(rng, song, kind, plays)
    expression = Expression(rng) if solo else None

    def take(preset: str) -> Array:
        x = perform(
            rng,
            song,
            sampler,
            preset,
            events,
            float(rng.uniform(-0.8, 0.8)),
            width=float(rng.uniform(0.4, 1.0)),
            detune_cents=4.0 if solo else 2.0,
            expression=expression,
        )
        if preset in guitars.ELECTRIC:
            x[:] = guitars.clean(rng, x.mean(axis=0), song.sample_rate)
        return x

    if kind in _DOUBLED and rng.random() < 0.35:  # played twice, left and right
        apart, again = rng.uniform(0.5, 1.0), guitars.other_take(preset)
        return pan(take(preset).mean(axis=0), -apart) + pan(take(again).mean(axis=0), apart)
    x = take(preset)
    if not x.any():
        return x
    if kind in _SWELLING and rng.random() < 0.6:
        rate = song.sample_rate
        swell_db = rng.uniform(0.5, 2.5) * smooth_noise(rng, song.n_samples, rate, 0.7)
        x = x * 10.0 ** (swell_db / 20.0)
    if kind in _CHORUSED and rng.random() < 0.4:
        depth_s, mix = log_uniform(rng, 0.001, 0.006), rng.uniform(0.3, 1.0)
        return chorus(x.mean(axis=0), song.sample_rate, rng, depth_s, mix)
    if kind in WIDE and np.array_equal(*x) and rng.random() < 0.7:  # recorded by one microphone
        x = spread(x[0], rng, song.sample_rate)
    return balance(x, position(rng))


def _channel(rng: np.random.Generator, x: Array, kind: str, song: Song) -> Array:
    """Bring a part to a common level, and through a channel of the desk."""
    rate = song.sample_rate
    x = channel_strip(rng, x, kind, rate, 6)
    if rng.random() < 0.3:
        x = saturate(x, log_uniform(rng, 0.5, 3.0), rng.uniform(0.0, 0.2))
    if rng.random() < 0.4:
        x = excite(rng, x, rate)
    if rng.random() < (0.25 if kind in _SYNTHETIC else 0.7):
        x = add_floor(rng, x, rate, kind in ("crunch", "leadguitar", "clean", "epiano", "organ"))
    return x


def sampled_other(rng: np.random.Generator, song: Song, sampler: Sampler) -> Array:
    """Render the stem of all other instruments of a song from recordings.

    Shape:
        - Output: ``(2, time)``
    """
    rate = song.sample_rate
    odds = BASE | FAVOURED.get(song.style, {}) | _MORE
    n_parts = int(rng.choice([1, 2, 3, 4, 5], p=[0.2, 0.3, 0.27, 0.15, 0.08]))
    out, send = mix_parts(
        rng,
        song,
        odds,
        n_parts,
        lambda kind, plays: _part(rng, song, sampler, kind, plays),
        lambda x, kind: _channel(rng, x, kind, song),
    )
    if not out.any():
        return out
    out += db(rng.uniform(-20, -5)) * reverberate(
        send, room_response(rng, log_uniform(rng, 0.2, 3.0), rate)
    )
    if rng.random() < 0.3:  # the bus of the instruments
        out = compress(out, rate, rng.uniform(-14, -6), rng.uniform(1.5, 3), 0.02, 0.2)
    return centre(out, float(rng.uniform(1.0, 6.0)))
