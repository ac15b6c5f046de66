"""Facts about band-split streams: they equal the model, and nothing waits longer than told."""

import itertools

import pytest
import torch

from asteroid_slicq.models.bandsplit import BandSplitStream
from tests import helpers
from tests.models.bandsplit.helpers import RATE, tiny

CAUSAL = {"causal": True, "time_mixer": "lstm", "n_layers": 2}


def causal(**arguments):
    return tiny(**CAUSAL, **arguments).double()


@pytest.mark.parametrize("sizes", [(1,), (97,), (0, 1, 700, 1500), (4001,)])
@pytest.mark.parametrize("band_mixer", ["attention", "lstm"])
def test_a_stream_is_the_model(sizes, band_mixer):
    model, length = causal(band_mixer=band_mixer), 300 if sizes == (1,) else 4001
    mix = helpers.double_noise(2, 2, length, scale=0.1) * torch.linspace(0.1, 1, length)
    stream = BandSplitStream(model)
    out, done = [], 0
    for size in itertools.cycle(sizes):
        out.append(stream.push(mix[..., done : done + size]))
        done += size
        n_out = sum(part.shape[-1] for part in out)
        assert n_out >= min(done, length) - stream.latency_samples - 1
        if done >= length:
            break
    out.append(stream.flush())
    with torch.inference_mode():
        expected = model(mix)
    torch.testing.assert_close(torch.cat(out, -1), expected, atol=1e-12, rtol=0)
    stream.reset()
    again = torch.cat([stream.push(mix), stream.flush()], -1)
    torch.testing.assert_close(again, expected, atol=1e-12, rtol=0)


def test_sources_are_chosen_and_an_axis_may_lack():
    model, mix = causal(), helpers.double_noise(2, 3000, scale=0.1)
    stream = BandSplitStream(model, ["bass", "vocals"])
    out = torch.cat([stream.push(mix), stream.flush()], -1)
    with torch.inference_mode():
        torch.testing.assert_close(out, model(mix)[[2, 0]], atol=1e-12, rtol=0)


def test_a_future_sample_changes_nothing_before_the_latency_and_something_near_it():
    model = causal()
    frame, latency = model.transform.frame, BandSplitStream(model).latency_samples
    assert latency == round(model.latency_s * RATE)
    assert latency == 5 * frame.slice_length // 4 + frame.transition_length // 2 - 1
    mix, reaches = helpers.double_noise(1, 2, 6 * frame.slice_length, scale=0.1), []
    with torch.inference_mode():
        before = model(mix)
        edge = frame.slice_length // 4 + frame.transition_length // 2 - 1
        start = 7 * frame.slice_hop + edge
        for t in (start, start - 57, start - 200, start - frame.slice_hop + 1):
            changed = mix.clone()
            changed[..., t:] += 100 * helpers.double_noise(*mix[..., t:].shape)
            difference = (model(changed) - before).abs().amax(dim=(0, 1, 2))
            reaches.append(t - int(difference.nonzero()[0]))
    assert max(reaches) <= latency
    assert max(reaches) > latency - 32


def test_causal_models_are_level_invariant_and_serve_silence():
    model, mix = causal(), helpers.double_noise(1, 2, 3000, scale=0.1)
    mix[..., :1000] = 0
    with torch.inference_mode():
        torch.testing.assert_close(model(4 * mix) / 4, model(mix), atol=1e-9, rtol=0)
        assert not model(torch.zeros_like(mix)).any()


def test_what_cannot_run_on_a_stream_is_named():
    with pytest.raises(ValueError, match="must be causal"):
        BandSplitStream(tiny())
    with pytest.raises(ValueError, match="evaluation mode"):
        BandSplitStream(causal().train())
    with pytest.raises(TypeError, match="must be a BandSplit"):
        BandSplitStream(torch.nn.Identity())
    with pytest.raises(ValueError, match="causal must go with time_mixer='lstm'"):
        tiny(causal=True)
    stream = BandSplitStream(causal())
    assert stream.flush().shape == (4, 2, 0)
    with pytest.raises(ValueError, match="after flush"):
        stream.push(torch.zeros(2, 10))
    stream.reset()
    with pytest.raises(ValueError, match="mix must be"):
        stream.push(torch.zeros(3, 10))
