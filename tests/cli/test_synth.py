import pytest

from asteroid_slicq.cli import main


def run(*words):
    return main(["synth", *map(str, words)])


def test_the_command_writes_the_tree(tmp_path, capsys):
    options = ("--seconds", 0.5, "--seed", 4, "--test-tracks", 1)
    assert run(tmp_path, "--tracks", 2, *options) == 0
    assert len(list(tmp_path.glob("train/*/mixture.wav"))) == 1
    assert len(list(tmp_path.glob("test/*/mixture.wav"))) == 1
    assert capsys.readouterr().out == f"{tmp_path}: 1 song in train, 1 in test\n"
    assert run(tmp_path, "--tracks", 3, *options) == 0
    out = capsys.readouterr().out
    assert out == f"{tmp_path}: 2 songs in train, 1 in test (2 there already)\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tracks", 0), "n_tracks must be at least 1"),
        (("--seconds", 0), "duration_s"),
        (("--seed", -1), "seed"),
        (("--tracks", 2, "--test-tracks", 3), "n_test"),
        (("--jobs", 0), "jobs"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, capsys, words, message):
    assert run(tmp_path / "out", *words) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1


def test_an_unwritable_path(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(tmp_path / "file", "--tracks", 1, "--seconds", 0.5) == 2
    assert "file" in capsys.readouterr().err
