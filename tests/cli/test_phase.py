"""Facts about `separate --phase`: whose phases, segments that overlap, and refusals."""

import numpy as np
import pytest
import soundfile as sf
import torch
from asteroid.models import ConvTasNet

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.cli import main
from tests.helpers import numpy_noise

SMALL = {"n_bins": 14, "f_min_hz": 150.0}


@pytest.fixture
def song(folder):
    """A song of half a second, and a model with Wiener-EM."""
    mix = 0.1 * numpy_noise(2, 22050)
    sf.write("my song.wav", mix.T, 44100, subtype="FLOAT")
    torch.manual_seed(0)
    model = XUMXSliCQ(hidden_channels=(2, 3), transform=SMALL)
    torch.save(model.serialize(), "a.pth")
    return mix


def run(*words):
    return main(["separate", "my song.wav", "-o", "out", "--overwrite", *map(str, words)])


def stems():
    names = ("bass", "vocals", "other", "drums")
    return np.stack([sf.read(f"out/my song/{name}.wav", dtype="float32")[0].T for name in names])


def test_the_phase_of_the_mix_is_that_of_the_model_without_wiener_em(song):
    model = XUMXSliCQ.from_pretrained("a.pth").eval()
    model.wiener_iterations = 0
    expected = model.separate(song)
    assert run("--model", "a.pth", "--phase", "mix") == 0
    np.testing.assert_allclose(stems(), expected, atol=1e-6)
    assert run("--model", "a.pth") == 0
    assert not np.allclose(stems(), expected, atol=1e-3)


@pytest.mark.parametrize("method", ["griffin-lim:3", "misi:3"])
def test_segments_fit_together(song, method):
    assert run("--model", "a.pth", "--phase", method) == 0
    whole = stems()
    cut = ("--segment-seconds", 0.3, "--overlap-seconds", 0.15)
    assert run("--model", "a.pth", "--phase", method, *cut) == 0
    difference = np.linalg.norm(stems() - whole) / np.linalg.norm(whole)
    assert 0 < difference < 0.01
    if method == "misi:3":
        np.testing.assert_allclose(stems().sum(0), song, atol=1e-4)


def test_stems_are_made_again_when_the_phase_changes(song, capsys):
    words = ("separate", "my song.wav", "-o", "out", "--model", "a.pth", "--skip-existing")
    for phase, told in (("mix", "bass, vocals"), ("mix", "kept"), ("misi:2", "again")):
        assert main([*words, "--phase", phase]) == 0
        assert told in capsys.readouterr().out


@pytest.mark.slow
def test_models_of_waveforms_are_refused_in_a_sentence(song, capsys):
    torch.save(ConvTasNet(n_src=2, n_blocks=1, n_repeats=1).serialize(), "tasnet.pth")
    assert run("--model", "tasnet.pth", "--phase", "griffin-lim") == 2
    error = capsys.readouterr().err
    assert "--phase griffin-lim: model must mask the coefficients of one transform" in error
    assert "ConvTasNet gives waveforms alone" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--phase", "griffin"], "must be mix, griffin-lim, fast-griffin-lim, misi, or such as"),
        (["--phase", "griffin-lim:0"], "must be a whole number from 1 on, got '0'"),
        (["--phase", "mix:3"], "mix has no iterations, got 'mix:3'"),
        (["--phase", "mix", "--ensemble", "a,b"], "--phase: is for the magnitudes of one model"),
        (["--phase", "mix", "--stream", "--model", "a"], "--phase: is for files, not for --stream"),
    ],
)
def test_options_that_do_not_go_together_are_refused(folder, capsys, words, message):
    inputs = [] if "--stream" in words else ["song.wav"]
    assert main(["separate", *inputs, *words]) == 2
    assert message in capsys.readouterr().err
