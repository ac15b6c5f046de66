"""Box plots of scores."""

import math
import sys

import pytest

from asteroid_slicq.plotting import plot_scores


def test_a_box_stands_for_every_source_and_kind(tmp_path):
    pytest.importorskip("matplotlib")
    values = {"model": {"bass": [1.0, 2.0, math.nan], "vocals": [math.nan] * 3}}
    figure = plot_scores({**values, "mixture": values["model"]}, title="t")
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["bass", "vocals"]
    assert len(ax.patches) == 4
    figure.savefig(tmp_path / "boxes.png")
    with pytest.raises(ValueError, match="at least, got none"):
        plot_scores({})


def test_without_matplotlib_a_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(ValueError, match="drawing needs matplotlib"):
        plot_scores({"model": {"bass": [1.0]}})
