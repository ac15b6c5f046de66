import numpy as np
import pytest

from asteroid_slicq.data.procedural import percussion

RATE = 44100
SIMPLE = {
    "kick": lambda rng: percussion.make_kick(rng, RATE, False),
    "machine kick": lambda rng: percussion.make_kick(rng, RATE, True),
    "snare": lambda rng: percussion.make_snare(rng, RATE, False),
    "clap": lambda rng: percussion.make_clap(rng, RATE),
    "rim": lambda rng: percussion.make_rim(rng, RATE),
    "tom": lambda rng: percussion.make_tom(rng, RATE, 100.0),
    "hat": lambda rng: percussion.make_hat(rng, RATE, False),
    "machine hat": lambda rng: percussion.make_hat(rng, RATE, True),
    "ride": lambda rng: percussion.make_cymbal(rng, RATE, True),
    "crash": lambda rng: percussion.make_cymbal(rng, RATE, False),
    "shaker": lambda rng: percussion.make_shaker(rng, RATE),
    "brush": lambda rng: percussion.make_brush(rng, RATE),
}


def share(x, low_hz, high_hz):
    power = np.abs(np.fft.rfft(x)) ** 2
    f = np.fft.rfftfreq(len(x), 1 / RATE)
    return power[(f >= low_hz) & (f < high_hz)].sum() / power.sum()


@pytest.mark.parametrize("name", SIMPLE)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_hits_are_sane(name, seed):
    hit = SIMPLE[name](np.random.default_rng(seed))
    loud, soft = hit(1.0), hit(0.3)
    assert np.isfinite(loud).all()
    assert loud.ndim == 1
    assert 0.5 < np.abs(loud).max() <= 1.1
    assert np.abs(soft).max() < 0.5 * np.abs(loud).max()
    assert np.abs(loud[-1]) < 1e-2
    half = len(loud) // 2
    assert np.sum(loud[half:] ** 2) < 0.3 * np.sum(loud**2)


@pytest.mark.parametrize("seed", range(4))
def test_each_piece_has_its_register(seed):
    rng = np.random.default_rng(seed)
    assert share(SIMPLE["kick"](rng)(1.0), 0, 250) > 0.7
    assert share(SIMPLE["hat"](rng)(1.0), 3000, 22050) > 0.9
    assert share(SIMPLE["machine hat"](rng)(1.0), 3000, 22050) > 0.8
    assert share(SIMPLE["crash"](rng)(1.0), 1000, 22050) > 0.6
    assert share(SIMPLE["snare"](rng)(1.0), 120, 22050) > 0.95
    assert share(SIMPLE["shaker"](rng)(1.0), 2500, 22050) > 0.8


def test_an_open_hat_rings_longer_and_kits_differ():
    hat = percussion.make_hat(np.random.default_rng(0), RATE, False)
    assert len(hat(1.0, 1.0)) > 2 * len(hat(1.0, 0.0))
    kicks = [percussion.make_kick(np.random.default_rng(s), RATE, False)(1.0) for s in range(5)]
    assert len({len(k) for k in kicks}) == 5
