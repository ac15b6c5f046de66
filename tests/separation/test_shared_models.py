"""Facts about a model that several callers share: no call changes it or depends on another."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile as sf
import torch
from torch import nn

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.separation import SegmentModel, Separator
from asteroid_slicq.separation.segment_model import in_evaluation_mode
from tests.helpers import GAINS, Split, numpy_noise

MIXES = [numpy_noise(2, 16_000, seed=seed, scale=0.1) for seed in (1, 2)]


def shared_model():
    """In training mode, as ``BaseModel.from_pretrained`` returns it, but for a frozen norm."""
    torch.manual_seed(0)
    transform = {"n_bins": 14, "f_min_hz": 300.0}
    model = XUMXSliCQ.from_preset(
        "v2", sample_rate=8000, hidden_channels=(2, 2), transform=transform
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.uniform_(0.01, 2.0)
    model.train()
    model.blocks[0].norm_encode_outer.eval()
    return model


def trace(model):
    """All that a call could change."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    return state, {name: (m.training, set(vars(m))) for name, m in model.named_modules()}


def assert_untouched(model, before):
    state, modules = trace(model)
    assert modules == before[1]
    assert all(torch.equal(value, before[0][name]) for name, value in state.items())


def read(paths):
    return {name: sf.read(path)[0] for name, path in paths.items()}


def test_two_threads_with_one_model_make_the_stems_of_two_calls(tmp_path):
    model = shared_model()
    before = trace(model)
    options = {"segment_s": 0.5, "bit_depth": "32f"}
    files = [tmp_path / "0.wav", tmp_path / "1.wav"]
    for path, mix in zip(files, MIXES, strict=True):
        sf.write(path, mix.T, 8000, "FLOAT")
    wanted = [read(model.separate(path, tmp_path / "alone", **options)) for path in files]
    started, ended = threading.Event(), threading.Event()

    def first(done_s, total_s):  # the second runs before this one ends …
        assert done_s == 0 or started.wait(300)

    def second(done_s, total_s):  # … and goes on after that
        started.set()
        assert done_s == 0 or ended.wait(300)

    def run(path, progress):
        paths = model.separate(path, tmp_path / "both", progress=progress, **options)
        if progress is first:
            ended.set()
        return read(paths)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(run, files, (first, second)))
    for stems, alone in zip(found, wanted, strict=True):
        for name, samples in stems.items():
            np.testing.assert_array_equal(samples, alone[name])
    assert_untouched(model, before)


def test_a_stream_that_is_left_leaves_no_trace():
    model = shared_model()
    before = trace(model)
    stream = Separator(model, 0.5).stream([MIXES[0][None]], 8000)
    first = next(stream)
    assert_untouched(model, before)
    stream.close()
    wanted = model.separate(MIXES[0], segment_s=0.5, two_passes=False)[..., : first.shape[-1]]
    np.testing.assert_allclose(first[0], wanted, atol=1e-6)


def test_a_model_in_evaluation_mode_runs_itself_and_any_other_a_copy_of_the_same_weights():
    model = shared_model()
    copied = in_evaluation_mode(model)
    assert not any(module.training for module in copied.modules())
    for of_model, of_copy in (
        (model.parameters(), copied.parameters()),
        (model.buffers(), copied.buffers()),
    ):
        assert all(a is b for a, b in zip(of_model, of_copy, strict=True))
    assert in_evaluation_mode(model.eval()) is model


class Listed(Split):
    """Layers in a list that is no module, as some write it, a recurrent one among them."""

    def __init__(self):
        super().__init__()
        self.drop, self.lstm = nn.Dropout(0.5), nn.LSTM(2, 2)
        self.layers = [self.drop, self.lstm]
        self.cached = self.gains * 1  # no leaf, which deepcopy refuses

    def forward(self, mix):
        drop, lstm = self.layers
        return super().forward(drop(mix) + 0 * lstm(mix.mT)[0].mT)


def test_layers_in_a_list_are_in_evaluation_mode_too(monkeypatch):
    model, mix = Listed(), MIXES[0]
    monkeypatch.setattr(nn.LSTM, "flatten_parameters", None)  # it would move the model's own
    out, gains = Separator(model).separate_waveform(mix), list(GAINS.values())
    np.testing.assert_allclose(out, np.outer(gains, mix).reshape(out.shape), atol=1e-6)
    assert model.drop.training


def test_a_device_is_where_a_copy_runs_and_the_model_stays(monkeypatch):
    model, flattened = Listed().eval(), []
    monkeypatch.setattr(nn.LSTM, "flatten_parameters", lambda lstm: flattened.append(lstm))
    before = trace(model)
    copied = in_evaluation_mode(model, torch.device("meta"))
    tensors = [*copied.parameters(), *copied.lstm._flat_weights, copied.cached]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert flattened == [copied.lstm]
    assert_untouched(model, before)
    assert {p.device.type for p in model.parameters()} == {"cpu"}
    assert in_evaluation_mode(model, torch.device("cpu")) is model


def test_a_model_that_cannot_be_copied_says_what_to_do():
    model = Split()
    model.lock = threading.Lock()
    with pytest.raises(TypeError, match=r"must be in evaluation mode, since a copy .*\.eval\(\)"):
        model_stems(model)
    assert model.training
    assert model_stems(model.eval()).shape == (4, 2, 16_000)


def model_stems(model):
    return Separator(model).separate_waveform(MIXES[0])


def test_weights_laid_out_are_those_of_a_thread(monkeypatch):
    """What another thread does meanwhile changes neither the results nor the way to them."""
    model = shared_model().eval()
    before = trace(model)
    magnitudes = [block.abs() for block in model.transform(torch.from_numpy(MIXES[0])[None])]
    fixed = model.fixed_weights()
    with torch.no_grad(), ThreadPoolExecutor(1) as other:
        other.submit(fixed.__enter__).result()
        assert_untouched(model, before)
        with model.fixed_weights():
            wanted = model.masks(magnitudes)
            other.submit(fixed.__exit__, None, None, None).result()
            calls = []
            monkeypatch.setattr(
                "asteroid_slicq.models.xumx_slicq.v2.F.conv_transpose2d",
                lambda *args, **options: calls.append(args),
            )
            found = model.masks(magnitudes)
    assert calls == []
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert_untouched(model, before)


def test_names_of_sources_that_are_counted_cost_the_model_nothing():
    class Unnamed(Split):
        def __init__(self):
            super().__init__()
            del self.sources
            self.norm = nn.BatchNorm1d(2)

        def forward(self, mix):
            return super().forward(self.norm(mix))

    model = Unnamed()
    before = trace(model)
    assert SegmentModel(model).sources == ["source1", "source2", "source3", "source4"]
    assert_untouched(model, before)
