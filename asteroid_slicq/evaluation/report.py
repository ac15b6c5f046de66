"""Report of the scores of all tracks, beside published ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asteroid_slicq.data.musdb import published_tracks
from asteroid_slicq.evaluation.metrics import nan_median, summarise_tracks
from asteroid_slicq.evaluation.published_scores import MIX_PHASE_VALIDATION, MUSDB18_HQ_TEST
from asteroid_slicq.evaluation.records import CSDR, HAAQI, MODEL, MUSEVAL, USDR, Scores
from asteroid_slicq.vocabulary import STEMS

MUSEVAL_SDR = f"{MUSEVAL}SDR"
_TITLES = {CSDR: "cSDR", USDR: "uSDR", HAAQI: "HAAQI"}
_MEANINGS = {
    CSDR: "cSDR: median over windows of 1 s, then over tracks; the SDR of museval, without it.",
    USDR: "uSDR: SDR of whole tracks, then their mean.",
    HAAQI: "HAAQI: quality for a listener, 0 to 1, of the middle of a track; mean of tracks.",
    MUSEVAL_SDR: "museval: BSSEval v4, median over windows of 1 s, then over tracks.",
}


@dataclass(frozen=True)
class Report:
    """The scores of a split.

    Attributes:
        title: name of what was scored.
        split: name of the split.
        sources: of the model.
        tracks: scores of each track by its name.
        model: fingerprint of what was scored, where it is known.
        remix: whether the mixes were sums of these sources, and not the mixtures of the tracks.
    """

    title: str
    split: str
    sources: tuple[str, ...]
    tracks: Mapping[str, Scores]
    model: str | None = None
    remix: bool = False

    @property
    def summary(self) -> Scores:
        """Over tracks, and with the mean of the sources: ``scores[method][measure][source]``.

        Tracks in which a source has no score do not count for that source.
        """
        return summarise(self.tracks.values(), self.sources)

    @property
    def columns(self) -> list[str]:
        """Mean and sources, those of MUSDB18 in the order of most publications."""
        known = [stem for stem in STEMS if stem in self.sources]
        return ["mean", *known, *(s for s in self.sources if s not in known)]

    @property
    def is_musdb18_hq_test(self) -> bool:
        """Whether these are the 50 test tracks of MUSDB18-HQ, by their names."""
        return self.split == "test" and self.tracks.keys() == published_tracks()["test"]

    @property
    def headline(self) -> str:
        """The measure to compare with published ones: museval's where it was run."""
        return MUSEVAL_SDR if MUSEVAL_SDR in self.summary[MODEL] else CSDR

    def as_json(self) -> dict[str, Any]:
        """The report as ``asteroid-slicq publish --metrics`` reads it."""
        return {
            "split": self.split,
            "n_tracks": len(self.tracks),
            "dataset": "musdb18-hq" if self.is_musdb18_hq_test else None,
            "remix": self.remix,
            "model": self.model,
            "sources": list(self.sources),
            "scores": self.summary,
        }

    def as_text(self) -> str:
        """The summary for a terminal, in dB."""
        width = max(9, *(len(column) + 2 for column in self.columns))
        rows = [(f"{method} {title(name)}", values) for method, name, values in self._rows()]
        first = 2 + max(len(label) for label, _ in rows)
        unit = "dB" if HAAQI not in self.summary[MODEL] else "dB, or 0 … 1"
        first = max(first, len(unit) + 2)
        lines = [f"{unit:<{first}}" + "".join(f"{c:>{width}}" for c in self.columns)]
        for label, values in rows:
            cells = (_cell(values[c]) for c in self.columns)
            lines.append(f"{label:<{first}}" + "".join(f"{cell:>{width}}" for cell in cells))
        return "\n".join(lines)

    def as_markdown(self) -> str:
        """Beside published scores, then every measure, then every track."""
        measures = self.summary[MODEL]
        lines = [f"# Scores of {self.title}", "", *self._beside_published(), "## All measures", ""]
        lines += [f"- {_MEANINGS[name]}" for name in measures if name in _MEANINGS]
        lines += ["", *_table(["", "measure", *self.columns])]
        for method, name, values in self._rows():
            lines.append(_row([method, title(name), *(_cell(values[c]) for c in self.columns)]))
        columns = self.columns[1:]
        for measure in filter(measures.__contains__, (self.headline, HAAQI)):
            lines += ["", f"## Tracks, {title(measure)}", ""]
            lines += _table(["track", *columns])
            for name, scores in self.tracks.items():
                values = scores[MODEL][measure]
                lines.append(_row([name, *(_cell(values[c]) for c in columns)]))
        return "\n".join(lines) + "\n"

    def _rows(self) -> Iterable[tuple[str, str, Mapping[str, float]]]:
        for method, measures in self.summary.items():
            for name, values in measures.items():
                yield method, name, values

    def _beside_published(self) -> list[str]:
        # A mean of other sources is no mean to compare.
        whole = set(STEMS) == set(self.sources)
        columns = [c for c in self.columns if c in STEMS or (whole and c == "mean")]
        count = f"{len(self.tracks)} track{'s' if len(self.tracks) > 1 else ''}"
        where = f"{count} of the split `{self.split}`"
        if self.remix:
            where += f", mixed of {_listed(self.sources)} alone"
        if self.remix or not columns:
            return [f"Of {where}. Nothing comparable is published for its sources.", ""]
        if self.is_musdb18_hq_test:
            where = "the 50 test tracks of MUSDB18-HQ"
            warning = []
        else:
            warning = [
                f"**Not comparable**: ours are of {where}, which are not the test set of "
                "MUSDB18-HQ; the published ones are of that.",
                "",
            ]
        ours = self.summary[MODEL][self.headline]
        lines = ["## Beside published scores", "", *warning]
        lines += _table(["model", *columns, "where"])
        lines.append(_row([f"**{self.title}**", *(_cell(ours[c]) for c in columns), where]))
        for other in MUSDB18_HQ_TEST:
            values = [other.score(column) for column in columns]
            if any(value is not None for value in values):
                theirs = ("–" if value is None else f"{value:g}" for value in values)
                lines.append(_row([other.model, *theirs, other.where]))
        note = f"SDR in dB, median over frames, then over tracks (ours: {title(self.headline)})."
        if whole:
            known = ", ".join(f"{name} {value:.2f}" for name, value in MIX_PHASE_VALIDATION.items())
            note += f" Published of the mix-phase oracle, on the 14 validation tracks: {known}."
        return [*lines, "", note, ""]


def summarise(tracks: Iterable[Scores], sources: Sequence[str]) -> Scores:
    """Over tracks: the median of what is a median over frames, the mean of uSDRs and HAAQIs.

    What is NaN does not count; the mean over sources is NaN where one of them is.
    """
    tracks = list(tracks)
    averages: dict[str, Callable[[Sequence[float]], Any]] = {USDR: _nan_mean, HAAQI: _nan_mean}
    return {
        method: {
            name: summarise_tracks(
                [t[method][name] for t in tracks], sources, averages.get(name, nan_median)
            )
            for name in measures
            if all(name in t[method] for t in tracks)
        }
        for method, measures in tracks[0].items()
        if all(method in t for t in tracks)
    }


def title(measure: str) -> str:
    """The name of a measure for people."""
    return _TITLES.get(measure, measure)


def _nan_mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _cell(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _table(head: Sequence[str]) -> list[str]:
    return [_row(head), "|" + "---|" * len(head)]
