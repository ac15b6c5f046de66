import json

import numpy as np
import pytest

from asteroid_slicq.frame import design_frame
from tests.golden import DATA

TABLES = json.loads((DATA / "slicqt_block_tables.json").read_text())
SCALE_NAMES = {"cqlog": "log"}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_block_table(name):
    table = TABLES[name]
    scale = SCALE_NAMES.get(table["scale"], table["scale"])
    frame = design_frame(scale, table["n_bins"], table["f_min_hz"])
    assert frame.slice_length == table["slice_length"]
    assert frame.transition_length == table["transition_length"]
    assert frame.n_bins == table["n_bins_actual"]
    for length, blocks in table["blocks_bins_slices_coefs"].items():
        assert frame.table(int(length)) == blocks


def test_default_has_70_blocks_of_18640_coefficients():
    frame = design_frame()
    assert len(frame.blocks) == 70
    assert frame.blocks[:5] == ((1, 28), (86, 16), (14, 20), (11, 24), (9, 28))
    assert frame.blocks[-1] == (1, 292)
    assert frame.coefficients_per_slice == 18640
    assert frame.redundancy == pytest.approx(4.13, abs=0.005)


@pytest.mark.parametrize("window", ["blackman-harris", "hann"])
def test_windows_and_duals_resolve_the_identity_at_every_dft_bin(window):
    frame = design_frame(n_bins=40, f_min_hz=100.0, window=window)
    n = frame.slice_length
    total = np.zeros(n)
    for k, (g, dual, p, m) in enumerate(
        zip(frame.windows, frame.duals, frame.positions, frame.widths, strict=True)
    ):
        bins = p + np.arange(m) - m // 2
        total[bins % n] += g * dual
        if 0 < k < frame.n_bins - 1:
            total[-bins % n] += g * dual
    assert np.abs(total - 1).max() < 1e-12


def test_slicing_windows_sum_to_one():
    frame = design_frame(n_bins=40, f_min_hz=100.0)
    w, hop = frame.slicing_window, frame.slice_hop
    assert np.abs(w[:hop] + w[hop:] - 1).max() < 1e-15
    margin = frame.slice_length // 4 - frame.transition_length // 2
    assert not w[:margin].any()
    assert not w[-margin:].any()


def test_positions_are_even_and_widths_multiples_of_four():
    frame = design_frame("mel", 128, 40.0)
    assert not (frame.positions % 2).any()
    assert not (frame.widths % 4).any()
    assert frame.widths.min() >= 16


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"sample_rate": 0}, "sample_rate"),
        ({"f_max_hz": 30000.0}, "f_max_hz"),
        ({"f_min_hz": 22050.0}, "f_min_hz"),
        ({"slice_length": 18062}, "slice_length.*18064|slice_length.*18060"),
        ({"slice_length": 0}, "slice_length"),
        ({"transition_length": 3}, "transition_length"),
        ({"transition_length": 9032}, "transition_length"),
        ({"window": "kaiser"}, "window"),
        ({"min_width": 10}, "min_width"),
        ({"n_bins": 2, "f_min_hz": 20000.0, "slice_length": 64}, "slice_length"),
    ],
)
def test_wrong_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        design_frame(**arguments)
