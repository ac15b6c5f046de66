"""Made-up packages of sounds: a SoundFont written byte by byte, and what the catalogue expects."""

import io
import struct
import tarfile

import numpy as np
import soundfile

from asteroid_slicq.data.sampled.bank import Bank, BankWriter
from asteroid_slicq.data.sampled.catalogue import SOURCES
from asteroid_slicq.data.sampled.extraction import add_instrument
from asteroid_slicq.data.sampled.packed_sources import PACKED_SOURCES
from asteroid_slicq.data.sampled.soundfont import SoundFont

RATE = 44100
KEYS, VELOCITIES, INSTRUMENT, SAMPLE, LOOPS, ROOT, SUSTAIN, RELEASE = 43, 44, 41, 53, 54, 58, 37, 38
MODULATORS = "modulators"  # of a zone: records of five numbers


def tone(hz, n_samples, rate=RATE, decay_s=0.3, seed=0):
    t = np.arange(n_samples) / rate
    x = sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 6))
    x = x + 0.3 * np.random.default_rng(seed).standard_normal(n_samples)
    return 0.3 * np.exp(-t / decay_s) * x


# What is strummed; the last three are not what they say: out by a semitone, minor, and no triad.
STRUMS = {
    "Cmajor": (48, 52, 55, 60),
    "Csharp minor": (49, 56, 61, 64),
    "Bflat major": (46, 53, 58, 62),
    "Bmajor": (46, 53, 58, 62),
    "Gmajor": (43, 50, 55, 58),
    "Bminor7b5": (47, 50, 53, 57),
}


def strum(pitches, rate, cents=0.0, seed=0):
    """A chord, with as much noise as a recording may have."""
    t = np.arange(rate // 2) / rate
    hz = [440.0 * 2.0 ** ((pitch - 69 + cents / 100.0) / 12.0) for pitch in pitches]
    x = sum(np.sin(2 * np.pi * f * k * t) / k**2 for f in hz for k in range(1, 4))
    return np.exp(-3.0 * t) * x + 0.1 * np.random.default_rng(seed).standard_normal(len(t))


def span(low, high):
    return low | high << 8


def chunk(name, data):
    return struct.pack("<4sI", name, len(data)) + data + b"\0" * (len(data) % 2)


def records(modulators):
    return b"".join(struct.pack("<HHhHH", *modulator) for modulator in modulators)


def soundfont(presets, samples, compressed=False, outer=None):
    """Bytes of an SF2 or SF3 file.

    Args:
        presets: By (bank, programme), lists of zones; a zone is a dictionary of generators of an
            instrument, the sample's index among them, and may have modulators.
        samples: Pairs of 16-bit samples and a loop.
        compressed: Whether samples are Ogg Vorbis files.
        outer: Generators and modulators of the zone of each preset.
    """
    data, headers = b"", b""
    for i, (x, (loop_start, loop_end)) in enumerate(samples):
        if compressed:
            ogg = io.BytesIO()
            soundfile.write(ogg, x, RATE, format="OGG", subtype="VORBIS")
            at = len(data)
            data += ogg.getvalue()
            fields = (at, len(data), loop_start, loop_end, RATE, 60, 0, 0, 17)
        else:
            at = len(data) // 2
            data += x.astype("<i2").tobytes() + b"\0" * 92
            fields = (at, at + len(x), at + loop_start, at + loop_end, RATE, 60, 0, 0, 1)
        headers += struct.pack("<20sIIIIIBbHH", f"made up {i}".encode(), *fields)
    headers += struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    phdr, pbag, pgen, pmod, inst, ibag, igen, imod = (b"" for _ in range(8))
    outer = dict(outer or {})
    outer_records = records(outer.pop(MODULATORS, []))
    for i, ((bank, programme), zones) in enumerate(presets.items()):
        phdr += struct.pack("<20sHHHIII", f"preset {i}".encode(), programme, bank, i, 0, 0, 0)
        pbag += struct.pack("<HH", len(pgen) // 4, len(pmod) // 10)
        pmod += outer_records
        for number, value in [*outer.items(), (INSTRUMENT, i)]:
            pgen += struct.pack("<HH", number, value % 65536)
        inst += struct.pack("<20sH", f"instrument {i}".encode(), len(ibag) // 4)
        for zone in zones:
            ibag += struct.pack("<HH", len(igen) // 4, len(imod) // 10)
            imod += records(zone.get(MODULATORS, []))
            generators = {k: v for k, v in zone.items() if k != MODULATORS}
            for number, value in sorted(generators.items(), key=lambda item: item[0] == SAMPLE):
                igen += struct.pack("<HH", number, value % 65536)
    n = len(presets)
    phdr += struct.pack("<20sHHHIII", b"EOP", 0, 0, n, 0, 0, 0)
    pbag += struct.pack("<HH", len(pgen) // 4, len(pmod) // 10)
    inst += struct.pack("<20sH", b"EOI", len(ibag) // 4)
    ibag += struct.pack("<HH", len(igen) // 4, len(imod) // 10)
    tables = {"phdr": phdr, "pbag": pbag, "pmod": pmod, "pgen": pgen}
    tables |= {"inst": inst, "ibag": ibag, "imod": imod, "igen": igen}
    pdta = b"".join(chunk(name.encode(), table) for name, table in tables.items())
    body = b"sfbk" + chunk(b"LIST", b"sdta" + chunk(b"smpl", data))
    body += chunk(b"LIST", b"pdta" + pdta + chunk(b"shdr", headers))
    return chunk(b"RIFF", body)


def bank_of_soundfont(folder, presets, samples, **options):
    """A bank of all presets of a SoundFont."""
    path = folder / "a.sf2"
    path.write_bytes(soundfont(presets, samples, **options))
    font, writer = SoundFont(path), BankWriter()
    for bank, programme in font.presets:
        preset = font.preset(bank, programme)
        key = f"{bank}:{programme}"
        add_instrument(writer, SOURCES[0], key, font, preset.name, list(preset.zones))
    writer.write(folder)
    return Bank(folder)


def packages(root):
    """Write small stand-ins for all packages of the catalogue below a root."""
    by_name = {source.name: source for source in SOURCES}
    for source in SOURCES:
        (root / source.folder).mkdir(parents=True)
        path = root / source.copyright_file
        path.parent.mkdir(parents=True)
        path.write_text("\n\n".join(source.statements))
    samples = [
        (np.round(20000 * tone(261.6, 20000)).astype(np.int16), (8000, 8843)),
        (np.round(20000 * tone(80.0, 8000, decay_s=0.1)).astype(np.int16), (0, 0)),
    ]
    loud = {SAMPLE: 0, LOOPS: 1, ROOT: 60, SUSTAIN: 60, RELEASE: -2400}
    presets = {
        number: [loud | {KEYS: span(0, 59)}, loud | {KEYS: span(60, 127)}]
        for number in ((0, 0), (0, 24), (0, 25), (0, 30), (0, 33), (0, 48), (0, 73))
    }
    presets[128, 0] = [{SAMPLE: 1, KEYS: span(k, k), ROOT: k} for k in range(35, 82)]
    font = root / by_name["musescore-general"].folder / "made_up.sf2"
    font.write_bytes(soundfont(presets, samples))

    sonic = by_name["sonic-pi"]
    stanzas = [(root / sonic.copyright_file).read_text()]
    for i, name in enumerate(("bd_one", "sn_one", "drum_cymbal_open")):
        write(root / sonic.folder / f"{name}.flac", tone(100.0 * (i + 1), 6000, seed=i))
        stanzas.append(
            f"Files: etc/samples/{name}.flac\nCopyright: 2011 somebody\n"
            f"Source: http://example.org/{i}\nLicense: CC0"
        )
    write(root / sonic.folder / "bd_unnamed.flac", tone(50.0, 6000))
    write(root / sonic.folder / "loop_amen.flac", tone(50.0, 6000))
    (root / sonic.copyright_file).write_text("\n\n".join(stanzas))

    kit = root / by_name["rumpf-kit"].folder
    pieces = {"c3 - bass drum 1": "a.flac", "d3 - snare 1": "b.flac", "f#4 -": "c.flac"}
    for i, file in enumerate(pieces.values()):
        write(kit / file, tone(70.0 + i, 5000, 48000, seed=10 + i), 48000)
    entries = "".join(
        f"<instrument><name>{name}</name><filename>{file}</filename></instrument>"
        for name, file in pieces.items()
    )
    (kit / "drumkit.xml").write_text(f"<drumkit_info>{entries}</drumkit_info>")

    strums = root / by_name["guitar-strums"].folder
    for i, (chord, pitches) in enumerate(STRUMS.items()):
        for stroke in (
            "Down_00" if chord == "Cmajor" else "DOWN_00",
            "DOWN_01",
            "DOWN_02",
            "UP_00",
        ):
            x = strum(pitches, 96000, seed=20 + i)
            write(strums / f"{chord}_{stroke}.flac", np.stack([x, 0.5 * x], axis=1), 96000)
    return root


def archives(folder):
    """Write small stand-ins for what ``npm pack`` downloads."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in PACKED_SOURCES:
        statement = "\n\n".join(source.statements)
        files = {}
        if source.name == "sonic-pi-4":
            page = "https://freesound.org/people/A%20Maker/sounds/1/"
            statement += f"\n* `:hat_one` - {page}\n* `:ride_one` - a friend\n"
            for i, name in enumerate(("hat_one", "hat_two", "ride_one", "loop_one")):
                files[f"package/samples/{name}.flac"] = (tone(900.0 + i, 6000, 96000), 96000)
        else:
            for i, (name, hz) in enumerate(NOTES.items()):
                files[f"package/{name}.mp3"] = (tone(hz, 13230, decay_s=2.0, seed=i), RATE)
        with tarfile.open(folder / source.archive, "w:gz") as archive:
            add(archive, source.copyright_file, statement.encode())
            for name, (x, rate) in files.items():
                data = io.BytesIO()
                x = x / (np.abs(x).max() * 1.1)
                soundfile.write(data, x, rate, format="MP3" if "mp3" in name else "FLAC")
                add(archive, name, data.getvalue())
    return folder


NOTES = {"E2": 82.407, "Cs3": 138.591, "E3": 164.814, "Gs3": 207.652}


def add(archive, name, data):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def write(path, x, rate=RATE):
    soundfile.write(path, x / (np.abs(x).max() * 1.1), rate, subtype="PCM_16")
