"""Facts about models and devices by name: the right one is loaded, or one sentence says why not."""

import pickle

import pytest
import torch
from huggingface_hub import errors
from torch import nn

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.cli import model_choice
from asteroid_slicq.cli.messages import CommandError
from asteroid_slicq.cli.model_choice import resolve_device, resolve_model
from asteroid_slicq.hub import CardFacts, ModelFileError
from asteroid_slicq.hub.publishing import write_repository

TINY = {"n_bins": 14, "f_min_hz": 200.0}


def raising(error):
    def load(*_):
        raise error

    return load


@pytest.mark.parametrize("spec", [None, "default", "free-stems"])
def test_the_model_that_ships_needs_no_name(monkeypatch, spec):
    model = nn.Identity()
    monkeypatch.setattr(model_choice, "load_default_model", lambda: model)
    assert resolve_model(spec) is model


def test_a_default_that_cannot_be_loaded_is_told(monkeypatch):
    monkeypatch.setattr(model_choice, "load_default_model", raising(FileNotFoundError("gone")))
    with pytest.raises(CommandError, match=r"ships with the package cannot be loaded \(gone\)"):
        resolve_model(None)


@pytest.mark.parametrize("spec", ["user/xumx-slicq", "user/x.y@v1.0", "https://host/model.pth"])
def test_hub_ids_and_addresses_go_to_the_loader(monkeypatch, spec):
    loaded = []
    monkeypatch.setattr(model_choice, "load_model", loaded.append)
    resolve_model(spec)
    assert loaded == [spec]


@pytest.mark.parametrize("name", ["", "pytorch_model.bin", "model.safetensors"])
def test_a_file_or_a_folder_is_loaded(tmp_path, name):
    model = XUMXSliCQ.from_preset("small", transform=TINY)
    write_repository(model, tmp_path, CardFacts("user/name"))
    loaded = resolve_model(str(tmp_path / name))
    assert isinstance(loaded, XUMXSliCQ)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value, rtol=0, atol=0)


@pytest.mark.parametrize("spec", ["small", "medium", "v2-realtime", "bandsplit-small"])
def test_untrained_presets_are_refused(monkeypatch, spec):
    monkeypatch.setattr(model_choice, "load_model", raising(AssertionError))
    with pytest.raises(CommandError, match=r"no trained weights; use `default`, which ships, or"):
        resolve_model(spec)


@pytest.mark.parametrize(
    "spec", ["model.pth", "dir/model.pth", "./user/model", "/nowhere/x", "v3", "a b/c", "a/b/c"]
)
def test_files_that_do_not_exist_are_not_sought_on_the_hub(monkeypatch, spec):
    monkeypatch.setattr(model_choice, "load_model", raising(AssertionError))
    with pytest.raises(CommandError, match="no such file"):
        resolve_model(spec)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(CommandError, match=r"holds no pytorch_model\.bin"):
        resolve_model(str(tmp_path))


class Payload:
    """Would run a function when unpickled."""

    def __reduce__(self):
        return print, ("unpickled",)


@pytest.mark.parametrize("kind", ["text", "empty", "code", "weights", "other weights", "class"])
def test_files_that_hold_no_model_are_refused(tmp_path, kind, capsys):
    path = tmp_path / "model.pth"
    model = XUMXSliCQ.from_preset("small", transform=TINY)
    conf = model.serialize()
    words = "is no model file"
    if kind == "text":
        path.write_text("no model\n" * 100)
    elif kind == "empty":
        path.touch()
    elif kind == "code":
        path.write_bytes(pickle.dumps(Payload()))
    elif kind == "weights":
        torch.save(model.state_dict(), path)
        words = "go through `asteroid-slicq convert` first"
    elif kind == "other weights":
        conf["state_dict"] = {"x": torch.zeros(1)}
        torch.save(conf, path)
        words = "do not fit the model that it names"
    else:
        torch.save({**conf, "model_name": "Nobody"}, path)
        words = "names the model 'Nobody', which is not known here"
    with pytest.raises(CommandError) as caught:
        resolve_model(str(path))
    message = str(caught.value)
    assert message.startswith(f"model {path}: ")
    assert words in message
    assert "\n" not in message
    assert "unpickled" not in capsys.readouterr().out


def hub_error(kind):
    error = kind.__new__(kind)  # some want a response of the server
    Exception.__init__(error, "several\nlines")
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (hub_error(errors.LocalEntryNotFoundError), "the Hub cannot be reached"),
        (hub_error(errors.OfflineModeIsEnabled), "the Hub cannot be reached"),
        (hub_error(errors.RepositoryNotFoundError), "not on the Hub, or private"),
        (hub_error(errors.RevisionNotFoundError), "not on the Hub, or private"),
        (hub_error(errors.RemoteEntryNotFoundError), "has no model file on the Hub"),
        (errors.HFValidationError("x"), "neither a file nor a Hub id"),
        (ConnectionError("no route\nto host"), r"cannot be downloaded (no route)"),
        (ModelFileError("cached", "its weights do not fit"), "its weights do not fit"),
    ],
)
def test_failures_of_the_hub_are_told_apart(monkeypatch, error, words):
    monkeypatch.setattr(model_choice, "load_model", raising(error))
    with pytest.raises(CommandError) as caught:
        resolve_model("user/name")
    message = str(caught.value)
    assert message.startswith("model user/name: ")
    assert words in message
    assert "\n" not in message


def test_offline_and_not_in_the_cache(tmp_path, monkeypatch):
    def load(spec):
        from huggingface_hub import hf_hub_download

        return hf_hub_download(spec, "pytorch_model.bin", cache_dir=tmp_path, local_files_only=True)

    monkeypatch.setattr(model_choice, "load_model", load)
    with pytest.raises(CommandError, match="not in the cache"):
        resolve_model("user/name")


def test_devices(monkeypatch):
    assert resolve_device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == "cuda"


@pytest.mark.parametrize("name", ["cuda:99", "mps:7", "gpu", "", "meta"])
def test_devices_that_are_not_there(name):
    with pytest.raises(CommandError, match=f"device {name}: "):
        resolve_device(name)
