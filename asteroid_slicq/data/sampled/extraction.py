"""The selection from each source: instruments, hits, and how much of the largest ones."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from asteroid_slicq.data.sampled.bank import BankWriter, Recording
from asteroid_slicq.data.sampled.catalogue import Credit, Source
from asteroid_slicq.data.sampled.copyrights import credit_by_name, parse_stanzas
from asteroid_slicq.data.sampled.soundfont import SoundFont, Zone, decode_pcm

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

# Voices of a kit by pattern of the file's name, in the order in which they are tried.
_SONIC_PI = (
    (r"bd_.*|drum_bass_.*|drum_heavy_kick|elec_hollow_kick|elec_soft_kick", "kick"),
    (r"sn_.*|drum_snare_.*|elec_\w*snare", "snare"),
    (r"perc_snap2?", "clap"),
    (r"drum_cymbal_closed|elec_cymbal", "hat"),
    (r"drum_cymbal_pedal", "pedal"),
    (r"drum_cymbal_open", "open"),
    (r"drum_cymbal_hard|drum_splash_.*", "crash"),
    (r"drum_cymbal_soft", "ride"),
    (r"drum_tom_hi_.*", "tom1"),
    (r"drum_tom_mid_.*", "tom2"),
    (r"drum_tom_lo_.*|elec_fuzz_tom", "tom3"),
    (r"elec_(tick|wood|blip2?|pop|triangle)|tabla_.*|drum_cowbell", "perc"),
)
_RUMPF = (
    (r"bass drum", "kick"),
    (r"snare", "snare"),
    (r"clap", "clap"),
    (r"stick", "rim"),
    (r"hi-hat closed", "hat"),
    (r"hi-hat pedal", "pedal"),
    (r"hi-hat open", "open"),
    (r"crash|cymbal", "crash"),
    (r"ride", "ride"),
    (r"high tom", "tom1"),
    (r"middle tom", "tom2"),
    (r"low tom", "tom3"),
    (r"cowbell", "perc"),
)
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
        moved = []
        for zone in zones:
            sample = font.sample(zone.sample)
            data, suffix = sample.data, ".ogg"
            if not sample.compressed:
                data, suffix = encode_flac(decode_pcm(sample.data), sample.rate), ".flac"
            name = f"{preset.name}: {sample.name}"
            file = bank.add_file(name, data, suffix, source.name, source.credit_of(key))
            recording = Recording(
                file, sample.rate, sample.root, sample.cents, sample.loop_start, sample.loop_end
            )
            moved.append(replace(zone, sample=bank.add_recording(recording)))
        bank.add_preset(key, preset.name, moved)


def extract_sonic_pi(root: Path, source: Source, copyright_text: str, bank: BankWriter) -> None:
    """Take single hits whose author and licence the copyright file names, one by one."""
    stanzas = parse_stanzas(copyright_text)
    for path in sorted((root / source.folder).glob("*.flac")):
        voice = next((v for pattern, v in _SONIC_PI if re.fullmatch(pattern, path.stem)), None)
        named = credit_by_name(stanzas, f"etc/samples/{path.name}")
        if voice is not None and named is not None:
            _add_hit(bank, path, voice, source, *named)


def extract_rumpf_kit(root: Path, source: Source, copyright_text: str, bank: BankWriter) -> None:
    """Take the pieces of the kit that its map names."""
    folder = root / source.folder
    for instrument in ElementTree.parse(folder / "drumkit.xml").iter("instrument"):
        name = instrument.findtext("name", "")
        path = folder / instrument.findtext("filename", "")
        voice = next((v for pattern, v in _RUMPF if re.search(pattern, name)), None)
        if voice is not None and path.is_file():
            _add_hit(bank, path, voice, source, source.credit)


def _add_hit(
    bank: BankWriter, path: Path, voice: str, source: Source, credit: Credit, origin: str = ""
) -> None:
    x, rate = soundfile.read(path, always_2d=True)
    data = encode_flac(trim(x.mean(axis=1), rate), rate)
    file = bank.add_file(path.stem, data, ".flac", source.name, credit, origin)
    bank.hits.setdefault(voice, []).append([bank.add_recording(Recording(file, rate))])


def extract_strums(root: Path, source: Source, copyright_text: str, bank: BankWriter) -> None:
    """Take two down strokes and an up stroke of each major and minor chord."""
    for path in sorted((root / source.folder).glob("*.flac")):
        found = re.fullmatch(r"([A-G])(sharp|flat)? ?(major|minor)_(DOWN|UP)_0(\d)", path.stem)
        if found is None:
            continue
        letter, accidental, quality, stroke, take = found.groups()
        if int(take) > (1 if stroke == "DOWN" else 0):
            continue
        pitch = (_CLASSES[letter] + {"sharp": 1, "flat": -1}.get(accidental, 0)) % 12
        x, rate = soundfile.read(path, always_2d=True)
        mono = x.mean(axis=1)
        if rate > 48000:
            mono, rate = resample_poly(mono, 44100, rate), 44100
        data = encode_flac(trim(mono, rate), rate)
        file = bank.add_file(path.stem, data, ".flac", source.name, source.credit)
        strokes = bank.strums.setdefault(f"{pitch}:{quality}", {"down": [], "up": []})
        strokes[stroke.lower()].append(bank.add_recording(Recording(file, rate)))


def trim(x: NDArray[np.floating], rate: int, longest_s: float = 3.0) -> NDArray[np.floating]:
    """Cut the silence around a sound, fade its end, and bring its peak to 0.95."""
    heard = np.flatnonzero(np.abs(x) > 0.003 * np.abs(x).max(initial=0.0))
    if not len(heard):
        return x[:1]
    begin = max(int(heard[0]) - 20, 0)
    x = x[begin : min(int(heard[-1]) + 200, begin + int(longest_s * rate))]
    fading = min(2000, len(x) // 4)
    gain = np.ones(len(x))
    gain[len(x) - fading :] = np.linspace(1.0, 0.0, fading)
    return x * gain * (0.95 / np.abs(x).max())


def encode_flac(x: NDArray, rate: int) -> bytes:
    """Encode a mono sound losslessly in 16 bits; the same samples give the same bytes."""
    buffer = io.BytesIO()
    soundfile.write(buffer, x, rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


EXTRACTORS: dict[str, Extractor] = {
    "musescore-general": extract_soundfont,
    "sonic-pi": extract_sonic_pi,
    "rumpf-kit": extract_rumpf_kit,
    "guitar-strums": extract_strums,
}
