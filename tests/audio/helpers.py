"""Signals, and files of them in many formats, made by PyAV."""

from pathlib import Path

import av
import numpy as np


def sweep(n_samples: int, n_channels: int, sample_rate: int) -> np.ndarray:
    """Rising tones, so that each moment differs. Shape: ``(channel, time)``."""
    time = np.arange(n_samples) / sample_rate
    channels = [np.sin(2 * np.pi * (300 + 900 * time) * (1 + j) * time) for j in range(n_channels)]
    return (0.4 * np.stack(channels)).astype(np.float32)


def encode(
    path: Path,
    wave: np.ndarray,
    sample_rate: int,
    codec: str,
    container: str | None = None,
    video: str | None = None,
    layout: str | None = None,
    **options: str,
) -> bytes:
    """Write a file and return its bytes; ``options`` are the container's and the codec's."""
    with av.open(str(path), "w", format=container, options=options) as file:
        picture = None
        if video is not None:
            picture = file.add_stream(video, rate=10)
            picture.width = picture.height = 32
            picture.pix_fmt = "yuv420p"
        layout = layout or ("mono" if len(wave) == 1 else "stereo")
        stream = file.add_stream(codec, rate=sample_rate, layout=layout, options=options)
        if picture is not None:
            for index in range(round(10 * wave.shape[1] / sample_rate)):
                image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
                image.pts = index
                file.mux(picture.encode(image))
            file.mux(picture.encode(None))
        for start in range(0, wave.shape[1], 4096):
            block = np.ascontiguousarray(wave[:, start : start + 4096])
            frame = av.AudioFrame.from_ndarray(block, "fltp", layout)
            frame.sample_rate, frame.pts = sample_rate, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path.read_bytes()
