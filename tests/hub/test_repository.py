"""Files of a repository: all or none, and each brings the model back bit for bit."""

import json
import os
import re

import pytest
import torch
from asteroid.models import BaseModel, ConvTasNet
from safetensors.torch import load_file

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.hub import ModelFileError, load_model
from asteroid_slicq.hub.publishing import PublishError, check_repo_id, write_repository
from asteroid_slicq.separation import fingerprint
from tests.hub.helpers import FACTS, FILES, SCORES, assert_same, tiny_model, write_malware


def test_every_file_brings_the_model_back(tmp_path):
    model, folder = tiny_model(), tmp_path / "repository"
    names = write_repository(model, folder, FACTS, SCORES)
    assert sorted(names) == sorted(path.name for path in folder.iterdir()) == FILES
    assert_same(model, BaseModel.from_pretrained(str(folder / "pytorch_model.bin")))
    for source in ("pytorch_model.bin", "model.safetensors", "."):
        loaded = load_model(folder / source)
        assert not loaded.training
        assert_same(model, loaded)
    conf = torch.load(folder / "pytorch_model.bin", weights_only=True)
    assert conf["model_name"] == "XUMXSliCQ"
    assert load_file(folder / "model.safetensors").keys() == model.state_dict().keys()
    config = json.loads((folder / "config.json").read_text())
    assert config["model_args"] == model.get_model_args()
    assert config["sources"] == ["bass", "vocals", "other", "drums"]
    assert (config["sample_rate"], config["n_channels"]) == (44100, 2)
    assert set(config["software_versions"]) == {
        "torch_version",
        "pytorch_lightning_version",
        "asteroid_version",
        "asteroid_slicq_version",
    }
    assert json.loads((folder / "evaluation.json").read_text()) == SCORES


def test_scores_of_another_model_are_not_published(tmp_path):
    model = tiny_model()
    scores = {**SCORES, "model": fingerprint(model)}
    write_repository(model, tmp_path / "out", FACTS, scores)
    model.wiener_iterations = 0
    with pytest.raises(PublishError, match="scores are of other weights, or of another mode"):
        write_repository(model, tmp_path / "other", FACTS, scores)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_published(tmp_path, value):
    model = tiny_model()
    name, weights = list(model.named_parameters())[-1]
    with torch.no_grad():
        weights.view(-1)[0] = value
    with pytest.raises(PublishError, match=f"weights {re.escape(name)} .* NaN or infinity"):
        write_repository(model, tmp_path / "out", FACTS)
    assert not list(tmp_path.iterdir())


def test_asteroids_own_models_are_published_too(tmp_path):
    model = ConvTasNet(2, n_blocks=1, n_repeats=1, bn_chan=4, hid_chan=4, skip_chan=4, n_filters=8)
    write_repository(model, tmp_path / "out", FACTS)
    loaded = load_model(tmp_path / "out")
    assert isinstance(loaded, ConvTasNet)
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    assert "a mix into its sources" in (tmp_path / "out" / "README.md").read_text()


def test_safetensors_is_preferred_and_the_pickle_not_opened(tmp_path):
    write_repository(tiny_model(), tmp_path, FACTS)
    (tmp_path / "pytorch_model.bin").write_bytes(b"anything")
    assert_same(tiny_model(), load_model(tmp_path))
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelFileError, match="is no model file"):
        load_model(tmp_path)


@pytest.mark.parametrize("forced", [False, True])
def test_malicious_pickles_are_refused(tmp_path, monkeypatch, forced):
    if forced:  # torch's switch back to unpickling anything
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path, proof = tmp_path / "pytorch_model.bin", tmp_path / "proof"
    write_malware(path, proof)
    for spec in (path, tmp_path):
        with pytest.raises(
            ModelFileError, match=r"is refused: besides weights it holds \w+\.mkdir,"
        ):
            load_model(spec)
    assert not proof.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_name": "Nobody"}, "names the model 'Nobody', which is not known here"),
        ({"model_name": "register_model"}, "which is not known here"),
        ({"model_args": {"n_channels": 0}}, "n_channels must be at least 1"),
        ({"model_args": {"colour": "red"}}, "arguments that XUMXSliCQ does not take"),
        ({"model_args": {"n_channels": 1}}, "weights do not fit"),
        ({"model_name": 3}, "names no model"),
        ({"model_args": None}, "names no model"),
    ],
)
def test_configurations_that_are_wrong(tmp_path, change, words):
    write_repository(tiny_model(), tmp_path, FACTS)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ModelFileError, match=words) as caught:
        load_model(tmp_path / "model.safetensors")
    assert str(caught.value).startswith(str(tmp_path))


def test_lonely_and_broken_safetensors(tmp_path):
    write_repository(tiny_model(), tmp_path / "out", FACTS)
    lonely = tmp_path / "lonely.safetensors"
    lonely.write_bytes((tmp_path / "out" / "model.safetensors").read_bytes())
    with pytest.raises(ModelFileError, match=r"no config\.json beside it"):
        load_model(lonely)
    (tmp_path / "out" / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelFileError, match="no safetensors file that can be read"):
        load_model(tmp_path / "out")


class Unregistered(XUMXSliCQ):
    pass


@pytest.mark.parametrize("kind", ["class", "argument", "full", "file"])
def test_what_cannot_be_written_leaves_nothing(tmp_path, kind):
    folder, model = tmp_path / "out", tiny_model()
    before = []
    if kind == "class":
        model = Unregistered(hidden_channels=(2, 2), transform={"n_bins": 14, "f_min_hz": 150.0})
    elif kind == "argument":
        model.get_model_args = lambda: {"transform": object()}
    elif kind == "full":
        folder.mkdir()
        (folder / "README.md").touch()
        before = [folder, folder / "README.md"]
    else:
        folder.touch()
        before = [folder]
    with pytest.raises(PublishError):
        write_repository(model, folder, FACTS)
    assert sorted(tmp_path.rglob("*")) == before


def test_overwriting_keeps_what_is_not_ours(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "README.md").write_text("old")
    write_repository(tiny_model(), tmp_path, FACTS, overwrite=True)
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "README.md").read_text().startswith("---\n")
    assert_same(tiny_model(), load_model(tmp_path))


def test_files_that_cannot_all_be_replaced_are_as_they_were(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text("old")
    replace = os.replace

    def fail_for_the_card(source, target):
        if source.name == "README.md":
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_for_the_card)
    with pytest.raises(OSError, match="Input/output error"):
        write_repository(tiny_model(), tmp_path, FACTS, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "old"


@pytest.mark.parametrize("name", ["xumx", "a/b/c", "user/", "us er/x", "user/a--b", "user/x.", ""])
def test_names_that_no_repository_can_have(name):
    with pytest.raises(PublishError, match="must be user/name") as caught:
        check_repo_id(name)
    assert "\n" not in str(caught.value)
