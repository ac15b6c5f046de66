"""Records of the scores of tracks on disk, so that nothing is computed twice.

A track's scores are a record, a file that says which model and which audio it is of. The files of
museval lie beside. Records of another model or other settings lie in a folder of their own.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asteroid_slicq.evaluation import museval_format as museval_json
from asteroid_slicq.evaluation.references import ReferenceTrack
from asteroid_slicq.files import write_text
from asteroid_slicq.hearing import hearing_loss
from asteroid_slicq.vocabulary import DEFAULT_SEGMENT_S

#: Scores of a track, ``scores[method][measure][source]``, NaN where there is none. A method is the
#: model, the mixture in place of every estimate, or an oracle.
Scores = dict[str, dict[str, dict[str, float]]]
#: Of museval, ``frames[source][metric]``, a value a frame.
Frames = dict[str, dict[str, NDArray[np.float64]]]

MODEL, MIXTURE = "model", "mixture"
CSDR, USDR, MUSEVAL, HAAQI = "sdr", "usdr", "museval ", "haaqi"

_ORACLE_TITLES = {"irm2": "soft-mask oracle"}
_VERSION = 2  # of the records: others are computed again


def oracle_title(name: str) -> str:
    """The name of the scores of an oracle."""
    return _ORACLE_TITLES.get(name, f"{name} oracle")


@dataclass(frozen=True)
class Evaluation:
    """Settings of an evaluation, and the folder of its records.

    Args:
        root: holds a folder for each model and settings.
        split: name of the split.
        sources: of the model.
        sample_rate: in Hz.
        model: its :func:`asteroid_slicq.separation.fingerprint`.
        segment_s: of the separation.
        oracle: a name in :data:`~asteroid_slicq.vocabulary.ORACLES`, of what is scored too;
            or none.
        museval: whether museval scores the model, besides the fast measures.
        filter_length: of the distortion filters of museval in samples; SIR, ISR and SAR compare
            with published ones for 512 alone.
        shifts: of the mix in time, over which the estimates are averaged.
        haaqi: audiogram of the listener for whom HAAQI is computed, of the model and the mixture;
            None leaves it out.
        haaqi_s: seconds of the middle of a track that this listener hears.

    Raises:
        ValueError: if there is no shift, or the audiogram is none.
    """

    root: Path
    split: str
    sources: tuple[str, ...]
    sample_rate: float
    model: str
    segment_s: float = DEFAULT_SEGMENT_S
    oracle: str | None = "mix-phase"
    museval: bool = True
    filter_length: int = 512
    shifts: int = 1
    haaqi: str | tuple[float, ...] | None = None
    haaqi_s: float = 10.0

    def __post_init__(self) -> None:
        if self.shifts < 1:
            raise ValueError(f"shifts must be at least 1, got {self.shifts}")
        if self.haaqi is not None:
            hearing_loss(self.haaqi)

    @property
    def folder(self) -> Path:
        """For ``museval.EvalStore.add_eval_dir``; it also holds the records, in ``scores``."""
        shifts = f" {self.shifts} shifts" if self.shifts > 1 else ""
        settings = f"{self.model} {self.segment_s} {self.filter_length}{shifts}"
        return self.root / hashlib.sha256(settings.encode()).hexdigest()[:8]

    def record_file(self, track: ReferenceTrack) -> Path:
        """File of the record of a track."""
        return self.folder / "scores" / self.split / f"{track.name}.json"

    def museval_file(self, track: ReferenceTrack) -> Path:
        """File of a track in museval's format."""
        return self.folder / self.split / f"{track.name}.json"

    def load(self, track: ReferenceTrack) -> Scores | None:
        """Scores of a track from its record; None where they are missing or of other audio."""
        try:
            record = json.loads(self.record_file(track).read_text(encoding="utf-8"))
            scores = record["scores"]
            if record["identity"] != self._identity(track) or (
                self.oracle is not None and oracle_title(self.oracle) not in scores
            ):
                return None
            if self.museval:
                text = self.museval_file(track).read_bytes()
                if record["museval"] != _digest(text):
                    return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return _from_plain(scores)

    def kept_museval(self, track: ReferenceTrack) -> str | None:
        """The file of museval, which takes longest, of a record that differs in HAAQI alone."""
        try:
            record = json.loads(self.record_file(track).read_text(encoding="utf-8"))
            known, wanted = record["identity"], self._identity(track)
            text = self.museval_file(track).read_bytes()
            same = {**known, "haaqi": None} == {**wanted, "haaqi": None}
            return text.decode() if same and record["museval"] == _digest(text) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(
        self, track: ReferenceTrack, scores: Scores, frames: Frames | str | None = None
    ) -> Scores:
        """Keep the scores of a track: the record comes last, and whole or not at all.

        Args:
            track: of which they are.
            scores: but for those of museval.
            frames: of museval, or a file of them that was kept.

        Returns:
            The scores with those of museval, if there are any, among them.
        """
        museval_file, digest = self.museval_file(track), None
        # Until the record is there again, nothing vouches for it.
        museval_file.unlink(missing_ok=True)
        if frames is not None:
            if isinstance(frames, str):
                text, document = frames, json.loads(frames)
            else:
                document = museval_json.track_document(frames)
                text = museval_json.dumps(document)
            digest = _digest(text.encode())
            write_text(museval_file, text)
            medians = museval_json.track_scores(document, self.sources)
            named = {MUSEVAL + metric: values for metric, values in medians.items()}
            scores = {**scores, MODEL: {**scores[MODEL], **named}}
        record = {"identity": self._identity(track), "museval": digest, "scores": scores}
        write_text(self.record_file(track), json_text(record))
        return scores

    def _identity(self, track: ReferenceTrack) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "model": self.model,
            "segment_s": self.segment_s,
            "filter_length": self.filter_length,
            "sources": list(self.sources),
            "audio": track.fingerprint(),
            **({"shifts": self.shifts} if self.shifts > 1 else {}),
            **({} if self.haaqi is None else {"haaqi": [_listed(self.haaqi), self.haaqi_s]}),
        }


def _listed(audiogram: str | tuple[float, ...]) -> list[float]:
    """The losses: an audiogram may have a name or not."""
    return hearing_loss(audiogram).tolist()


def json_text(value: Any) -> str:
    """JSON that every reader takes: what is no finite number becomes null."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _from_plain(scores: Mapping[str, Any]) -> Scores:
    return {
        method: {
            measure: {s: math.nan if v is None else float(v) for s, v in values.items()}
            for measure, values in measures.items()
        }
        for method, measures in scores.items()
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
