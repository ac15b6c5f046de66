"""A model to publish, how it is told that it came back, and a process that asks a Hub."""

import os
import subprocess
import sys

import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.hub import CardFacts
from tests.helpers import ROOT

FACTS = CardFacts("user/tiny", "procedural")
SCORES = {"split": "test", "n_tracks": 1, "scores": {"model": {"sdr": {"mean": 1.5}}}}
FILES = ["README.md", "config.json", "evaluation.json", "model.safetensors", "pytorch_model.bin"]
NO_XET = {"HF_HUB_DISABLE_XET": "1"}  # to write by, which asks a server of its own


def tiny_model():
    torch.manual_seed(0)
    model = XUMXSliCQ(hidden_channels=(2, 2), transform={"n_bins": 14, "f_min_hz": 150.0})
    return model.eval()


def tiny_mix():
    return torch.randn(1, 2, 5000, generator=torch.Generator().manual_seed(1))


def assert_same(model, other):
    """The same class, arguments, weights and output, bit for bit."""
    assert type(other) is type(model)
    assert other.get_model_args() == model.get_model_args()
    assert model.state_dict().keys() == other.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    with torch.no_grad():
        assert torch.equal(model(tiny_mix()), other.eval()(tiny_mix()))


def write_malware(path, proof):
    """A pickle that makes the folder ``proof`` when it is unpickled without care."""

    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(proof),)

    torch.save({"model_name": "XUMXSliCQ", "model_args": {}, "state_dict": Payload()}, path)
    torch.load(path, weights_only=False)
    proof.rmdir()


def run_python(script, server, home, stdin="", **environment):
    """Runs a script in a process of its own, of which the Hub is the server."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    variables |= {"HF_ENDPOINT": server.endpoint, "HF_HOME": str(home)}
    variables |= {"HF_HUB_DISABLE_TELEMETRY": "1", "ASTEROID_CACHE": str(home / "cache")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=variables | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
