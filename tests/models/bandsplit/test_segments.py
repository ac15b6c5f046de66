"""How far a band-split model hears, and what comes of segments that share that much."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from asteroid_slicq import BandSplit
from tests import helpers
from tests.models.bandsplit.helpers import RATE, tiny

noise = partial(helpers.noise, scale=0.1)


def test_separate_in_segments_keeps_stereo():
    model = tiny()
    song = noise(2, 20000).numpy()
    separated = model.separate(song, segment_s=1.0, overlap_s=0.25)
    assert separated.shape == (4, 2, 20000)
    assert np.isfinite(separated).all()
    assert model.segment_step_samples == 512
    assert tiny(transform="stft").segment_step_samples == 100
    assert model.separate(song[:1]).shape == (4, 1, 20000)


@pytest.mark.parametrize("arguments", [{}, {"transform": "stft"}, {"n_layers": 2}])
def test_segments_that_share_the_reach_are_as_the_whole(arguments):
    model = tiny(**arguments, attention_reach_s=0.1)
    song = noise(2, 8 * RATE).numpy()
    whole = model.separate(song, segment_s=8.0)
    parts = model.separate(song, segment_s=2.5, overlap_s=model.reach_s)
    error = np.square(parts - whole).sum() / np.square(whole).sum()
    assert 10 * np.log10(error) < -40  # levels of segments differ a little
    assert tiny(**arguments).reach_s == math.inf


@pytest.mark.parametrize("arguments", [{}, {"transform": "stft"}, {"n_layers": 2}])
def test_nothing_is_heard_from_beyond_the_reach(arguments, monkeypatch):
    def as_they_are(model, mix, state=None):  # the level is that of all of the mix
        return [torch.view_as_real(block.resolve_conj()) for block in mix]

    monkeypatch.setattr(BandSplit, "_relative", as_they_are)
    model = tiny(**arguments, attention_reach_s=0.1).double()
    mix, reach = noise(1, 2, 3 * RATE).double(), round(model.reach_s * RATE)
    found = []
    for place in (11700, 11950, 12000, 12345):
        other = mix.clone()
        other[..., place] += 1
        with torch.inference_mode():
            change = (model(mix) - model(other)).abs().amax((0, 1, 2))
        changed = (change > 1e-12).nonzero()[:, 0]
        found += [place - int(changed[0]), int(changed[-1]) - place]
    assert 0.8 * reach < max(found) <= reach
