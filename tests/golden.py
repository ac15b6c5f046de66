"""Where the reference inputs and outputs lie, and how a test says that it lacks them."""

import os
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"
GOLDEN = Path(os.environ.get("SLICQ_GOLDEN", Path(__file__).parents[2] / "shared" / "golden"))


def golden(name: str) -> Path:
    """Path of a reference file; skips the test, saying so, where it is absent."""
    path = DATA / name if (DATA / name).is_file() else GOLDEN / name
    if not path.is_file():
        pytest.skip(f"reference file {path} is absent (set SLICQ_GOLDEN to its folder)")
    return path
