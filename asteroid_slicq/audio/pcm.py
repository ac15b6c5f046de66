"""Uncompressed audio and FLAC, read exactly by libsndfile."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf

from asteroid_slicq.audio.errors import AudioError
from asteroid_slicq.audio.truncation import samples_unannounced

MAGIC = (b"RIFF", b"RF64", b"FORM", b"fLaC", b".snd", b"riff", b"caff")
"""Starts of the files in which such audio comes: WAV, AIFF, FLAC, AU, Wave64, CAF."""
_DEPTHS = {"PCM_24": "24", "PCM_32": "32f", "FLOAT": "32f", "DOUBLE": "32f"}
_DEPTHS |= dict.fromkeys(("PCM_16", "PCM_S8", "PCM_U8", "VORBIS"), "16")
_UNKNOWN_LENGTH = 2**62  # libsndfile's answer for a FLAC file that was written to a pipe
# In libsndfile's account: of WAV, AIFF, AU, Wave64 and RF64.
_SHORT_CHUNK = re.compile(
    r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.MULTILINE
)
_STREAMED_WAV = 0x7FFF0000  # a data chunk announced this long was written to a pipe, too


class _Stream(sf.SoundFile):
    """A sound file that is read from its start to its end.

    Where a file can seek, soundfile seeks after each buffer to where it is. That costs time, and
    fails at the end of a FLAC file of unknown length.
    """

    def seekable(self) -> bool:
        return False


class PCMSource:
    """Samples of a file of uncompressed audio, FLAC or Vorbis; attributes as of `AudioReader`.

    Raises:
        LookupError: something else.
        AudioError: the file is truncated.
    """

    def __init__(self, path: Path):
        self._path = path
        # A descriptor has no name for soundfile to encode, or to take for that of raw samples.
        name = os.open(path, os.O_RDONLY) if os.name == "posix" else os.fspath(path)
        try:
            self._file = _Stream(name)  # which closes the descriptor, also when it fails
        except (sf.LibsndfileError, TypeError) as error:  # TypeError: named .raw
            raise LookupError(str(error)) from error
        self.sample_rate: int = self._file.samplerate
        self.n_channels: int = self._file.channels
        frames = self._file.frames
        self.n_samples = self.n_expected = frames if frames < _UNKNOWN_LENGTH else None
        try:
            self.bit_depth = _DEPTHS[self._file.subtype]
            self._refuse_truncated()
        except BaseException:
            self._file.close()
            raise

    def _refuse_truncated(self) -> None:
        chunk = _SHORT_CHUNK.search(self._file.extra_info)
        if chunk is not None:
            announced, held = int(chunk[1]), int(chunk[2])
            if held + 1 < announced < _STREAMED_WAV:  # + 1: the padding byte of an odd chunk
                raise AudioError(
                    f"{self._path}: is truncated: its header announces {announced} bytes, "
                    f"{held} are there"
                )
        if self._file.format in ("WAV", "WAVEX"):
            with self._path.open("rb") as file:
                hidden = samples_unannounced(file)
            if hidden is not None:
                raise AudioError(f"{self._path}: is damaged: {hidden}")

    def read(self, n_samples: int) -> Iterator[np.ndarray]:
        """Read to the end, that many samples at a time. Shape of each: ``(channel, time)``."""
        n_read, n_all = 0, _UNKNOWN_LENGTH if self.n_samples is None else self.n_samples
        while n_read < n_all:  # what follows may be a tag
            try:
                n_wanted = min(n_samples, n_all - n_read)
                buffer = self._file.read(n_wanted, dtype="float32", always_2d=True)
            except sf.LibsndfileError as error:
                raise AudioError(
                    f"{self._path}: cannot be decoded after {n_read / self.sample_rate:.2f} s: "
                    "the file is damaged or truncated"
                ) from error
            if len(buffer) == 0:
                break
            n_read += len(buffer)
            yield buffer.T
        if self.n_samples is not None and n_read < self.n_samples:
            raise AudioError(
                f"{self._path}: is truncated: it announces "
                f"{self.n_samples / self.sample_rate:.2f} s and ends after "
                f"{n_read / self.sample_rate:.2f} s"
            )

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self._file.close()
