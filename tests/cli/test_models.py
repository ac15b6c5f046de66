"""Facts about `asteroid-slicq models`: what is where, and what is wrong with it."""

import json
import shutil

import pytest
import torch
from asteroid.models import ConvTasNet

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.cli import main
from asteroid_slicq.hub import CardFacts
from asteroid_slicq.hub.publishing import write_repository

TINY = {"n_bins": 14, "f_min_hz": 150.0}


@pytest.fixture
def caches(folder, monkeypatch):
    """Caches of the Hub and of Asteroid that hold nothing yet."""
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setenv("ASTEROID_CACHE", str(folder / "asteroid"))
    return folder / "hub", folder / "asteroid"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder as it is published, with a card."""
    path = tmp_path_factory.mktemp("published") / "model"
    model = XUMXSliCQ(hidden_channels=(2, 3), sample_rate=8000, transform=TINY)
    write_repository(model, path, CardFacts("user/tiny", "musdb18-hq"))
    return path


def snapshot(cache, name, source, commit="c" * 40, main_is=None):
    repository = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(source, repository / "snapshots" / commit)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(main_is or commit)
    return repository / "snapshots" / commit


def listed(capsys, *words):
    code = main(["models", "--json", *map(str, words)])
    out, err = capsys.readouterr()
    return {entry["name"]: entry for entry in json.loads(out)}, code, err


def test_the_list_is_for_people(caches, capsys):
    assert main(["models"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    (ships,) = [line for line in out.splitlines() if line.startswith("  default")]
    assert "10.7 M" in ships
    assert "free sounds" in ships
    (realtime,) = [line for line in out.splitlines() if line.startswith("  v2-realtime")]
    assert "768 ms" in realtime
    assert "From the Hugging Face Hub" not in out


def test_caches_and_folders_are_listed(caches, published, folder, capsys):
    hub, asteroid = caches
    snapshot(hub, "user/tiny-model", published)
    snapshot(asteroid, "user/other", published, "d" * 40, main_is="e" * 40)
    tasnet = ConvTasNet(2, n_blocks=1, n_repeats=1, bn_chan=8, hid_chan=8, skip_chan=8)
    conf = tasnet.serialize()
    conf["infos"] |= {"dataset": "LibriMix", "licenses": "CC BY-SA 4.0"}
    torch.save(conf, asteroid / "0123abcd")
    shutil.copytree(published, folder / "my models" / "a")
    entries, code, err = listed(capsys, folder / "my models")
    assert (code, err) == (0, "")
    ours = entries["user/tiny-model"]
    assert (ours["where"], ours["model"], ours["sample_rate"]) == ("hub", "XUMXSliCQ", 8000)
    assert (ours["trained_on"], ours["license"]) == ("MUSDB18-HQ", "cc-by-nc-sa-4.0")
    assert ours["n_bytes"] == (published / "model.safetensors").stat().st_size
    assert entries[f"user/other@{'d' * 40}"]["where"] == "asteroid"
    theirs = entries[str(asteroid / "0123abcd")]
    assert (theirs["model"], theirs["trained_on"]) == ("ConvTasNet", "LibriMix")
    assert theirs["n_parameters"] == sum(p.numel() for p in tasnet.parameters())
    assert entries[str(folder / "my models" / "a")]["where"] == "folder"
    assert entries["v2"]["n_parameters"] == 15_010_446


def test_a_card_says_what_a_config_does_not(caches, published, capsys):
    path = snapshot(caches[0], "user/tiny", published)
    config = json.loads((path / "config.json").read_text())
    del config["trained_on"], config["license"]
    (path / "config.json").write_text(json.dumps(config))
    assert listed(capsys)[0]["user/tiny"]["trained_on"] == "MUSDB18-HQ"
    (path / "README.md").write_text("---\n: : [\n---\n")
    assert listed(capsys)[0]["user/tiny"]["license"] is None


def test_what_is_foreign_is_left_out_and_what_is_broken_is_told(caches, published, capsys):
    foreign = snapshot(caches[0], "google/bert", published)
    (foreign / "config.json").write_text('{"model_type": "bert"}')
    (foreign / "pytorch_model.bin").write_bytes(b"not a model")
    broken = snapshot(caches[0], "user/broken", published) / "model.safetensors"
    broken.write_bytes(broken.read_bytes()[:-1])
    (caches[0] / "models--user--empty").mkdir()
    entries, code, err = listed(capsys)
    assert "google/bert" not in entries
    assert code == 2
    assert err == "asteroid-slicq: user/broken: is not whole\n"
    assert main(["models"]) == 2
    assert "broken" not in capsys.readouterr().out


@pytest.mark.slow
def test_speed_is_measured(caches, published, folder, capsys, monkeypatch):
    monkeypatch.setattr("asteroid_slicq.cli.models.presets", list)
    monkeypatch.setattr("asteroid_slicq.cli.models._MEASURED_S", 1)
    snapshot(caches[0], "user/tiny", published)
    entries, code, _ = listed(capsys, "--measure")
    assert code == 0
    assert 0 < entries["user/tiny"]["seconds_per_second"] < 10


def test_a_folder_that_is_not_there_is_told(caches, capsys):
    assert main(["models", "nowhere"]) == 2
    assert capsys.readouterr().err == "asteroid-slicq: nowhere: no such folder\n"
