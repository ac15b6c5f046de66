"""Facts about the options of `separate` that trade time for quality."""

import numpy as np
import pytest
import soundfile as sf
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.cli import main, model_choice
from tests.helpers import GAINS, Split, numpy_noise

SMALL = {"n_bins": 14, "f_min_hz": 150.0}


@pytest.fixture
def song(folder, monkeypatch):
    """A song of a second, a model that ships and two files of models, `a.pth` and `b.pth`."""
    mix = 0.1 * numpy_noise(2, 44100)
    sf.write("my song.wav", mix.T, 44100, subtype="FLOAT")
    torch.manual_seed(0)
    for name in ("a", "b"):
        model = XUMXSliCQ(hidden_channels=(2, 3), transform=SMALL, wiener_iterations=0)
        torch.save(model.serialize(), f"{name}.pth")
    return mix


def run(*words):
    return main(["separate", "my song.wav", "-o", "out", *map(str, words)])


def stem(name):
    return sf.read(f"out/my song/{name}.wav", dtype="float32")[0].T


class Late(Split):
    """Hears every other half second alone, counted from the start of what it sees."""

    def forward(self, mix):
        heard = (torch.arange(mix.shape[-1]) // 11025) % 2
        return super().forward(mix * heard)


def test_shifts_are_averaged(song, monkeypatch):
    monkeypatch.setattr(model_choice, "load_default_model", Late)
    assert run("--shifts", 2) == 0
    heard = np.arange(44100) // 11025 % 2
    expected = song * (heard + np.roll(heard, -11025)) / 2
    np.testing.assert_allclose(stem("drums"), GAINS["drums"] * expected, atol=1e-6)


def test_an_ensemble_is_the_mean_of_its_models(song):
    stems = []
    for model in ("a.pth", "b.pth"):
        assert run("--model", model, "--overwrite") == 0
        stems.append(stem("vocals"))
    assert not np.allclose(*stems, atol=1e-3)
    assert run("--ensemble", "a.pth,b.pth", "--overwrite") == 0
    np.testing.assert_allclose(stem("vocals"), np.mean(stems, 0), atol=1e-6)
    weighted = ("--ensemble", "a.pth,b.pth", "--ensemble-weights", "3,1", "--overwrite")
    assert run(*weighted) == 0
    expected = 0.75 * stems[0] + 0.25 * stems[1]
    np.testing.assert_allclose(stem("vocals"), expected, atol=1e-6)


def test_masks_of_an_ensemble_sum_to_the_mix(song):
    assert run("--ensemble", "a.pth,b.pth", "--ensemble-domain", "mask") == 0
    np.testing.assert_allclose(sum(map(stem, GAINS)), song, atol=1e-5)


def test_models_that_do_not_fit_together_are_refused(song, capsys):
    other = XUMXSliCQ(["voice"], hidden_channels=(2, 3), transform=SMALL)
    torch.save(other.serialize(), "c.pth")
    assert run("--ensemble", "a.pth,c.pth") == 2
    error = capsys.readouterr().err
    assert "number 2 has voice, the first has bass, vocals, other, drums" in error
    assert "2 is c.pth" in error
    assert error.count("\n") == 1


def test_a_short_overlap_is_told(song, capsys):
    assert run("--model", "a.pth", "--overlap-seconds", "0.02") == 0
    assert "warning: neighbouring segments share 0.02 s" in capsys.readouterr().err
    assert run("--model", "a.pth", "--overwrite") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shifts", "0"], "argument --shifts: must be a whole number from 1 on, got '0'"),
        (["--ensemble", "a,b", "--model", "a"], "--ensemble: names the models itself"),
        (["--ensemble-weights", "1,2"], "--ensemble-weights: needs --ensemble A,B"),
        (["--ensemble-domain", "mask"], "--ensemble-domain: needs --ensemble A,B"),
        (["--ensemble", "a,b", "--ensemble-weights", "1"], "one for each of 2 models, got 1"),
        (["--ensemble", "a,b", "--ensemble-weights", "1,x"], "'x' is not a number"),
        (["--ensemble", "a,a", "--ensemble-weights", "2,1"], "different names, got 'a' twice"),
    ],
)
def test_options_that_do_not_go_together_are_refused(folder, capsys, words, message):
    assert run(*words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--shifts", "2"], ["--ensemble", "a,b"]])
def test_a_stream_has_no_time_for_them(folder, capsys, words):
    assert main(["separate", "--stream", "--model", "a.pth", *words]) == 2
    assert "is for files, not for --stream" in capsys.readouterr().err
