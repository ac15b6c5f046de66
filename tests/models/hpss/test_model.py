"""Facts about the model of medians: its sources, segments, other rates, identity."""

import pytest
import torch

from asteroid_slicq.models import HPSS
from asteroid_slicq.separation import Separator, fingerprint
from asteroid_slicq.vocabulary import HPSS_TRANSFORMS
from tests.helpers import noise


@pytest.mark.parametrize("transform", HPSS_TRANSFORMS)
def test_songs_are_separated_into_parts_that_sum_to_them(transform):
    model, mix = HPSS(transform, vocals=True, sample_rate=8000), noise(2, 12_000)
    parts = Separator(model, 1.0, 0.4).separate_waveform(mix)
    assert model.sources == ["harmonic", "percussive", "vocals"]
    assert parts.shape == (3, 2, 12_000)
    torch.testing.assert_close(parts.sum(0), mix, atol=1e-4, rtol=0)


def test_segments_fit_together():
    model, mix = HPSS(sample_rate=8000), noise(1, 40_000)
    whole = Separator(model, 60).separate_waveform(mix)
    parts = Separator(model, 3, 1.5).separate_waveform(mix)
    assert (parts - whole).norm() < 0.05 * whole.norm()


def test_sources_are_those_that_were_asked_for():
    assert HPSS().sources == ["harmonic", "percussive"]
    assert HPSS(margin=2.0).sources == ["harmonic", "percussive", "residual"]
    both = HPSS(vocals=True, margin=2.0, sample_rate=8000)
    assert both.sources == ["harmonic", "percussive", "vocals", "residual"]
    assert both(noise(2, 4000)).shape == (4, 2, 4000)


def test_settings_are_part_of_the_identity():
    models = [HPSS(), HPSS("stft"), HPSS("nsgt"), HPSS(margin=2.0), HPSS(power=1.0), HPSS(bins=9)]
    assert len({fingerprint(model) for model in models}) == len(models)
    assert fingerprint(HPSS()) == fingerprint(HPSS())


def test_another_transform_is_refused():
    with pytest.raises(ValueError, match="transform must be one of slicqt, nsgt, stft, got 'cqt'"):
        HPSS("cqt")


@pytest.mark.parametrize("transform", HPSS_TRANSFORMS)
@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_the_shortest_signals(transform, length):
    mix = noise(2, length)
    parts = HPSS(transform, vocals=True, sample_rate=8000)(mix)
    assert parts.shape == (3, 2, length)
    torch.testing.assert_close(parts.sum(0), mix, atol=1e-5, rtol=0)
