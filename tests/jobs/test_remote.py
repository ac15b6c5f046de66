"""Facts about songs and stems at addresses, whose file system is memory or this machine's."""

from pathlib import Path

import fsspec
import pytest

from asteroid_slicq.cli import main, model_choice
from tests.helpers import GAINS, Split
from tests.jobs.helpers import samples, songs, stems

FAST = ("--segment-seconds", "0.5")


@pytest.fixture
def memory(folder, monkeypatch):
    """Three songs in memory, and one in a folder there."""
    monkeypatch.setattr(model_choice, "load_default_model", Split)
    fs = fsspec.filesystem("memory")
    for song in songs(folder / "in", 3):
        fs.pipe(f"/in/{'deep/' * (song.stem == 'c')}{song.name}", song.read_bytes())
    fs.pipe("/in/notes.txt", b"no audio")
    fs.pipe("/in/.hidden.wav", b"")
    yield fs
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


def run(*argv):
    return main(["separate", *argv, *FAST])


def test_from_an_address_to_an_address(memory, capsys):
    assert run("in", "-o", "here") == 0
    expected = stems(Path("here"))
    capsys.readouterr()
    assert run("memory://in", "-o", "memory://in/out") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[-1] == "3 songs: 3 separated"
    assert f"memory:///in/a.wav -> memory://in/out/a: {', '.join(GAINS)}" in out
    found = {name.removeprefix("/in/out/"): memory.cat(name) for name in memory.find("/in/out")}
    record = next(name for name in found if name.endswith(".jsonl"))
    assert record.startswith(".asteroid-slicq/")
    del found[record]
    assert found == {
        f"{'deep/' * name.startswith('c')}{name}": data for name, data in expected.items()
    }


def test_a_run_goes_on_at_an_address(memory, capsys):
    argv = ("memory://in", "-o", "memory://out")
    assert run("memory://in/*.wav", "-o", "memory://out", "-q") == 0
    assert run(*argv) == 2
    assert "memory://out/a: already holds bass.wav, drums.wav" in capsys.readouterr().err
    memory.rm("/out/b/drums.wav")
    memory.pipe("/in/a.wav", memory.cat("/in/b.wav"))
    before = memory.created("/out/b/bass.wav")
    assert run(*argv, "--skip-existing") == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line == (
        "3 songs: 2 separated (1 again: drums missing, 1 again: the song has changed), "
        "1 done already"
    )
    assert memory.created("/out/b/bass.wav") > before
    assert samples(memory.cat("/out/a/bass.wav")) == samples(memory.cat("/out/b/bass.wav"))
    assert run(*argv, "--skip-existing") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "3 songs: 0 separated, 3 done already"


def test_addresses_of_files_here(memory, folder):
    assert run("in/a.wav", "-o", "here", "-q") == 0
    assert run((folder / "in/a.wav").as_uri(), "-o", (folder / "there").as_uri(), "-q") == 0
    there = set(stems(folder / "there"))
    assert there == {f"a/{name}.wav" for name in GAINS}
    assert stems(Path("here")) == stems(folder / "there")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("memory://gone", "memory://gone: no such file or folder"),
        ("memory://in/notes*", None),
        ("https://example.com/a.mp3", "https://example.com/a.mp3: is a web address; download it"),
        ("nonsense://a", "nonsense://a: cannot be reached (Protocol not known: nonsense)"),
    ],
)
def test_addresses_that_give_nothing(memory, capsys, address, told):
    assert run(address, "memory://in/a.wav", "-o", "out", "-q") == 2
    assert (told or "no audio that can be read") in capsys.readouterr().err
    assert {name[0] for name in stems(Path("out"))} == {"a"}


def test_nothing_half_written_where_writing_fails(memory, capsys, monkeypatch):
    original = type(memory)._open

    def full(self, path, mode="rb", **options):
        if "drums" in path and "w" in mode:
            raise OSError("no space left")
        return original(self, path, mode, **options)

    monkeypatch.setattr(type(memory), "_open", full)
    assert run("memory://in/a.wav", "-o", "memory://out", "-q") == 2
    assert "memory://out: cannot be reached (no space left)" in capsys.readouterr().err
    assert memory.find("/out") == []
