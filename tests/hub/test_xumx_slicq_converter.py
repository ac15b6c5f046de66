import pytest
import torch
from asteroid.models import BaseModel

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.cli import main
from asteroid_slicq.hub.xumx_slicq_converter import (
    _LAYERS,
    _LAYERS_V1,
    convert_v1_state,
    convert_v2_state,
)
from tests.helpers import golden

TRANSFORM = {"n_bins": 14, "f_min_hz": 150.0}


def upstream_state(model: XUMXSliCQ) -> dict[str, torch.Tensor]:
    """The model's own weights under the original's keys, one ``Sequential`` a target."""
    layers = {name: index for index, name in _LAYERS.items()}
    state = {}
    for key, value in model.state_dict().items():
        _, block, *rest = key.split(".")
        if rest[0] in ("shift", "scale"):
            name = {"shift": "input_mean", "scale": "input_scale"}[rest[0]]
            state[f"sliced_umx.{block}.{name}"] = value
            continue
        for j in range(4):
            part = value if value.ndim == 0 else value.chunk(4)[j]
            state[f"sliced_umx.{block}.cdaes.{j}.{layers[rest[0]]}.{rest[1]}"] = part
    return state


def upstream_state_v1(model: XUMXSliCQ) -> dict[str, torch.Tensor]:
    """The same for version 1, whose targets have statistics of their own."""
    layers = {name: index for index, name in _LAYERS_V1.items()}
    state = {}
    for key, value in model.state_dict().items():
        _, block, *rest = key.split(".")
        for j, target in enumerate(model.sources):
            prefix = f"bucketed_unmixes_{target}.{block}"
            if rest[0] in ("shift", "scale"):
                name = {"shift": "input_mean", "scale": "input_scale"}[rest[0]]
                state[f"{prefix}.{name}"] = value[j]
            else:
                part = value if value.ndim == 0 else value.chunk(4)[j]
                state[f"{prefix}.cdae.{layers[rest[0]]}.{rest[1]}"] = part
    return state


@pytest.mark.parametrize("bandwidth_hz", [16000.0, None])
def test_version_1_round_trip_on_its_own_bandwidth(bandwidth_hz, tmp_path):
    torch.manual_seed(0)
    model = XUMXSliCQ.from_preset("v1", transform=TRANSFORM, bandwidth_hz=bandwidth_hz)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_()
    torch.save(upstream_state_v1(model), tmp_path / "upstream.pth")
    out = tmp_path / "model.pth"
    options = ["--preset", "v1", "--n-bins", "14", "--f-min-hz", "150"]
    assert main(["convert", str(tmp_path / "upstream.pth"), "-o", str(out), *options]) == 0
    loaded = XUMXSliCQ.from_pretrained(str(out))
    assert loaded.get_model_args()["bandwidth_hz"] == bandwidth_hz
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key


def test_mixin_from_its_three_files(tmp_path, capsys):
    pytest.importorskip("h5py")
    files = [str(golden(f"mixin/model_{n}.h5")) for n in ("vocal", "harmonic", "percussive")]
    out = tmp_path / "mixin.pth"
    assert main(["convert", *files, "-o", str(out), "--preset", "mixin"]) == 0
    assert type(BaseModel.from_pretrained(str(out))).__name__ == "MiXiN"
    capsys.readouterr()
    absent = str(tmp_path / "absent.h5")
    for paths, sentence in (
        (files[:2], "three files"),
        ([*files[:2], absent], f"{absent} does not exist"),
        ([*files[:2], __file__], "no HDF5 file"),
    ):
        assert main(["convert", *paths, "-o", str(tmp_path / "x.pth"), "--preset", "mixin"]) == 2
        message = capsys.readouterr().err
        assert sentence in message
        assert message.count("\n") == 1
    assert main(["convert", *files, "-o", str(tmp_path / "x.pth"), "--preset", "v1"]) == 2
    assert "takes one state dict, got 3 files" in capsys.readouterr().err


def test_round_trip_through_upstream_keys(tmp_path, capsys):
    torch.manual_seed(0)
    model = XUMXSliCQ(transform=TRANSFORM)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_()
    upstream = tmp_path / "upstream.pth"
    torch.save(upstream_state(model), upstream)
    out = tmp_path / "model.pth"
    options = ["--n-bins", "14", "--f-min-hz", "150"]
    assert main(["convert", str(upstream), "-o", str(out), *options]) == 0
    loaded = XUMXSliCQ.from_pretrained(str(out))
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key

    assert main(["convert", str(upstream), "-o", str(out), *options]) == 2
    assert "exists; replacing must be asked for (--overwrite)" in capsys.readouterr().err
    assert main(["convert", str(upstream), "-o", str(out), *options, "--overwrite"]) == 0

    assert main(["convert", str(upstream), "-o", str(tmp_path / "x.pth")]) == 2
    assert "does not fit the preset v2" in capsys.readouterr().err
    assert not (tmp_path / "x.pth").exists()


def test_bad_states_are_named(tmp_path, capsys):
    with pytest.raises(ValueError, match="key 'a'"):
        convert_v2_state({"a": torch.zeros(1)})
    with pytest.raises(ValueError, match="empty"):
        convert_v2_state({})
    with pytest.raises(ValueError, match="key 'sliced_umx"):
        convert_v1_state({"sliced_umx.0.input_mean": torch.zeros(1)})
    with pytest.raises(ValueError, match="lacks targets"):
        convert_v1_state({"bucketed_unmixes_bass.0.input_mean": torch.zeros(1)})
    with pytest.raises(ValueError, match="lacks targets"):
        convert_v2_state({"sliced_umx.0.cdaes.1.0.weight": torch.zeros(1)})
    text = tmp_path / "text.pth"
    text.write_text("no state")
    for path, sentence in ((text, "not a state dict"), (tmp_path / "none", "does not exist")):
        assert main(["convert", str(path), "-o", str(tmp_path / "out.pth")]) == 2
        message = capsys.readouterr().err
        assert sentence in message
        assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == [text]
