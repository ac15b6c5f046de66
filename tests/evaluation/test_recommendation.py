"""Comparison of frames: what it tells apart, what it does not, and what does not count."""

import numpy as np
import pytest

from asteroid_slicq.evaluation import compare
from asteroid_slicq.evaluation.recommendation import CANDIDATES
from asteroid_slicq.transform import STFT, SliCQT


def music(n_tracks=8, n_windows=30, seed=0):
    """Windows of tracks that differ much from one another, for two frames that are alike."""
    rng = np.random.default_rng(seed)
    levels = rng.normal(8, 3, n_tracks)[:, None, None]
    common = rng.normal(0, 2, (n_tracks, 1, n_windows))
    return levels + common + rng.normal(0, 0.3, (n_tracks, 2, n_windows))


def test_values_are_means_of_medians():
    tracks = list(music())
    found = compare(tracks, n_draws=50)
    expected = np.mean([np.median(track, 1) for track in tracks], 0)
    assert [s.value for s in found.standings] == pytest.approx(expected)
    assert found.best == expected.argmax()
    assert (found.n_tracks, found.n_windows) == (8, 240)
    assert sum(s.share for s in found.standings) == pytest.approx(1)
    assert compare(tracks, n_draws=50) == found


def test_a_small_difference_in_every_window_is_told_and_chance_is_not():
    alike = music()
    assert all(s.indistinguishable for s in compare(alike, n_draws=200).standings)
    better = np.add(alike, [[0.0], [0.5]])
    worse, best = compare(better, n_draws=200).standings
    assert not worse.indistinguishable
    assert (best.share, best.behind, best.behind_interval) == (1, 0, (0, 0))
    low, high = worse.behind_interval
    assert 0 < low < worse.behind < high
    # Tracks differ by far more than that.
    assert worse.interval[1] - worse.interval[0] > 1


@pytest.mark.slow
def test_the_interval_covers_the_true_value():
    inside = 0
    for seed in range(40):
        tracks = np.random.default_rng(seed).normal(0, 1, (20, 1, 10))
        low, high = compare(list(tracks), block=1, n_draws=200).standings[0].interval
        inside += low <= 0 <= high
    assert 33 <= inside <= 40


def test_less_may_be_better_and_what_is_undefined_does_not_count():
    tracks = [np.array([[1.0, 2, np.nan, 4], [3.0, 3, 3, np.nan]]), np.full((2, 3), np.nan)]
    found = compare(tracks, less_is_better=True, n_draws=20)
    assert (found.best, found.n_tracks, found.n_windows) == (0, 1, 2)
    assert [s.value for s in found.standings] == [1.5, 3]
    assert found.standings[1].behind == 1.5
    assert compare(tracks[1:]) is None


def test_candidates_are_frames():
    for candidate in CANDIDATES:
        make = STFT if "n_fft" in candidate else SliCQT
        assert make(**candidate, sample_rate=44100)
