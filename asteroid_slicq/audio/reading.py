"""Audio files read in buffers, with an error that says how a file is broken.

What a file is, its content says, not its name. Uncompressed audio and FLAC are read by libsndfile,
exactly; all else, the sound of videos too, is decoded by FFmpeg.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from asteroid_slicq.audio import pcm
from asteroid_slicq.audio.content import first_bytes
from asteroid_slicq.audio.decoding import DecodedSource
from asteroid_slicq.audio.downmixing import stereo_weights
from asteroid_slicq.audio.errors import AudioError, AudioWarning
from asteroid_slicq.files import given_path

_SUFFIXES = """
    wav wave flac aif aiff aifc au caf w64 rf64 mp3 mp2 aac ac3 eac3 dts ogg oga opus m4a m4b mka
    wma ape wv tta mp4 m4v mov 3gp mkv webm wmv asf avi ogv
"""
AUDIO_SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())
"""Suffixes by which a folder is searched for audio, videos with sound included."""

_HEAD_BYTES = 2**17


class AudioReader:
    """A reader of an audio file as a stream of float buffers.

    Args:
        path: a regular file of audio, or a video.
        downmix: mix more than two channels to stereo by the coefficients of ITU-R BS.775.
        stream: which of several streams of sound, from 0; by default the one that is marked so, or
            the first.

    Attributes:
        sample_rate: in Hz.
        n_channels: number of channels that are read.
        n_samples: samples in each channel, exactly; ``None`` where the file does not say.
        n_expected: samples in each channel, more or less; ``None`` where the file gives no idea.
        bit_depth: ``"16"``, ``"24"`` or ``"32f"``, which holds all that the file holds.

    Raises:
        AudioError: the file is missing, a folder, empty, truncated, or not readable audio; or its
            channels cannot be mixed to stereo.
        ValueError: the path is empty.
    """

    def __init__(
        self, path: str | os.PathLike[str], downmix: bool = False, stream: int | None = None
    ):
        self.path = given_path(path, "path")
        head = _read_head(self.path)
        self._source = _open(self.path, head, stream)
        self.sample_rate: int = self._source.sample_rate
        self.n_channels: int = self._source.n_channels
        self.n_samples: int | None = self._source.n_samples
        self.n_expected: int | None = self._source.n_expected
        self.bit_depth: str = self._source.bit_depth
        self._weights: np.ndarray | None = None
        try:
            if self.n_samples == 0:
                raise AudioError(f"{self.path}: holds no samples")
            if downmix and self.n_channels > 2:
                self._weights = _stereo_weights(self.path, self._source)
                self.n_channels = 2
        except BaseException:
            self.close()
            raise

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
        for buffer in self._source.read(n_samples):
            finite = np.isfinite(buffer).all(axis=0)
            if not finite.all():
                when = (n_read + int(np.argmin(finite))) / self.sample_rate
                raise AudioError(
                    f"{self.path}: holds NaN or infinite samples, first at {when:.3f} s"
                )
            n_read += buffer.shape[1]
            yield buffer if self._weights is None else self._weights @ buffer
        if n_read == 0:
            raise AudioError(f"{self.path}: holds no samples")

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self._source.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(path: Path, head: bytes, stream: int | None) -> pcm.PCMSource | DecodedSource:
    is_pcm = head.startswith(pcm.MAGIC)
    # FFmpeg loses the end of Vorbis whose sound is one page, which follows two of headers.
    is_short = head.count(b"OggS\0") <= 3 and len(head) < _HEAD_BYTES
    is_short &= re.search(rb"^OggS.{24}\x01vorbis.{4}[\x01\x02]", head, re.DOTALL) is not None
    if is_pcm or is_short or _is_tagged_flac(path, head):
        try:
            return pcm.PCMSource(path)
        except LookupError:
            pass
    try:
        return DecodedSource(path, stream)
    except LookupError as error:
        raise AudioError(
            f"{path}: is no audio that can be read (WAV, FLAC, MP3, OGG, M4A, WMA or the like, or "
            "a video), or is damaged"
        ) from error


def _is_tagged_flac(path: Path, head: bytes) -> bool:
    """Whether FLAC follows tags of the kind that MP3 files have."""
    if not head.startswith(b"ID3"):
        return False
    with path.open("rb") as file:
        return first_bytes(file).startswith(b"fLaC")


def _stereo_weights(path: Path, source: pcm.PCMSource | DecodedSource) -> np.ndarray:
    """Weights of the channels in a stereo mix. Shape: ``(2, channel)``."""
    channels = ["NONE"] * source.n_channels
    try:
        if isinstance(source, DecodedSource):
            channels = source.channels
        else:  # libsndfile does not tell
            with closing(DecodedSource(path)) as decoded:
                channels = decoded.channels
    except (LookupError, AudioError):
        pass
    try:
        weights = stereo_weights(channels)
    except LookupError as error:
        raise AudioError(
            f"{path}: its {source.n_channels} channels have no known place in a stereo mix; mix "
            "them down by a program that knows them"
        ) from error
    if set(channels) == {"NONE"}:
        warnings.warn(
            f"{path}: does not name its {len(channels)} channels; the order of WAV is taken",
            AudioWarning,
            stacklevel=3,
        )
    return weights


def _read_head(path: Path) -> bytes:
    """First bytes of a regular, non-empty file."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"{path}: is a folder, not an audio file")
        if not stat.S_ISREG(mode):
            raise AudioError(f"{path}: is not a regular file")
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError(f"{path}: no such file") from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror})") from error
    if not head:
        raise AudioError(f"{path}: is empty (0 bytes)")
    return head
