"""Archives of npm are found, unpacked and refused as installed packages are."""

import shutil
from pathlib import Path

import pytest

from asteroid_slicq.data.sampled.building import build_bank
from asteroid_slicq.data.sampled.catalogue import LicenceError
from asteroid_slicq.data.sampled.packages import find_packages, installed_version
from asteroid_slicq.data.sampled.packed_sources import PACKED_SOURCES
from tests.data.sampled.made_up import add, tarfile

GUITAR = PACKED_SOURCES[0]


def test_an_archive_is_unpacked_into_a_root_of_its_own(packed, tmp_path):
    found, missing = find_packages(PACKED_SOURCES, Path("/"), packed, tmp_path)
    assert not missing
    assert [source for source, _ in found] == list(PACKED_SOURCES)
    for source, root in found:
        assert root.parent == tmp_path
        assert (root / source.copyright_file).is_file()


def test_an_archive_does_not_count_as_installed(packed, tmp_path):
    """A folder of the same name below the root of the file system is no unpacked archive."""
    (tmp_path / "root" / GUITAR.folder).mkdir(parents=True)
    found, missing = find_packages([GUITAR], tmp_path / "root", tmp_path / "none", tmp_path)
    assert (found, missing) == ([], [GUITAR])


def test_another_version_is_another_package(packed, tmp_path):
    shutil.copy(packed / GUITAR.archive, tmp_path / GUITAR.archive.replace("1.1.1", "1.1.9"))
    assert find_packages([GUITAR], Path("/"), tmp_path, tmp_path)[1] == [GUITAR]
    assert installed_version(tmp_path, GUITAR.package) == "1.1.1"


def test_a_damaged_archive_is_told(packed, tmp_path):
    whole = (packed / GUITAR.archive).read_bytes()
    for content in (b"", b"nothing", whole[: len(whole) // 2]):
        (tmp_path / GUITAR.archive).write_bytes(content)
        with pytest.raises(ValueError, match=f"{GUITAR.archive} is damaged"):
            find_packages([GUITAR], Path("/"), tmp_path, tmp_path)


def test_archives_are_unpacked_where_tarfile_has_no_filters(packed, tmp_path, monkeypatch):
    """As before Python 3.11.4: Debian 12 has 3.11.2."""
    without = tarfile.TarFile.extractall
    monkeypatch.setattr(
        tarfile.TarFile, "extractall", lambda self, path=".", members=None: without(self, path)
    )
    found, missing = find_packages([GUITAR], Path("/"), packed, tmp_path)
    assert not missing
    assert (found[0][1] / GUITAR.copyright_file).is_file()


def test_no_archive_writes_outside_its_folder(tmp_path):
    with tarfile.open(tmp_path / GUITAR.archive, "w:gz") as archive:
        add(archive, "../outside", b"x")
    with pytest.raises(ValueError, match="damaged"):
        find_packages([GUITAR], Path("/"), tmp_path, tmp_path / "a" / "b")
    assert not (tmp_path / "a" / "outside").exists()


def test_an_archive_whose_licence_changed_stops_the_build(tmp_path):
    with tarfile.open(tmp_path / GUITAR.archive, "w:gz") as archive:
        add(archive, GUITAR.copyright_file, b"Samples: CC-BY-NC 4.0")
    with pytest.raises(LicenceError, match="tonejs-instrument-guitar"):
        build_bank(tmp_path / "bank", tmp_path, packed=tmp_path)


def test_an_archive_without_notes_is_told(tmp_path):
    with tarfile.open(tmp_path / GUITAR.archive, "w:gz") as archive:
        add(archive, GUITAR.copyright_file, "\n".join(GUITAR.statements).encode())
    with pytest.raises(ValueError, match="no notes"):
        build_bank(tmp_path / "bank", tmp_path, packed=tmp_path)
