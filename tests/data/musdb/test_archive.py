"""Archives: unpacked as they were packed, or refused before anything is written."""

import os
import stat
import zipfile
from pathlib import Path

import pytest

from asteroid_slicq.data.musdb import download
from asteroid_slicq.data.musdb.archive import ArchiveError, unpack
from asteroid_slicq.data.musdb.download import DownloadError

FILES = {"train/a b/bass.wav": b"bass" * 1000, "train/a b/drums.wav": b"", "test/ü/x.wav": b"x"}


def pack(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_files_come_out_as_they_went_in(tmp_path):
    told = []
    archive = pack(tmp_path / "x.zip", {**FILES, "train/empty/": b""})
    out = tmp_path / "out"
    paths = unpack(archive, out, progress=lambda *args: told.append(args))
    assert contents(out) == FILES
    assert paths == [out / name for name in FILES]
    assert told[-1] == ("unpack", 4001, 4001)


def test_what_macos_adds_is_left_out(tmp_path):
    litter = {"__MACOSX/train/._a": b"1", "train/.DS_Store": b"2"}
    unpack(pack(tmp_path / "x.zip", {**FILES, **litter}), tmp_path / "out")
    assert contents(tmp_path / "out") == FILES


def test_unpacking_goes_on_where_it_stopped(tmp_path, monkeypatch):
    archive, out = pack(tmp_path / "x.zip", FILES), tmp_path / "out"
    replaced, replace = [], os.replace

    def fail_at_second(source, target):
        replaced.append(target)
        if len(replaced) == 2:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_at_second)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, out)
    assert set(contents(out)) == {"train/a b/bass.wav"}
    (out / "test" / "ü").mkdir(parents=True)
    (out / "test" / "ü" / "x.wav").write_bytes(b"too long")
    unpack(archive, out)
    assert contents(out) == FILES
    assert [p.name for p in replaced[2:]] == ["drums.wav", "x.wav"]


@pytest.mark.parametrize(
    "name", ["../evil.wav", "train/../../evil.wav", "/evil.wav", "C:/evil.wav", "train\\evil.wav"]
)
def test_names_that_lead_out_refuse_the_whole_archive(tmp_path, name):
    archive, out = pack(tmp_path / "x.zip", {**FILES, name: b"evil"}), tmp_path / "deep" / "out"
    with pytest.raises(ArchiveError, match=r"x\.zip is refused: '.*evil\.wav' leads out"):
        unpack(archive, out)
    assert not [p for p in tmp_path.rglob("*") if p != archive]


def test_links_are_refused(tmp_path):
    archive = pack(tmp_path / "x.zip", FILES)
    with zipfile.ZipFile(archive, "a") as opened:
        link = zipfile.ZipInfo("train/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(ArchiveError, match="'train/link' is a link"):
        unpack(archive, tmp_path / "out")


def test_encrypted_files_are_refused(tmp_path):
    archive = pack(tmp_path / "x.zip", {"train/a": b"secret"}, zipfile.ZIP_STORED)
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory
    archive.write_bytes(data)
    with pytest.raises(ArchiveError, match="'train/a' is encrypted"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("place", [40, 60, 80])
@pytest.mark.parametrize(
    "compression",
    [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA],
)
def test_damage_is_found_and_leaves_no_file(tmp_path, compression, place):
    archive = pack(tmp_path / "x.zip", {"train/a": bytes(range(256)) * 9}, compression)
    data = bytearray(archive.read_bytes())
    data[place] ^= 255
    archive.write_bytes(data)
    with pytest.raises(ArchiveError, match=r"x\.zip is damaged or no zip archive"):
        unpack(archive, tmp_path / "out")
    assert contents(tmp_path / "out") == {}


@pytest.mark.parametrize("data", [b"", b"no zip", None])
def test_what_is_no_archive_is_named(tmp_path, data):
    archive = pack(tmp_path / "x.zip", FILES)
    archive.write_bytes(archive.read_bytes()[:-30] if data is None else data)
    with pytest.raises(ArchiveError, match=r"x\.zip is damaged or no zip archive"):
        unpack(archive, tmp_path / "out")


def test_a_disk_without_room_is_said_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 4000}))
    archive = pack(tmp_path / "x.zip", FILES)
    with pytest.raises(DownloadError, match=r"unpacking x\.zip needs .* are free"):
        unpack(archive, tmp_path / "out")
    assert contents(tmp_path / "out") == {}
