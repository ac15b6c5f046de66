"""Errors reach the caller from another process as they are."""

import pickle
from pathlib import Path

import pytest

from asteroid_slicq.audio import ExistsError
from asteroid_slicq.hub.loading import ModelFileError
from asteroid_slicq.transform import UnfitError

ERRORS = [
    ExistsError(Path("a"), [Path("a/b.wav")], [Path("a/c.wav")], "--overwrite"),
    ModelFileError("model.pth", "holds no model"),
    UnfitError("too few bins", None, "take more"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_pass_between_processes(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
