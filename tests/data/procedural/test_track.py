import subprocess
import sys

import numpy as np
import pytest

from asteroid_slicq.data.procedural import sum_stems, synthesize_track
from asteroid_slicq.data.procedural.track import RENDERERS, track_song
from asteroid_slicq.vocabulary import STEMS

RATE = 44100
DIGEST = """
import hashlib
from asteroid_slicq.data.procedural import synthesize_track
stems = synthesize_track(11, 2.0)
print(hashlib.sha256(b"".join(stems[n].tobytes() for n in sorted(stems))).hexdigest())
"""


@pytest.mark.parametrize(("seed", "duration_s"), [(0, 0.001), (0, 0.5), (7, 0.5), (7, 1.001)])
def test_every_length_is_exact_finite_and_does_not_clip(duration_s, seed):
    stems = synthesize_track(seed, duration_s)
    assert list(stems) == list(STEMS)
    for x in stems.values():
        assert x.shape == (2, round(duration_s * RATE))
        assert x.dtype == np.float32
        assert np.isfinite(x).all()
        assert np.abs(x).max() < 1.0
    assert np.abs(sum_stems(stems)).max() < 1.0


def test_other_rates():
    stems = synthesize_track(3, 1.0, 16000)
    assert stems["drums"].shape == (2, 16000)
    assert all(np.isfinite(x).all() for x in stems.values())


@pytest.mark.slow
def test_the_same_seed_gives_the_same_samples_here_and_in_another_process():
    import hashlib

    sequence = np.random.SeedSequence(11)
    runs = [synthesize_track(s, 2.0) for s in (11, 11, sequence, sequence)]
    digests = {
        hashlib.sha256(b"".join(r[n].tobytes() for n in sorted(r))).hexdigest() for r in runs
    }
    elsewhere = subprocess.run(
        [sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert digests == {elsewhere}


def test_seeds_differ_and_every_stem_is_mostly_there():
    tracks = [synthesize_track(s, 2.0, 16000) for s in range(10)]
    mixtures = [sum_stems(t) for t in tracks]
    for i in range(9):
        assert not np.allclose(mixtures[i], mixtures[i + 1])
        assert mixtures[i].std() > 1e-3
    for name in STEMS:
        heard = [t[name].std() > 1e-4 for t in tracks]
        assert sum(heard) >= 5
        levels = [20 * np.log10(t[name].std()) for t, h in zip(tracks, heard, strict=True) if h]
        assert np.std(levels) > 1.5
    wide = [np.abs(m[0] - m[1]).max() > 1e-3 for m in mixtures]
    assert all(wide)


def test_a_stem_does_not_depend_on_the_others():
    song = track_song(5, 2.0)
    first = RENDERERS["bass"](np.random.default_rng(0), song)
    RENDERERS["drums"](np.random.default_rng(1), song)
    assert np.array_equal(first, RENDERERS["bass"](np.random.default_rng(0), song))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((-1, 1.0), ValueError, "seed"),
        ((1.5, 1.0), TypeError, "seed"),
        ((0, 0.0), ValueError, "duration_s"),
        ((0, -2.0), ValueError, "duration_s"),
        ((0, float("nan")), ValueError, "duration_s"),
        ((0, float("inf")), ValueError, "duration_s"),
        ((0, 1.0, 4000), ValueError, "sample_rate"),
        ((0, 1.0, 44100.0), TypeError, "sample_rate"),
    ],
)
def test_bad_arguments(arguments, error, words):
    with pytest.raises(error, match=words):
        synthesize_track(*arguments)
