"""Tracks to score, scores as museval has them, and how results are read."""

import importlib.util
import json

import numpy as np
import pytest
import soundfile

from asteroid_slicq.evaluation import find_reference_tracks
from asteroid_slicq.evaluation import museval_format as museval_json

RATE = 4000
SOURCES = ("bass", "vocals")

needs_museval = pytest.mark.skipif(
    importlib.util.find_spec("museval") is None, reason="museval is not installed"
)


def strict(text):
    """JSON as strict readers have it."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def write_track(root, name, seconds=2.5, seed=0, silent=(), rate=RATE):
    """Noise under a slow envelope for every stem, all of different colour and level."""
    rng = np.random.default_rng(seed)
    folder = root / "test" / name
    folder.mkdir(parents=True, exist_ok=True)
    n = round(seconds * rate)
    mix = np.zeros((n, 2))
    for i, source in enumerate(("bass", "vocals", "other", "drums")):
        noise = rng.standard_normal((n + i, 2))
        stem = 0.05 * (1 + i) * (noise[i:] + noise[:n])
        stem *= 1 + 0.5 * np.sin(np.arange(n)[:, None] / rate + i)
        if source in silent:
            stem[:] = 0
        if source in SOURCES:
            mix += stem
        soundfile.write(folder / f"{source}.wav", stem, rate, subtype="FLOAT")
    soundfile.write(folder / "mixture.wav", mix, rate, subtype="FLOAT")
    return folder


def tracks_of(data, sources=SOURCES):
    return find_reference_tracks(data, "test", sources, RATE)


def random_frames(rng, n_frames, targets):
    frames = {
        target: {m: rng.normal(5, 3, n_frames) for m in museval_json.METRICS} for target in targets
    }
    for metrics in frames.values():
        for values in metrics.values():
            values[rng.random(n_frames) < 0.3] = np.nan
    frames[targets[0]]["SIR"][0] = np.inf
    return frames
