"""Stem files like those of MUSDB18, made up."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

FREQUENCIES_HZ = {"drums": 400.0, "bass": 100.0, "other": 900.0, "vocals": 2000.0}
STREAMS = ("mixture", *FREQUENCIES_HZ)


def write_stem_file(
    path: Path, seconds: float, rate: int, streams: Sequence[str] = STREAMS, seed: int = 0
) -> Path:
    """A tone for every stem in an AAC stream of its own, after that of the mix."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate)) / rate
    stems = {
        name: np.stack([0.1 * np.sin(2 * np.pi * f_hz * time_s + 6 * rng.random())] * 2)
        for name, f_hz in FREQUENCIES_HZ.items()
    }
    stems["mixture"] = np.sum(list(stems.values()), axis=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as file:
        encoders = [file.add_stream("aac", rate=rate, layout="stereo") for _ in streams]
        for name, encoder in zip(streams, encoders, strict=True):
            encoder.bit_rate = 192_000
            for start in range(0, len(time_s), 1024):
                block = np.ascontiguousarray(stems[name][:, start : start + 1024], np.float32)
                frame = av.AudioFrame.from_ndarray(block, "fltp", "stereo")
                frame.sample_rate, frame.pts = rate, start
                file.mux(encoder.encode(frame))
            file.mux(encoder.encode(None))
    return path
