"""The parts of a file that hold sound, as FFmpeg reads them.

Files of bare MP3 or AAC frames are read without tags and padding: where files were joined there are
tags in their middle, after which FFmpeg loses a frame. Chained Ogg is read link by link: of what
follows the first link, FFmpeg loses or adds some.
"""

from __future__ import annotations

import io
import mmap
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO

from asteroid_slicq.audio import ogg

_MAGIC = (b"ID3", b"TAG", b"APETAGEX")
_Data = bytes | mmap.mmap
_Parts = Sequence[tuple[int, int]]


def links(file: BinaryIO) -> tuple[list[Content], bool]:
    """What to read one after the other, and whether it is bare frames, without a container.

    Raises:
        BrokenOggError: of Ogg, see `ogg.links`.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = _start(data)
        if _is_frame(data, start):
            return [Content(file, _sound(data, start))], True
        if data[start : start + 4] == b"OggS":
            return [Content(file, [part]) for part in ogg.links(data, start)], False
        return [Content(file, [(0, len(data))])], False


def first_bytes(file: BinaryIO) -> bytes:
    """The first bytes of a file after the tags at its start."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = _start(data)
        return data[start : start + 16]


class Content:
    """Parts of a file, from a first byte to the one after the last, as one without a name."""

    def __init__(self, file: BinaryIO, parts: _Parts):
        self._file, self._parts = file, parts
        lengths = [stop - start for start, stop in parts]
        self._firsts = [0, *accumulate(lengths[:-1])]
        self._size = sum(lengths)
        self._position = 0

    def read(self, n_bytes: int) -> bytes:
        """Read up to that many bytes."""
        index = bisect_right(self._firsts, self._position) - 1
        (start, stop), offset = self._parts[index], self._position - self._firsts[index]
        n_bytes = min(n_bytes, stop - start - offset)
        if n_bytes <= 0:
            return b""
        self._file.seek(start + offset)
        data = self._file.read(n_bytes)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, which is returned."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        """Tell the position."""
        return self._position


def _start(data: _Data) -> int:
    """The first byte after the tags and zeros at the start."""
    position = _skip_zeros(data, 0)
    while magic := next((m for m in _MAGIC if data[position : position + 8].startswith(m)), None):
        extent = _extent(data, position, magic)
        if extent is None or extent[0] < position:
            break
        position = extent[1]
    return position


def _sound(data: _Data, start: int) -> list[tuple[int, int]]:
    """First and last byte of each part between tags; at least one part."""
    cuts = [(0, start)]
    for magic in _MAGIC:
        position = data.find(magic)
        while position >= 0:
            if (cut := _tag(data, position, magic)) is not None:
                cuts.append(cut)
                position = cut[1] - 1
            position = data.find(magic, position + 1)
    parts, start = [], 0
    for first, stop in sorted(cuts):
        if first > start:
            parts.append((start, first))
        start = max(start, stop)
    if start < len(data) or not parts:
        parts.append((start, len(data)))
    return parts


def _tag(data: _Data, start: int, magic: bytes) -> tuple[int, int] | None:
    """Extent of the tag whose magic stands there, if it is one and sound or a tag follows."""
    extent = _extent(data, start, magic)
    if extent is None:
        return None
    stop = extent[1]
    follows = stop == len(data) or _is_frame(data, stop)
    return extent if follows or data[stop : stop + 8].startswith(_MAGIC) else None


def _extent(data: _Data, start: int, magic: bytes) -> tuple[int, int] | None:
    """Extent of the tag whose magic stands there and of zeros behind it, if it may be one."""
    stop = None
    if magic == b"ID3":
        header = data[start : start + 10]
        if len(header) == 10 and header[3] in (2, 3, 4) and max(header[6:]) < 128:
            size = 0  # in bytes of seven bits
            for byte in header[6:]:
                size = size << 7 | byte
            stop = start + 10 + size + (10 if header[5] & 0x10 else 0)
    elif magic == b"TAG":
        text = data[start + 3 : start + 97]
        if start + 128 <= len(data) and all(byte == 0 or byte >= 32 for byte in text):
            stop = start + 128
    else:
        size = int.from_bytes(data[start + 12 : start + 16], "little")
        flags = int.from_bytes(data[start + 20 : start + 24], "little")
        is_header = bool(flags & 0x20000000)
        stop = start + 32 + (size if is_header else 0)
        start -= 0 if is_header else max(0, size - 32)
    if stop is None or start < 0 or stop > len(data):
        return None
    return start, _skip_zeros(data, stop)


def _is_frame(data: _Data, position: int) -> bool:
    """Whether a frame of MP3 or AAC may start there."""
    return data[position : position + 1] == b"\xff" and data[position + 1 : position + 2] >= b"\xe0"


def _skip_zeros(data: _Data, position: int) -> int:
    while position < len(data):
        chunk = data[position : position + 4096]
        rest = chunk.lstrip(b"\0")
        position += len(chunk) - len(rest)
        if rest:
            break
    return position
