"""Paths, signals, stems and a model that tests of several rooms share."""

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from asteroid_slicq import SliCQT

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
GOLDEN = Path(os.environ.get("SLICQ_GOLDEN", ROOT.parent / "shared" / "golden"))
RECIPES = ROOT / "recipes" / "musdb18hq"
GAINS = {"bass": 0.1, "vocals": 0.5, "other": 0.15, "drums": 0.25}
"""Shares of the mix, which sum to one."""


def golden(name: str) -> Path:
    """Path of a reference file; skips the test, saying so, where it is absent."""
    path = DATA / name if (DATA / name).is_file() else GOLDEN / name
    if not path.is_file():
        pytest.skip(f"reference file {path} is absent (set SLICQ_GOLDEN to its folder)")
    return path


def with_slow(values: Iterable[Any], *slow: Any) -> list[Any]:
    """Values of parameters, of which those that cost much are marked so."""
    each = (value if isinstance(value, tuple) else (value,) for value in values)
    dear = [value if isinstance(value, tuple) else (value,) for value in slow]
    return [pytest.param(*v, marks=pytest.mark.slow if v in dear else ()) for v in each]


def environment(*paths: Path) -> dict[str, str]:
    """Of a process that finds this package, and modules in folders."""
    known = [*map(str, paths), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, known)),
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
    }


def noise(
    *shape: int, seed: int = 0, scale: float = 1.0, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Gaussian noise."""
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


double_noise = partial(noise, dtype=torch.float64)
complex_noise = partial(noise, dtype=torch.complex64)


def numpy_noise(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Gaussian noise in float32."""
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def listed(coefficients) -> list[torch.Tensor]:
    """Blocks of coefficients, where rasterised ones are a single block."""
    return [coefficients] if isinstance(coefficients, torch.Tensor) else list(coefficients)


def stored_bytes(state, seen=None) -> int:
    """Memory of all tensors that an object holds, but for the constants of the transform."""
    seen = set() if seen is None else seen
    if id(state) in seen or isinstance(state, SliCQT):
        return 0
    seen.add(id(state))
    if isinstance(state, torch.Tensor):
        storage = state.untyped_storage()
        first = storage.data_ptr() not in seen
        seen.add(storage.data_ptr())
        return storage.nbytes() if first else 0
    if isinstance(state, list | tuple):
        return sum(stored_bytes(item, seen) for item in state)
    constants = ("layout", "frame", "window", "factors", "over", "kind")
    items = getattr(state, "__dict__", {}).items()
    return sum(stored_bytes(item, seen) for key, item in items if key not in constants)


class Split(nn.Module):
    """Source j is gain_j times the mix."""

    sample_rate, n_channels = 44100, 2
    error = None

    def __init__(self):
        super().__init__()
        self.sources = list(GAINS)
        self.gains = nn.Parameter(torch.tensor(list(GAINS.values())))

    def forward(self, mix):
        if self.error is not None:
            raise self.error
        return self.gains[:, None, None] * mix[:, None]
