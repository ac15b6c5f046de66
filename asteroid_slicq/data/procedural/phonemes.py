"""Formants of vowels and consonants, and syllables drawn from them."""

from dataclasses import dataclass

import numpy as np

from asteroid_slicq.data.procedural.seeds import pick


@dataclass(frozen=True)
class Vowel:
    """A vowel.

    Args:
        formants: First three formants of a male tract in Hz (after Peterson & Barney 1952); the
            fourth and fifth hardly move.
        odds: How often it is sung.
        glides: Vowels that it may glide to.
    """

    formants: tuple[float, float, float]
    odds: float
    glides: tuple[str, ...] = ()


VOWELS = {
    "i": Vowel((280, 2250, 2950), 1.2),
    "I": Vowel((390, 1990, 2550), 1.0),
    "e": Vowel((420, 2050, 2600), 1.0, ("I",)),
    "E": Vowel((550, 1770, 2490), 1.2, ("I", "schwa")),
    "ae": Vowel((690, 1660, 2430), 0.8),
    "a": Vowel((750, 1150, 2440), 1.8, ("I", "U")),
    "V": Vowel((640, 1190, 2390), 1.0),
    "O": Vowel((570, 840, 2410), 0.8, ("I",)),
    "o": Vowel((430, 820, 2350), 1.2, ("U",)),
    "U": Vowel((440, 1020, 2240), 0.5),
    "u": Vowel((310, 870, 2240), 1.0),
    "er": Vowel((480, 1350, 1700), 0.4),
    "y": Vowel((290, 1750, 2250), 0.2),
    "schwa": Vowel((500, 1450, 2450), 0.8),
}


@dataclass(frozen=True)
class Consonant:
    """Articulation of a consonant.

    Args:
        odds: How often it begins a syllable.
        length_s: Typical duration.
        voicing: Level of the voice while it lasts, 0 to 1.
        formants: Targets in Hz of the male tract.
        noise: Edges in Hz of its noise band.
        noise_gain: Level of the noise.
        closure_s: Silence before the noise, of a plosive.
    """

    odds: float
    length_s: float
    voicing: float
    formants: tuple[float, float, float]
    noise: tuple[float, float] = (1000.0, 2000.0)
    noise_gain: float = 0.0
    closure_s: float = 0.0


CONSONANTS: dict[str, Consonant] = {
    "m": Consonant(1.2, 0.075, 0.40, (250, 1100, 2200)),
    "n": Consonant(1.2, 0.065, 0.40, (260, 1550, 2500)),
    "l": Consonant(1.2, 0.065, 0.50, (350, 1100, 2750)),
    "r": Consonant(1.0, 0.070, 0.55, (330, 1150, 1550)),
    "w": Consonant(0.9, 0.070, 0.45, (300, 640, 2250)),
    "j": Consonant(0.6, 0.060, 0.50, (270, 2250, 3000)),
    "v": Consonant(0.4, 0.060, 0.28, (270, 1100, 2250), (2500, 9000), 0.08),
    "z": Consonant(0.2, 0.080, 0.22, (270, 1700, 2500), (4500, 11000), 0.30),
    "dh": Consonant(1.0, 0.045, 0.30, (290, 1400, 2500), (3000, 9000), 0.06),
    "s": Consonant(1.5, 0.115, 0.0, (300, 1750, 2550), (4600, 11500), 0.55),
    "sh": Consonant(0.5, 0.115, 0.0, (300, 1900, 2500), (2300, 7500), 0.55),
    "f": Consonant(0.7, 0.090, 0.0, (300, 1100, 2250), (1800, 13000), 0.14),
    "th": Consonant(0.4, 0.080, 0.0, (300, 1400, 2500), (3000, 13000), 0.12),
    "h": Consonant(0.8, 0.065, 0.0, (500, 1400, 2450), (700, 5500), 0.12),
    "p": Consonant(0.6, 0.040, 0.0, (300, 800, 2200), (400, 4000), 0.25, 0.060),
    "t": Consonant(1.2, 0.045, 0.0, (300, 1750, 2600), (3000, 11000), 0.45, 0.055),
    "k": Consonant(1.0, 0.050, 0.0, (300, 1950, 2250), (1300, 5000), 0.40, 0.060),
    "ch": Consonant(0.3, 0.085, 0.0, (300, 1900, 2500), (2300, 8000), 0.50, 0.050),
    "b": Consonant(0.9, 0.018, 0.12, (250, 800, 2200), (300, 3000), 0.20, 0.055),
    "d": Consonant(0.9, 0.020, 0.12, (250, 1750, 2600), (2500, 8000), 0.25, 0.050),
    "g": Consonant(0.7, 0.025, 0.12, (250, 1950, 2250), (1200, 4500), 0.25, 0.050),
}
ONSETS = {"": 1.5} | {name: consonant.odds for name, consonant in CONSONANTS.items()}
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


def draw_syllable(rng: np.random.Generator) -> Syllable:
    """Draw a syllable with roughly the frequencies of sung English."""
    vowel = pick(rng, {name: vowel.odds for name, vowel in VOWELS.items()})
    glide, glides = "", VOWELS[vowel].glides
    if glides and rng.random() < 0.35:
        glide = str(rng.choice(glides))
    return Syllable(pick(rng, ONSETS), vowel, glide, pick(rng, CODAS))
