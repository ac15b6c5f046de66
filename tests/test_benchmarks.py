"""What is told of speed: figures that were measured reach their targets; arithmetic is counted."""

import re
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.models.xumx_slicq.networks import fixed_weights

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
SAMPLE_RATE = 44100


def section(name: str) -> str:
    found = re.search(rf"<!-- {name} -->(.*?)<!-- end of {name} -->", PAGE.read_text(), re.DOTALL)
    assert found, name
    return found[1]


@pytest.mark.parametrize(("name", "n_targets"), [("separator", 3), ("training step", 2)])
def test_what_was_measured_reaches_its_targets(name, n_targets):
    """Ratios to a peer of the same run, as the scripts in ``benchmarks/`` wrote them."""
    targets = re.findall(r"([\d.]+) ×[^|]*\(([≤≥]) ([\d.]+)\)", section(name))
    assert len(targets) == n_targets
    for value, relation, limit in targets:
        if relation == "≤":
            assert float(value) <= float(limit)
        else:
            assert float(value) >= float(limit)


def test_memory_stays_below_what_was_wanted():
    rows = [line for line in section("separator").splitlines() if re.match(r"\| [VsM]", line)]
    assert len(rows) == 8
    for row in rows:
        peaks = [float(peak) for peak in re.findall(r"(\d+) \(\d+\)", row)]
        assert len(peaks) == 2
        assert max(peaks) <= 700


@pytest.mark.parametrize(("preset", "giga"), [("v1", 4.95), ("v2", 0.67), ("v2-realtime", 0.67)])
@pytest.mark.parametrize("fixed", [False, True])
def test_multiply_adds_of_a_second(preset, giga, fixed):
    """As many as its layers need, whichever way they are computed."""
    model = XUMXSliCQ.from_preset(preset, wiener_iterations=0).eval()
    seconds = 5
    blocks = model.transform(torch.zeros(1, 2, seconds * SAMPLE_RATE))
    magnitudes = [block.abs() for block in blocks]
    counter = FlopCounterMode(display=False)
    with torch.no_grad():
        if fixed:
            with fixed_weights(model), counter:
                run(model, magnitudes)
        else:
            with counter:
                run(model, magnitudes)
    assert counter.get_total_flops() / 2e9 / seconds == pytest.approx(giga, rel=0.07)


def run(model: XUMXSliCQ, magnitudes: list[torch.Tensor]) -> None:
    for network, x in zip(model.blocks, magnitudes, strict=True):
        network(x)
