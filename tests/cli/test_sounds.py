import json

import pytest

from asteroid_slicq.cli import main
from tests.data.sampled.made_up import packages


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
