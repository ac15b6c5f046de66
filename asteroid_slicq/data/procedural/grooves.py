"""Drum patterns by style, their variations, and fills."""

from dataclasses import dataclass

import numpy as np

from asteroid_slicq.data.procedural.song import Song

# One bar of sixteen steps; digits are velocities in ninths, dots are rests.
GROOVES: dict[str, list[dict[str, str]]] = {
    "rock": [
        {"kick": "9.......9.......", "snare": "....9.......9...", "hat": "9.6.8.6.9.6.8.6."},
        {"kick": "9.....7.9.8.....", "snare": "....9.......9...", "hat": "9.6.8.6.9.6.8.6."},
        {"kick": "9.8.....9.8.....", "snare": "....9..3....9...", "ride": "9.6.8.6.9.6.8.6."},
        {"kick": "9..7..9...7.....", "snare": "....9.......9..4", "open": "8...8...8...8..."},
        {"kick": "9.......8.9.....", "snare": "9...9...9...9...", "hat": "9...8...9...8..."},
    ],
    "pop": [
        {"kick": "9.......9.......", "snare": "....9.......9...", "hat": "8.5.7.5.8.5.7.5."},
        {"kick": "9..8....9..8....", "clap": "....9.......9...", "hat": "7.7.7.7.7.7.7.7."},
        {"kick": "9.....9...9.....", "snare": "....9.......9...", "shaker": "6474647464746474"},
        {"kick": "9...9...9...9...", "clap": "....9.......9...", "open": "..7...7...7...7."},
    ],
    "funk": [
        {"kick": "9..6..9...7..6..", "snare": "....9..3.3..9..3", "hat": "8686868686868686"},
        {"kick": "9.9....3..8.....", "snare": "....9.3.3.3.9.3.", "hat": "7.6.7.67.6.7.6.7"},
        {
            "kick": "9.....7.7..9..6.",
            "snare": "....9..4.4..9.4.",
            "hat": "8.58.58.8.58.58.",
            "open": "......7.......7.",
        },
    ],
    "dance": [
        {"kick": "9...9...9...9...", "clap": "....8.......8...", "open": "..8...8...8...8."},
        {"kick": "9...9...9...9...", "snare": "....8.......8...", "hat": "5675567556755675"},
        {
            "kick": "9...9...9...9..5",
            "clap": "....8.......8..4",
            "shaker": "5375537553755375",
            "open": "..7...7...7...7.",
        },
        {"kick": "9.....9.....9...", "snare": "....9.......9...", "hat": "7.5.7.5.7.5.7.55"},
    ],
    "hiphop": [
        {"kick": "9.....8...9.....", "snare": "....9.......9...", "hat": "8.6.8.6.8.6.8.6."},
        {"kick": "9.7....7..8.....", "snare": "....9.......9..3", "hat": "7.7.7.767.7.7.7."},
        {"kick": "9......9..9....6", "clap": "....9.......9...", "shaker": "5.7.5.7.5.7.5.7."},
    ],
    "trap": [
        {"kick": "9......9..9.....", "clap": "........9.......", "roll": "7.6.7.6.7.6.7.6."},
        {"kick": "9..9......9..9..", "snare": "........9.......", "roll": "7.7.7.7.7.7.7.7."},
        {
            "kick": "9.....9....9....",
            "clap": "........9.....4.",
            "roll": "8..6..8..6..8.6.",
            "open": "......6.........",
        },
    ],
    "ballad": [
        {"kick": "9.........7.....", "rim": "........8.......", "hat": "7...5...7...5..."},
        {"kick": "9.......6.8.....", "snare": "........9.......", "hat": "7.4.6.4.7.4.6.4."},
        {"kick": "9...............", "snare": "........9.......", "ride": "7...6...7...6..."},
    ],
    "shuffle": [
        {"kick": "9.......9.......", "snare": "....9.......9...", "hat": "9.6.8.6.9.6.8.6."},
        {"kick": "9.....5.9.....6.", "snare": "..3.9...3...9.3.", "ride": "9.6.8.6.9.6.8.6."},
    ],
    "metal": [
        {"kick": "9999999999999999", "snare": "....9.......9...", "crash": "7...7...7...7..."},
        {"kick": "9.9.9.9.9.9.9.9.", "snare": "..9...9...9...9.", "ride": "8.8.8.8.8.8.8.8."},
        {"kick": "9..99..99..99...", "snare": "....9.......9...", "open": "8...8...8...8..."},
        {"kick": "9.99..9.9.99..9.", "snare": "........9.......", "crash": "8...8...8...8..."},
    ],
    "jazz": [
        {"kick": "4...4...4...4...", "pedal": "....7.......7...", "ride": "8...8.6.8...8.6."},
        {"kick": "5.........5.....", "brush": "6...7...6...7...", "ride": "7...7.5.7...7.5."},
        {"brush": "6.3.7.3.6.3.7.3.", "kick": "6.......5.......", "pedal": "....6.......6..."},
    ],
    "folk": [
        {"kick": "9.......9.......", "shaker": "6.4.7.4.6.4.7.4."},
        {"kick": "8.......8.......", "brush": "..5.8.5...5.8.5.", "shaker": "5475547554755475"},
        {"kick": "9...9...9...9...", "clap": "....7.......7..."},
    ],
}
# Twelve steps: two dotted beats, or three beats.
SIX_EIGHT = [
    {"kick": "9.........7.", "snare": "......9.....", "hat": "9.5.6.8.5.6."},
    {"kick": "9....7......", "rim": "......8.....", "ride": "8.5.5.7.5.5."},
    {"kick": "9...........", "snare": "......9.....", "shaker": "754654754654"},
]
THREE_FOUR = [
    {"kick": "9...........", "snare": "....7...7...", "hat": "8.5.7.5.7.5."},
    {"kick": "9.......5...", "brush": "....7...7...", "ride": "8...7.5.7..."},
    {"kick": "9.....6.....", "snare": "........9...", "hat": "8.6.7.6.7.6."},
]


@dataclass(frozen=True)
class Stroke:
    """One hit: when (in steps), which voice, and how hard in (0, 1]."""

    step: float
    voice: str
    velocity: float


def draw_groove(rng: np.random.Generator, song: Song) -> dict[str, str]:
    """Draw the basic bar of a song: a pattern of its style with a few steps changed."""
    if song.meter == "6/8":
        pool = SIX_EIGHT
    elif song.meter == "3/4":
        pool = THREE_FOUR
    else:
        pool = GROOVES[song.style if rng.random() < 0.85 else "rock"]
    groove = dict(pool[int(rng.integers(len(pool)))])
    for voice in ("kick", "snare"):
        if voice in groove and song.style not in ("dance", "jazz"):
            line = list(groove[voice])
            for i in range(1, len(line)):
                if rng.random() < 0.04:
                    ghost = rng.integers(2, 5) if voice == "snare" else rng.integers(5, 9)
                    line[i] = "." if line[i] != "." and i % 4 else str(ghost)
            groove[voice] = "".join(line)
    if rng.random() < 0.25 and "shaker" not in groove:
        groove["shaker"] = "".join(rng.choice(["6", "4", "."]) for _ in range(4)) * 4
        groove["shaker"] = groove["shaker"][: song.steps_per_bar]
    return groove


def draw_fill(rng: np.random.Generator, song: Song) -> list[Stroke]:
    """Draw a fill for the end of a bar; steps count from the start of that bar."""
    length = int(rng.choice([2, 4, 4, 8]))
    start = song.steps_per_bar - length
    grid = float(rng.choice([1.0, 1.0, 2.0, 0.5])) if length > 2 else 0.5
    walk = ["snare", "tom1", "tom2", "tom3"]
    down = rng.random() < 0.6
    out, step = [], float(start)
    while step < song.steps_per_bar:
        if rng.random() < 0.85:
            along = (step - start) / length
            voice = walk[min(int(along * 4), 3)] if down else walk[int(rng.integers(4))]
            out.append(Stroke(step, voice, float(np.clip(0.6 + 0.3 * along, 0.2, 1.0))))
        step += grid
    return out


def bar_strokes(
    rng: np.random.Generator, song: Song, groove: dict[str, str], energy: float
) -> list[Stroke]:
    """Play one bar of a groove: softer sections drop voices, rolls are subdivided."""
    out: list[Stroke] = []
    for voice, line in groove.items():
        if energy < 0.3 and voice in ("snare", "clap", "crash") and rng.random() < 0.7:
            continue
        for i, mark in enumerate(line[: song.steps_per_bar]):
            if mark == ".":
                continue
            velocity = (int(mark) / 9.0) ** 1.3 * (0.75 + 0.25 * energy)
            if voice == "roll" and rng.random() < 0.18:
                n = int(rng.choice([2, 3, 4, 6]))
                out += [
                    Stroke(i + 2.0 * k / n, "hat", velocity * (0.6 + 0.4 * k / n)) for k in range(n)
                ]
                continue
            out.append(Stroke(float(i), "hat" if voice == "roll" else voice, velocity))
    return out
