import pytest

from asteroid_slicq.data.sampled.catalogue import SOURCES, Credit, LicenceError
from asteroid_slicq.data.sampled.copyrights import credit_by_name, parse_stanzas, read_copyright

TEXT = """Format: 1.0

Files: *
Copyright: 2016 A
License: MIT

Files: etc/a.flac
 etc/b?.flac
Copyright: 2011 B
Source: http://example.org
License: CC0
 a long text

License: CC0
 more
"""


def test_a_file_that_is_named_has_its_credit():
    stanzas = parse_stanzas(TEXT)
    assert len(stanzas) == 2
    expected = (Credit("2011 B", "CC0-1.0"), "http://example.org")
    assert credit_by_name(stanzas, "etc/a.flac") == expected
    assert credit_by_name(stanzas, "etc/b1.flac") == expected


def test_a_file_that_is_not_named_has_none():
    assert credit_by_name(parse_stanzas(TEXT), "etc/c.flac") is None


def test_a_changed_licence_is_refused(tmp_path):
    source = SOURCES[0]
    path = tmp_path / source.copyright_file
    with pytest.raises(LicenceError, match="no copyright file"):
        read_copyright(tmp_path, source)
    path.parent.mkdir(parents=True)
    path.write_text("\n  ".join(" ".join(source.statements).split()))
    assert read_copyright(tmp_path, source)
    path.write_text("GPL-3.0")
    with pytest.raises(LicenceError, match="does not say"):
        read_copyright(tmp_path, source)
