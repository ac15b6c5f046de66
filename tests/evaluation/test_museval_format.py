"""Files of museval: its documents, by its schema, with its aggregate."""

import json

import numpy as np
import pytest

from asteroid_slicq.evaluation import museval_format as museval_json
from asteroid_slicq.evaluation import nan_median
from asteroid_slicq.evaluation.report import summarise
from tests.evaluation.helpers import SOURCES, random_frames, tracks_of


def test_documents_are_those_of_museval(museval):
    frames = random_frames(np.random.default_rng(0), 7, ["bass", "vocals"])
    store = museval.TrackStore("song", win=1.0, hop=1.0)
    for target, metrics in frames.items():
        store.add_target(target, {m: list(v) for m, v in metrics.items()})
    document = museval_json.track_document(frames)
    # NaN differs from itself, its spelling does not.
    assert repr(json.loads(museval_json.dumps(document))) == repr(json.loads(store.json))


def test_documents_pass_museval_s_schema(museval):
    jsonschema = pytest.importorskip("jsonschema")
    document = museval_json.track_document(random_frames(np.random.default_rng(1), 3, ["bass"]))
    schema = museval.TrackStore("song").schema
    jsonschema.validate(document, schema)
    document["targets"][0]["frames"][0]["metrics"]["SDR"] = None
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_the_aggregate_is_that_of_museval(museval, evaluation, data):
    rng = np.random.default_rng(2)
    tracks = tracks_of(data)
    targets = (["bass", "vocals"], ["vocals"], ["bass", "vocals"])
    scores = {"model": {"sdr": dict.fromkeys(SOURCES, 0.0)}}
    saved = [
        evaluation.save(track, scores, random_frames(rng, 5 + i, targets[i]))
        for i, track in enumerate(tracks)
    ]
    store = museval.EvalStore()
    store.add_eval_dir(evaluation.folder)
    theirs = store.agg_frames_tracks_scores()
    documents = [json.loads(evaluation.museval_file(t).read_text()) for t in tracks]
    tracks_scores = [museval_json.track_scores(document, SOURCES) for document in documents]
    summary = summarise(saved, SOURCES)["model"]
    for metric in museval_json.METRICS:
        for source in SOURCES:
            ours = float(nan_median([scores[metric][source] for scores in tracks_scores]))
            assert ours == theirs[source][metric]
            assert summary[f"museval {metric}"][source] == ours
    methods = museval.MethodStore()
    methods.add_eval_dir(evaluation.folder)
    assert methods.df["track"].nunique() == 3
