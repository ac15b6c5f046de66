"""The Hugging Face Hub by its real client, offline, from a cache that is filled already."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asteroid_slicq import XUMXSliCQ

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache in which the model ``someone/tiny-slicq`` lies as the client would have stored it."""
    torch.manual_seed(0)
    model = XUMXSliCQ(hidden_channels=(2, 2), transform={"n_bins": 14, "f_min_hz": 150.0})
    repository = tmp_path / "cache" / "models--someone--tiny-slicq"
    snapshot = repository / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    torch.save(model.serialize(), snapshot / "pytorch_model.bin")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)
    return tmp_path / "cache"


@pytest.mark.parametrize(("model", "code"), [("someone/tiny-slicq", 0), ("someone/absent", 2)])
def test_separate_by_hub_id(cache, tmp_path, model, code):
    song = tmp_path / "song.wav"
    rng = np.random.default_rng(0)
    soundfile.write(song, 0.1 * rng.standard_normal((20000, 2)), 44100)
    command = [sys.executable, "-m", "asteroid_slicq.cli", "separate", str(song)]
    environment = {**os.environ, "ASTEROID_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "stems"), "--model", model],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == code, done.stderr
    written = sorted(path.name for path in tmp_path.glob("stems/song/*"))
    if code == 0:
        assert written == ["bass.wav", "drums.wav", "other.wav", "vocals.wav"]
        assert soundfile.info(tmp_path / "stems" / "song" / "bass.wav").frames == 20000
    else:
        assert written == []
        assert "Traceback" not in done.stderr
        assert "someone/absent" in done.stderr
