"""Two processes that train together take the steps of one with batches of twice the size."""

import sys
from pathlib import Path

import pytest
import torch
import yaml

from asteroid_slicq import XUMXSliCQ
from tests.helpers import RECIPES
from tests.recipes.helpers import RATE, run, write_stems

RECIPE = RECIPES / "xumx_slicq"
SETTINGS = {
    "data": {
        "segment_s": 0.25,
        "samples_per_track": 8,
        "validation_segments": 4,
        "statistics_segments": 4,
    },
    "model": {
        "sample_rate": RATE,
        "hidden_channels": [2, 3],
        "transform": {"n_bins": 16, "f_min_hz": 200.0},
    },
    # Steps in proportion to the gradient. Adam's first ones are as long for one of 1e-9 as for one
    # of 1, so that rounding could turn them round.
    "optim": {"optimizer": "sgd", "lr": 1.0},
    "training": {"epochs": 2, "gradient_clipping": 0.5, "ema_decay": 0.9},
    "run": {
        "num_workers": 0,
        "n_threads": 1,
        "accelerator": "cpu",
        "preview_epochs": 0,
        "progress_bar": False,
    },
}
# In training, a batch norm divides by the deviation of the batch that its process has. That of
# two batches is another than that of both together; GPUs can share it (sync_batchnorm), processors
# cannot. So the norms stay at their running statistics here, and learn their weights alone.
SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
import torch
import train
from common.system import StemSystem

def on_train_epoch_start(self):
    for module in self.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()

if "--frozen" in sys.argv:
    StemSystem.on_train_epoch_start = on_train_epoch_start
train.main([a for a in sys.argv[1:] if a != "--frozen"])
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Data, settings and a script that trains with them."""
    root = tmp_path_factory.mktemp("ddp")
    write_stems(root / "data", "train/a", "train/b", "train/c")
    (root / "conf.yml").write_text(yaml.safe_dump(SETTINGS))
    (root / "script.py").write_text(SCRIPT)
    return root


def train(folder: Path, name: str, *options: str) -> dict:
    """Train by the command line; the last checkpoint."""
    arguments = ["--model", "conf.yml", "--data_dir", "data", "--exp_dir", f"exp/{name}", *options]
    done = run(sys.executable, "script.py", *arguments, cwd=folder, paths=[RECIPE, RECIPES])
    assert done.returncode == 0, done.stdout + done.stderr
    return torch.load(folder / "exp" / name / "checkpoints" / "last.ckpt", weights_only=True)


def test_two_processes_take_the_steps_of_one(folder):
    one = train(folder, "one", "--batch_size", "8", "--frozen")
    two = train(folder, "two", "--batch_size", "4", "--devices", "2", "--frozen")
    assert one["global_step"] == two["global_step"] == 4

    norms = 0
    for state in ("state_dict", "current_model_state"):  # of averages, and of what is trained
        assert list(one[state]) == list(two[state])
        for name, value in one[state].items():
            torch.testing.assert_close(two[state][name], value, atol=1e-6, rtol=1e-5, msg=name)
            norms += name.endswith("norm_encode_outer.weight")
    assert norms > 0
    torch.manual_seed(42)
    start = XUMXSliCQ.from_preset("v2", **SETTINGS["model"]).state_dict()
    for name, value in two["current_model_state"].items():  # far more than they may differ
        if name.endswith("encode_inner.weight"):
            assert (value - start[name.removeprefix("model.")]).abs().max() > 1e-4, name
    assert_same_scores(one, two)


def test_batch_statistics_of_each_process_change_all_weights(folder):
    """As the README says: not those of the norms alone."""
    one = train(folder, "one-live", "--batch_size", "8")["current_model_state"]
    two = train(folder, "two-live", "--batch_size", "4", "--devices", "2")["current_model_state"]
    torch.manual_seed(42)
    start = XUMXSliCQ.from_preset("v2", **SETTINGS["model"]).state_dict()
    kernels = [name for name in one if name.endswith(".encode_inner.weight")]
    assert kernels
    for name in kernels:  # by more than a hundredth of the way they went
        way = (one[name] - start[name.removeprefix("model.")]).abs().max()
        assert (two[name] - one[name]).abs().max() > 0.01 * way, name


def assert_same_scores(one: dict, two: dict) -> None:
    (score,), (other,) = (
        [s["best_model_score"] for n, s in c["callbacks"].items() if n.startswith("BestAndLast")]
        for c in (one, two)
    )
    torch.testing.assert_close(score, other, atol=1e-6, rtol=1e-5)
