"""The program as a process: what it loads before it has work, and which models it knows then."""

import os
import subprocess
import sys

import pytest
import soundfile
import torch
from asteroid.models import ConvTasNet

from asteroid_slicq import MiXiN, XUMXSliCQ
from asteroid_slicq.cli import main
from tests.filterbank.helpers import SMALL
from tests.helpers import numpy_noise

COMMANDS = (
    "separate",
    "spectrogram",
    "demo",
    "oracle",
    "synth",
    "sounds",
    "convert",
    "export",
    "publish",
    "models",
)
# What pip writes for an entry point, and what shows after it.
SCRIPT = """
import sys
from asteroid_slicq.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""
LOADED = """
import sys
from asteroid_slicq.cli import main
assert [main(text.split()) for text in sys.argv[1:]] == [0] * len(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
"""
TINY = {"n_bins": 14, "f_min_hz": 150.0}
MODELS = {
    "XUMXSliCQ": lambda: XUMXSliCQ.from_preset("small", sample_rate=8000, transform=TINY),
    "MiXiN": lambda: MiXiN(sample_rate=8000, transform={"n_bins": 14, "length": 2048}),
    "ConvTasNet": lambda: ConvTasNet(
        2, n_blocks=1, n_repeats=1, bn_chan=8, hid_chan=8, skip_chan=8, fb_name="slicqt", **SMALL
    ),
}


WAITING = """
import os, sys
from asteroid_slicq.cli import main
main(["--version"])
names = "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"
print(*(os.environ.get(name) for name in names), file=sys.stderr)
"""


@pytest.fixture
def program(tmp_path):
    """Run a script under the name of the program; stdout and stderr."""

    def run(script, *argv):
        path = tmp_path / "asteroid-slicq"
        path.write_text(script)
        command = [sys.executable, "-W", "ignore", path, *argv]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    return run


def test_help_and_version_load_neither_torch_nor_asteroid(program):
    helps = [f"{command} --help" for command in COMMANDS]
    out, loaded = program(LOADED, "--version", "--help", *helps)
    assert "asteroid_slicq.cli.program" in loaded.split()
    assert not {"torch", "asteroid", "numpy"} & set(loaded.split())
    assert all(f"usage: asteroid-slicq {command}" in out for command in COMMANDS)


def test_models_are_listed_without_torch(program):
    out, loaded = program(LOADED, "models")
    assert "bandsplit-realtime" in out
    assert not {"torch", "asteroid", "numpy", "huggingface_hub"} & set(loaded.split())


@pytest.mark.slow
def test_a_song_is_separated_without_what_trains_and_draws(program, tmp_path):
    soundfile.write(tmp_path / "song.wav", 0.1 * numpy_noise(20000), 44100)
    _, loaded = program(LOADED, "separate song.wav -o out -q")
    unneeded = {"pytorch_lightning", "torchmetrics", "matplotlib", "librosa", "onnx", "museval"}
    assert "torch" in loaded.split()
    assert not unneeded & set(loaded.split())


@pytest.mark.parametrize("policy", [None, "ACTIVE"])
def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(program, monkeypatch, policy):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    if policy:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    expected = [policy, "None"] if policy else ["PASSIVE", "2000"]
    assert program(WAITING)[1].split()[-2:] == expected


def test_a_program_that_has_loaded_torch_keeps_its_environment(monkeypatch, capsys):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert main(["--version"]) == 0
    assert "OMP_WAIT_POLICY" not in os.environ


def test_the_module_is_the_program(program):
    command = [sys.executable, "-X", "importtime", "-m", "asteroid_slicq", "synth", "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert "asteroid_slicq.cli.program" in loaded
    assert not {"torch", "asteroid", "numpy"} & loaded
    assert done.stdout == program(SCRIPT, "synth", "--help")[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_models_are_known_to_the_program(program, tmp_path, name):
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    torch.save(model.serialize(), tmp_path / "model.pth")
    soundfile.write(tmp_path / "song.wav", 0.1 * numpy_noise(20000), 8000)
    program(SCRIPT, "separate", "song.wav", "-o", "out", "--model", "model.pth")
    assert list((tmp_path / "out" / "song").glob("*.wav"))
    program(SCRIPT, "publish", "model.pth", "--repo", "a/b", "--dry-run", "-o", "card")
    assert (tmp_path / "card" / "pytorch_model.bin").is_file()
