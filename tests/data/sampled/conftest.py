"""What holds for the tests of recorded sounds."""

import pytest

from asteroid_slicq.data.sampled.bank import Bank
from asteroid_slicq.data.sampled.building import build_bank
from tests.data.sampled.made_up import archives, packages


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """A file system with small stand-ins for all packages."""
    return packages(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="session")
def packed(tmp_path_factory):
    """A folder with small stand-ins for what ``npm pack`` downloads."""
    return archives(tmp_path_factory.mktemp("packed"))


@pytest.fixture(scope="session")
def bank(root, packed, tmp_path_factory):
    """A bank built of them."""
    return Bank(build_bank(tmp_path_factory.mktemp("bank"), root, packed=packed).folder)
