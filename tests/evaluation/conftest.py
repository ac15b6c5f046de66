"""Tracks, a model and its evaluation."""

import importlib
import importlib.util
import sys
from types import ModuleType

import pytest
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.evaluation import Evaluation
from asteroid_slicq.separation import fingerprint
from tests.evaluation.helpers import RATE, SOURCES, write_track


@pytest.fixture
def data(tmp_path):
    for seed, name in enumerate(("a", "b", "c")):
        write_track(tmp_path / "data", name, 2.5 + seed, seed)
    return tmp_path / "data"


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return XUMXSliCQ.from_preset(
        "small",
        sources=SOURCES,
        sample_rate=RATE,
        hidden_channels=[2, 3],
        transform={"n_bins": 16, "f_min_hz": 200.0},
    ).eval()


@pytest.fixture
def evaluation(model, tmp_path):
    return Evaluation(
        tmp_path / "eval", "test", SOURCES, RATE, fingerprint(model), oracle=None, filter_length=4
    )


@pytest.fixture
def museval(monkeypatch):
    """The whole package, which imports musdb, which asks for ffmpeg, without that."""
    pytest.importorskip("pandas")
    if importlib.util.find_spec("museval") is None:
        pytest.skip("museval is not installed")
    monkeypatch.setitem(sys.modules, "musdb", ModuleType("musdb"))
    return importlib.import_module("museval")
