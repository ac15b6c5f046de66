"""Pages of Ogg: where the links of a chain begin, and whether every page is as it was written.

FFmpeg passes over pages whose checksum is wrong, and does not notice that the last one is missing.
"""

from __future__ import annotations

import mmap
import zlib

_HEADER = 27
_FIRST, _LAST = 2, 4  # flags of a stream's pages
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class BrokenOggError(ValueError):
    """Pages that are cut off or damaged; the message follows the name of the file."""


def links(data: bytes | mmap.mmap, start: int) -> list[tuple[int, int]]:
    """First and last byte of each link of a chain that starts there.

    Raises:
        BrokenOggError: a page is damaged or not whole, or the last one is missing.
    """
    starts, position, is_last = [start], start, False
    while position + _HEADER <= len(data):
        if data[position : position + 4] != b"OggS":
            if is_last:  # a tag, or what fills a block of the disk
                break
            raise BrokenOggError(f"is damaged at byte {position}")
        sizes = data[position + _HEADER : position + _HEADER + data[position + 26]]
        stop = position + _HEADER + len(sizes) + sum(sizes)
        if stop > len(data):
            raise BrokenOggError("is truncated: its last page is not whole")
        page = data[position:stop]
        if page[22:26] != _checksum(page):
            raise BrokenOggError(f"is damaged: the page at byte {position} is not as written")
        if is_last and page[5] & _FIRST:
            starts.append(position)
        is_last = bool(page[5] & _LAST)
        position = stop
    if not is_last:
        raise BrokenOggError("is truncated: its last page is missing")
    return list(zip(starts, [*starts[1:], position], strict=True))


def _checksum(page: bytes) -> bytes:
    """The CRC of a page, whose own field counts as 0: that of zlib for bits in the other order."""
    reverse = (page[:22] + bytes(4) + page[26:]).translate(_REVERSED)
    value = zlib.crc32(reverse, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2).to_bytes(4, "little")
