"""The stem of everything else: one to four instruments in their own registers."""

from collections.abc import Callable

import numpy as np

from asteroid_slicq.data.procedural.comping import Event, arpeggio, block_chords, riff
from asteroid_slicq.data.procedural.guitars import (
    amplify,
    lead_guitar,
    make_acoustic,
    make_electric,
)
from asteroid_slicq.data.procedural.keys import (
    NoteFn,
    make_clavinet,
    make_electric_piano,
    make_mallet,
    make_organ,
    make_piano,
)
from asteroid_slicq.data.procedural.seeds import log_uniform, pick
from asteroid_slicq.data.procedural.signal import (
    Array,
    biquad,
    compress,
    db,
    equalise,
    highpass,
    place,
    random_equaliser,
)
from asteroid_slicq.data.procedural.song import Song
from asteroid_slicq.data.procedural.space import (
    balance,
    centre,
    chorus,
    echo,
    modulated_delay,
    pan,
    position,
    reverberate,
    room_response,
    spread,
)
from asteroid_slicq.data.procedural.synths import (
    lead_line,
    make_brass,
    make_pad,
    make_stab,
    make_strings,
    risers,
)

Maker = Callable[[np.random.Generator, int], NoteFn]
MAKERS: dict[str, Maker] = {
    "piano": make_piano,
    "epiano": make_electric_piano,
    "organ": make_organ,
    "clav": make_clavinet,
    "mallet": make_mallet,
    "pad": make_pad,
    "stab": make_stab,
    "strings": make_strings,
    "brass": make_brass,
    "acoustic": make_acoustic,
    "clean": make_electric,
}
BASE = {
    "piano": 2.0,
    "epiano": 1.0,
    "organ": 1.0,
    "clav": 0.3,
    "mallet": 0.6,
    "pad": 1.5,
    "stab": 1.0,
    "strings": 1.2,
    "brass": 0.6,
    "acoustic": 2.0,
    "clean": 1.5,
    "crunch": 1.0,
    "leadguitar": 0.7,
    "leadsynth": 0.8,
    "riser": 0.3,
}
# What is mostly heard on both sides.
WIDE = ("piano", "epiano", "organ", "mallet", "pad", "strings", "stab", "acoustic")
FAVOURED: dict[str, dict[str, float]] = {
    "rock": {"crunch": 6.0, "clean": 3.0, "leadguitar": 2.5, "organ": 1.5},
    "metal": {"crunch": 14.0, "leadguitar": 4.0, "piano": 0.3, "acoustic": 0.5},
    "dance": {"stab": 5.0, "pad": 3.0, "leadsynth": 3.0, "riser": 2.0, "acoustic": 0.4},
    "trap": {"mallet": 2.5, "pad": 3.0, "leadsynth": 2.0, "piano": 2.5},
    "hiphop": {"epiano": 3.0, "piano": 2.5, "strings": 2.0},
    "funk": {"clean": 4.0, "clav": 3.0, "brass": 3.0, "organ": 2.0},
    "jazz": {"piano": 5.0, "epiano": 2.0, "brass": 2.0, "clean": 2.0, "crunch": 0.0},
    "folk": {"acoustic": 8.0, "strings": 1.5, "crunch": 0.1},
    "ballad": {"piano": 4.0, "strings": 3.0, "acoustic": 3.0},
}


def perform(
    rng: np.random.Generator, song: Song, note: NoteFn, events: list[Event], tight: float = 1.0
) -> Array:
    """Play events on a mono instrument; a note played again is rendered once."""
    out = np.zeros(song.n_samples)
    cache: dict[tuple[int, int, int], Array] = {}
    late: dict[float, int] = {}
    for e in events:
        if e.step not in late:
            late[e.step] = song.sample(e.step, rng, tight)
        start = late[e.step] + int(e.delay_s * song.sample_rate)
        duration_s = max(e.length * song.step_s, 0.05)
        if start >= song.n_samples or start + 6 * song.sample_rate < 0:
            continue
        layer = min(max(round(e.velocity * 4), 1), 4)
        key = (e.pitch, max(round(duration_s * 12), 1), layer)
        if key not in cache:
            cache[key] = note(song.hz(e.pitch), key[1] / 12.0, layer / 4.0)
        place(out, cache[key], start, e.velocity / (layer / 4.0))
    return out


def _leslie(rng: np.random.Generator, x: Array, sample_rate: int) -> Array:
    """Turn a sound before the microphones, as an organ's rotating loudspeaker does."""
    t = np.arange(len(x)) / sample_rate
    rate = rng.uniform(0.7, 1.2) if rng.random() < 0.5 else rng.uniform(5.5, 7.0)
    sides = []
    for shift in (0.0, np.pi / 2):
        turn = np.sin(2 * np.pi * rate * t + shift)
        moved = modulated_delay(x, (0.001 + 0.0004 * turn) * sample_rate)
        sides.append(moved * (1.0 + 0.25 * turn))
    return np.stack(sides)


def play_part(kind: str, rng: np.random.Generator, song: Song, plays: Array) -> Array:
    """Render one instrument, dry, as ``(2, time)``."""
    sr = song.sample_rate
    centre = float(rng.uniform(50, 72))
    if kind == "riser":
        return risers(rng, song)
    if kind == "leadsynth":
        return lead_line(rng, song, riff(rng, song, plays, centre + 8, rng.uniform(0.2, 0.7)))
    if kind == "leadguitar":
        line = lead_guitar(rng, song, riff(rng, song, plays, centre + 4, rng.uniform(0.3, 0.8)))
        if not line.any():
            return np.zeros((2, song.n_samples))
        return pan(amplify(rng, line, sr, log_uniform(rng, 3, 60)), float(rng.uniform(-0.4, 0.4)))
    if kind == "crunch":
        return _crunch(rng, song, plays)
    note = MAKERS[kind](rng, sr)
    if kind == "brass":
        centre += 4
    if kind in ("acoustic", "clean"):
        centre = float(rng.uniform(50, 60))
    manner = {
        "pad": {"chords": 1.0},
        "strings": {"chords": 3.0, "line": 1.0},
        "organ": {"chords": 3.0, "riff": 0.5},
        "mallet": {"arp": 2.0, "riff": 2.0},
        "stab": {"chords": 1.0, "arp": 2.0, "riff": 1.0},
        "brass": {"chords": 2.0, "riff": 1.0},
    }.get(kind, {"chords": 3.0, "arp": 2.0, "riff": 0.6})
    how = pick(rng, manner)
    if how == "chords":
        n_voices = int(rng.integers(3, 6)) if kind not in ("acoustic",) else int(rng.integers(4, 7))
        strum_s = float(rng.uniform(0.004, 0.025)) if kind in ("acoustic", "clean") else 0.0
        events = block_chords(rng, song, plays, centre, n_voices, strum_s)
        if kind == "piano" and rng.random() < 0.6:  # the left hand
            events += block_chords(rng, song, plays, 42, 1)
    elif how == "arp":
        events = arpeggio(rng, song, plays, centre + 2, int(rng.integers(3, 6)))
    else:
        events = riff(rng, song, plays, centre + 6, rng.uniform(0.2, 0.8))
    x = perform(rng, song, note, events)
    if not x.any():
        return np.zeros((2, song.n_samples))
    if kind == "organ" and rng.random() < 0.7:
        return _leslie(rng, x, sr)
    if kind == "clean" and rng.random() < 0.4:
        x = amplify(rng, x, sr, log_uniform(rng, 0.5, 3))
    if kind in ("pad", "strings") or rng.random() < 0.3:
        return chorus(x, sr, rng, log_uniform(rng, 0.001, 0.006), rng.uniform(0.3, 1.0))
    if kind in WIDE and rng.random() < 0.6:
        return balance(spread(x, rng, sr), 0.5 * position(rng))
    return pan(x, position(rng))


def _crunch(rng: np.random.Generator, song: Song, plays: Array) -> Array:
    """Render distorted rhythm guitars, one or a pair panned apart."""
    sr = song.sample_rate
    muted = rng.random() < 0.35
    power = rng.random() < 0.75
    gain = log_uniform(rng, 2, 80)
    centre = float(rng.uniform(46, 54))
    events = block_chords(rng, song, plays, centre, 4, float(rng.uniform(0.0, 0.01)), power)
    if not events:
        return np.zeros((2, song.n_samples))
    out = np.zeros((2, song.n_samples))
    sides = (-0.9, 0.9) if rng.random() < 0.6 else (position(rng),)
    for side in sides:
        x = perform(rng, song, make_electric(rng, sr, muted), events, 1.3)
        if x.any():
            out += pan(amplify(rng, x, sr, gain), side)
    return out


def render_other(rng: np.random.Generator, song: Song) -> Array:
    """Render the stem of all other instruments of a song, ``(2, time)``."""

    def channel(x: Array, kind: str) -> Array:
        x = channel_strip(rng, x, kind, song.sample_rate, 9)
        return balance(x, float(rng.normal(0, 0.1)))

    odds = BASE | FAVOURED.get(song.style, {})
    n_parts = int(rng.choice([1, 2, 3, 4], p=[0.25, 0.35, 0.27, 0.13]))
    out, send = mix_parts(
        rng, song, odds, n_parts, lambda kind, plays: play_part(kind, rng, song, plays), channel
    )
    if not out.any():
        return out
    response = room_response(rng, log_uniform(rng, 0.2, 3.0), song.sample_rate)
    out += db(rng.uniform(-20, -5)) * reverberate(send, response)
    return centre(out, float(rng.uniform(1.0, 6.0)))


def channel_strip(
    rng: np.random.Generator, x: Array, kind: str, sample_rate: int, most_air_db: float
) -> Array:
    """Bring a part to a common level, and through a channel of the desk."""
    loud = x[:, np.abs(x).max(axis=0) > 0.1 * np.abs(x).max()]
    x = x / (np.sqrt(np.mean(loud**2)) + 1e-9) * 0.1
    if kind != "riser":
        x = highpass(x, rng.uniform(40, 150), sample_rate)
    air = biquad("high", rng.uniform(2500, 7000), rng.uniform(-1, most_air_db), 0.7, sample_rate)
    x = equalise(x, [air, *random_equaliser(rng, sample_rate, 4.0)])
    if rng.random() < 0.4:
        x = compress(x, sample_rate, rng.uniform(-20, -8), rng.uniform(1.5, 4))
    return x


def mix_parts(
    rng: np.random.Generator,
    song: Song,
    odds: dict[str, float],
    n_parts: int,
    play: Callable[[str, Array], Array],
    channel: Callable[[Array, str], Array],
) -> tuple[Array, Array]:
    """Draw parts, and mix them with levels and echoes of their own.

    Of a kind that `odds` draws, `play` renders a part, dry, where it plays, and `channel` brings it
    to a common level. The result is the mix and what is sent to a room, ``(2, time)`` each.
    """
    out, send = np.zeros((2, song.n_samples)), np.zeros((2, song.n_samples))
    first = True
    for _ in range(n_parts):
        kind = pick(rng, odds)
        odds = {k: w * (0.25 if k == kind else 1.0) for k, w in odds.items()}
        threshold = rng.uniform(0.0, 0.35) if first else rng.uniform(0.2, 0.8)
        x = play(kind, song.presence(rng, float(threshold)))
        if np.sqrt(np.mean(x**2)) < 1e-7:
            continue
        x = channel(x, kind)
        x *= db(rng.normal(0, 3.0) - (0.0 if first else 3.0) - (8.0 if kind == "riser" else 0.0))
        if rng.random() < 0.25:
            delay_s = float(rng.choice([1, 2, 3, 4])) * song.step_s
            feedback, ping_pong = rng.uniform(0.2, 0.6), bool(rng.random() < 0.6)
            wet = echo(x, song.sample_rate, delay_s, feedback, ping_pong)
            x = x + db(rng.uniform(-16, -6)) * wet
        out += x
        send += x * db(rng.uniform(-10, 0))
        first = False
    return out, send
