"""The Hub's usual methods of a model: to a folder and back, to the Hub and back, and refusals."""

import json
import os

import pytest
import torch
from asteroid.models import BaseModel

from asteroid_slicq import BandSplit, MiXiN, XUMXSliCQ
from asteroid_slicq.hub import ModelFileError
from tests.hub.helpers import (
    NO_XET,
    assert_same,
    run_python,
    tiny_mix,
    tiny_model,
    write_malware,
)
from tests.hub_server import HubServer

SAVED = ["config.json", "model.safetensors", "pytorch_model.bin"]


def tiny_mixin():
    torch.manual_seed(0)
    return MiXiN(sample_rate=8000, transform={"n_bins": 14, "length": 2048}).eval()


@pytest.mark.parametrize("make", [tiny_model, tiny_mixin])
def test_a_folder_brings_the_model_back(tmp_path, make):
    model = make()
    for _ in range(2):  # over what is there
        model.save_pretrained(tmp_path / "model")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == SAVED
    for spec in (
        tmp_path / "model",
        str(tmp_path / "model"),
        str(tmp_path / "model" / "pytorch_model.bin"),
        model.serialize(),
    ):
        again = type(model).from_pretrained(spec)
        assert again.get_model_args() == model.get_model_args()
        assert all(torch.equal(again.state_dict()[k], v) for k, v in model.state_dict().items())
    assert not type(model).from_pretrained(tmp_path / "model").training
    as_before = BaseModel.from_pretrained(str(tmp_path / "model" / "pytorch_model.bin"))
    assert type(as_before) is type(model)
    assert as_before.training  # Asteroid's own way


def test_safetensors_come_first(tmp_path):
    tiny_model().save_pretrained(tmp_path)
    write_malware(tmp_path / "pytorch_model.bin", tmp_path / "proof")
    assert_same(tiny_model(), XUMXSliCQ.from_pretrained(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelFileError, match="reading that may run code"):
        XUMXSliCQ.from_pretrained(tmp_path)
    assert not (tmp_path / "proof").exists()


def test_arguments_replace_those_of_the_model(tmp_path):
    tiny_model().save_pretrained(tmp_path)
    assert XUMXSliCQ.from_pretrained(tmp_path, wiener_iterations=0).wiener_iterations == 0


def test_another_class_is_told(tmp_path):
    tiny_mixin().save_pretrained(tmp_path)
    for model_class in (XUMXSliCQ, BandSplit):
        with pytest.raises(ValueError, match=f"holds a MiXiN, not a {model_class.__name__}; "):
            model_class.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="no such file or folder"):
        MiXiN.from_pretrained("nope")


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    model = tiny_model()
    with torch.no_grad():
        next(model.parameters()).fill_(torch.inf)
    with pytest.raises(ValueError, match="NaN or infinity"):
        model.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()


SHARER = """
import json, sys
import torch
from asteroid_slicq import XUMXSliCQ

model = XUMXSliCQ.from_pretrained(sys.stdin.readline().strip())
urls = [
    model.push_to_hub("user/shared", token="user-write", trained_on="mine", license="mit"),
    model.push_to_hub("user/card", token="user-write"),
]
with torch.no_grad():
    next(model.parameters()).add_(1)
urls.append(model.push_to_hub("user/shared", token="user-write"))
refused = []
for token in (None, "user-read"):
    try:
        model.push_to_hub("user/shared", token=token)
    except ValueError as error:
        refused.append(str(error))
json.dump([urls, refused], sys.stdout)
"""

READER = """
import json, sys
import torch
from asteroid_slicq import XUMXSliCQ

mix, first = torch.load(sys.stdin.readline().strip()), sys.stdin.readline().strip()
outputs = []
for spec, options in (
    ("user/shared", {"revision": first}),
    ("user/shared@" + first, {}),
    ("user/shared", {}),
    ("user/shared", {"revision": "main"}),
):
    with torch.no_grad():
        outputs.append(XUMXSliCQ.from_pretrained(spec, **options)(mix))
torch.save(outputs, sys.stdin.readline().strip())
"""


@pytest.mark.slow
def test_a_model_goes_to_the_hub_and_comes_back(tmp_path):
    """By the real client and its usual cache."""
    model, home = tiny_model(), tmp_path / "home"
    model.save_pretrained(tmp_path / "model")
    torch.save(tiny_mix(), tmp_path / "mix.pth")
    with HubServer() as server:
        told = run_python(SHARER, server, home, f"{tmp_path / 'model'}\n", **NO_XET)
        urls, refused = json.loads(told)
        assert urls == [f"{server.endpoint}/user/{name}" for name in ("shared", "card", "shared")]
        assert ["no token" in refused[0], "no right to write" in refused[1]] == [True, True]
        repository = server.repositories["user/shared"]
        first, second = repository.commits[1:]
        assert sorted(first) == sorted(second) == sorted([*SAVED, "README.md"])
        assert first["README.md"] == second["README.md"]  # a card that is there stays
        card = first["README.md"].decode()
        assert "pip install asteroid-slicq" in card
        assert "license: mit" in card
        repository.tags = {"first": 1}
        stdin = "\n".join([str(tmp_path / "mix.pth"), "first", str(tmp_path / "out.pth"), ""])
        run_python(READER, server, home, stdin)
    outputs = torch.load(tmp_path / "out.pth")
    with torch.no_grad():
        assert torch.equal(outputs[0], model(tiny_mix()))
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[2], outputs[3])
    assert not torch.equal(outputs[0], outputs[2])
    cache = home / "hub" / "models--user--shared" / "snapshots"
    assert {name for _, _, names in os.walk(cache) for name in names} == {*SAVED[:2]}
