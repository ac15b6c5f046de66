import numpy as np
import pytest

from asteroid_slicq.data.sampled.soundfont import SoundFont, decode_pcm
from tests.data.sampled.made_up import (
    KEYS,
    LOOPS,
    RELEASE,
    ROOT,
    SAMPLE,
    SUSTAIN,
    VELOCITIES,
    soundfont,
    span,
)

X = np.arange(-500, 500, dtype=np.int16)
Y = np.arange(300, dtype=np.int16)


@pytest.fixture
def font(tmp_path):
    zones = [
        {SAMPLE: 0, KEYS: span(0, 59), LOOPS: 1, ROOT: 57, SUSTAIN: 120, RELEASE: -1200, 51: -1},
        {SAMPLE: 1, KEYS: span(60, 127), VELOCITIES: span(64, 127), 17: -500, 48: 100, 8: 6900},
    ]
    presets = {(0, 5): zones, (128, 3): [{SAMPLE: 1}]}
    path = tmp_path / "a.sf2"
    path.write_bytes(soundfont(presets, [(X, (100, 900)), (Y, (0, 0))]))
    return SoundFont(path)


def test_presets_and_samples(font):
    assert font.presets == [(0, 5), (128, 3)]
    assert font.n_samples == 2
    sample = font.sample(0)
    np.testing.assert_array_equal(decode_pcm(sample.data), X)
    assert (sample.rate, sample.root, sample.loop_start, sample.loop_end) == (44100, 60, 100, 900)
    np.testing.assert_array_equal(decode_pcm(font.sample(1).data), Y)
    assert font.sample_size(1) == 2 * len(Y)


def test_zones_have_units(font):
    first, second = font.preset(0, 5).zones
    assert (first.keys, first.velocities, first.root, first.loop) == ((0, 59), (0, 127), 57, 1)
    assert first.sustain_db == 12.0
    assert first.release_s == pytest.approx(0.5)
    assert first.tune_cents == -100.0
    assert (second.keys, second.velocities, second.root) == ((60, 127), (64, 127), None)
    assert second.pan == -1.0
    assert second.attenuation_db == pytest.approx(4.0)
    assert second.cutoff_hz == pytest.approx(440.0, rel=1e-3)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "b.sf2"
    path.write_bytes(b"RIFF\0\0\0\0WAVE")
    with pytest.raises(ValueError, match="no SoundFont"):
        SoundFont(path)
    whole = soundfont({(0, 0): [{SAMPLE: 0}]}, [(X, (0, 0))])
    path.write_bytes(whole[:-60])
    with pytest.raises(ValueError, match=r"cut short|no chunk"):
        SoundFont(path)
