"""Facts about surround sound: each channel goes where ITU-R BS.775 says, as loud as it says."""

import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.audio import AudioError, AudioReader, AudioWarning
from asteroid_slicq.separation import separate
from tests.audio.helpers import encode
from tests.helpers import Split, numpy_noise

HALF_POWER = 0.5**0.5
FIVE_ONE = [
    [1, 0, HALF_POWER, 0, HALF_POWER, 0],
    [0, 1, HALF_POWER, 0, 0, HALF_POWER],
]
SEVEN_ONE = [row + row[4:] for row in FIVE_ONE]
THREE_ONE = [[1, 0, HALF_POWER, 0.5], [0, 1, HALF_POWER, 0.5]]


def read(path, downmix=True):
    with AudioReader(path, downmix) as reader:
        return np.concatenate(list(reader.buffers(1000)), axis=-1), reader.n_channels


@pytest.mark.parametrize(
    ("kind", "n_channels", "weights"),
    [("WAVEX", 6, FIVE_ONE), ("FLAC", 6, FIVE_ONE), ("FLAC", 8, SEVEN_ONE)],
)
def test_pcm(tmp_path, kind, n_channels, weights):
    wave = numpy_noise(n_channels, 3000, scale=0.1)
    sf.write(tmp_path / "a", wave.T, 48000, format=kind, subtype="PCM_24")
    out, count = read(tmp_path / "a")
    assert count == 2
    np.testing.assert_allclose(out, weights @ wave, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "layout", "weights"),
    [("a.mka", "5.1", FIVE_ONE), ("a.mka", "5.1(side)", FIVE_ONE), ("a.mka", "4.0", THREE_ONE)],
)
def test_compressed(tmp_path, name, layout, weights):
    wave = np.round(numpy_noise(len(weights[0]), 8000, scale=0.05) * 2**15) / 2**15
    encode(tmp_path / name, wave, 48000, "flac", layout=layout)
    out, _ = read(tmp_path / name)
    np.testing.assert_allclose(out, weights @ wave, atol=1e-4)


@pytest.mark.parametrize("kind", ["WAV", "AIFF"])
def test_an_order_that_is_not_named_is_that_of_wav_and_told(tmp_path, kind):
    wave = numpy_noise(6, 3000, scale=0.1)
    sf.write(tmp_path / "a", wave.T, 48000, format=kind, subtype="PCM_24")
    with pytest.warns(AudioWarning, match="does not name its 6 channels; the order of WAV"):
        out, _ = read(tmp_path / "a")
    np.testing.assert_allclose(out, FIVE_ONE @ wave, atol=1e-6)


@pytest.mark.parametrize(("kind", "n_channels"), [("WAV", 7), ("WAVEX", 8)])  # 7.1 of cinemas
def test_channels_without_a_place_are_refused(tmp_path, kind, n_channels):
    sf.write(tmp_path / "a.wav", numpy_noise(3000, n_channels), 48000, format=kind)
    with pytest.raises(AudioError, match=r"\d channels have no known place in a stereo mix"):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize("n_channels", [1, 2])
def test_stereo_and_mono_stay(tmp_path, n_channels):
    sf.write(tmp_path / "a.wav", numpy_noise(3000, n_channels, scale=0.1), 48000)
    np.testing.assert_array_equal(
        read(tmp_path / "a.wav")[0], read(tmp_path / "a.wav", downmix=False)[0]
    )


def test_a_separation_names_the_way_and_takes_it(tmp_path):
    wave = numpy_noise(6, 9000, scale=0.1)
    sf.write(tmp_path / "a.wav", wave.T, 44100, format="WAVEX", subtype="PCM_24")
    with pytest.raises(AudioError, match=r"has 6 channels, .*downmix=True: by ITU-R BS\.775"):
        separate(Split(), tmp_path / "a.wav")
    paths = separate(Split(), tmp_path / "a.wav", downmix=True, bit_depth="32f")
    total = sum(sf.read(path)[0] for path in paths.values())
    np.testing.assert_allclose(total.T, FIVE_ONE @ wave, atol=1e-5)
