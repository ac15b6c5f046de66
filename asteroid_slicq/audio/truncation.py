"""Ends of files, held against what their containers announce."""

from __future__ import annotations

import io
import re
from typing import BinaryIO

_ASF = bytes.fromhex("3026b275")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_EBML, _SEGMENT = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")
_BOXES = (b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_STREAMED = 0x7FFF0000  # a RIFF chunk announced this long was written to a pipe
_LEAST_HIDDEN = 4096  # bytes behind the samples that are taken for some
_RIFF_SLACK = 16  # some writers count the header of the chunk


def missing_end(file: BinaryIO) -> str | None:
    """What is missing at the end of a file, to follow "is truncated: "; ``None`` where nothing is.

    It knows MP4, Matroska, RIFF and ASF.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(2**16)
    announced = None
    if head[4:8] in _BOXES:
        announced = _end_of_boxes(file, size)
    elif head.startswith(_EBML):
        announced = _end_of_segment(head)
    elif head.startswith(b"RIFF") and head[8:12] in (b"WAVE", b"AVI "):
        announced = _end_of_riff(file, size)
    elif head.startswith(_ASF):
        announced = _end_of_asf(head)
    if announced is None or announced <= size:
        return None
    return f"its header announces {announced} bytes, {size} are there"


def samples_unannounced(file: BinaryIO) -> str | None:
    """What tells that a WAV file holds more than it says, as above; ``None`` where nothing does.

    A recorder that was cut off leaves a length of nothing, or of an earlier time.
    """
    size = file.seek(0, io.SEEK_END)
    position = 12
    while position + 8 <= size:
        file.seek(position)
        header = file.read(8)
        name, length = header[:4], int.from_bytes(header[4:], "little")
        position += 8 + length + length % 2
        if name != b"data":
            continue
        file.seek(position)
        follows, n_left = file.read(4), size - position
        is_chunk = follows.strip(b"\0") == b"" or all(32 <= byte < 127 for byte in follows)
        if is_chunk or n_left <= max(length, _LEAST_HIDDEN):
            return None
        return f"its header announces {length} bytes of samples, and {n_left} more follow"
    return None


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    position = 0
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:  # 0: to the end
            return size
        position += length
    return position


def _end_of_segment(head: bytes) -> int | None:
    """End of Matroska's segment, which follows the EBML header; ``None`` if that is not known."""
    start = head.find(_SEGMENT)
    n_bytes = 9 - head[start + 4].bit_length() if 0 <= start < len(head) - 12 else 9
    if n_bytes > 8:
        return None
    field = int.from_bytes(head[start + 4 : start + 4 + n_bytes], "big")
    length = field & (2 ** (7 * n_bytes) - 1)
    return None if length == 2 ** (7 * n_bytes) - 1 else start + 4 + n_bytes + length


def _end_of_riff(file: BinaryIO, size: int) -> int:
    position = 0
    while True:  # a large AVI file has several
        file.seek(position)
        header = file.read(8)
        length = int.from_bytes(header[4:], "little")
        if header[:4] != b"RIFF" or length >= _STREAMED:
            return size
        if position + 8 + length > size + _RIFF_SLACK:
            return position + 8 + length
        position += 8 + length + length % 2


def _end_of_asf(head: bytes) -> int | None:
    found = re.search(re.escape(_ASF_PROPERTIES) + rb".{24}(.{8}).{40}(.{4})", head, re.DOTALL)
    if found is None or found[2][0] & 1:  # a broadcast
        return None
    return int.from_bytes(found[1], "little")
