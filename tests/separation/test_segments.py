"""Facts about streams: fades sum to one, lengths are exact, the cut into blocks does not matter."""

import numpy as np
import pytest

from asteroid_slicq.separation.segments import crossfade, process_in_segments
from tests.helpers import numpy_noise as noise


def cut(wave, sizes):
    start = 0
    while start < wave.shape[-1]:
        for size in sizes:
            yield wave[..., start : start + size]
            start += size


def joined(blocks):
    return np.concatenate(list(blocks), axis=-1)


@pytest.mark.parametrize("overlap", [0, 1, 2, 3, 4, 7, 100, 4410])
def test_crossfade_rises_between_zero_and_one_symmetrically(overlap):
    weight = crossfade(overlap)
    assert weight.shape == (overlap,)
    assert (np.diff(weight) >= 0).all()
    assert (weight >= 0).all()
    assert (weight <= 1).all()
    np.testing.assert_allclose(weight + weight[::-1], 1.0, atol=1e-6)
    assert (weight[: overlap // 4] == 0).all()
    assert (weight[overlap - overlap // 4 :] == 1).all()


@pytest.mark.parametrize(("size", "overlap"), [(100, 50), (100, 0), (100, 13), (2, 1), (64, 32)])
@pytest.mark.parametrize("n_frames", [1, 2, 63, 64, 65, 99, 100, 101, 150, 151, 1000, 1001])
def test_identity_gives_the_stream_back(n_frames, size, overlap):
    wave = noise(2, n_frames)
    for sizes in ([1000], [1], [7, 64, 1, 300]):
        blocks = list(process_in_segments(cut(wave, sizes), lambda x: x, size, overlap))
        out = joined(blocks)
        assert out.shape == wave.shape
        assert all(block.size for block in blocks)
        np.testing.assert_allclose(out, wave, atol=1e-6)


def test_segments_are_full_but_the_last_and_cover_their_overlap():
    lengths = []

    def process(segment):
        lengths.append(segment.shape[-1])
        return segment

    joined(process_in_segments(cut(noise(2, 1000), [33]), process, 100, 20))
    assert lengths[:-1] == [100] * (len(lengths) - 1)
    assert 20 < lengths[-1] <= 100
    assert len(lengths) == 1 + -(-900 // 80)


def test_time_invariant_process_is_unaware_of_segments():
    kernel = np.random.default_rng(1).standard_normal(25)  # reaches 12 samples either way

    def filtered(segment):
        return np.stack([np.convolve(row, kernel, "same") for row in segment])

    wave = noise(2, 2000)
    whole = filtered(wave)
    segmented = joined(process_in_segments(cut(wave, [90]), filtered, 200, 48))
    np.testing.assert_allclose(segmented, whole, atol=1e-5)


def test_segments_that_disagree_are_faded_not_cut():
    levels = iter([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    out = joined(
        process_in_segments(
            cut(noise(2, 1000), [100]), lambda x: np.full_like(x, next(levels)), 250, 100
        )
    )
    assert (
        np.abs(np.diff(out)).max() < 1.02 * np.pi / 2 / 50
    )  # the steepest step of a 50-sample Hann


def test_an_empty_stream_stays_empty():
    assert list(process_in_segments([], lambda x: x, 10, 5)) == []
