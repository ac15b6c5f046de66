"""Songs of the page: who finds them, and when they go."""

import time

import pytest

from asteroid_slicq.demo.songs import SongError, Songs


def test_tickets_are_long_and_never_the_same(songs):
    tickets = {songs.add("a.wav").ticket for _ in range(3)}
    assert len(tickets) == 3
    assert all(len(ticket) >= 20 for ticket in tickets)


@pytest.mark.parametrize(
    ("given", "file_name", "title"),
    [
        ("My song.flac", "My song.flac", "My song"),
        ("../../etc/passwd", "passwd", "passwd"),
        ("C:\\songs\\ä.mp3", "ä.mp3", "ä"),
        ("a\r\nSet-Cookie: b.wav", "aSet-Cookie b.wav", "aSet-Cookie b"),
        ("..", "..", "track"),
        ("", "song", "song"),
        ("x" * 300 + ".wav", "x" * 116 + ".wav", "x" * 116),
    ],
)
def test_names_are_shown_and_offered_never_used(songs, given, file_name, title):
    song = songs.add(given)
    assert (song.file_name, song.title) == (file_name, title)
    assert song.upload == songs._root / song.ticket / "upload"


def test_songs_go_once_nobody_has_used_them_for_long(songs):
    old, new, busy = songs.add("old"), songs.add("new"), songs.add("busy")
    for song in (old, busy):
        song.used_at = time.monotonic() - 61
    busy.is_busy = True
    songs.sweep()
    assert [song.folder.exists() for song in (old, new, busy)] == [False, True, True]
    with pytest.raises(SongError, match="gone: they are kept for 1 minutes"):
        songs.find(old.ticket)


def test_what_is_used_stays(songs):
    song = songs.add("song")
    song.used_at = time.monotonic() - 59
    songs.find(song.ticket)
    assert time.monotonic() - song.used_at < 50


def test_a_song_whose_ticket_never_arrived_goes_soon(tmp_path):
    songs = Songs(tmp_path, keep_s=3600, max_songs=4)
    unknown, known, new, busy = (songs.add(name) for name in ("unknown", "known", "new", "busy"))
    songs.find(known.ticket)
    busy.is_busy = True  # its upload takes long
    for song in (unknown, known, busy):
        song.used_at = time.monotonic() - 31
    songs.sweep()
    assert [song.folder.exists() for song in (unknown, known, new, busy)] == [False] + 3 * [True]


def test_more_than_the_page_holds_are_refused(songs):
    for _ in range(3):
        songs.add("a")
    with pytest.raises(SongError, match="Too many songs"):
        songs.add("b")


def test_a_full_page_gives_up_what_was_not_used_for_longest(tmp_path):
    songs = Songs(tmp_path, keep_s=3600, max_songs=3)
    busy, old, older = (songs.add(name) for name in ("busy", "old", "older"))
    for song in (busy, old, older):
        songs.find(song.ticket)
    busy.is_busy = True
    for song, minutes in ((busy, 9), (old, 4), (older, 5)):
        song.used_at = time.monotonic() - 60 * minutes
    songs.add("new")
    assert [song.folder.exists() for song in (busy, old, older)] == [True, True, False]


def test_work_without_stems_and_closing_leave_nothing(songs):
    failed, done = songs.add("failed"), songs.add("done")
    with songs.working_on(failed):
        assert failed.is_busy
    assert not failed.folder.exists()
    with songs.working_on(done):
        done.tracks = {"mix": done.upload}
    assert done.folder.exists()
    songs.close()
    assert not list(songs._root.iterdir())
