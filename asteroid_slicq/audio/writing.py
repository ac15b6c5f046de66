"""Audio files written in buffers, complete or not at all.

A file is written under a temporary name beside the target and renamed once it is whole. Integer
samples are rounded here, by ``2**(bits - 1)`` as in reading, so that what was read from a PCM file
is written back exactly.
"""

from __future__ import annotations

import math
import os
import shutil
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import av.error
import numpy as np
import soundfile as sf

from asteroid_slicq.audio.encoding import EncodedFile
from asteroid_slicq.audio.errors import AudioError, AudioWarning
from asteroid_slicq.audio.levels import as_integers
from asteroid_slicq.audio.stem_format import StemFormat
from asteroid_slicq.audio.stem_mark import STEM_MARK
from asteroid_slicq.audio.tags import Tags
from asteroid_slicq.files import Partial, given_path, library_path, replace_all

_SUBTYPES = {16: "PCM_16", 24: "PCM_24", 0: "FLOAT"}
_MAX_WAV_BYTES = 2**32 - 2**16
_WRITE_ERRORS = (sf.LibsndfileError, av.error.FFmpegError, OSError)


class AudioWriter:
    """A writer of one file as a stream, under a temporary name until `publish`.

    Args:
        path: target. The folder must exist.
        sample_rate: of the samples in Hz; see `StemFormat.sample_rate`.
        n_channels: number of channels.
        stem_format: what is written.
        n_samples: expected in each channel. WAV files that would pass 4 GiB are written as RF64.
        tags: of the file.

    Raises:
        AudioError: the target cannot be created, or (later) the disk is full.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sample_rate: int,
        n_channels: int,
        stem_format: StemFormat | None = None,
        n_samples: int | None = None,
        tags: Tags | None = None,
    ):
        self.path = given_path(path, "path")
        self._format = stem_format or StemFormat()
        self._levels = self._format.levels
        self._n_clipped = 0
        self._peak = 0.0
        self._file: _WavFile | _WholeFile | None = None
        if self.path.is_dir():
            raise AudioError(f"{self.path}: cannot be written, a folder has that name")
        try:
            # libsndfile does not say why a file cannot be created; the operating system does.
            self._partial = Partial(self.path)
        except OSError as error:
            raise AudioError(f"{self.path}: cannot be written ({error.strerror})") from error
        kind = _WavFile if self._format.name == "wav" else _WholeFile
        settings = (self._format, sample_rate, n_channels, n_samples, tags or Tags())
        try:
            self._file = kind(self._partial.path, *settings)
        except OSError as error:
            self.discard()
            raise AudioError(self._write_error(0)) from error
        except (sf.LibsndfileError, av.error.FFmpegError, ValueError) as error:
            self.discard()
            raise AudioError(
                f"{self.path}: cannot be written: {self._format.name.upper()} does not hold "
                f"{n_channels} channels at {sample_rate} Hz"
            ) from error
        except BaseException:
            self.discard()
            raise

    def write(self, buffer: np.ndarray) -> None:
        """Append a buffer; but for 32-bit float, limit it to full scale and remember if it was.

        Args:
            buffer: float samples. Shape: ``(channel, time)``.

        Raises:
            AudioError: NaN or infinite samples, or no space left.
        """
        if self._file is None:
            raise ValueError(f"{self.path} is closed already")
        if buffer.size == 0:
            return
        peak = peak_of(buffer, self.path)
        self._peak = max(self._peak, peak)
        if peak > 1.0 and self._levels.high <= 1.0:
            self._n_clipped += int(np.count_nonzero(np.abs(buffer) > 1.0))
        samples = self._levels.nearest(buffer).astype(np.float32, copy=False)
        try:
            self._file.write(samples)
        except _WRITE_ERRORS as error:
            raise AudioError(self._write_error(samples.nbytes)) from error

    def _write_error(self, n_bytes: int) -> str:
        full = shutil.disk_usage(self.path.parent).free < 2 * n_bytes + 2**16
        reason = "no space is left on the disk" if full else "writing failed"
        return f"{self.path}: {reason}; nothing is kept"

    def finish(self) -> None:
        """Closes the temporary file and checks that all of it reached the disk."""
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            file.close()
        except _WRITE_ERRORS as error:
            raise AudioError(self._write_error(0)) from error

    def publish(self) -> None:
        """Gives the file its name."""
        publish([self])

    def warn_if_clipped(self) -> None:
        """Warn, once and naming the file, if samples were limited to full scale."""
        if self._n_clipped:
            warnings.warn(
                f"{self.path}: {self._n_clipped} samples were limited to full scale (the peak is "
                f"{20 * math.log10(self._peak):.1f} dB above it); 32-bit float keeps them "
                "(--bit-depth 32f, bit_depth='32f')",
                AudioWarning,
                stacklevel=2,
            )

    def discard(self) -> None:
        """Removes the temporary file, if there still is one."""
        file, self._file = self._file, None
        with suppress(*_WRITE_ERRORS):  # a full disk, reported already
            if file is not None:
                file.discard()
        self._partial.discard()


class _WavFile:
    """A WAV or, where it would pass 4 GiB, RF64 file, written by libsndfile."""

    def __init__(
        self,
        path: Path,
        stem_format: StemFormat,
        sample_rate: int,
        n_channels: int,
        n_samples: int | None,
        tags: Tags,
    ):
        self._path, self._bits, self._n_written = path, stem_format.bits, 0
        n_bytes = (n_samples or 0) * n_channels * (self._bits or 32) // 8
        self._file = sf.SoundFile(
            library_path(path),
            "w",
            sample_rate,
            n_channels,
            _SUBTYPES[self._bits],
            format="RF64" if n_bytes > _MAX_WAV_BYTES else "WAV",
        )
        for name, text in tags.as_soundfile_strings().items():
            setattr(self._file, name, text)
        self._file.software = STEM_MARK

    def write(self, samples: np.ndarray) -> None:
        if self._bits:
            samples = as_integers(samples, self._bits)
        self._file.write(np.ascontiguousarray(samples.T))
        self._n_written += samples.shape[-1]

    def close(self) -> None:
        self._file.close()
        if sf.info(library_path(self._path)).frames != self._n_written:
            raise OSError("not all of it reached the disk")

    def discard(self) -> None:
        self._file.close()


class _WholeFile:
    """A file of any other format, written by FFmpeg."""

    def __init__(
        self,
        path: Path,
        stem_format: StemFormat,
        sample_rate: int,
        n_channels: int,
        n_samples: int | None,
        tags: Tags,
    ):
        self._file: BinaryIO = path.open("r+b")
        try:
            self._encoded = EncodedFile(self._file, stem_format, sample_rate, n_channels, tags)
        except BaseException:
            self._file.close()
            raise
        self.write = self._encoded.write

    def close(self) -> None:
        try:
            self._encoded.close()
        finally:
            self._file.close()

    def discard(self) -> None:
        try:
            self._encoded.discard()
        finally:
            self._file.close()


def peak_of(buffer: np.ndarray, path: Path) -> float:
    """The largest magnitude of samples on their way into a file or folder.

    Raises:
        AudioError: NaN or infinite samples.
    """
    peak = float(np.abs(buffer).max(initial=0.0))
    if not math.isfinite(peak):
        raise AudioError(f"{path}: the model made NaN or infinite samples; nothing is kept")
    return peak


def publish(writers: Iterable[AudioWriter]) -> None:
    """Give files their names once all are whole; what had the names stays where one cannot."""
    targets = {}
    for writer in writers:
        writer.finish()
        targets[writer._partial.path] = writer.path
    try:
        replace_all(targets)
    except OSError as error:
        raise AudioError(
            f"{os.fsdecode(error.filename2 or error.filename or '')}: cannot be written "
            f"({error.strerror})"
        ) from error
