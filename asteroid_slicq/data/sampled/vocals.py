"""The vocal stem: recorded voices where the bank has some, a synthesised singer where not."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from asteroid_slicq.data.procedural.signal import Array
from asteroid_slicq.data.procedural.song import Song
from asteroid_slicq.data.procedural.vocals import render_vocals


def sampled_vocals(rng: np.random.Generator, song: Song, voices: Mapping[str, Any]) -> Array:
    """Render the vocal stem of a song.

    Args:
        rng: Random stream.
        song: The song.
        voices: Recorded voices of a bank, by name; a synthesised one sings where there are none.

    Shape:
        - Output: ``(2, time)``
    """
    return render_vocals(rng, song)
