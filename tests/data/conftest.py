"""Tracks on disk."""

import pytest

from asteroid_slicq.data import find_tracks
from tests.data.helpers import RATE, SOURCES, write_tree


@pytest.fixture
def root(tmp_path):
    return write_tree(tmp_path)


@pytest.fixture
def tracks(root):
    return find_tracks(root, "train", SOURCES, RATE, n_channels=2)
