"""Files are whole under their name or not there."""

import os
import stat

import pytest

from asteroid_slicq.files import whole_file, write_text


def write_half(target, error, durable):
    with whole_file(target, durable=durable) as partial:
        partial.write_text("half")
        assert target.read_text() == "first"
        raise error


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("durable", [False, True])
def test_an_exception_leaves_the_target_as_it_was(tmp_path, error, durable):
    target = tmp_path / "song.wav"
    write_text(target, "first")
    with pytest.raises(error):
        write_half(target, error, durable)
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_kill_at_the_end_leaves_the_target_as_it_was(tmp_path, monkeypatch, step):
    target = tmp_path / "folder" / "scores.json"
    write_text(target, "first")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, killed)
    with pytest.raises(KeyboardInterrupt):
        write_text(target, "second")
    assert target.read_text() == "first"
    assert list(target.parent.iterdir()) == [target]


def test_text_is_replaced_in_utf_8(tmp_path):
    target = tmp_path / "a" / "b" / "ü.md"
    for text in ("erstens: ö", "zweitens: Σ"):
        write_text(target, text)
        assert target.read_bytes() == text.encode()
    assert list(target.parent.iterdir()) == [target]


def test_two_writers_of_a_target_do_not_meet(tmp_path):
    target = tmp_path / "x"
    with whole_file(target) as one:
        with whole_file(target) as other:
            one.write_text("one")
            other.write_text("other")
        assert target.read_text() == "other"
    assert target.read_text() == "one"


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_the_umask_says_who_may_read(tmp_path, mask, mode):
    previous = os.umask(mask)
    try:
        write_text(tmp_path / "x", "")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "a" / "b"):
        pass
