"""Facts about resampled streams: nothing is lost or moved, whatever the buffers."""

import numpy as np
import pytest

from asteroid_slicq.audio import resample_stream
from tests.helpers import numpy_noise as noise


def cut(wave, sizes):
    start = 0
    while start < wave.shape[-1]:
        for size in sizes:
            yield wave[..., start : start + size]
            start += size


def joined(buffers):
    return np.concatenate(list(buffers), axis=-1)


def test_an_empty_stream_stays_empty():
    assert list(resample_stream([], 8000, 44100)) == []


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 32000, 48000, 96000, 192000])
@pytest.mark.parametrize("n_frames", [1, 2, 100, 12345])
def test_there_and_back_is_long_enough(rate, n_frames):
    wave = noise(2, n_frames)
    there = joined(resample_stream(cut(wave, [1000]), rate, 44100))
    assert n_frames * 44100 / rate <= there.shape[-1] <= n_frames * 44100 / rate + 44100 / rate + 8
    back = joined(resample_stream(cut(there, [777]), 44100, rate))
    assert back.shape[-1] >= n_frames


@pytest.mark.parametrize("rate", [8000, 22050, 48000, 96000])
def test_resampling_keeps_a_tone_in_place(rate):
    time = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * 440 * time)[None].astype(np.float32)
    out = joined(resample_stream(cut(tone, [501]), rate, 44100))[0, 4410:-4410]
    expected = np.sin(2 * np.pi * 440 * (np.arange(len(out)) + 4410) / 44100)
    np.testing.assert_allclose(out, expected, atol=1e-4)


def test_resampling_does_not_depend_on_blocks_or_mix_channels():
    wave = noise(2, 3, 5000)
    whole = joined(resample_stream([wave], 48000, 44100))
    for sizes in ([1], [7, 500]):
        np.testing.assert_allclose(
            joined(resample_stream(cut(wave, sizes), 48000, 44100)), whole, atol=1e-6
        )
    alone = joined(resample_stream([wave[1, 2]], 48000, 44100))
    np.testing.assert_allclose(whole[1, 2], alone, atol=1e-6)


def test_equal_rates_pass_blocks_through():
    block = noise(2, 10)
    assert next(resample_stream([block], 44100, 44100.0)) is block
