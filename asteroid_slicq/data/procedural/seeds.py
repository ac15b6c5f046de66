"""Independent random streams of tracks and instruments from one seed."""

import zlib

import numpy as np

Seed = int | np.random.SeedSequence


def derive(seed: Seed, *path: int | str) -> np.random.SeedSequence:
    """Name a stream below a seed, without changing the seed.

    ``SeedSequence.spawn`` counts its children, so the second call differs from the first; here the
    child depends on its path alone, names or indices with the outermost first, and so neither on
    order nor on how many others there are.

    Raises:
        ValueError: If the seed is negative.
        TypeError: If it is neither an integer nor a seed sequence.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer, np.random.SeedSequence)):
        raise TypeError(f"seed must be an int or a SeedSequence, got {seed!r}")
    if not isinstance(seed, np.random.SeedSequence):
        if seed < 0:
            raise ValueError(f"seed must be at least 0, got {seed}")
        seed = np.random.SeedSequence(int(seed))
    keys = [zlib.crc32(k.encode()) if isinstance(k, str) else int(k) for k in path]
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *keys))


def generator(seed: Seed, *path: int | str) -> np.random.Generator:
    """Open the random stream at a path below a seed; the arguments are those of `derive`."""
    return np.random.default_rng(derive(seed, *path))


def pick(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """Draw one key with a probability proportional to its weight."""
    names = list(weights)
    p = np.array([weights[n] for n in names], dtype=float)
    return names[int(rng.choice(len(names), p=p / p.sum()))]


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw from [low, high) evenly on a logarithmic axis."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
