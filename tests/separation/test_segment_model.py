"""Facts about calling a model: channels are served, modes restored, silence costs nothing."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn

from asteroid_slicq.separation import SegmentModel
from tests.helpers import numpy_noise as noise


class Model(nn.Module):
    """Source j is gain_j times the mix, its channels swapped where there are two."""

    def __init__(self, gains=(0.25, 0.75), n_channels=2):
        super().__init__()
        self.gains = nn.Parameter(torch.tensor(gains))
        self.sources = [f"s{index}" for index in range(len(gains))]
        self.sample_rate, self.n_channels = 44100, n_channels
        self.norm = nn.BatchNorm1d(3)
        self.seen = []

    def forward(self, mix):
        self.seen.append((tuple(mix.shape), mix.dtype, self.training, torch.is_inference(mix)))
        return self.gains[:, None, None] * mix.flip(1)[:, None]


def test_channels_of_the_model_pass_as_they_are():
    mix = noise(3, 2, 5000)
    out = SegmentModel(Model())(mix)
    np.testing.assert_allclose(out[:, 1], 0.75 * mix[:, ::-1], atol=1e-6)


def test_mono_is_duplicated_and_mixed_down():
    model, mix = Model(), noise(2, 1, 5000)
    out = SegmentModel(model)(mix)
    assert model.seen[0][0] == (2, 2, 5000)
    assert out.shape == (2, 2, 1, 5000)
    np.testing.assert_allclose(out[:, 0], 0.25 * mix, atol=1e-6)


@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_a_mono_model_serves_each_channel(n_channels):
    mix = noise(2, n_channels, 5000)
    out = SegmentModel(Model(n_channels=1))(mix)
    assert out.shape == (2, 2, n_channels, 5000)
    np.testing.assert_allclose(out[:, 1], 0.75 * mix, atol=1e-6)


def test_mono_models_of_the_host_are_served():
    class Host(nn.Module):
        sample_rate, in_channels = 8000.0, 1

        def forward(self, mix):
            return torch.cat([mix, 2 * mix, 3 * mix], dim=1)  # (batch, source, time)

    model = SegmentModel(Host())
    assert model.sources == ["source1", "source2", "source3"]
    mix = noise(1, 2, 4000)
    np.testing.assert_allclose(model(mix)[:, 2], 3 * mix, atol=1e-6)


@pytest.mark.parametrize(("n_channels", "served"), [(1, True), (2, True), (3, False), (6, False)])
def test_channels_that_cannot_be_served_are_named(n_channels, served):
    error = SegmentModel(Model()).channel_error(n_channels)
    if served:
        assert error is None
    else:
        assert error is not None
        assert error.startswith(f"has {n_channels} channels, this model separates stereo or mono")


def test_silence_is_silent_and_does_not_reach_the_model():
    model = Model()
    out = SegmentModel(model)(np.zeros((1, 2, 5000), np.float32))
    assert out.shape == (1, 2, 2, 5000)
    assert not out.any()
    assert model.seen == []


def test_very_short_segments_reach_the_model_padded():
    model = Model()
    mix = np.ones((1, 2, 1), np.float32)
    out = SegmentModel(model)(mix)
    assert model.seen[0][0] == (1, 2, 4410)
    np.testing.assert_allclose(out[0, :, 0, 0], [0.25, 0.75])


def test_no_gradient_no_mutation_and_the_dtype_of_the_model():
    class Mutating(Model):
        def forward(self, mix):
            return super().forward(mix.mul_(2.0))

    model, mix = Mutating().double(), noise(1, 2, 5000)
    copy = mix.copy()
    out = SegmentModel(model)(mix)
    np.testing.assert_array_equal(mix, copy)
    assert model.seen[0][1] == torch.float64
    assert model.seen[0][3]
    assert out.dtype == np.float32


def test_training_flags_stay_as_they_are():
    model = Model()
    model.train()
    model.norm.eval()  # as somebody does who freezes its statistics
    modes = []

    def fail():
        with SegmentModel(model).evaluating() as running:
            modes.append((running.model.training, model.training))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert modes == [(False, True)]
    assert model.training
    assert not model.norm.training


@pytest.mark.parametrize(
    ("output", "error", "words"),
    [
        (lambda mix: (mix, mix), TypeError, "returned a tuple"),
        (lambda mix: mix, ValueError, r"must return \(batch, source, channel, time\)"),
        (lambda mix: mix[:, None, :, 1:].expand(-1, 2, -1, -1), ValueError, "got"),
        (lambda mix: mix[:, None].expand(-1, 3, -1, -1), ValueError, "got"),
    ],
)
def test_models_that_break_the_contract_are_named(output, error, words):
    class Broken(Model):
        def forward(self, mix):
            return output(mix)

    wrapped = SegmentModel(Broken())
    assert len(wrapped.sources) == 2
    with pytest.raises(error, match=words):
        wrapped(noise(1, 2, 5000))


def test_a_model_without_a_sample_rate_is_refused():
    with pytest.raises(ValueError, match="sample_rate"):
        SegmentModel(nn.Identity())


def test_the_weights_are_fixed_while_it_evaluates():
    state = []

    class Fixable(Model):
        @contextmanager
        def fixed_weights(self):
            state.append(f"fixed, training={self.training}")
            yield
            state.append("free")

    with SegmentModel(Fixable()).evaluating():
        assert state == ["fixed, training=False"]
    assert state[1:] == ["free"]
