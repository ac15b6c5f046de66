"""The recipe of free stems: every stage but publishing, on a bank of a few made-up sounds."""

import subprocess
import sys

import pytest
from asteroid.models import BaseModel

from asteroid_slicq.data.sampled import build_bank
from tests.data.sampled.made_up import packages
from tests.helpers import ROOT, environment

RECIPE = ROOT / "recipes" / "free_stems"


@pytest.mark.slow
def test_the_stages_make_a_model_of_songs_of_both_kinds(tmp_path):
    bank = build_bank(tmp_path / "bank", packages(tmp_path / "root")).folder
    experiment, data = tmp_path / "experiment", tmp_path / "data"
    options = {
        "--python": sys.executable,
        "--bank": bank,
        "--quick": "true",
        "--stop_stage": "1",
        "--n_tracks": "4",
        "--seconds": "3",
        "--expdir": experiment,
        "--data_dir": data,
    }
    command = [str(RECIPE / "run.sh"), *(str(x) for pair in options.items() for x in pair)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(data.glob("t*/*(both)/mixture.wav"))) == 4
    packed = tmp_path / "packed.pth"
    pack = [sys.executable, RECIPE / "pack.py", experiment / "best_model.pth", "-o", packed]
    subprocess.run([str(x) for x in pack], env=environment(), check=True, capture_output=True)
    whole, half = (
        BaseModel.from_pretrained(str(f)) for f in (experiment / "best_model.pth", packed)
    )
    assert packed.stat().st_size < 0.6 * (experiment / "best_model.pth").stat().st_size
    for name, value in whole.state_dict().items():
        assert half.state_dict()[name].dtype == value.dtype
        assert (half.state_dict()[name] - value).abs().max() <= 1e-3 * value.abs().max()
    domains = [sys.executable, RECIPE / "domains.py", "--model", f"it={packed}", "--domain"]
    table = subprocess.run(
        [*(str(x) for x in domains), f"both={data}"],
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "| both, 1 tracks | mean | vocals | drums | bass | other |" in table
