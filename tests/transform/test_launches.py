"""The operator calls of the transform, as benchmarks/launches.py counts them.

Of a second, a quarter of what the benchmark takes: the operators are the same.
"""

import importlib

import pytest

from tests.helpers import ROOT


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_operator_calls(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    launches = importlib.import_module("launches")
    monkeypatch.setattr(launches, "LENGTH", 44100)
    cases = {name: case for name, case in launches.CASES.items() if name.startswith("sliCQT")}
    assert len(cases) == 8
    for name, (make, most) in cases.items():
        assert 70 < launches.operator_calls(make()) <= most, name
