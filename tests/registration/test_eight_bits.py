"""Facts about weights in 8 bits: what they round, and that every model takes them."""

import pytest
import torch

from asteroid_slicq import BandSplit, XUMXSliCQ, load_model
from asteroid_slicq.hub import ModelFileError
from asteroid_slicq.registration import from_eight_bits, to_eight_bits

TINY = {"n_bins": 14, "f_min_hz": 150.0}


def test_a_row_is_rounded_to_a_127th_of_its_largest_weight():
    kernel = torch.tensor([[[1.0, -0.5, 0.003]], [[-2e-3, 1e-3, 0.0]], [[0.0, 0.0, 0.0]]])
    state = {"a.weight": kernel, "a.bias": torch.randn(3), "n": torch.tensor(7)}
    packed = to_eight_bits(state)
    assert packed["a.weight"].dtype == torch.int8
    assert packed["a.weight"].flatten(1).tolist() == [[127, -64, 0], [-127, 64, 0], [0, 0, 0]]
    found = from_eight_bits(packed)
    assert list(found) == list(state)
    assert found["a.weight"].dtype == torch.float32
    steps = kernel.flatten(1).abs().amax(1) / 127
    assert ((found["a.weight"] - kernel).flatten(1).abs().amax(1) <= 0.5001 * steps).all()
    assert torch.equal(found["a.bias"], state["a.bias"])
    assert found["n"] == 7


def test_a_kernel_in_16_bits_is_packed_as_one_in_32():
    kernel = torch.randn(5, 2, 7).half()
    packed, whole = (to_eight_bits({"k": k}) for k in (kernel, kernel.float()))
    assert all(torch.equal(packed[name], whole[name]) for name in whole)


def test_gaussian_weights_lie_43_db_above_the_rounding():
    kernel = torch.randn(64, 100, 1, 1, generator=torch.Generator().manual_seed(0))
    found = from_eight_bits(to_eight_bits({"k": kernel}))["k"]
    noise = (found - kernel).square().mean() / kernel.square().mean()
    assert -46 < 10 * torch.log10(noise) < -42


def test_what_is_not_packed_stays_and_whole_numbers_of_a_model_do():
    state = {"k": torch.ones(2, 2, dtype=torch.int8), "x_scale": torch.ones(2), "extra": None}
    assert all(from_eight_bits(state)[name] is value for name, value in state.items())
    with pytest.raises(ValueError, match="k holds numbers that are not finite"):
        to_eight_bits({"k": torch.full((1, 1, 1), torch.nan)})


@pytest.mark.parametrize("scale", [None, torch.ones(1), torch.ones(2, 2)])
def test_a_kernel_without_a_scale_for_each_row_is_refused(scale):
    state = {"k": torch.ones(2, 2, 2, dtype=torch.int8)}
    state |= {} if scale is None else {"k_scale": scale}
    with pytest.raises(ValueError, match="k is in 8 bits and has no scale for each of its rows"):
        from_eight_bits(state)


@pytest.mark.parametrize(
    "model",
    [
        XUMXSliCQ(hidden_channels=(2, 3), sample_rate=8000, transform=TINY),
        BandSplit(sample_rate=8000, width=32, n_layers=1, head_width=3, bands_per_octave=2.0),
    ],
    ids=["xumx-sliCQ", "BandSplit"],
)
def test_models_are_loaded_from_files_of_8_bits(model, tmp_path):
    model.eval()
    conf = model.serialize()
    file = tmp_path / "model.pth"
    torch.save({**conf, "state_dict": to_eight_bits(conf["state_dict"])}, file)
    mix = 0.1 * torch.randn(1, 2, 8000)
    with torch.no_grad():
        expected = model(mix)
        for loaded in (load_model(file), type(model).from_pretrained(file)):
            assert not any(p.dtype == torch.int8 for p in loaded.state_dict().values())
            error = (loaded(mix) - expected).square().mean() / expected.square().mean()
            assert 0 < error < 1e-3


def tiny() -> XUMXSliCQ:
    return XUMXSliCQ(hidden_channels=(2, 3), sample_rate=8000, transform=TINY)


def per_target() -> torch.nn.Module:
    return XUMXSliCQ.per_target(
        {"vocals": TINY}, sample_rate=8000, hidden_channels=(2, 3), transform=TINY
    )


@pytest.mark.parametrize("make", [tiny, per_target])
@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_model_takes_8_bits_also_as_a_part_of_another_module(make, assign, prefix):
    state = make().state_dict()
    packed = to_eight_bits(state)
    given = {prefix + name: value for name, value in packed.items()}
    model = make()
    target = torch.nn.ModuleDict({"model": model}) if prefix else model
    names = set(given)
    target.load_state_dict(given, assign=assign)
    assert set(given) == names  # what the caller has stays
    expected = from_eight_bits(packed)
    assert all(torch.equal(v, expected[name]) for name, v in model.state_dict().items())
    assert all(p.requires_grad and p.dtype == torch.float32 for p in model.parameters())


@pytest.mark.parametrize("prefix", ["", "model."])
def test_weights_whose_scales_were_left_out_are_refused(prefix, tmp_path):
    model = tiny()
    conf = model.serialize()
    state = {
        name: value
        for name, value in to_eight_bits(conf["state_dict"]).items()
        if name in conf["state_dict"]
    }
    target = torch.nn.ModuleDict({"model": model}) if prefix else model
    given = {prefix + name: value for name, value in state.items()}
    with pytest.raises(RuntimeError, match="is in 8 bits and has no scale for each of its rows"):
        target.load_state_dict(given, strict=False)
    torch.save({**conf, "state_dict": state}, tmp_path / "model.pth")
    with pytest.raises(ModelFileError, match="its weights do not fit the model that it names"):
        load_model(tmp_path / "model.pth")


def test_what_is_not_in_8_bits_loads_as_pytorch_has_it():
    state = tiny().state_dict()
    counts = [name for name in state if name.endswith("num_batches_tracked")]
    for name in counts:
        del state[name]
    assert counts
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        tiny().load_state_dict(state)  # which says by its metadata that it should hold them
    with pytest.raises(TypeError, match="dict-like"):
        tiny().load_state_dict(None)
