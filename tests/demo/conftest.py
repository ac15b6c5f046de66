"""A page in this process, without Gradio, and files that people give to it."""

import av
import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.demo.settings import DemoSettings
from asteroid_slicq.demo.songs import Songs
from asteroid_slicq.demo.work import Workshop
from tests.demo.serving import page  # noqa: F401
from tests.helpers import Split


@pytest.fixture
def songs(tmp_path):
    (tmp_path / "songs").mkdir()
    songs = Songs(tmp_path / "songs", keep_s=60, max_songs=3)
    yield songs
    songs.close()


@pytest.fixture
def settings():
    return DemoSettings(models={"split": Split}, max_minutes=0.05, max_mb=1.0)


@pytest.fixture
def workshop(settings, songs):
    return Workshop(settings, songs)


def wav(path, n_samples=40_000, n_channels=2, rate=44100, scale=0.1):
    """Tones that all sample rates hold."""
    time = np.arange(n_samples)[:, None] / rate
    wave = scale * np.sin(2 * np.pi * (300 + 50 * np.arange(n_channels)) * time)
    sf.write(path, wave, rate, format="WAV")
    return path.read_bytes()


def silent_video(path):
    """A video without sound."""
    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for index in range(5):
            image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
            image.pts = index
            file.mux(stream.encode(image))
        file.mux(stream.encode(None))
    return path.read_bytes()


@pytest.fixture
def refused(tmp_path):
    """Files that the page does not take, and a part of what it says then."""
    path = tmp_path / "file"
    wav(tmp_path / "good.wav", 20_000)
    return {
        "notes.txt": (b"just some words\n" * 9, "is no audio that can be read"),
        "silence.wav": (wav(path, scale=0.0), "is silent, so there is nothing to separate"),
        "long.wav": (wav(path, 30_000, 1, rate=8000), "is longer than 0.05 minutes"),
        "video.mp4": (silent_video(path), "is no audio that can be read"),
        "none.wav": (wav(path, 0), "holds no samples"),
        "cut.wav": (wav(path)[:5000], "is truncated"),
        "list.m3u8": (
            f"#EXTM3U\n#EXTINF:1,\n{tmp_path / 'good.wav'}\n#EXT-X-ENDLIST\n".encode(),
            "is no audio that can be read",
        ),
        "list.ffconcat": (b"ffconcat version 1.0\nfile good.wav\n", "is no audio"),
    }
