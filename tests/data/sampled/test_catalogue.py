import pytest

from asteroid_slicq.data.sampled.catalogue import (
    ALLOWED_LICENCES,
    SOURCES,
    Credit,
    LicenceError,
    check_licence,
)
from asteroid_slicq.data.sampled.packed_sources import PACKED_SOURCES
from asteroid_slicq.data.sampled.voices import VOICE_SOURCES


@pytest.mark.parametrize(
    "licence", ["GPL-2.0-only", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "LGPL-3.0", ""]
)
def test_other_licences_are_refused(licence):
    with pytest.raises(LicenceError, match="a kit is under"):
        check_licence(licence, "a kit")


@pytest.mark.parametrize("source", SOURCES + PACKED_SOURCES + VOICE_SOURCES, ids=lambda s: s.name)
def test_a_source_is_complete(source):
    assert source.statements
    assert source.verified
    assert source.taken
    assert source.credit.author
    assert source.credit.licence in ALLOWED_LICENCES
    assert not source.folder.startswith("/")
    assert source.install_command == f"{source.installer} {source.package}"


def test_a_source_under_another_licence_cannot_be_listed():
    fields = dict(vars(SOURCES[0]))
    with pytest.raises(LicenceError, match="is under CC-BY-SA"):
        type(SOURCES[0])(**fields | {"credits": {"*": Credit("somebody", "CC-BY-SA-4.0")}})


def test_parts_have_their_own_credit():
    general = SOURCES[0]
    assert "AKAI" in general.credit_of("0:0").author
    assert general.credit_of("0:48").licence == "CC0-1.0"
    assert general.credit_of("0:33") == general.credit
    assert general.credit_of("128:0") == general.credit
