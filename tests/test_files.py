"""Files are whole under their name or not there."""

import errno
import os
import stat

import pytest

from asteroid_slicq.files import Partial, whole_file, whole_folder, write_text


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


def save_on_a_full_disk(target, hidden):
    with whole_file(target):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            if hidden:  # as torch.save does
                raise RuntimeError("unexpected pos 704 vs 598")  # noqa: B904
            raise


@pytest.mark.parametrize("hidden", [False, True])
def test_what_the_file_system_said_has_the_name_of_the_target(tmp_path, hidden):
    with pytest.raises(OSError, match=r"No space left on device: '.*/model\.pth'") as error:
        save_on_a_full_disk(tmp_path / "model.pth", hidden)
    assert error.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


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


def fill(folder):
    (folder / "x").write_text("half")
    raise KeyboardInterrupt


def test_a_folder_is_whole_or_not_there(tmp_path):
    target = tmp_path / "train" / "song"
    target.parent.mkdir()
    with pytest.raises(KeyboardInterrupt), whole_folder(target, tmp_path) as folder:
        fill(folder)
    assert list(tmp_path.rglob("*")) == [target.parent]
    with whole_folder(target, tmp_path) as folder:
        (folder / "x").write_text("all")
        assert not target.exists()
    assert sorted(tmp_path.rglob("*")) == [target.parent, target, target / "x"]


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX's")
def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(tmp_path):
    """A lock ends with its process, so that closing its descriptor is as good as a kill."""
    killed = [Partial(tmp_path / "a.wav"), Partial(tmp_path / "song", is_folder=True)]
    (killed[1].path / "x").write_text("half")
    alive = [Partial(tmp_path / "a.wav"), Partial(tmp_path / "song", is_folder=True)]
    (tmp_path / ".mine-0123.part").write_text("somebody else's")
    for partial in killed:
        os.close(partial._lock)
    write_text(tmp_path / "b.json", "{}")
    left = {partial.path for partial in alive}
    assert set(tmp_path.iterdir()) == {tmp_path / "b.json", tmp_path / ".mine-0123.part", *left}
    for partial in alive:
        partial.discard()


def test_a_file_that_is_taken_for_a_leftover_at_once_is_made_again(tmp_path, monkeypatch):
    exists, taken = os.path.lexists, []

    def vanished(path):
        if not taken:
            taken.append(path)
            path.unlink()
        return exists(path)

    monkeypatch.setattr("pathlib.Path.exists", vanished)
    partial = Partial(tmp_path / "a.wav")
    assert taken != [partial.path]
    assert list(tmp_path.iterdir()) == [partial.path]
    partial.discard()


@pytest.mark.parametrize("name", [251 * "z" + ".wav", 83 * "曲" + ".wav"])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path, name):
    for content in ("one", "two"):
        with whole_file(tmp_path / name) as partial:
            partial.write_text(content)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "two"
