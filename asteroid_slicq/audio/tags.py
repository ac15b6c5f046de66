"""Tags and cover art of a song, carried over to its stems."""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import av.error

from asteroid_slicq.audio.decoding import FORMATS

# What holds for a stem as for its song, by FFmpeg's names: neither levels nor identifiers.
_KEPT = (
    *("title", "artist", "album_artist", "album", "track", "disc", "date", "genre", "composer"),
    *("performer", "publisher", "copyright", "comment", "grouping"),
)
_SOUNDFILE_NAMES = {"track": "tracknumber"} | {
    name: name for name in ("title", "artist", "album", "date", "genre", "comment", "copyright")
}
_MIME_TYPES = {"mjpeg": "image/jpeg", "png": "image/png"}
_MOST_COVER_BYTES = 2**24 - 2**16  # a block of FLAC holds
_ATTACHED_PICTURE = 1 << 10  # FFmpeg's disposition
_FRONT_COVER = 3


@dataclass(frozen=True)
class Cover:
    """A picture, encoded.

    Attributes:
        data: a JPEG or PNG file.
        codec: ``"mjpeg"`` or ``"png"``.
        width, height: in pixels.
    """

    data: bytes
    codec: str
    width: int
    height: int

    def as_flac_block(self) -> str:
        """Text of a comment ``METADATA_BLOCK_PICTURE``: a picture block of FLAC in base64."""
        mime = _MIME_TYPES[self.codec].encode()
        head = struct.pack(f">II{len(mime)}sI", _FRONT_COVER, len(mime), mime, 0)
        size = struct.pack(">IIIII", self.width, self.height, 24, 0, len(self.data))
        return base64.b64encode(head + size + self.data).decode()


@dataclass(frozen=True)
class Tags:
    """Tags of a song or a stem.

    Attributes:
        texts: by FFmpeg's names, such as ``"title"``.
        cover: the cover art.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    cover: Cover | None = None

    def of_stem(self, stem: str, track: str) -> Tags:
        """The same with the name of a stem added to the title, or to the track's name."""
        title = f"{self.texts.get('title', track)} ({stem})"
        # Names of files may be no text.
        title = title.encode(errors="surrogateescape").decode(errors="replace")
        return replace(self, texts={**self.texts, "title": title})

    def as_soundfile_strings(self) -> dict[str, str]:
        """Texts by the names that soundfile gives to those of a WAV file."""
        return {_SOUNDFILE_NAMES[k]: v for k, v in self.texts.items() if k in _SOUNDFILE_NAMES}


def read_tags(path: Path) -> Tags:
    """Tags of an audio file or video; none where it has none or they cannot be read."""
    texts = {name: text for name, text in metadata(path).items() if name in _KEPT}
    with suppress(*_UNREADABLE), _opened(path) as container:
        for stream in container.streams.video:
            if _disposition(stream) & _ATTACHED_PICTURE and stream.codec_context is not None:
                codec = stream.codec_context.name
                data = bytes(next(iter(container.demux(stream))))
                size = stream.codec_context.width, stream.codec_context.height
                # What FFmpeg finds no size of, it would not write.
                if codec in _MIME_TYPES and 0 < len(data) <= _MOST_COVER_BYTES and min(size) > 0:
                    return Tags(texts, Cover(data, codec, *size))
    return Tags(texts)


def metadata(path: Path) -> dict[str, str]:
    """All texts that a file notes about itself, by FFmpeg's names in small letters."""
    found: dict[str, str] = {}
    if not os.path.isfile(path) or not os.path.getsize(path):  # of which PyAV prints a traceback
        return found
    with suppress(*_UNREADABLE), _opened(path) as container:
        streams = [stream.metadata for stream in container.streams.audio[:1]]
        for texts in (*streams, container.metadata):
            found |= {
                name.lower(): text.replace("\0", " ").strip()
                for name, text in texts.items()
                if text.strip()
            }
    return found


_UNREADABLE = (av.error.FFmpegError, OSError, ValueError, StopIteration)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The container; nothing of its sound is decoded."""
    options = {"format_whitelist": FORMATS, "probesize": "32", "analyzeduration": "0"}
    with path.open("rb") as file:
        # FFmpeg may take very short MP3 files for something else.
        is_mp3 = path.suffix.lower() == ".mp3" and file.read(3) == b"ID3"
        file.seek(0)
        kind = "mp3" if is_mp3 else None
        with av.open(file, "r", kind, options, metadata_errors="replace") as container:
            yield container


def _disposition(stream: Any) -> int:
    flags = stream.disposition
    return int(getattr(flags, "value", flags))
