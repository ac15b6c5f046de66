"""Stems written in buffers, complete or not at all.

WAV or FLAC is written under a temporary name beside the target and renamed once it is whole.
Integer samples are rounded here, by ``2**(bits - 1)`` as in reading, so that what was read from a
PCM file is written back exactly.
"""

from __future__ import annotations

import math
import os
import shutil
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile as sf

from asteroid_slicq.audio.errors import AudioError, AudioWarning, ExistsError
from asteroid_slicq.audio.stem_mark import mark_as_stem
from asteroid_slicq.files import Partial, given_path, library_path, replace_all
from asteroid_slicq.vocabulary import AUDIO_FORMATS, BIT_DEPTHS

_SUBTYPES = {"16": "PCM_16", "24": "PCM_24", "32f": "FLOAT"}
_MAX_WAV_BYTES = 2**32 - 2**16


def track_name(path: str | os.PathLike[str]) -> str:
    """Name of the folder for a file's stems: that of the file without suffix, where it has one."""
    return Path(path).stem.strip(". ") or Path(path).name.strip(". ") or "track"


def check_format(audio_format: str, bit_depth: str | None) -> None:
    """Refuse output formats that do not exist.

    Raises:
        ValueError: an unknown format or bit depth, or a depth that the format cannot hold.
    """
    if audio_format not in AUDIO_FORMATS:
        raise ValueError(
            f"audio_format must be one of {', '.join(AUDIO_FORMATS)}, got {audio_format!r}"
        )
    if bit_depth is not None and bit_depth not in BIT_DEPTHS:
        raise ValueError(f"bit_depth must be one of {', '.join(BIT_DEPTHS)}, got {bit_depth!r}")
    if audio_format == "flac" and bit_depth == "32f":
        raise ValueError("bit_depth must be 16 or 24 for FLAC, got '32f' (WAV holds 32f)")


class AudioWriter:
    """A writer of one WAV or FLAC file as a stream, under a temporary name until `publish`.

    Args:
        path: target; its suffix, ``.wav`` or ``.flac``, selects the format. The folder must exist.
        sample_rate: in Hz.
        n_channels: number of channels.
        bit_depth: ``"16"``, ``"24"``, or ``"32f"`` (WAV only).
        n_samples: expected in each channel. WAV files that would pass 4 GiB are written as RF64.

    Raises:
        ValueError: a format or depth that does not exist.
        AudioError: the target cannot be created, or (later) the disk is full.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sample_rate: int,
        n_channels: int,
        bit_depth: str = "16",
        n_samples: int | None = None,
    ):
        self.path = given_path(path, "path")
        audio_format = self.path.suffix.lower().lstrip(".")
        check_format(audio_format, bit_depth)
        self._bits = 0 if bit_depth == "32f" else int(bit_depth)
        self._n_written = self._n_clipped = 0
        self._peak = 0.0
        self._file: sf.SoundFile | None = None
        n_bytes = (n_samples or 0) * n_channels * (self._bits or 32) // 8
        if audio_format == "wav" and n_bytes > _MAX_WAV_BYTES:
            audio_format = "rf64"
        if self.path.is_dir():
            raise AudioError(f"{self.path}: cannot be written, a folder has that name")
        try:
            # libsndfile does not say why a file cannot be created; the operating system does.
            self._partial = Partial(self.path)
        except OSError as error:
            raise AudioError(f"{self.path}: cannot be written ({error.strerror})") from error
        try:
            self._file = sf.SoundFile(
                library_path(self._partial.path),
                "w",
                sample_rate,
                n_channels,
                _SUBTYPES[bit_depth],
                format=audio_format.upper(),
            )
            mark_as_stem(self._file)
        except sf.LibsndfileError as error:
            self.discard()
            raise AudioError(
                f"{self.path}: cannot be written: {audio_format.upper()} does not hold "
                f"{n_channels} channels at {sample_rate} Hz"
            ) from error
        except BaseException:
            self.discard()
            raise

    def write(self, buffer: np.ndarray) -> None:
        """Append a buffer; integer formats limit it to full scale and remember that they did.

        Args:
            buffer: float samples. Shape: ``(channel, time)``.

        Raises:
            AudioError: NaN or infinite samples, or no space left.
        """
        if self._file is None:
            raise ValueError(f"{self.path} is closed already")
        if buffer.size == 0:
            return
        peak = float(np.abs(buffer).max())
        if not math.isfinite(peak):
            raise AudioError(
                f"{self.path}: the model made NaN or infinite samples; nothing is kept"
            )
        self._peak = max(self._peak, peak)
        if self._bits:
            if peak > 1.0:
                self._n_clipped += int(np.count_nonzero(np.abs(buffer) > 1.0))
            samples = _quantise(buffer, self._bits)
        else:
            samples = buffer.astype(np.float32, copy=False)
        try:
            self._file.write(np.ascontiguousarray(samples.T))
        except sf.LibsndfileError as error:
            raise AudioError(self._write_error(samples.nbytes)) from error
        self._n_written += buffer.shape[-1]

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
            n_held = sf.info(library_path(self._partial.path)).frames
        except sf.LibsndfileError:
            n_held = -1
        if n_held != self._n_written:
            raise AudioError(self._write_error(0))

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
        try:
            if file is not None:
                file.close()
        except sf.LibsndfileError:
            pass  # a full disk, reported already
        self._partial.discard()


def publish(writers: Iterable[AudioWriter]) -> None:
    """Give files their names once all are whole; what had the names stays where one cannot.

    Raises:
        AudioError: not all of a file reached the disk, or one cannot have its name.
    """
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


def _quantise(buffer: np.ndarray, bits: int) -> np.ndarray:
    """Round to integers of that many bits, left-aligned in int16 or int32."""
    scale = 2.0 ** (bits - 1)
    levels = np.clip(np.rint(buffer * np.float32(scale)), -scale, scale - 1)
    return levels.astype(np.int16) if bits == 16 else levels.astype(np.int32) << (32 - bits)


class StemWriter:
    """A writer of a folder with one file per stem: all of them or, on any exception, none.

    Use it as a context manager. Folders are created when needed, and removed again when nothing
    was written into them.

    Args:
        folder: where the files go.
        names: stems; a file is named ``<name>.<audio_format>``.
        sample_rate: in Hz.
        n_channels: number of channels of each.
        audio_format: ``"wav"`` or ``"flac"``.
        bit_depth: see `AudioWriter`.
        n_samples: see `AudioWriter`.
        overwrite: whether files that exist may be replaced.

    Raises:
        AudioError: a file exists and may not be replaced, or cannot be written.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        names: Sequence[str],
        sample_rate: int,
        n_channels: int,
        audio_format: str = "wav",
        bit_depth: str = "16",
        n_samples: int | None = None,
        overwrite: bool = False,
    ):
        check_format(audio_format, bit_depth)
        self.folder = given_path(folder, "folder")
        self.paths = {name: self.folder / f"{name}.{audio_format}" for name in names}
        self._settings = (sample_rate, n_channels, bit_depth, n_samples)
        self._writers: dict[str, AudioWriter] = {}
        self._created: list[Path] = []
        self._present = {path for path in self.paths.values() if os.path.lexists(path)}
        if self._present and not overwrite:
            missing = set(self.paths.values()) - self._present
            raise ExistsError(self.folder, self._present, missing)

    def write(self, name: str, buffer: np.ndarray) -> None:
        """Append a buffer of shape ``(channel, time)`` to the stem of that name."""
        self._writers[name].write(buffer)

    def __enter__(self) -> StemWriter:
        try:
            self._create_folder()
            for name, path in self.paths.items():
                self._writers[name] = AudioWriter(path, *self._settings)
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                publish(self._writers.values())
        finally:
            self._discard()
        if kind is None:
            for writer in self._writers.values():
                writer.warn_if_clipped()

    def _create_folder(self) -> None:
        missing = [p for p in (self.folder, *self.folder.parents) if not os.path.lexists(p)]
        try:
            for path in reversed(missing):
                path.mkdir(exist_ok=True)
                self._created.append(path)
            if not self.folder.is_dir():
                raise AudioError(f"{self.folder}: is a file, a folder is needed there")
        except OSError as error:
            raise AudioError(f"{self.folder}: cannot be created ({error.strerror})") from error

    def _discard(self) -> None:
        """Removes what has not got its name, and the folders made for nothing."""
        for writer in self._writers.values():
            writer.discard()
        for path in reversed(self._created):
            try:
                path.rmdir()
            except OSError:  # it holds stems
                break
