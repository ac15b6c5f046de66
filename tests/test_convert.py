import pytest
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.cli import main
from asteroid_slicq.convert import _LAYERS, convert_v2_state

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

    assert main(["convert", str(upstream), "-o", str(tmp_path / "x.pth")]) == 2
    assert "does not fit the preset v2" in capsys.readouterr().err
    assert not (tmp_path / "x.pth").exists()


def test_bad_states_are_named(tmp_path, capsys):
    with pytest.raises(ValueError, match="key 'a'"):
        convert_v2_state({"a": torch.zeros(1)})
    with pytest.raises(ValueError, match="empty"):
        convert_v2_state({})
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
