"""Checkpoints: what their list says where their folder has moved."""

from pathlib import Path

import pytest
import torch
from common.checkpoints import BestAndLast

from tests.helpers import RECIPES
from tests.recipes.helpers import last_checkpoint, scores_of, serve, trainer


def list_of(folder: Path, *losses: float) -> BestAndLast:
    """The checkpoints of epochs with some losses, and the list of the best."""
    folder.mkdir(parents=True)
    listed = BestAndLast(folder)
    for epoch, loss in enumerate(losses):
        (folder / f"{epoch}.ckpt").touch()
        listed.best_k_models[str(folder / f"{epoch}.ckpt")] = torch.tensor(loss)
    listed.best_model_path = min(listed.best_k_models, key=listed.best_k_models.__getitem__)
    listed.best_model_score = listed.best_k_models[listed.best_model_path]
    if len(losses) == listed.save_top_k:
        listed.kth_best_model_path = max(listed.best_k_models, key=listed.best_k_models.__getitem__)
        listed.kth_value = listed.best_k_models[listed.kth_best_model_path]
    (folder / "last.ckpt").touch()
    listed.last_model_path = str(folder / "last.ckpt")
    return listed


@pytest.mark.parametrize("losses", [(3.0,), (5.0, 1.0, 4.0, 2.0, 3.0)])
def test_the_list_follows_its_folder(losses, tmp_path):
    before = list_of(tmp_path / "exp", *losses).state_dict()
    (tmp_path / "exp").rename(tmp_path / "moved")
    after = BestAndLast(tmp_path / "moved")
    after.load_state_dict(before)

    def moved(path: str) -> str:
        return path.replace(f"{tmp_path}/exp", f"{tmp_path}/moved")

    state = after.state_dict()
    assert state["best_k_models"] == {moved(p): s for p, s in before["best_k_models"].items()}
    for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
        assert state[key] == moved(before[key]), key
    for key in ("best_model_score", "kth_value"):
        assert state[key] == before[key], key


def test_files_that_are_gone_leave_the_list(tmp_path):
    listed = list_of(tmp_path / "exp", 5.0, 1.0, 4.0, 2.0, 3.0)
    (tmp_path / "exp/1.ckpt").unlink()
    again = BestAndLast(tmp_path / "exp")
    again.load_state_dict(listed.state_dict())
    assert [Path(path).name for path in again.best_k_models] == [f"{n}.ckpt" for n in (0, 2, 3, 4)]
    assert Path(again.best_model_path).name == "3.ckpt"
    assert again.best_model_score == 2.0
    assert again.kth_best_model_path == ""  # there is room for one more
    assert again.kth_value == float("inf")


@pytest.fixture(scope="module")
def server():
    with serve(RECIPES / "xumx_slicq") as process:
        yield process


@pytest.mark.slow
def test_an_experiment_that_has_moved_keeps_its_best_model(server, tmp_path):
    train = trainer(server, tmp_path, "train/a", "train/b", "train/c")
    assert train("--epochs", "6", "--lr", "0.3")[0] == 0
    best, scores = (tmp_path / "exp/best_model.pth").read_bytes(), scores_of(tmp_path / "exp")
    (tmp_path / "exp").rename(tmp_path / "moved")
    worse = ("--exp_dir", str(tmp_path / "moved"), "--lr", "1e6", "--epochs", "7")
    code, log = train(*worse)
    assert (code, "Traceback" in log) == (0, False), log
    assert last_checkpoint(tmp_path / "moved")["global_step"] == 14
    assert (tmp_path / "moved/best_model.pth").read_bytes() == best
    after = scores_of(tmp_path / "moved")
    assert after.items() >= scores.items()
    files = {path.name for path in (tmp_path / "moved/checkpoints").iterdir()}
    assert files == {*after, "last.ckpt"}
