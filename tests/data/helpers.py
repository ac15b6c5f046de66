"""Tracks of which every sample tells where it is from."""

from pathlib import Path

import numpy as np
import soundfile

from asteroid_slicq.data import Track

RATE = 8000
SOURCES = ["bass", "drums"]


def write_tree(root: Path, n_tracks: int = 3, length: int = 1000) -> Path:
    """Stems whose samples tell their track, source, channel and time."""
    for i in range(n_tracks):
        folder = root / "train" / f"track {i}"
        folder.mkdir(parents=True)
        for j, source in enumerate(SOURCES):
            time = np.arange(length) / 2**15
            left = 0.1 * (1 + i) + 0.01 * j + time
            audio = np.stack([left, -left], -1)
            soundfile.write(folder / f"{source}.wav", audio, RATE, subtype="FLOAT")
    return root


def names(n: int) -> list[Track]:
    return [Track(Path(f"track {i}"), 100) for i in range(n)]
