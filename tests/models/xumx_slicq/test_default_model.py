"""The model that ships with the package, on a track it has not seen."""

from importlib import resources

import numpy as np
import pytest
import soundfile
import torch
from asteroid.models import BaseModel

from asteroid_slicq import XUMXSliCQ, load_default_model
from asteroid_slicq.data.procedural import synthesize_track
from asteroid_slicq.evaluation import utterance_sdr

FILE = resources.files("asteroid_slicq") / "models/xumx_slicq/weights/free_stems.pth"
SAMPLE_RATE = 44100


@pytest.fixture(scope="module")
def model() -> XUMXSliCQ:
    return load_default_model()


@pytest.fixture(scope="module")
def stems(model) -> np.ndarray:
    track = synthesize_track(987654, 5.0)
    return np.stack([track[source] for source in model.sources])


@pytest.fixture(scope="module")
def estimates(model, stems) -> np.ndarray:
    return model.separate(torch.from_numpy(stems.sum(0))).numpy()


def test_small_on_disk_and_in_memory(model):
    assert len(FILE.read_bytes()) <= 12_000_000
    assert sum(p.numel() for p in model.parameters()) <= 11_000_000
    assert not model.training


def test_loads_as_any_model_of_asteroid():
    with resources.as_file(FILE) as path:
        assert isinstance(BaseModel.from_pretrained(str(path)), XUMXSliCQ)


def test_separates_better_than_the_mix(stems, estimates):
    mix = stems.sum(0)
    heard = [j for j in range(4) if np.abs(stems[j]).max() > 1e-3]
    assert len(heard) >= 3
    gain = utterance_sdr(stems, estimates) - utterance_sdr(stems, np.broadcast_to(mix, stems.shape))
    assert gain[heard].mean() > 6
    assert (gain[heard] > 2).all()


def test_sources_sum_to_the_mix(stems, estimates):
    mix = stems.sum(0)
    error = estimates.sum(0) - mix
    assert 10 * np.log10((mix**2).sum() / (error**2).sum()) > 25


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (44100, 1), (8000, 1), (48000, 2)])
def test_files_keep_rate_channels_and_length(model, tmp_path, rate, channels):
    song = tmp_path / "song.wav"
    samples = 0.1 * np.random.default_rng(0).standard_normal((rate // 2 + 1, channels))
    soundfile.write(song, samples, rate)
    files = model.separate(str(song), output_dir=str(tmp_path / "out"))
    assert sorted(files) == sorted(model.sources)
    for path in files.values():
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.frames) == (rate, channels, len(samples))


def test_silence_stays_silent(model):
    with torch.inference_mode():
        assert not model(torch.zeros(1, 2, SAMPLE_RATE)).any()


@pytest.mark.slow
def test_separates_a_real_song(model):
    """The example of ``stempeg``, where that package and the ffmpeg binary it needs are there."""
    try:
        import stempeg
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"stempeg is not usable: {error}")
    audio, _ = stempeg.read_stems(stempeg.example_stem_path(), dtype=np.float32)
    mix, *stems = np.ascontiguousarray(audio.transpose(0, 2, 1))
    estimates = model.separate(mix)
    order = [model.sources.index(name) for name in ("drums", "bass", "other", "vocals")]
    stems = np.stack(stems)
    gain = utterance_sdr(stems, estimates[order])
    gain -= utterance_sdr(stems, np.broadcast_to(mix, stems.shape))
    assert (gain > 4).all()
