"""The Hugging Face Hub by its real client, offline, from a cache that is filled already."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asteroid_slicq import XUMXSliCQ, load_model
from asteroid_slicq.hub import CardFacts
from asteroid_slicq.hub.publishing import write_repository

REVISION = "0123456789abcdef0123456789abcdef01234567"
MODEL = "someone/tiny-slicq"


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """A cache in which the model lies as the client would have stored it, published as it is.

    ``someone/light`` is the same without ``pytorch_model.bin``.
    """
    torch.manual_seed(0)
    model = XUMXSliCQ(hidden_channels=(2, 2), transform={"n_bins": 14, "f_min_hz": 150.0})
    root = tmp_path_factory.mktemp("cache")
    for name in (MODEL, "someone/light"):
        repository = root / f"models--{name.replace('/', '--')}"
        write_repository(model, repository / "snapshots" / REVISION, CardFacts(MODEL))
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(REVISION)
    (repository / "snapshots" / REVISION / "pytorch_model.bin").unlink()
    return root


# The card's own code, then the command with each model; the codes at which they end.
OFFLINE = """
import json, sys, traceback
codes = {}
try:
    exec(sys.stdin.read())
    codes["card"] = 0
except Exception:
    traceback.print_exc()
from asteroid_slicq.cli import main
for name in ("tiny-slicq", "light", "absent"):
    command = ["separate", "song.wav", "-q", "-o", name, "--model", f"someone/{name}"]
    codes[name] = main(command)
json.dump(codes, sys.stdout)
"""


@pytest.fixture(scope="module")
def offline(cache, tmp_path_factory):
    """What a process without a network did: its folder, exit codes and errors."""
    folder = tmp_path_factory.mktemp("offline")
    rng = np.random.default_rng(0)
    soundfile.write(folder / "song.wav", 0.1 * rng.standard_normal((20000, 2)), 44100)
    card = next(cache.glob("models--someone--tiny-slicq/snapshots/*/README.md")).read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert f'BaseModel.from_pretrained("{MODEL}")' in code
    paths = {"ASTEROID_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OFFLINE],
        input=code,
        capture_output=True,
        text=True,
        env={**os.environ, **paths, "HF_HUB_OFFLINE": "1"},
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "output"), [("card", "stems"), ("tiny-slicq", "tiny-slicq"), ("light", "light")]
)
def test_models_separate_by_their_hub_id(offline, name, output):
    folder, codes, errors = offline
    assert codes.get(name) == 0, errors
    stems = folder / output / "song"
    names = ["bass.wav", "drums.wav", "other.wav", "vocals.wav"]
    assert sorted(path.name for path in stems.iterdir()) == names
    assert soundfile.info(stems / "bass.wav").frames == 20000
    for name in names:  # every way gives the same
        expected = (folder / "stems" / "song" / name).read_bytes()
        assert (stems / name).read_bytes() == expected


@pytest.mark.slow
def test_a_model_that_is_not_in_the_cache_is_refused(offline):
    folder, codes, errors = offline
    assert codes["absent"] == 2
    assert not (folder / "absent").exists()
    (line,) = errors.splitlines()
    assert "someone/absent: the Hub cannot be reached, and the model is not in the cache" in line


def test_a_file_that_is_not_there_is_not_sought_on_the_hub():
    with pytest.raises(ValueError, match=r"exp/best_model\.pth: no such file"):
        load_model("exp/best_model.pth")


@pytest.mark.parametrize("name", ["nope", "my model", "v2", "./nope/nope/nope"])
def test_what_is_no_name_of_a_model_asks_nobody(monkeypatch, name):
    def ask(*args, **options):
        raise AssertionError(args)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", ask)
    monkeypatch.setattr("huggingface_hub.file_download.hf_hub_download", ask)
    monkeypatch.setattr("socket.socket.connect", ask)
    with pytest.raises(ValueError, match="no such file or folder, and neither an id of the Hub"):
        load_model(name)
