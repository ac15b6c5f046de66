"""Audio files read in buffers, with an error that says how a file is broken.

Reading goes through libsndfile: WAV, FLAC, OGG, MP3, AIFF and more.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf

# What to write so that nothing of the input is lost; lossy and 8-bit inputs are served by 16 bits.
_DEPTH_OF_SUBTYPE = {"PCM_24": "24", "PCM_32": "32f", "FLOAT": "32f", "DOUBLE": "32f"}
_FOREIGN = {
    ".m4a": "MPEG-4",
    ".mp4": "MPEG-4",
    ".aac": "AAC",
    ".wma": "Windows Media",
    ".ape": "Monkey's Audio",
    ".wv": "WavPack",
    ".mka": "Matroska",
    ".webm": "WebM",
}
_FOREIGN_MAGIC = ((4, b"ftyp", "MPEG-4"), (0, b"\x30\x26\xb2\x75", "Windows Media"))
_READABLE = ".wav .wave .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .caf .w64 .rf64"
AUDIO_SUFFIXES = frozenset((*_READABLE.split(), *_FOREIGN))
_UNKNOWN_LENGTH = 2**62  # libsndfile's answer for a FLAC file that was written to a pipe
_STREAMED_WAV = 0x7FFF0000  # a data chunk announced this long was written to a pipe, too


class AudioError(ValueError):
    """A file that cannot be read or written; the message is one sentence for people."""


class AudioWarning(UserWarning):
    """Something in a written file that its owner should know, such as clipped samples."""


class _Stream(sf.SoundFile):
    """A sound file that is read from its start to its end.

    Where a file can seek, soundfile seeks after each buffer to where it is. That costs time, moves
    the position in some MP3 files, and fails at the end of a FLAC file of unknown length.
    """

    def seekable(self) -> bool:
        return False


class AudioReader:
    """A reader of an audio file as a stream of float buffers.

    Args:
        path: a regular file in a format that libsndfile reads.

    Attributes:
        sample_rate: in Hz.
        n_channels: number of channels.
        n_samples: samples in each channel that the file announces, or ``None`` where it does not.
        bit_depth: ``"16"``, ``"24"`` or ``"32f"``, which holds all that the file holds.

    Raises:
        AudioError: the file is missing, a folder, empty, truncated, or not readable audio. An OGG
            file that was cut at a page boundary does not show it and is read up to there.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        head = _read_head(self.path)
        try:
            self._file = _Stream(os.fspath(self.path))
        except (sf.LibsndfileError, TypeError, ValueError) as error:  # TypeError: headerless .raw
            raise AudioError(_unreadable(self.path, head)) from error
        self.sample_rate: int = self._file.samplerate
        self.n_channels: int = self._file.channels
        self.bit_depth = _DEPTH_OF_SUBTYPE.get(self._file.subtype, "16")
        frames = self._file.frames
        self.n_samples: int | None = frames if frames < _UNKNOWN_LENGTH else None
        try:
            self._refuse_incomplete()
        except BaseException:
            self._file.close()
            raise

    def _refuse_incomplete(self) -> None:
        chunk = re.search(r"^data : (\d+) \(should be (\d+)\)", self._file.extra_info, re.MULTILINE)
        if chunk is not None:
            announced, held = int(chunk[1]), int(chunk[2])
            if held + 1 < announced < _STREAMED_WAV:  # + 1: the padding byte of an odd chunk
                raise AudioError(
                    f"{self.path}: is truncated: its header announces {announced} bytes of "
                    f"samples, {held} are there"
                )
        if self.n_samples == 0:
            raise AudioError(f"{self.path}: holds no samples")

    def buffers(self, n_samples: int) -> Iterator[np.ndarray]:
        """Read on to the end.

        Args:
            n_samples: in each channel of each buffer but the last; at least 1.

        Yields:
            float32 buffers. Shape: ``(channel, time)``.

        Raises:
            AudioError: the file ends early, cannot be decoded, or holds NaN or infinite samples.
        """
        n_read = 0
        while True:
            try:
                buffer = self._file.read(n_samples, dtype="float32", always_2d=True)
            except sf.LibsndfileError as error:
                raise AudioError(
                    f"{self.path}: cannot be decoded after {n_read / self.sample_rate:.2f} s: "
                    "the file is damaged or truncated"
                ) from error
            if len(buffer) == 0:
                break
            finite = np.isfinite(buffer).all(axis=1)
            if not finite.all():
                when = (n_read + int(np.argmin(finite))) / self.sample_rate
                raise AudioError(
                    f"{self.path}: holds NaN or infinite samples, first at {when:.3f} s"
                )
            n_read += len(buffer)
            yield buffer.T
        if n_read == 0:
            raise AudioError(f"{self.path}: holds no samples")
        # The length of an MP3 file is what its encoder noted; editing moves it by some frames.
        slack = self.sample_rate // 10 if self._file.format in ("MP3", "MPEG") else 0
        if self.n_samples is not None and n_read + slack < self.n_samples:
            raise AudioError(
                f"{self.path}: is truncated: it announces "
                f"{self.n_samples / self.sample_rate:.2f} s and ends after "
                f"{n_read / self.sample_rate:.2f} s"
            )

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self._file.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read_head(path: Path) -> bytes:
    """First bytes of a regular, non-empty file."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"{path}: is a folder, not an audio file")
        if not stat.S_ISREG(mode):
            raise AudioError(f"{path}: is not a regular file")
        with open(path, "rb") as file:
            head = file.read(4096)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError(f"{path}: no such file") from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror})") from error
    if not head:
        raise AudioError(f"{path}: is empty (0 bytes)")
    # libmpg123 searches what is named .mp3 for a frame and comments on it; look for one first.
    if path.suffix.lower() == ".mp3" and not re.search(rb"^(ID3|RIFF)|\xff[\xe0-\xff]", head):
        raise AudioError(_unreadable(path, head))
    return head


def _unreadable(path: Path, head: bytes) -> str:
    kind = _FOREIGN.get(path.suffix.lower())
    for offset, magic, name in _FOREIGN_MAGIC:
        if head[offset:].startswith(magic):
            kind = name
    if kind is None:
        return f"{path}: is no audio that can be read (WAV, FLAC, OGG, MP3 or AIFF), or is damaged"
    return (
        f"{path}: {kind} audio cannot be read; convert it to WAV first, for example with "
        f"`ffmpeg -i {path.name} {path.stem}.wav`"
    )
