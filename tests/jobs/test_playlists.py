"""Facts about playlists: every entry is a song or a sentence, in whatever way it is written."""

import os
from pathlib import Path

import pytest

from asteroid_slicq.jobs.inputs import collect_jobs


@pytest.fixture
def music(folder):
    for name in ("a b.wav", "sub/#1.wav", "sub/ä.wav", "[x].flac", "album/c.ogg"):
        path = folder / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def jobs(playlist, data, name="music/list.m3u"):
    Path(name).write_bytes(data)
    found, problems = collect_jobs([playlist], Path("out"))
    return {str(job.path): job.track for job in found}, problems


def test_entries_are_relative_to_the_playlist(music):
    absolute = os.fsencode(music / "music" / "album" / "c.ogg")
    text = b"\xef\xbb\xbf#EXTM3U\r\n#EXTINF:1,A\r\na b.wav\r\n\r\n./sub/#1.wav\r\n" + absolute
    assert jobs("music/list.m3u", text) == (
        {"music/a b.wav": "a b", "music/sub/#1.wav": "#1", os.fsdecode(absolute): "c"},
        [],
    )


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_names_in_utf8_and_latin1(music, encoding):
    assert jobs("music/list.m3u", "sub/ä.wav\n".encode(encoding))[0] == {"music/sub/ä.wav": "ä"}


@pytest.mark.skipif(os.name != "posix", reason="names are text elsewhere")
def test_a_name_that_is_no_text_is_what_its_bytes_say(music):
    name = os.fsdecode(b"\xe4\xff.wav")
    (music / "music" / name).touch()
    assert jobs("music/list.m3u", b"\xe4\xff.wav\n")[0] == {f"music/{name}": name[:-4]}


def test_names_as_other_programs_write_them(music):
    address = (music / "music" / "a b.wav").as_uri()
    assert "%20" in address
    found, problems = jobs("music/list.m3u", f"sub\\#1.wav\n{address}\n[x].flac\n".encode())
    assert list(found.values()) == ["#1", "a b", "[x]"]
    assert problems == []


def test_what_is_missing_is_told_and_the_rest_done(music):
    text = b"gone.wav\na b.wav\nhttps://example.com/x.mp3\n*.wav\nalbum\n"
    found, problems = jobs("music/list.m3u8", text, "music/list.m3u8")
    assert found == {"music/a b.wav": "a b", "music/album/c.ogg": "c"}
    assert problems == [
        "music/list.m3u8: music/gone.wav: no such file or folder",
        "music/list.m3u8: https://example.com/x.mp3: is an address; download it first",
        "music/list.m3u8: music/*.wav: no such file or folder",
    ]


def test_playlists_in_playlists_end(music):
    Path("music/other.m3u").write_text("list.m3u\nsub/ä.wav\n", encoding="utf-8")
    found, problems = jobs("music/*.m3u", b"other.m3u\na b.wav\n")
    assert (list(found.values()), problems) == (["ä", "a b"], [])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "music/list.m3u: names no files"),
        (b"#EXTM3U\n", "music/list.m3u: names no files"),
        (b"RIFF\0\0\0\0WAVE", "music/list.m3u: is no playlist (M3U: a file's name a line)"),
        (
            b"#EXTM3U\n#EXT-X-VERSION:3\nseg1.ts\n",
            "music/list.m3u: is the playlist of a stream, whose parts are no songs",
        ),
    ],
)
def test_what_is_no_playlist(music, data, told):
    assert jobs("music/list.m3u", data) == ({}, [told])
