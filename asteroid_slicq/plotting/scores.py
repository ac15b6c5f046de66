"""Box plots of the scores of tracks by source; needs matplotlib (extra ``plot``)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from asteroid_slicq.plotting.spectrograms import _new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLORS = ("#3b6ea8", "#b0b0b0", "#d98f3e", "#5a9a68")
_BOX = 0.8  # of the room that a source has


def plot_scores(
    scores: Mapping[str, Mapping[str, Sequence[float]]], ylabel: str = "SDR in dB", title: str = ""
) -> Figure:
    """Boxes over tracks: quartiles and median, whiskers of 1.5 boxes, and a dot for each track.

    Args:
        scores: ``scores[name][source]``, a value for each track; NaN does not count.
        ylabel: of the vertical axis.
        title: over the picture.

    Raises:
        ValueError: no scores, or matplotlib is missing.
    """
    sources = list(next(iter(scores.values()), {}))
    if not sources:
        raise ValueError("scores must hold a source of a kind at least, got none")
    figure = _new_figure((max(600, 220 * len(sources)), 560))
    ax = figure.add_subplot()
    ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    width = _BOX / len(scores)
    handles = []
    for i, by_source in enumerate(scores.values()):
        color = _COLORS[i % len(_COLORS)]
        values = [[v for v in by_source[s] if not math.isnan(v)] for s in sources]
        at = [x + (i + 0.5) * width - _BOX / 2 for x in range(len(sources))]
        boxes = ax.boxplot(
            values,
            positions=at,
            widths=0.8 * width,
            patch_artist=True,
            showfliers=False,
            manage_ticks=False,
            medianprops={"color": "black"},
            boxprops={"facecolor": color, "alpha": 0.6},
        )
        for x, ys in zip(at, values, strict=True):
            ax.plot([x] * len(ys), ys, ".", color=color, markersize=4)
        handles.append(boxes["boxes"][0])
    ax.set(ylabel=ylabel, title=title)
    ax.set_xticks(range(len(sources)), sources)
    figure.legend(handles, list(scores), loc="outside lower center", ncols=4, frameon=False)
    return figure
