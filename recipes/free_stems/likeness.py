"""How like real music composed songs are: ``python likeness.py sampled=DIR real=DIR``, a table.

Each DIR is a tree of songs whose ``train`` or ``test`` holds them. Medians over songs of: level and
crest factor of the mix, its share of energy below 45 Hz, the frequency below which the bass has
99 % of its energy, and by how many dB one side of *other* is louder than the other one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

HEAD = ("songs", "level, dB", "crest, dB", "below 45 Hz, dB", "99 % of bass below, Hz", "lean, dB")
_LOW_HZ = 45.0
_SILENT = 1e-4  # root mean square of a stem that is not measured


def spectrum(x: NDArray, rate: int) -> tuple[NDArray, NDArray]:
    """Frequencies in Hz, and the energy of the mean of all channels at each.

    Shape:
        - x: ``(time, channel)``
        - output: ``(freq,)`` each
    """
    x = x.mean(axis=1)
    return np.fft.rfftfreq(len(x), 1 / rate), np.abs(np.fft.rfft(x)) ** 2


def measure(song: Path) -> dict[str, float]:
    """The numbers of a song's folder, by the columns of the table; stems that are silent have none.

    Raises:
        OSError, RuntimeError: a stem cannot be read.
    """
    stems = {name: soundfile.read(song / f"{name}.wav") for name in ("mixture", "bass", "other")}
    found: dict[str, float] = {}
    for name, (x, rate) in stems.items():
        level = np.sqrt(np.mean(x**2))
        if level < _SILENT:
            continue
        f_hz, energy = spectrum(x, rate)
        if name == "mixture":
            low = energy[f_hz < _LOW_HZ].sum() / energy.sum()
            found["level, dB"] = 20 * np.log10(level)
            found["crest, dB"] = 20 * np.log10(np.abs(x).max() / level)
            found["below 45 Hz, dB"] = 10 * np.log10(low + 1e-12)
        elif name == "bass":
            at = np.searchsorted(np.cumsum(energy), 0.99 * energy.sum())
            found["99 % of bass below, Hz"] = f_hz[at]
        else:
            left, right = np.sqrt(np.mean(x**2, axis=0)) + 1e-9
            found["lean, dB"] = abs(20 * np.log10(left / right))
    return found


def row(name: str, folder: str, most: int) -> str:
    """A line of the table.

    Raises:
        ValueError: the folder holds no songs.
    """
    songs = sorted(path.parent for path in Path(folder).glob("t*/*/mixture.wav"))[:most]
    if not songs:
        raise ValueError(f"{folder} holds no songs in train or test")
    found = [measure(song) for song in songs]
    cells = [name]
    for column in HEAD[1:]:
        values = [song[column] for song in found if column in song]
        digits = 0 if column.endswith("Hz") and "bass" in column else 1
        cells.append(f"{np.median(values):.{digits}f}" if values else "–")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=summary, allow_abbrev=False)
    parser.add_argument("trees", metavar="NAME=DIR", nargs="+")
    parser.add_argument("--songs", type=int, default=50, help="of each tree (default: 50)")
    args = parser.parse_args()
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    try:
        for name, _, folder in (tree.partition("=") for tree in args.trees):
            print(row(name, folder, args.songs), flush=True)
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"likeness.py: {error}")


if __name__ == "__main__":
    main()
