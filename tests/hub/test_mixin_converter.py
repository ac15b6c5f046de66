"""Weights of the original MiXiN: read from Keras files, they give the original's outputs."""

import sys
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from asteroid_slicq.hub.mixin_converter import (
    build_mixin,
    convert_mixin_state,
    in_order,
    read_keras_weights,
)
from asteroid_slicq.models.mixin import MiXiN
from tests.helpers import golden

NETWORKS = ("harmonic", "percussive", "vocal")
FILTERS = (12, 20, 30, 40, 30, 20, 12, 1)


def keras_weights(first: int = 0, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights under the names that Keras gives to a network."""
    rng = np.random.default_rng(seed)
    weights, n_in = {}, 1
    for index, n_out in enumerate(FILTERS):
        layer = f"conv2d_{first + index}" if first + index else "conv2d"
        size = 1 if index == len(FILTERS) - 1 else 3
        kernel = rng.standard_normal((size, size, n_in, n_out))
        weights[f"{layer}/kernel:0"] = kernel.astype(np.float32)
        weights[f"{layer}/bias:0"] = rng.standard_normal(n_out).astype(np.float32)
        n_in = n_out
    return weights


def write_keras(path, weights: Mapping[str, np.ndarray], whole_model: bool = True) -> None:
    """A file as Keras writes it: layers in the order of their names, the optimizer beside them."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole_model else file
        for name, array in weights.items():
            root[f"{name.partition('/')[0]}/{name}"] = array
            if whole_model:
                file[f"optimizer_weights/Adam/{name.removesuffix(':0')}/m:0"] = array + 1


@pytest.fixture(scope="module")
def reference() -> Mapping[str, np.ndarray]:
    return np.load(golden("mixin/mixin_golden.npz"))


def assert_equals_the_original(model: MiXiN, reference: Mapping[str, np.ndarray]) -> None:
    magnitudes = torch.from_numpy(reference["input"][..., 0])
    for name, network in zip(NETWORKS, model.networks, strict=True):
        with torch.no_grad():
            ours = network(magnitudes).numpy()
        theirs = reference[f"{name}_output"][..., 0]
        assert theirs.max() > 0.04
        np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=1e-5)


def test_networks_equal_the_original(reference):
    weights = [
        {key.partition("/")[2]: reference[key] for key in reference if key.startswith(f"{name}/")}
        for name in NETWORKS
    ]
    model = MiXiN()
    model.load_state_dict(convert_mixin_state(weights))
    assert_equals_the_original(model, reference)


def test_published_files_equal_the_original(reference):
    pytest.importorskip("h5py")
    files = [golden(f"mixin/model_{name}.h5") for name in reversed(NETWORKS)]
    model = build_mixin(files)  # their names tell the order
    assert not model.training
    assert_equals_the_original(model, reference)
    mix = 0.1 * torch.randn(1, 1, 50_000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        sources = model(mix)
    torch.testing.assert_close(sources.sum(1), mix, atol=1e-5, rtol=0)


@pytest.mark.parametrize("whole_model", [True, False])
@pytest.mark.parametrize("first", [0, 8])
def test_reads_what_keras_writes(whole_model, first, tmp_path):
    weights = keras_weights(first)
    write_keras(tmp_path / "model.h5", weights, whole_model)
    read = read_keras_weights(tmp_path / "model.h5")
    assert len(read) == len(weights)
    state = convert_mixin_state([tmp_path / "model.h5"])
    model = MiXiN(sources=["vocals"], single_model=True)
    model.load_state_dict(state)
    layers = list(dict.fromkeys(name.partition("/")[0] for name in weights))
    for ours, theirs in zip(model.networks[0].layers, layers, strict=True):
        kernel = weights[f"{theirs}/kernel:0"]
        for out in range(kernel.shape[3]):
            np.testing.assert_array_equal(
                ours.weight[out].detach().numpy(), np.moveaxis(kernel[..., out], 2, 0)
            )
        np.testing.assert_array_equal(ours.bias.detach().numpy(), weights[f"{theirs}/bias:0"])


def test_arguments_reach_the_model(tmp_path):
    for seed, name in enumerate(NETWORKS):
        write_keras(tmp_path / f"{name}.h5", keras_weights(seed=seed))
    paths = [tmp_path / f"{name}.h5" for name in NETWORKS]
    model = build_mixin(paths, single_model=True, instrumental=True)
    assert model.sources == ["harmonic", "percussive"]
    expected = keras_weights(seed=2)["conv2d/bias:0"]
    np.testing.assert_array_equal(model.networks[2].encode_outer.bias.detach().numpy(), expected)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["v/Vocal.h5", "harmonic.h5", "x_percussive.h5"], [1, 2, 0]),
        (["a.h5", "b.h5", "c.h5"], [0, 1, 2]),
        (["vocal/w.h5", "perc/w.h5", "harmonic/w.h5"], [2, 1, 0]),
        (["harmonic.h5", "b.h5", "c.h5"], [0, 1, 2]),
        (["a.h5", "harmonic_percussive.h5", "x.h5"], [0, 1, 2]),
    ],
)
def test_names_tell_the_order_where_they_can(names, expected):
    assert in_order(names) == [names[index] for index in expected]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["vocals.h5", "harmonic.h5", "a.h5"], "vocals.h5 stands for harmonic.* tells vocals"),
        (["a.h5", "b.h5", "percussion.h5"], "percussion.h5 stands for vocals.* tells percussive"),
        (["harm.h5", "harm-2.h5", "vocal.h5"], "harm-2.h5 stands for percussive"),
        (["vocal.h5", "harmonic.h5", "drums.h5"], "vocal.h5 stands for harmonic"),
        (["harmonic_percussive.h5", "vocal.h5", "x.h5"], "vocal.h5 stands for percussive"),
        (["a.h5", "b.h5", "./a.h5"], "must be different files"),
    ],
)
def test_names_that_contradict_the_order_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        in_order(names)


def test_wrong_weights_are_named(tmp_path):
    def changed(**changes):
        return {**keras_weights(8), **changes}

    short = dict(list(keras_weights().items())[:-2])
    with pytest.raises(ValueError, match=r"network 0: .* has 8 convolutions, this one has 7"):
        convert_mixin_state([short])
    odd = changed(**{"conv2d_9/kernel:0": np.zeros((5, 5, 12, 20), np.float32)})
    with pytest.raises(ValueError, match=r"weight of conv2d_9 has the shape \(20, 12, 5, 5\)"):
        convert_mixin_state([odd])
    lacking = changed()
    del lacking["conv2d_9/bias:0"]
    with pytest.raises(ValueError, match="layer conv2d_9 has no bias"):
        convert_mixin_state([lacking])
    with pytest.raises(ValueError, match="'gamma', which is no kernel or bias"):
        convert_mixin_state([changed(gamma=np.zeros(1))])
    with pytest.raises(ValueError, match=r"paths must be three files, .* got 1: a\.h5"):
        build_mixin(["a.h5"])


def test_wrong_files_are_named(tmp_path):
    pytest.importorskip("h5py")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(ValueError, match=r"text\.h5 is no HDF5 file"):
        read_keras_weights(tmp_path / "text.h5")
    with pytest.raises(FileNotFoundError, match=r"absent\.h5"):
        read_keras_weights(tmp_path / "absent.h5")


def test_without_h5py_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"asteroid-slicq\[keras\]"):
        read_keras_weights(tmp_path / "model.h5")
