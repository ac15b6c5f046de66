"""Playlists of the kind M3U: a file's name a line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

SUFFIXES = frozenset((".m3u", ".m3u8"))
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MOST_BYTES = 64 * 2**20


def is_playlist(path: Path) -> bool:
    """Whether a path, which may be a folder, is named like a playlist."""
    return path.suffix.lower() in SUFFIXES and not os.path.isdir(path)


def read_playlist(path: Path) -> Iterator[Path | str]:
    """Read a playlist: UTF-8, or else Latin-1; comments, empty lines and a byte-order mark go.

    Relative names are relative to the playlist. Backslashes stand for slashes where no file has
    them in its name.

    Yields:
        Files, whether they are there or not, and as a sentence whatever is no file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no playlist.
    """
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if b"\0" in data or len(data) > _MOST_BYTES:
        raise ValueError(f"{path}: is no playlist (M3U: a file's name a line)")
    if b"#EXT-X-" in data:
        raise ValueError(f"{path}: is the playlist of a stream, whose parts are no songs")
    for line in data.removeprefix(b"\xef\xbb\xbf").splitlines():
        if line.strip() and not line.lstrip().startswith(b"#"):
            yield _entry(path.parent, line.strip())


def _entry(folder: Path, line: bytes) -> Path | str:
    raw = os.fsdecode(line)
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        text = line.decode("latin-1")
    if text.lower().startswith("file://"):
        return Path(url2pathname(urlsplit(text).path))
    if _SCHEME.match(text):
        return f"{text}: is an address; download it first"
    # A name of no encoding is what its bytes say.
    names = [raw, text, text.replace("\\", "/")]
    found = (folder / name for name in names if os.path.lexists(folder / name))
    return next(found, folder / text)
