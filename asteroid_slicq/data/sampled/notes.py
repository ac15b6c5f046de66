"""Instruments of single notes, a file each, and how they are laid out on the keys.

No note is recorded twice. So an instrument has other takes: in the second one each key sounds from
the recording next to the nearest, and a guitar that is played twice does not play the same sound.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from asteroid_slicq.data.sampled.bank import BankWriter, Recording
from asteroid_slicq.data.sampled.catalogue import Source
from asteroid_slicq.data.sampled.sounds import encode_flac_file
from asteroid_slicq.data.sampled.zones import Zone

_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_KEYS = range(21, 109)
N_TAKES = 2
_N_FADING = 22050  # samples: a note that is cut fades as if it were damped
DAMPED = "damped"  # the name of the take whose strings the hand damps


@dataclass(frozen=True)
class _Layout:
    """How an instrument of single notes is laid out.

    Args:
        spacing: Least number of keys from one kept recording to the next.
        longest_s: Where recordings are cut.
        zone: Envelope and filter of its zones; a soft note is the duller the lower the cutoff.
        damped_s: Of a fall by 100 dB of strings that the hand damps; 0 without such a take.
    """

    spacing: int
    longest_s: float
    zone: Zone
    damped_s: float = 0.0


_LAYOUTS = {
    "electric-guitar": _Layout(1, 4.2, Zone(0, cutoff_hz=9000.0, release_s=0.3), 0.9),
    "electric-bass": _Layout(1, 5.0, Zone(0, cutoff_hz=6000.0, release_s=0.35), 0.8),
    "steel-guitar": _Layout(2, 4.0, Zone(0, cutoff_hz=12000.0, release_s=0.4)),
    "saxophone": _Layout(3, 3.5, Zone(0, attack_s=0.015, cutoff_hz=9000.0, release_s=0.25)),
}


def key_of(name: str) -> int | None:
    """Read a MIDI key from the name of a note, as in ``Cs4``; ``None`` if it is none."""
    found = re.fullmatch(r"([A-G])(s?)(-?\d)", name)
    if found is None:
        return None
    return _CLASSES[found[1]] + bool(found[2]) + 12 * (int(found[3]) + 1)


def extract_notes(root: Path, source: Source, copyright_text: str, bank: BankWriter) -> None:
    """Take the notes of an instrument, and lay them out as takes of it.

    Args:
        root: Of the package.
        source: The source, whose name the instrument has.
        copyright_text: Not used: all notes have one.
        bank: Where the sounds go.

    Raises:
        ValueError: If there is no note among its files.
    """
    layout = _LAYOUTS[source.name]
    paths = {key_of(p.stem): p for p in (root / source.folder).glob("*.mp3")}
    samples: dict[int, int] = {}
    for key in sorted(k for k in paths if k is not None):
        if samples and key - max(samples) < layout.spacing:
            continue
        data, rate = encode_flac_file(paths[key], layout.longest_s, _N_FADING)
        name = f"{source.name} {paths[key].stem}"
        file = bank.add_file(name, data, ".flac", source.name, source.credit)
        samples[key] = bank.add_recording(Recording(file, rate, root=key))
    if not samples:
        raise ValueError(f"{source.package} has no notes in {source.folder}")
    for take in range(min(N_TAKES, len(samples))):
        zones = lay_out(samples, layout.zone, take)
        bank.add_preset(f"{source.name}:{take}", source.name, zones)
    if layout.damped_s:
        zone = replace(layout.zone, decay_s=layout.damped_s, sustain_db=100.0, cutoff_hz=2200.0)
        bank.add_preset(f"{source.name}:{DAMPED}", source.name, lay_out(samples, zone, 0))


def lay_out(samples: dict[int, int], zone: Zone, take: int) -> list[Zone]:
    """Give each key the nearest recording, or the next to it.

    Args:
        samples: Numbers of the recordings by key.
        zone: What the zones have in common.
        take: 0 for the nearest recording, 1 for the one after it.

    Returns:
        Zones that cover the keys from 21 to 108.
    """
    keys = np.array(sorted(samples))
    out: list[Zone] = []
    for key in _KEYS:
        nearest = keys[np.argsort(np.abs(keys - key), kind="stable")]
        sample = samples[int(nearest[take])]
        if out and out[-1].sample == sample:
            out[-1] = replace(out[-1], keys=(out[-1].keys[0], key))
        else:
            out.append(replace(zone, sample=sample, keys=(key, key)))
    return out
