import numpy as np
import pytest

from asteroid_slicq.data.procedural.seeds import derive, generator, pick


def test_a_child_depends_on_its_path_alone():
    sequence = np.random.SeedSequence(3)
    first = generator(sequence, "bass", 2).integers(0, 2**60)
    generator(sequence, "other").random(10)
    assert generator(sequence, "bass", 2).integers(0, 2**60) == first
    assert generator(3, "bass", 2).integers(0, 2**60) == first
    assert sequence.n_children_spawned == 0


def test_neighbours_differ():
    draws = {
        int(generator(seed, name, i).integers(0, 2**60))
        for seed in (0, 1)
        for name in ("train", "test")
        for i in range(5)
    }
    assert len(draws) == 20


@pytest.mark.parametrize(
    ("seed", "error", "words"),
    [(-1, ValueError, "at least 0"), (1.5, TypeError, "1.5"), (True, TypeError, "True")],
)
def test_bad_seeds(seed, error, words):
    with pytest.raises(error, match=words):
        derive(seed)


def test_pick_follows_the_weights():
    rng = np.random.default_rng(0)
    drawn = [pick(rng, {"a": 1.0, "b": 3.0, "never": 0.0}) for _ in range(2000)]
    assert "never" not in drawn
    assert drawn.count("b") / 2000 == pytest.approx(0.75, abs=0.04)
