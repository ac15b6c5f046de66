"""A part played on a recorded instrument, with a player's timing, touch and tuning."""

import numpy as np

from asteroid_slicq.data.procedural.comping import Event
from asteroid_slicq.data.procedural.signal import Array
from asteroid_slicq.data.procedural.song import Song
from asteroid_slicq.data.sampled.articulation import Expression
from asteroid_slicq.data.sampled.sampler import Sampler


def perform(
    rng: np.random.Generator,
    song: Song,
    sampler: Sampler,
    preset: str,
    events: list[Event],
    bright: float,
    *,
    tight: float = 1.0,
    width: float = 1.0,
    detune_cents: float = 2.0,
    expression: Expression | None = None,
) -> Array:
    """Play events on an instrument.

    Args:
        rng: Random stream.
        song: The song.
        sampler: Plays the bank.
        preset: ``"bank:programme"``.
        events: What to play.
        bright: Octaves by which filters open.
        tight: Factor on the song's looseness.
        width: Of the stereo image.
        detune_cents: Standard deviation of the tuning of a note.
        expression: Vibrato and scoops.

    Shape:
        - Output: ``(2, time)``
    """
    rate, n = song.sample_rate, song.n_samples
    out = np.zeros((2, n))
    lean = round(rng.normal(0.0, 0.4 * song.looseness_s) * rate)
    late: dict[float, int] = {}
    for event in events:
        if event.step not in late:
            late[event.step] = song.sample(event.step, rng, tight) + lean
        spread = rng.normal(0.0, 0.15 * song.looseness_s)  # fingers don't land together
        start = late[event.step] + int((event.delay_s + spread) * rate)
        duration_s = max(event.length * song.step_s, 0.05)
        if start >= n or start < -6 * rate:
            continue
        sampler.play(
            out,
            start,
            preset,
            event.pitch,
            float(np.clip(event.velocity * rng.uniform(0.85, 1.05), 0.1, 1.0)),
            duration_s,
            gain=0.5,
            cents=song.tuning_cents + rng.normal(0.0, detune_cents),
            width=width,
            bright=bright,
            bend=None if expression is None else expression.course(duration_s, rate),
        )
    return out
