"""A song's level: a model that wants one gives the same stems however loud the song is."""

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.separation import Ensemble, PhaseModel, Separator
from asteroid_slicq.separation.level import song_gain

LEVEL_DB = -20.0
TINY = {"hidden_channels": (3, 4), "transform": {"n_bins": 14, "f_min_hz": 150.0}}


class Gate(nn.Module):
    """Splits samples by how large they are, and keeps the level of what it was given."""

    sources, sample_rate, n_channels = ("loud", "soft"), 1000.0, 2

    def __init__(self, input_level_db=LEVEL_DB):
        super().__init__()
        self.input_level_db = input_level_db
        self.seen = []

    def forward(self, mix):
        self.seen.append(10 * np.log10(mix.square().mean().item()))
        loud = torch.where(mix.abs() > 0.1, mix, 0.0)
        return torch.stack([loud, mix - loud], 1)


def noise(*shape, seed=0, scale=0.02):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def test_the_gain_of_each_item_of_a_batch():
    mix = np.stack([np.full((2, 100), a, np.float32) for a in (1.0, 0.01, 0.0, 1e-9)])
    gains = song_gain(np.array_split(mix, 7, axis=-1), LEVEL_DB)
    assert gains.shape == (4, 1, 1)
    np.testing.assert_allclose(gains.ravel(), [0.1, 10, 1, 1000], rtol=1e-6)
    assert song_gain([], LEVEL_DB) == 1


@pytest.mark.parametrize("two_passes", [True, False])
@pytest.mark.parametrize("segment_s", [0.5, 60])
def test_a_model_gets_each_song_at_its_level(segment_s, two_passes):
    mix = np.stack([noise(2, 3000), noise(2, 3000, seed=1, scale=0.5), np.zeros((2, 3000), "f")])
    model = Gate()
    stems = Separator(model, segment_s, two_passes=two_passes).separate_waveform(mix)
    np.testing.assert_allclose(stems.sum(1), mix, atol=1e-6)
    share = np.square(stems[:2, 0]).mean((1, 2)) / np.square(mix[:2]).mean((1, 2))
    np.testing.assert_allclose(share, 0.80, atol=0.02)  # of the power of noise, above its deviation
    assert not stems[2].any()
    alone = Gate()
    Separator(alone, segment_s, two_passes=two_passes).separate_waveform(mix[1])
    np.testing.assert_allclose(alone.seen, LEVEL_DB, atol=0.6)


def test_a_model_that_wants_no_level_gets_songs_as_they_are():
    model = Gate(None)
    Separator(model).separate_waveform(noise(2, 3000))
    np.testing.assert_allclose(model.seen, 20 * np.log10(0.02), atol=0.2)


@pytest.mark.parametrize("rate", [1000, 1600])
def test_files_at_two_levels_give_the_same_stems(tmp_path, rate):
    separator = Separator(Gate(), 0.5)
    found = []
    for name, gain in (("soft", 0.125), ("loud", 16.0)):
        song = tmp_path / f"{name}.wav"
        soundfile.write(song, gain * noise(3000, 2), rate, subtype="FLOAT")
        files = separator.separate_file(song, tmp_path, bit_depth="32f")
        found.append([soundfile.read(file)[0] / gain for file in files.values()])
    np.testing.assert_allclose(*found, atol=1e-7)


@pytest.mark.parametrize("wiener", ["slicqt", "stft"])
def test_songs_in_two_passes_at_two_levels(wiener):
    torch.manual_seed(0)
    model = XUMXSliCQ(**TINY, wiener=wiener, input_level_db=LEVEL_DB).eval()
    mix = noise(2, 40_000)
    soft, loud = (model.separate(gain * mix, segment_s=0.5) / gain for gain in (1.0, 64.0))
    np.testing.assert_allclose(soft, loud, atol=1e-5 * np.abs(soft).max())
    plain = model.separate(mix, segment_s=0.5, two_passes=False)
    assert np.abs(plain - soft).max() > 1e-3 * np.abs(soft).max()


def test_the_level_is_an_argument_that_is_kept(tmp_path):
    model = XUMXSliCQ(**TINY, input_level_db=-21)
    torch.save(model.serialize(), tmp_path / "model.pth")
    assert XUMXSliCQ.from_pretrained(str(tmp_path / "model.pth")).input_level_db == -21.0
    assert XUMXSliCQ(**TINY).input_level_db is None
    for wrong in (3, float("nan")):
        with pytest.raises(ValueError, match="input_level_db must lie in -100 … 0 dB"):
            XUMXSliCQ(**TINY, input_level_db=wrong)
    with pytest.raises(TypeError, match="input_level_db must be a number"):
        XUMXSliCQ(**TINY, input_level_db="loud")


def test_models_of_models_want_what_those_want():
    model = XUMXSliCQ(**TINY, input_level_db=-21)
    assert PhaseModel(model).input_level_db == -21
    assert Ensemble([model, model]).input_level_db == -21
    assert Ensemble([model, XUMXSliCQ(**TINY)]).input_level_db is None
    assert XUMXSliCQ.per_target({}, **TINY, wiener="stft", input_level_db=-21).input_level_db == -21
