"""Facts about the numbers that say how like real music songs are."""

import sys

import numpy as np
import pytest
import soundfile

from tests.recipes.helpers import RECIPES, recipe_module

RATE = 44100


@pytest.fixture
def likeness():
    return recipe_module(RECIPES.parent / "free_stems", "likeness")


def write(song, **stems):
    song.mkdir(parents=True)
    for name, x in stems.items():
        soundfile.write(song / f"{name}.wav", x, RATE, subtype="FLOAT")


def test_tones_have_the_numbers_that_they_must_have(likeness, tmp_path):
    t = np.arange(RATE) / RATE
    low, high = (np.sin(2 * np.pi * f * t)[:, None] * np.ones(2) for f in (30, 1000))
    mixture = 0.1 * low + 0.1 * high
    other = 0.2 * high * [1.0, 0.5]
    write(tmp_path / "train" / "a", mixture=mixture, bass=0.1 * high, other=other)
    found = likeness.measure(tmp_path / "train" / "a")
    assert found["level, dB"] == pytest.approx(-20, abs=0.01)
    assert found["crest, dB"] == pytest.approx(6.0, abs=0.1)
    assert found["below 45 Hz, dB"] == pytest.approx(-3.01, abs=0.01)
    assert found["99 % of bass below, Hz"] == pytest.approx(1000, abs=1)
    assert found["lean, dB"] == pytest.approx(6.02, abs=0.01)


def test_silent_stems_are_not_measured(likeness, tmp_path, monkeypatch, capsys):
    silence = np.zeros((RATE, 2))
    write(tmp_path / "test" / "a", mixture=silence + 0.1, bass=silence, other=silence)
    monkeypatch.setattr(sys, "argv", ["likeness.py", f"songs={tmp_path}"])
    likeness.main()
    assert capsys.readouterr().out.splitlines()[-1] == "| songs | -20.0 | 0.0 | 0.0 | – | – |"
    monkeypatch.setattr(sys, "argv", ["likeness.py", f"songs={tmp_path / 'test'}"])
    with pytest.raises(SystemExit, match="holds no songs in train or test"):
        likeness.main()
