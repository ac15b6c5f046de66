"""The number of samples behind the sound of an MP3 file, in the tag of its first frame.

FFmpeg notes what its encoder adds to the last packet. Where the encoder's delay makes a packet that
holds no sound at all, that is too little, and the file would be up to 46 samples too long.
"""

from __future__ import annotations

from typing import BinaryIO

_ID3_HEAD = 10
_FRAME = 200  # bytes of the first frame, beyond all of its tag
_TAGS = (b"Info", b"Xing")
_ALL_FIELDS = 15  # frames, bytes, a table and a quality come before what LAME added
_LAME = 120  # all of them
_PADDING, _CRC, _CRC_OF = 21, 34, 190  # within what LAME added; the sum is of the frame's start
_MOST_PADDING = 0xFFF


def note_padding(file: BinaryIO, n_samples: int) -> None:
    """Make the tag of an MP3 file say how many samples it holds; a file without one stays.

    Source: "Mp3 Info Tag revision 1 specifications", gabriel.mp3-tech.org.

    Args:
        file: whole, open for reading and writing.
        n_samples: in each channel.
    """
    file.seek(0)
    head = file.read(_ID3_HEAD)
    start = _ID3_HEAD + _size(head[6:]) if head.startswith(b"ID3") else 0
    file.seek(start)
    frame = bytearray(file.read(_FRAME))
    tag = next((at for at in map(frame.find, _TAGS) if at >= 0), len(frame))
    lame = tag + _LAME
    if lame + _CRC + 2 > len(frame) or frame[tag + 7] & _ALL_FIELDS != _ALL_FIELDS:
        return
    is_mpeg_1 = frame[1] >> 3 & 3 == 3
    n_all = int.from_bytes(frame[tag + 8 : tag + 12], "big") * (1152 if is_mpeg_1 else 576)
    place = slice(lame + _PADDING, lame + _PADDING + 3)
    delay = int.from_bytes(frame[place], "big") >> 12
    padding = n_all - delay - n_samples
    if not 0 <= padding <= _MOST_PADDING:
        return
    frame[place] = (delay << 12 | padding).to_bytes(3, "big")
    crc = slice(lame + _CRC, lame + _CRC + 2)
    frame[crc] = b"\0\0"  # FFmpeg counts it so where the sum lies within what it is of
    frame[crc] = _crc_16(frame[:_CRC_OF]).to_bytes(2, "big")
    file.seek(start)
    file.write(frame)


def _size(digits: bytes) -> int:
    """A number of ID3, which has seven bits in each byte."""
    size = 0
    for digit in digits:
        size = size << 7 | digit & 0x7F
    return size


def _crc_16(data: bytes | bytearray) -> int:
    """CRC-16 of ARC: the polynomial 0x8005, low bits first."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
