"""Facts about `separate --model hpss`: what is written, sums, vocals on demand, refusals."""

import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.catalogue import shipped
from asteroid_slicq.cli import main
from asteroid_slicq.models import HPSS
from tests.helpers import numpy_noise


@pytest.fixture
def song(folder):
    """A song in mono, whose path has spaces."""
    mix = 0.1 * numpy_noise(1, 16_000)
    sf.write("my song.wav", mix.T, 44100, subtype="FLOAT")
    return mix


def run(*words):
    return main(["separate", "my song.wav", "-o", "out", "--model", "hpss", *map(str, words)])


def stems(folder):
    files = sorted((folder / "out" / "my song").iterdir())
    return {file.stem: sf.read(file, dtype="float32", always_2d=True)[0].T for file in files}


def test_two_parts_are_written_that_sum_to_the_song(song, folder):
    assert run() == 0
    written = stems(folder)
    assert set(written) == {"harmonic", "percussive"}
    np.testing.assert_allclose(sum(written.values()), song, atol=1e-6)


def test_vocals_are_made_where_they_are_asked_for(song, folder):
    assert run("--stems", "vocals,percussive") == 0
    assert set(stems(folder)) == {"vocals", "percussive"}
    assert run("--two-stems", "vocals", "--hpss-transform", "stft", "--overwrite") == 0
    written = stems(folder)
    assert {"vocals", "no_vocals"} < set(written)
    np.testing.assert_allclose(written["vocals"] + written["no_vocals"], song, atol=1e-6)


def test_a_margin_writes_a_residual(song, folder):
    assert run("--hpss-margin", 2, "--hpss-transform", "nsgt") == 0
    written = stems(folder)
    assert set(written) == {"harmonic", "percussive", "residual"}
    np.testing.assert_allclose(sum(written.values()), song, atol=1e-6)


def test_silence_gives_silence(song, folder):
    sf.write("my song.wav", np.zeros((4000, 2)), 8000)
    assert run() == 0
    assert not any(stem.any() for stem in stems(folder).values())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "default", "--hpss-margin", "2"], "--hpss-margin: needs --model hpss"),
        (["--hpss-transform", "stft"], "argument --hpss-transform: needs --model hpss"),
        (["--model", "hpss", "--hpss-margin", "0.5"], "must be at least 1, got '0.5'"),
        (["--model", "hpss", "--stems", "drums"], "harmonic, percussive"),
        (["--model", "hpss", "--phase", "mix"], "HPSS gives waveforms alone"),
    ],
)
def test_what_does_not_go_together_is_refused(song, capsys, words, message):
    assert main(["separate", "my song.wav", *words]) == 2
    assert message in capsys.readouterr().err


def test_it_is_in_the_list_of_models():
    (entry,) = [entry for entry in shipped() if entry.name == "hpss"]
    model = HPSS()
    assert (list(entry.sources), entry.sample_rate) == (model.sources, model.sample_rate)
    assert [*entry.sources, *entry.sources_on_demand] == HPSS(vocals=True).sources
    assert entry.n_parameters == sum(p.numel() for p in model.parameters()) == 0
