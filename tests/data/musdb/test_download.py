"""Downloads: what arrives is what the server has, or a sentence says why it did not."""

import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from asteroid_slicq.data.musdb import download as module
from asteroid_slicq.data.musdb.download import DownloadError, RemoteFile, download, zenodo_file
from tests.zenodo import Zenodo

RECORD, NAME = 7, "some file.zip"
CONTENT = random.Random(0).randbytes(5 * 2**20 + 12345)
MIB = 2**20
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def zenodo(monkeypatch) -> Iterator[Zenodo]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Zenodo(CONTENT, NAME)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """The waits between attempts, which take no time here."""
    seconds = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def remote(zenodo: Zenodo, md5: str = MD5) -> RemoteFile:
    return RemoteFile(f"{zenodo.url}/file", len(CONTENT), md5)


def test_zenodo_is_asked_for_url_size_and_checksum(zenodo):
    file = zenodo_file(RECORD, NAME, zenodo.url + "/")
    assert file == RemoteFile(f"{zenodo.url}/api/files/{NAME}/content", len(CONTENT), MD5)


def test_a_file_arrives_whole_and_is_told_of(zenodo, tmp_path):
    told = []
    target = tmp_path / "new folder" / "file.zip"
    file = zenodo_file(RECORD, NAME, zenodo.url)
    assert download(file, target, progress=lambda *args: told.append(args)) == target
    assert target.read_bytes() == CONTENT
    assert [p.name for p in target.parent.iterdir()] == ["file.zip"]
    assert told[-1] == ("check", len(CONTENT), len(CONTENT))
    assert ("download", len(CONTENT), len(CONTENT)) in told
    done = [n for what, n, _ in told if what == "download"]
    assert done == sorted(done)


def test_a_file_that_is_there_is_checked_and_kept(zenodo, tmp_path):
    target = tmp_path / "file.zip"
    target.write_bytes(CONTENT)
    download(remote(zenodo), target)
    assert zenodo.asked == []
    target.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(DownloadError, match=r"has the checksum .* not .*; move it away"):
        download(remote(zenodo), target)
    assert target.exists()


def test_what_a_killed_run_left_is_continued(zenodo, tmp_path):
    (tmp_path / "file.zip.partial").write_bytes(CONTENT[:3_000_000])
    download(remote(zenodo), tmp_path / "file.zip")
    assert zenodo.asked == ["bytes=3000000-"]
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


# The module alone, which imports in no time.
RUN = """
import pathlib, runpy, sys
module = runpy.run_path(sys.argv[1])
url, size, md5, target = sys.argv[2:]
module["download"](module["RemoteFile"](url, int(size), md5), pathlib.Path(target))
"""


@pytest.mark.slow
def test_a_download_that_is_killed_is_continued(zenodo, tmp_path):
    target, partial = tmp_path / "file.zip", tmp_path / "file.zip.partial"
    zenodo.stalls = [3 * MIB]
    file = remote(zenodo)
    command = [sys.executable, "-c", RUN, module.__file__, file.url, str(file.size_bytes), MD5]
    process = subprocess.Popen([*command, str(target)])
    try:
        deadline = time.monotonic() + 60
        while not partial.is_file() or partial.stat().st_size < 2 * MIB:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    n_had = partial.stat().st_size
    assert 2 * MIB <= n_had <= 3 * MIB
    assert not target.exists()
    download(file, target)
    assert zenodo.asked == [None, f"bytes={n_had}-"]
    assert target.read_bytes() == CONTENT


def test_connections_that_break_are_made_again_where_they_broke(zenodo, tmp_path, waits):
    zenodo.cuts = [MIB, 0, 2 * MIB]
    download(remote(zenodo), tmp_path / "file.zip", attempts=3)
    assert (tmp_path / "file.zip").read_bytes() == CONTENT
    begins = [int(asked[6:-1]) if asked else 0 for asked in zenodo.asked]
    assert begins == [0, MIB, MIB, 3 * MIB]
    assert waits == [1, 2, 1]


def test_a_server_without_ranges_sends_all_again(zenodo, tmp_path):
    zenodo.ranges, zenodo.cuts = False, [MIB]
    download(remote(zenodo), tmp_path / "file.zip")
    assert zenodo.asked == [None, f"bytes={MIB}-"]
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_a_server_without_ranges_that_always_breaks_is_given_up(zenodo, tmp_path):
    zenodo.ranges, zenodo.cuts = False, [MIB] * 9
    with pytest.raises(DownloadError, match=r"gave up after 3 attempt\(s\) in a row"):
        download(remote(zenodo), tmp_path / "file.zip", attempts=3)
    assert len(zenodo.asked) == 3


def test_giving_up_says_what_is_kept_and_the_next_run_continues(zenodo, tmp_path):
    zenodo.cuts = [2 * MIB, 0, 0]
    with pytest.raises(DownloadError) as error:
        download(remote(zenodo), tmp_path / "file.zip", attempts=3)
    partial = tmp_path / "file.zip.partial"
    assert f"kept in {partial}: the same again continues it" in str(error.value)
    assert partial.read_bytes() == CONTENT[: 2 * MIB]
    download(remote(zenodo), tmp_path / "file.zip")
    assert zenodo.asked[-1] == f"bytes={2 * MIB}-"
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_a_partial_file_of_something_else_is_thrown_away(zenodo, tmp_path):
    for left in (b"x" * 1000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 1)):
        (tmp_path / "file.zip").unlink(missing_ok=True)
        (tmp_path / "file.zip.partial").write_bytes(left)
        download(remote(zenodo), tmp_path / "file.zip")
        assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(zenodo, tmp_path):
    wrong = "0" * 32
    with pytest.raises(DownloadError, match=f"has the checksum {MD5}, not {wrong} as announced"):
        download(remote(zenodo, wrong), tmp_path / "file.zip")
    assert list(tmp_path.iterdir()) == []
    assert len(zenodo.asked) == 1


def test_busy_servers_are_asked_again_when_they_say_so(zenodo, tmp_path, waits):
    zenodo.statuses, zenodo.retry_after = [503, 429], "17"
    download(remote(zenodo), tmp_path / "file.zip")
    assert waits == [17, 17]
    assert len(zenodo.asked) == 3


@pytest.mark.parametrize("status", [403, 404])
def test_other_answers_are_final(zenodo, tmp_path, waits, status):
    zenodo.statuses = [status]
    with pytest.raises(DownloadError, match=f"the server answers {status}"):
        download(remote(zenodo), tmp_path / "file.zip")
    assert waits == []
    assert not (tmp_path / "file.zip").exists()


def test_no_server_is_one_sentence(zenodo, tmp_path, waits):
    file = remote(zenodo)
    zenodo.close()
    for call in (
        lambda: download(file, tmp_path / "file.zip", attempts=2),
        lambda: zenodo_file(RECORD, NAME, zenodo.url, attempts=2),
    ):
        with pytest.raises(DownloadError, match=r"gave up after 2 .*refused.*; try again later"):
            call()
    assert waits == [1, 1]
    zenodo.close = lambda: None


def test_a_disk_without_room_is_said_before_anything_is_asked(zenodo, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 10**6})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=r"needs 0\.0 GB in .* 0\.0 GB are free"):
        download(remote(zenodo), tmp_path / "file.zip")
    assert zenodo.asked == []


def test_a_disk_that_fills_up_is_said(zenodo, tmp_path):
    (tmp_path / "file.zip.partial").symlink_to("/dev/full")
    with pytest.raises(DownloadError, match=r"cannot write .*: No space left on device"):
        download(remote(zenodo), tmp_path / "file.zip")


def test_a_file_that_is_longer_than_announced_is_refused(zenodo, tmp_path):
    short = RemoteFile(f"{zenodo.url}/file", 1000, MD5)
    with pytest.raises(DownloadError, match="sends more than the 1000 bytes announced"):
        download(short, tmp_path / "file.zip")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"files": [], "x": 1}, "record 7 has no file some file.zip, see .*/records/7"),
        ({"hits": {}}, "does not list its files in a known form"),
        (["odd"], "does not list its files in a known form"),
        ({"files": [{"key": NAME, "checksum": "sha1:00", "size": 1}]}, "no md5 checksum"),
    ],
)
def test_records_that_do_not_help_are_named(zenodo, record, message):
    zenodo.record = record
    with pytest.raises(DownloadError, match=message):
        zenodo_file(RECORD, NAME, zenodo.url)


def test_wrong_arguments_are_named(zenodo, tmp_path):
    with pytest.raises(ValueError, match="attempts must be at least 1, got 0"):
        download(remote(zenodo), Path(tmp_path / "x"), attempts=0)
