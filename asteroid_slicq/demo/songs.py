"""Songs of the page: their files, under names that cannot be guessed, and when they go."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asteroid_slicq.audio import track_name

_MAX_NAME = 120
_IN_USE_S = 180.0
_UNCLAIMED_S = 30.0


class SongError(ValueError):
    """What is wrong with a song or a request, in one sentence for the page."""


@dataclass
class Song:
    """A file that somebody gave to the page, and what was made of it.

    Attributes:
        ticket: by which the page names it; who does not have it cannot ask for it.
        folder: of all its files, whose names are ours.
        file_name: as it was given; shown, never opened.
        tracks: the mix and the stems, once they are there, by name.
        is_busy: work is being done on it, so it stays.
        is_stopped: nobody waits for it any more.
        is_claimed: the page has its ticket, so it asked for it. An upload that is cancelled, or a
            page that is closed, just before the answer comes leaves a song whose ticket nobody has.
    """

    ticket: str
    folder: Path
    file_name: str
    tracks: dict[str, Path] = field(default_factory=dict)
    levels: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_busy: bool = False
    is_stopped: bool = False
    is_claimed: bool = False
    used_at: float = field(default_factory=time.monotonic)

    @property
    def upload(self) -> Path:
        """Where the file is."""
        return self.folder / "upload"

    @property
    def title(self) -> str:
        """Name for the files that are downloaded."""
        return track_name(self.file_name)


class Songs:
    """The songs that a page holds.

    Args:
        root: a folder that belongs to the page alone.
        keep_s: seconds after their last use that songs stay.
        max_songs: held at a time.
    """

    def __init__(self, root: Path, keep_s: float, max_songs: int):
        self._root = root
        self._keep_s = keep_s
        self._max_songs = max_songs
        self._songs: dict[str, Song] = {}
        self._lock = threading.Lock()

    def add(self, file_name: str) -> Song:
        """Make room for a song, where need be in place of the one that was not used for longest.

        Raises:
            SongError: as many as are held are in use.
        """
        self.sweep()
        if len(self._songs) >= self._max_songs:
            idle = [song for song in list(self._songs.values()) if not song.is_busy]
            oldest = min(idle, key=lambda song: song.used_at, default=None)
            if oldest is not None and oldest.used_at < time.monotonic() - _IN_USE_S:
                self.remove(oldest)
        with self._lock:
            if len(self._songs) >= self._max_songs:
                raise SongError("Too many songs are here at the moment. Try again in some minutes.")
            ticket = secrets.token_urlsafe(16)
            song = Song(ticket, self._root / ticket, _clean(file_name))
            song.folder.mkdir()
            self._songs[ticket] = song
        return song

    def find(self, ticket: str) -> Song:
        """The song of a ticket, which is kept for longer now.

        Raises:
            SongError: there is none, or not any more.
        """
        song = self._songs.get(ticket)
        if song is None:
            minutes = f"{self._keep_s / 60:g}"
            raise SongError(f"These stems are gone: they are kept for {minutes} minutes.")
        song.is_claimed = True
        song.used_at = time.monotonic()
        return song

    @contextmanager
    def working_on(self, song: Song) -> Iterator[None]:
        """Keep a song while it is worked on; without stems at the end, it goes."""
        song.is_busy = True
        try:
            yield
        finally:
            song.is_busy = False
            song.used_at = time.monotonic()
            if song.is_stopped or not song.tracks:
                self.remove(song)

    def stop(self, song: Song) -> None:
        """Let the work on a song end, and remove it."""
        song.is_stopped = True
        if not song.is_busy:
            self.remove(song)

    def remove(self, song: Song) -> None:
        """Remove a song and its files."""
        with self._lock:
            self._songs.pop(song.ticket, None)
        shutil.rmtree(song.folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove the songs that nobody has used for long, and soon those that nobody can use."""
        now = time.monotonic()
        for song in list(self._songs.values()):
            keep_s = self._keep_s if song.is_claimed else min(self._keep_s, _UNCLAIMED_S)
            if not song.is_busy and song.used_at < now - keep_s:
                self.remove(song)

    def close(self) -> None:
        """Let all work end, and remove all songs."""
        for song in list(self._songs.values()):
            song.is_stopped = True
            self.remove(song)


def _clean(file_name: str) -> str:
    """A name to show and to offer for downloads: one line, no folders."""
    name = file_name.replace("\\", "/").rpartition("/")[2]
    name = "".join(c for c in name if c.isprintable() and c not in '"<>:|?*').strip()
    return name[-_MAX_NAME:] or "song"
