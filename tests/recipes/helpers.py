"""Stems, processes and results that the tests of the recipes share."""

import importlib
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.helpers import RECIPES, environment

RATE = 8000
STEMS = ("bass", "vocals", "other", "drums")
TINY_TRAINING = {
    "data": {
        "segment_s": 0.25,
        "samples_per_track": 4,
        "validation_segments": 2,
        "statistics_segments": 0,
    },
    "model": {
        "preset": "small",
        "sample_rate": RATE,
        "hidden_channels": [2, 3],
        "transform": {"n_bins": 16, "f_min_hz": 200.0},
    },
    "training": {"epochs": 1, "batch_size": 4, "wiener_in_training": False},
    "loss": {"mask_sum_weight": 0.0},
    "run": {"num_workers": 0, "n_threads": 1, "accelerator": "cpu", "preview_epochs": 0},
}
"""Of xumx-sliCQ: an epoch of two steps, on three tracks."""

# Runs trainings one after the other, each in a process of its own that shares the imports. One
# may be killed: in a step, its gradients there and its weights not yet changed; or in the midst
# of a checkpoint. Or it gets Ctrl-C or SIGTERM in a step, or its time is over (100 s) in the
# first batch of a step. Or no file may have more bytes than a number.
SERVER = """
import json, os, resource, signal, sys, traceback, warnings
warnings.simplefilter("ignore")
import torch
import train
from pytorch_lightning.callbacks import Timer
from common.system import StemSystem

def kill(number=signal.SIGKILL):
    os.kill(os.getpid(), number)

def kill_in_step(number, by=signal.SIGKILL):
    def on_before_optimizer_step(self, optimizer):
        if self.trainer.global_step == number:
            kill(by)
    StemSystem.on_before_optimizer_step = on_before_optimizer_step

def interrupt(number):
    kill_in_step(number, signal.SIGINT)

def terminate(number):
    kill_in_step(number, signal.SIGTERM)

def end_in_step(number):
    def on_before_backward(self, loss):
        if self.trainer.global_step == number:
            Timer.time_elapsed = lambda self, *_: 100.0
    StemSystem.on_before_backward = on_before_backward

def kill_in_checkpoint(number):
    save, count = torch.save, 0
    def half(content, file):
        nonlocal count
        count += "/.last-" in file.name
        if count == number:
            file.write(b"half of it")
            file.flush()
            kill()
        save(content, file)
    torch.save = half

def no_room_for(number):
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))

MOMENTS = {"step": kill_in_step, "checkpoint": kill_in_checkpoint, "room": no_room_for}
MOMENTS |= {"interrupt": interrupt, "terminate": terminate, "time": end_in_step}

for line in sys.stdin:
    job = json.loads(line)
    pid = os.fork()
    if pid == 0:
        try:
            if job["moment"]:
                MOMENTS[job["moment"][0]](job["moment"][1])
            os.dup2(os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
            train.main(job["arguments"])
            code = 0
        except SystemExit as error:
            print(error.code if isinstance(error.code, str) else "", end="")
            code = 1 if isinstance(error.code, str) else error.code
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            code = 1
        sys.stdout.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def write_stems(root: Path, *folders: str, seconds: int = 1) -> Path:
    """A tree like that of MUSDB18-HQ: every stem is a tone in noise."""
    rng = np.random.default_rng(0)
    time_s = np.arange(seconds * RATE) / RATE
    for folder in folders:
        (root / folder).mkdir(parents=True)
        stems = []
        for stem, f_hz in zip(STEMS, (80, 2000, 900, 400), strict=True):
            tone = np.sin(2 * np.pi * f_hz * (time_s + rng.random()))
            stems.append(0.1 * tone[:, None] + 0.02 * rng.standard_normal((len(time_s), 2)))
            soundfile.write(root / folder / f"{stem}.wav", stems[-1], RATE)
        soundfile.write(root / folder / "mixture.wav", sum(stems), RATE)
    return root


def run(*command: object, cwd: Path, paths: Iterable[Path] = ()) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(part) for part in command],
        check=False,
        cwd=cwd,
        env=environment(*paths),
        capture_output=True,
        text=True,
        timeout=3600,
    )


def run_sh(recipe: Path, *options: object, cwd: Path) -> subprocess.CompletedProcess:
    return run("bash", recipe / "run.sh", "--python", sys.executable, *options, cwd=cwd)


def run_all(recipe: Path, data: Path, folder: Path, *options: object) -> Path:
    """An experiment through all stages, which write what they promise.

    The working directory is not the recipe's, and paths are relative to it.
    """
    paths = ("--musdb", os.path.relpath(data, folder), "--expdir", "exp")
    done = run_sh(recipe, *paths, "--fast", "true", *options, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in (
        *("conf.yml", "best_k_models.json", "best_model.pth", "checkpoints/last.ckpt"),
        *("logs/train.log", "logs/eval.log", "logs/publish.log", "metrics.json", "results.md"),
        *("publish/README.md", "publish/model.safetensors", "publish/evaluation.json"),
    ):
        assert (folder / "exp" / name).stat().st_size > 0, name
    assert "val_loss" in (folder / "exp" / "logs" / "train.log").read_text()
    return folder / "exp"


def serve(recipe: Path) -> subprocess.Popen:
    """A process that runs the trainings of a recipe, see ``SERVER``."""
    return subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(recipe, RECIPES),
    )


def recipe_module(recipe: Path, name: str) -> ModuleType:
    """A module of a recipe as its scripts import it; modules of several recipes share a name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(recipe)
        for other in ("system", "train", "eval"):
            patch.delitem(sys.modules, other, raising=False)
        return importlib.import_module(name)


def run_script(patch: pytest.MonkeyPatch, script: Path, *arguments: object) -> None:
    """Run a script in this process, as a user does in one of its own."""
    patch.setattr(sys, "argv", [str(part) for part in (script, *arguments)])
    runpy.run_path(str(script), run_name="__main__")


def ask(
    server: subprocess.Popen, arguments: list, moment: tuple[str, int] | None, log: Path
) -> int:
    """Have a training run, or killed at a moment; its exit code."""
    job = {"arguments": [*map(str, arguments)], "moment": moment, "log": str(log)}
    server.stdin.write(json.dumps(job) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())


def trainer(server: subprocess.Popen, folder: Path, *tracks: str) -> Callable[..., tuple[int, str]]:
    """Trainings in ``exp`` on some tracks, of ``TINY_TRAINING`` and options: exit code and log."""
    write_stems(folder / "data", *tracks)
    (folder / "conf.yml").write_text(yaml.safe_dump(TINY_TRAINING))

    def train(*options: str, moment: tuple[str, int] | None = None) -> tuple[int, str]:
        arguments = ["--model", folder / "conf.yml", "--data_dir", folder / "data"]
        arguments += ["--exp_dir", folder / "exp", *options]
        log = folder / "exp.log"
        log.unlink(missing_ok=True)
        return ask(server, arguments, moment, log), log.read_text()

    return train


def last_checkpoint(exp_dir: Path) -> dict:
    return torch.load(exp_dir / "checkpoints" / "last.ckpt", weights_only=True)


def scores_of(exp_dir: Path) -> dict[str, float]:
    scores = json.loads((exp_dir / "best_k_models.json").read_text())
    return {Path(path).name: score for path, score in scores.items()}


def events_of(exp_dir: Path) -> EventAccumulator:
    return EventAccumulator(str(exp_dir / "tensorboard")).Reload()


def curves_of(exp_dir: Path) -> dict[str, list[tuple[int, float]]]:
    """All curves of TensorBoard, as it shows them."""
    events = events_of(exp_dir)
    # Not the score beside the settings, which Asteroid files under another step.
    tags = [tag for tag in events.Tags()["scalars"] if tag != "hp_metric"]
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}


def same(ours: Any, theirs: Any, where: str = "") -> None:
    """Assert that two trees of containers and tensors are equal to the last bit."""
    assert type(ours) is type(theirs), where
    if isinstance(ours, dict):
        assert list(ours) == list(theirs), where
        for key, value in ours.items():
            same(value, theirs[key], f"{where}.{key}")
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), where
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            same(a, b, f"{where}.{i}")
    elif isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), where
    else:
        assert ours == theirs, where
