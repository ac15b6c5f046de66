"""Facts about models that separate together."""

import numpy as np
import pytest
import torch
from torch import nn

from asteroid_slicq.separation import Ensemble, Separator
from tests.helpers import GAINS, Split, noise, numpy_noise


class Gains(nn.Module):
    """Source j is gain_j times the mix, whose channels may be one."""

    sample_rate = 44100

    def __init__(self, gains, n_channels=2, step=1):
        super().__init__()
        self.sources, self.n_channels = list(gains), n_channels
        self.segment_step_samples = step
        self.gains = nn.Parameter(torch.tensor(list(gains.values())))

    def forward(self, mix):
        return self.gains[:, None, None] * mix[:, None]


A = {"vocals": 0.2, "rest": 0.7}
B = {"rest": 0.4, "vocals": 0.9}  # in another order


def test_waveforms_are_averaged_by_the_names_of_their_sources():
    mix = noise(1, 2, 3000)
    estimate = Ensemble([Gains(A), Gains(B)])(mix)
    torch.testing.assert_close(estimate[:, 0], (0.2 + 0.9) / 2 * mix)
    torch.testing.assert_close(estimate[:, 1], (0.7 + 0.4) / 2 * mix)
    weighted = Ensemble([Gains(A), Gains(B)], weights=(3, 1))(mix[0])
    torch.testing.assert_close(weighted, torch.stack([0.375 * mix[0], 0.625 * mix[0]]))


def test_masks_are_averaged_and_filter_the_mix():
    mix = noise(2, 2, 20_000)
    estimate = Ensemble([Gains(A), Gains(B)], domain="mask")(mix)
    share = (0.2 / 0.9 + 0.9 / 1.3) / 2
    torch.testing.assert_close(estimate[:, 0], share * mix, atol=1e-5, rtol=0)
    torch.testing.assert_close(estimate.sum(1), mix, atol=1e-5, rtol=0)
    silence = Ensemble([Gains(A), Gains(B)], domain="mask")(torch.zeros(1, 2, 5000))
    assert not silence.any()


def test_one_model_alone_is_itself():
    mix = numpy_noise(2, 50_000)
    alone = Separator(Split(), 0.5).separate_waveform(mix)
    np.testing.assert_array_equal(Separator(Ensemble([Split()]), 0.5).separate_waveform(mix), alone)
    ignored = Separator(Ensemble([Gains(A), Gains(B)], weights=[0, 2]))
    np.testing.assert_allclose(ignored.separate_waveform(mix)[0], 0.9 * mix, rtol=1e-6)


def test_mono_models_join_stereo_ones():
    mix = noise(3, 2, 1000)
    both = Ensemble([Gains(A), Gains(B, n_channels=1)])
    assert both.n_channels == 2
    torch.testing.assert_close(both(mix)[:, 0], 0.55 * mix)
    mono = Ensemble([Gains(A, 1), Gains(B, 1)])
    torch.testing.assert_close(mono(mix[:, :1])[:, 1], 0.55 * mix[:, :1])


def test_steps_are_those_of_all_where_they_are_short():
    assert Ensemble([Gains(A, step=40), Gains(A, step=60)]).segment_step_samples == 120
    assert Ensemble([Gains(A, step=9030), Gains(A, step=9031)]).segment_step_samples == 9031


def test_weights_stay_fixed_in_all_members(monkeypatch):
    entered = []

    class Fixed(Gains):
        def fixed_weights(self):
            entered.append(self)
            return torch.no_grad()

    members = [Fixed(A), Gains(A), Fixed(A)]
    Separator(Ensemble(members).eval()).separate_waveform(numpy_noise(2, 5000))
    assert entered == [members[0], members[2]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"models": []}, "models must hold at least one, got none"),
        ({"models": [Gains(A), Split()]}, "number 2 has bass, vocals, other, drums, the first"),
        ({"models": [Gains(A), nn.Identity()]}, "number 2, a Identity, does not"),
        ({"models": [Gains(A), Gains(A, 3)]}, r"same channels or one, got \[2, 3\]"),
        ({"weights": [1]}, "one for each of 2 models, got 1"),
        ({"weights": [0, 0]}, "not all 0"),
        ({"weights": [-1, 2]}, "at least 0"),
        ({"weights": [1, float("inf")]}, "finite"),
        ({"domain": "masks"}, "nearest that works: 'mask'"),
    ],
)
def test_what_cannot_separate_together_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        Ensemble(**{"models": [Gains(A), Gains(A)], **arguments})


def test_other_rates_are_refused():
    other = Split()
    other.sample_rate = 48000
    with pytest.raises(ValueError, match="number 2 has 48000 Hz, the first has 44100 Hz"):
        Ensemble([Split(), other])
    assert Ensemble([Split(), Split()]).sources == list(GAINS)
