"""The selection from each source: instruments, hits, and how much of the largest ones."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import soundfile

from asteroid_slicq.data.sampled.bank import BankWriter, Recording
from asteroid_slicq.data.sampled.catalogue import Source
from asteroid_slicq.data.sampled.chords import is_triad
from asteroid_slicq.data.sampled.hits import (
    extract_rumpf_kit,
    extract_sonic_pi,
    extract_sonic_pi_4,
)
from asteroid_slicq.data.sampled.notes import extract_notes
from asteroid_slicq.data.sampled.soundfont import Sample, SoundFont, Zone, decode_pcm
from asteroid_slicq.data.sampled.sounds import encode_flac, encode_flac_file

Extractor = Callable[[Path, Source, str, BankWriter], None]

# Bank and programme of what songs play; large instruments with keys between two samples of theirs,
# and the velocities whose layers they keep.
_THINNED = {
    (0, 0): (5, (45, 90, 120)),
    (0, 45): (4, (90,)),
    (0, 48): (5, (90,)),
    (0, 49): (5, (90,)),
    (0, 89): (6, (90,)),
    (8, 50): (6, (90,)),
}
_INSTRUMENTS = (
    *(
        (0, p)
        for p in range(112)
        if p not in (1, 3, 44, 47, 55, 76, 78, 83, 85, 91, 94, 96, 101, 103)
    ),
    (0, 114),
    *((8, p) for p in (4, 24, 25, 28, 30, 38, 39, 50, 61)),
    (16, 25),
)
_KITS = (*range(20), 24, 25, *range(32, 37), *range(40, 43))
_KEYS = (21, 108)

_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def thin(zones: list[Zone], spacing: int, velocities: tuple[int, ...]) -> list[Zone]:
    """Reduce an instrument to the zones at some keys and velocities, and widen those.

    Args:
        zones: All zones.
        spacing: Keys from one kept sample to the next.
        velocities: One velocity of each layer to keep, softest first.

    Returns:
        Zones that cover all keys and velocities which any zone covered.
    """
    low = max(min(z.keys[0] for z in zones), _KEYS[0])
    high = min(max(z.keys[1] for z in zones), _KEYS[1])
    keys = list(range(min(low + spacing // 2, high), high + 1, spacing))
    out: dict[Zone, Zone] = {}
    for key_range, key in zip(_ranges(keys), keys, strict=True):
        for velocity_range, velocity in zip(_ranges(list(velocities)), velocities, strict=True):
            for zone in zones:
                if not _covers(zone, key, velocity):
                    continue
                kin = replace(zone, keys=(0, 0), velocities=velocity_range)
                first = out[kin].keys[0] if kin in out else key_range[0]
                out[kin] = replace(kin, keys=(first, key_range[1]))
    return list(out.values())


def _ranges(points: list[int]) -> list[tuple[int, int]]:
    """Divide 0 to 127 among some points, each getting what lies nearest to it."""
    edges = [0, *((a + b) // 2 + 1 for a, b in pairwise(points)), 128]
    return [(a, b - 1) for a, b in pairwise(edges)]


def _covers(zone: Zone, key: int, velocity: int) -> bool:
    return (
        zone.keys[0] <= key <= zone.keys[1] and zone.velocities[0] <= velocity <= zone.velocities[1]
    )


def extract_soundfont(root: Path, source: Source, copyright_text: str, bank: BankWriter) -> None:
    """Take the instruments and drum kits that songs use from a SoundFont.

    Args:
        root: Root of the file system that the package is installed in.
        source: The source.
        copyright_text: Not used: the whole has one copyright.
        bank: Where the sounds go.

    Raises:
        FileNotFoundError: If the folder holds no SoundFont.
    """
    folder = root / source.folder
    paths = sorted(p for p in folder.glob("*") if p.suffix in (".sf2", ".sf3"))
    if not paths:
        raise FileNotFoundError(f"no SoundFont in {folder}; {source.install_command}")
    font = SoundFont(paths[0])
    for number in (*_INSTRUMENTS, *((128, kit) for kit in _KITS)):
        if number not in font.presets:
            continue
        key = f"{number[0]}:{number[1]}"
        preset = font.preset(*number)
        zones = list(preset.zones)
        if number in _THINNED:
            # Of a stereo pair the left side alone, in the middle.
            left = [replace(z, pan=0.0) for z in zones if not font.sample(z.sample).right]
            zones = thin(left, *_THINNED[number])
        add_instrument(bank, source, key, font, preset.name, zones)


def add_instrument(
    bank: BankWriter, source: Source, key: str, font: SoundFont, name: str, zones: list[Zone]
) -> None:
    """Enter an instrument of a SoundFont, with the recordings of its zones.

    Args:
        bank: Where it goes.
        source: The source.
        key: Under which it is played, ``"bank:programme"``.
        font: That the zones are of.
        name: Of the instrument.
        zones: Of the instrument.
    """
    moved = []
    for zone in zones:
        sample = font.sample(zone.sample)
        data, suffix = sample.data, ".ogg"
        if not sample.compressed:
            data, suffix = encode_flac(decode_pcm(sample.data), sample.rate), ".flac"
        title = f"{name}: {sample.name}"
        file = bank.add_file(title, data, suffix, source.name, source.credit_of(key))
        number = bank.add_recording(recording_of(sample, file, zone.moved))
        moved.append(replace(zone, sample=number, moved=(0, 0, 0, 0)))
    bank.add_preset(key, name, moved)


def recording_of(sample: Sample, file: str, moved: tuple[int, int, int, int]) -> Recording:
    """Describe a sample whose ends and loop a zone moves, as far as there are samples.

    Args:
        sample: The sample; what moves counts its samples once they are decoded.
        file: Of the bank, that holds it.
        moved: As a `Zone` has it.
    """
    length = len(sample.data) // 2
    if sample.compressed:
        length = soundfile.info(io.BytesIO(sample.data)).frames
    end = min(max(length + moved[1], 1), length)
    loop_start = min(max(sample.loop_start + moved[2], 0), end)
    return Recording(
        file,
        sample.rate,
        sample.root,
        sample.cents,
        loop_start,
        min(max(sample.loop_end + moved[3], loop_start), end),
        max(min(moved[0], end - 1), 0),
        None if end == length else end,
    )


def extract_strums(root: Path, source: Source, copyright_text: str, bank: BankWriter) -> None:
    """Take two down strokes and an up stroke of each chord that is what its name says."""
    chords: dict[tuple[int, str], list[tuple[Path, str]]] = {}
    for path in sorted((root / source.folder).glob("*.flac")):
        found = re.fullmatch(r"([A-G])(sharp|flat)? ?(major|minor)_(DOWN|Down|UP)_0(\d)", path.stem)
        if found is None:
            continue
        letter, accidental, quality, stroke, take = found.groups()
        if int(take) > (0 if stroke == "UP" else 1):
            continue
        pitch = (_CLASSES[letter] + {"sharp": 1, "flat": -1}.get(accidental, 0)) % 12
        chords.setdefault((pitch, quality), []).append((path, stroke.lower()))
    for (pitch, quality), takes in chords.items():
        encoded = [encode_flac_file(path) for path, _ in takes]
        heard = [(soundfile.read(io.BytesIO(data))[0], rate) for data, rate in encoded]
        if not is_triad(heard, pitch, quality):
            continue
        strokes = bank.strums.setdefault(f"{pitch}:{quality}", {"down": [], "up": []})
        for (path, stroke), (data, rate) in zip(takes, encoded, strict=True):
            file = bank.add_file(path.stem, data, ".flac", source.name, source.credit)
            strokes[stroke].append(bank.add_recording(Recording(file, rate)))


EXTRACTORS: dict[str, Extractor] = {
    "musescore-general": extract_soundfont,
    "sonic-pi": extract_sonic_pi,
    "rumpf-kit": extract_rumpf_kit,
    "guitar-strums": extract_strums,
    "electric-guitar": extract_notes,
    "electric-bass": extract_notes,
    "steel-guitar": extract_notes,
    "saxophone": extract_notes,
    "sonic-pi-4": extract_sonic_pi_4,
}
