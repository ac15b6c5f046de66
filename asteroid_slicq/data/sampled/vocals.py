"""The vocal stem: recorded voices where the bank has some, now and then a synthesised singer."""

import numpy as np

from asteroid_slicq.data.procedural.signal import Array
from asteroid_slicq.data.procedural.song import Song
from asteroid_slicq.data.procedural.vocals import render_vocals
from asteroid_slicq.data.sampled.bank import Bank
from asteroid_slicq.data.sampled.voices import read_voices, sung_vocals

SYNTHESISED = 0.12  # share of songs whose singer is synthesised, though there are recorded voices


def sampled_vocals(rng: np.random.Generator, song: Song, bank: Bank) -> Array:
    """Render the vocal stem of a song.

    Args:
        rng: Random stream.
        song: The song.
        bank: The sounds; a synthesised voice sings where there is none among them.

    Shape:
        - Output: ``(2, time)``
    """
    voices = read_voices(bank)
    if not voices or (not bank.for_tests and rng.random() < SYNTHESISED):
        return render_vocals(rng, song)
    return sung_vocals(rng, song, voices)
