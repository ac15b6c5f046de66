"""Formants of vowels and consonants, and syllables drawn from them."""

from dataclasses import dataclass

import numpy as np

# First three formants of a male tract in Hz (after Peterson & Barney 1952); the fourth and fifth
# hardly move.
VOWELS: dict[str, tuple[float, float, float]] = {
    "i": (280, 2250, 2950),
    "I": (390, 1990, 2550),
    "e": (420, 2050, 2600),
    "E": (550, 1770, 2490),
    "ae": (690, 1660, 2430),
    "a": (750, 1150, 2440),
    "V": (640, 1190, 2390),
    "O": (570, 840, 2410),
    "o": (430, 820, 2350),
    "U": (440, 1020, 2240),
    "u": (310, 870, 2240),
    "er": (480, 1350, 1700),
    "y": (290, 1750, 2250),
    "schwa": (500, 1450, 2450),
}
VOWEL_WEIGHTS = {
    "i": 1.2,
    "I": 1.0,
    "e": 1.0,
    "E": 1.2,
    "ae": 0.8,
    "a": 1.8,
    "V": 1.0,
    "O": 0.8,
    "o": 1.2,
    "U": 0.5,
    "u": 1.0,
    "er": 0.4,
    "y": 0.2,
    "schwa": 0.8,
}
DIPHTHONGS = {"a": ("I", "U"), "e": ("I",), "O": ("I",), "o": ("U",), "E": ("I", "schwa")}


@dataclass(frozen=True)
class Consonant:
    """Articulation of a consonant.

    Args:
        length_s: Typical duration.
        voicing: Level of the voice while it lasts, 0 to 1.
        formants: Targets in Hz of the male tract.
        noise: Edges in Hz of its noise band.
        noise_gain: Level of the noise.
        closure_s: Silence before the noise, of a plosive.
    """

    length_s: float
    voicing: float
    formants: tuple[float, float, float]
    noise: tuple[float, float] = (1000.0, 2000.0)
    noise_gain: float = 0.0
    closure_s: float = 0.0


CONSONANTS: dict[str, Consonant] = {
    "m": Consonant(0.075, 0.40, (250, 1100, 2200)),
    "n": Consonant(0.065, 0.40, (260, 1550, 2500)),
    "l": Consonant(0.065, 0.50, (350, 1100, 2750)),
    "r": Consonant(0.070, 0.55, (330, 1150, 1550)),
    "w": Consonant(0.070, 0.45, (300, 640, 2250)),
    "j": Consonant(0.060, 0.50, (270, 2250, 3000)),
    "v": Consonant(0.060, 0.28, (270, 1100, 2250), (2500, 9000), 0.08),
    "z": Consonant(0.080, 0.22, (270, 1700, 2500), (4500, 11000), 0.30),
    "dh": Consonant(0.045, 0.30, (290, 1400, 2500), (3000, 9000), 0.06),
    "s": Consonant(0.115, 0.0, (300, 1750, 2550), (4600, 11500), 0.55),
    "sh": Consonant(0.115, 0.0, (300, 1900, 2500), (2300, 7500), 0.55),
    "f": Consonant(0.090, 0.0, (300, 1100, 2250), (1800, 13000), 0.14),
    "th": Consonant(0.080, 0.0, (300, 1400, 2500), (3000, 13000), 0.12),
    "h": Consonant(0.065, 0.0, (500, 1400, 2450), (700, 5500), 0.12),
    "p": Consonant(0.040, 0.0, (300, 800, 2200), (400, 4000), 0.25, 0.060),
    "t": Consonant(0.045, 0.0, (300, 1750, 2600), (3000, 11000), 0.45, 0.055),
    "k": Consonant(0.050, 0.0, (300, 1950, 2250), (1300, 5000), 0.40, 0.060),
    "ch": Consonant(0.085, 0.0, (300, 1900, 2500), (2300, 8000), 0.50, 0.050),
    "b": Consonant(0.018, 0.12, (250, 800, 2200), (300, 3000), 0.20, 0.055),
    "d": Consonant(0.020, 0.12, (250, 1750, 2600), (2500, 8000), 0.25, 0.050),
    "g": Consonant(0.025, 0.12, (250, 1950, 2250), (1200, 4500), 0.25, 0.050),
}
ONSETS = {
    "": 1.5,
    "m": 1.2,
    "n": 1.2,
    "l": 1.2,
    "r": 1.0,
    "w": 0.9,
    "j": 0.6,
    "v": 0.4,
    "z": 0.2,
    "dh": 1.0,
    "s": 1.5,
    "sh": 0.5,
    "f": 0.7,
    "th": 0.4,
    "h": 0.8,
    "p": 0.6,
    "t": 1.2,
    "k": 1.0,
    "ch": 0.3,
    "b": 0.9,
    "d": 0.9,
    "g": 0.7,
}
CODAS = {
    "": 5.0,
    "m": 0.6,
    "n": 1.0,
    "l": 0.6,
    "r": 0.4,
    "s": 0.8,
    "z": 0.5,
    "t": 0.9,
    "d": 0.5,
    "k": 0.5,
    "v": 0.2,
    "f": 0.2,
    "sh": 0.1,
}


@dataclass(frozen=True)
class Syllable:
    """A syllable: onset and coda consonants (may be empty), vowel, and the vowel it glides to."""

    onset: str
    vowel: str
    glide: str
    coda: str


def _weighted(rng: np.random.Generator, table: dict[str, float]) -> str:
    names = list(table)
    weights = np.fromiter(table.values(), float)
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def draw_syllable(rng: np.random.Generator) -> Syllable:
    """Draw a syllable with roughly the frequencies of sung English."""
    vowel = _weighted(rng, VOWEL_WEIGHTS)
    glide = ""
    if vowel in DIPHTHONGS and rng.random() < 0.35:
        glide = str(rng.choice(DIPHTHONGS[vowel]))
    return Syllable(_weighted(rng, ONSETS), vowel, glide, _weighted(rng, CODAS))
