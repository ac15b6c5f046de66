"""Segments that are recorded once and replayed: what, when, and what comes of failures."""

from functools import partial

import numpy as np
import pytest
import torch

from asteroid_slicq import BandSplit, XUMXSliCQ
from asteroid_slicq.separation import Ensemble, Separator, replayed, segment_model
from asteroid_slicq.separation.graphs import Graphs, capture_cuda
from tests.helpers import Split, numpy_noise, with_slow

RATE = 8000
TRANSFORM = {"n_bins": 24, "f_min_hz": 60}
on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


class Recorder:
    """A capture on processors: a replay computes again, in the memory of the recording."""

    def __init__(self):
        self.n_recorded = self.n_replayed = 0

    def __call__(self, function, inputs):
        fixed = [x.clone() for x in inputs]
        outputs = function(fixed)
        self.n_recorded += 1

        def replay(tensors):
            self.n_replayed += 1
            for mine, given in zip(fixed, tensors, strict=True):
                mine.copy_(given)
            for out, new in zip(flat(outputs), flat(function(fixed)), strict=True):
                out.copy_(new)
            return outputs

        return replay


def flat(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for part in outputs for tensor in flat(part)]


@pytest.fixture
def recorder(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(segment_model, "capture_cuda", recorder)
    monkeypatch.setattr(segment_model, "Graphs", partial(Graphs, device_type="cpu"))
    return recorder


def make(name):
    torch.manual_seed(0)
    if name == "split":
        return Split()
    if name == "bandsplit":
        return BandSplit.from_preset("bandsplit-realtime", sample_rate=44100)
    arguments = {"hidden_channels": (2, 2), "sample_rate": RATE, "transform": TRANSFORM}
    if name == "mix phase":
        return XUMXSliCQ(**arguments, wiener_iterations=0).eval()
    if name == "ensemble":
        return Ensemble([make("wiener"), make("mix phase")]).eval()
    if name == "wiener on the stft":
        return XUMXSliCQ(**arguments, wiener="stft").eval()
    return XUMXSliCQ(**arguments).eval()


NAMES = ["split", "mix phase", "wiener", "wiener on the stft", "ensemble"]


@pytest.mark.parametrize("name", with_slow(NAMES, "wiener", "ensemble"))
def test_replayed_segments_are_those_that_are_computed(recorder, name):
    model = make(name)
    mix = 0.1 * numpy_noise(2, 3 * int(model.sample_rate))
    usual = Separator(model, 0.6, 0.2, cuda_graphs=False).separate_waveform(mix)
    assert recorder.n_recorded == 0
    found = Separator(model, 0.6, 0.2).separate_waveform(mix)
    assert recorder.n_recorded > 0
    assert recorder.n_replayed > 2 * recorder.n_recorded
    np.testing.assert_allclose(found, usual, atol=1e-5)


def test_the_second_call_of_a_shape_is_recorded_and_later_ones_replayed():
    recorder, calls = Recorder(), []

    def double(x, factor):
        calls.append(tuple(x.shape))
        return factor * x

    graphs = Graphs(recorder, "cpu")
    with graphs.in_use():
        for size in (3, 3, 3, 4):
            assert torch.equal(replayed(double, torch.ones(size), 2), 2 * torch.ones(size))
        assert (recorder.n_recorded, recorder.n_replayed) == (1, 2)
        assert torch.equal(replayed(double, torch.ones(3), 5), 5 * torch.ones(3))
    assert recorder.n_recorded == 1
    n_calls = len(calls)
    replayed(double, torch.ones(3), 2)  # out of the context it is called
    assert len(calls) == n_calls + 1
    assert recorder.n_replayed == 2


def test_what_cannot_be_recorded_is_computed_and_tried_once(caplog):
    tries = []

    def fail(function, inputs):
        tries.append(1)
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    with caplog.at_level("INFO"), Graphs(fail, "cpu").in_use():
        for _ in range(4):
            assert torch.equal(replayed(torch.neg, torch.ones(2)), -torch.ones(2))
    assert len(tries) == 1
    assert "operation not permitted when stream is capturing" in caplog.text


def test_calls_on_other_devices_go_through():
    recorder = Recorder()
    with Graphs(recorder).in_use():
        for _ in range(3):
            replayed(torch.neg, torch.ones(2))
    assert recorder.n_recorded == 0


@pytest.mark.parametrize("wrong", [1, None, "yes"])
def test_the_switch_is_a_flag(wrong):
    with pytest.raises((TypeError, ValueError), match="cuda_graphs"):
        Separator(Split(), cuda_graphs=wrong)


@on_cuda
@pytest.mark.parametrize("name", [*NAMES, "bandsplit"])
def test_graphs_on_a_gpu(name, caplog, monkeypatch):
    recorded = []

    def capture(function, inputs):
        replay = capture_cuda(function, inputs)
        recorded.append(replay)
        return replay

    monkeypatch.setattr(segment_model, "capture_cuda", capture)
    model = make(name).eval()
    mix = 0.1 * numpy_noise(2, 10 * int(model.sample_rate))
    usual = Separator(model, 2.0, 0.5, "cuda", cuda_graphs=False).separate_waveform(mix)
    with caplog.at_level("INFO"):
        found = Separator(model, 2.0, 0.5, "cuda").separate_waveform(mix)
    assert "not replayed" not in caplog.text
    assert recorded
    np.testing.assert_allclose(found, usual, atol=1e-4)


@on_cuda
def test_a_model_that_looks_at_values_runs_without_a_graph():
    class Looking(Split):
        def forward(self, mix):
            return super().forward(mix) * (1.0 if mix.abs().max().item() > 0 else 0.0)

    mix = 0.1 * numpy_noise(2, 200_000)
    found = Separator(Looking(), 0.5, device="cuda").separate_waveform(mix)
    np.testing.assert_allclose(found, Separator(Split(), 0.5).separate_waveform(mix), atol=1e-6)
