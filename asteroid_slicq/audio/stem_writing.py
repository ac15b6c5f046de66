"""The stems of a song, written as a stream: all of them or none, within full scale."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from asteroid_slicq.audio.errors import AudioError, AudioWarning, ExistsError
from asteroid_slicq.audio.levels import sum_to_mix
from asteroid_slicq.audio.stem_format import StemFormat, check_clip
from asteroid_slicq.audio.tags import Tags
from asteroid_slicq.audio.writing import AudioWriter, peak_of, publish


def track_name(path: str | os.PathLike[str]) -> str:
    """Name of the folder for a file's stems: that of the file without suffix, where it has one."""
    return Path(path).stem.strip(". ") or Path(path).name.strip(". ") or "track"


class StemWriter:
    """A writer of one file per stem: all of them or, on any exception, none.

    Use it as a context manager. Folders are created when needed, and removed again when nothing
    was written into them.

    Where a format has a full scale, stems that exceed it are rescaled, all by the same factor, or
    limited. The factor is known at the end only: until then, what is written is kept a second time,
    as 32-bit float in a file without a name beside the stems.

    Args:
        targets: the file of each stem.
        sample_rate: in Hz.
        n_channels: number of channels of each.
        stem_format: of the files.
        n_samples: see `AudioWriter`.
        overwrite: whether files that exist may be replaced.
        clip: ``"rescale"`` or ``"clamp"``; ``None`` for ``"clamp"`` with ``rest``, since the stems
            shall sum to the mix, else ``"rescale"``.
        rest: the stem that holds what the others leave of the mix, so that all of them, as written,
            sum to the mix, as written; ``None`` for none.
        tags: of the files, by stem.
        song: what warnings call the song; ``None`` for the folder of its stems.

    Attributes:
        paths: the targets.

    Raises:
        AudioError: a file exists and may not be replaced, or cannot be written.
    """

    def __init__(
        self,
        targets: Mapping[str, Path],
        sample_rate: int,
        n_channels: int,
        stem_format: StemFormat | None = None,
        *,
        n_samples: int | None = None,
        overwrite: bool = False,
        clip: str | None = None,
        rest: str | None = None,
        tags: Mapping[str, Tags] | None = None,
        song: str | None = None,
    ):
        check_clip(clip)
        self.paths = dict(targets)
        self._format = stem_format or StemFormat()
        self._settings = (sample_rate, n_channels, self._format, n_samples)
        self._tags = tags or {}
        self._song = song or self._place
        self._rest = None if rest is None else list(self.paths).index(rest)
        rescales = (clip or ("rescale" if rest is None else "clamp")) == "rescale"
        self._keeps = rescales and self._format.levels.high <= 1.0
        self._kept: _KeptBuffers | None = None
        self._writers: list[AudioWriter] = []
        self._created: list[Path] = []
        self._peak = 0.0
        self._n_limited = 0
        self._open = ExitStack()
        self._overwrite = overwrite
        self._refuse_replacing()

    def _refuse_replacing(self) -> None:
        """Refuse files that exist, unless they may be replaced."""
        present = [path for path in self.paths.values() if os.path.lexists(path)]
        if present and not self._overwrite:
            missing = [path for path in self.paths.values() if path not in present]
            raise ExistsError(self._place, present, missing)

    @property
    def _place(self) -> Path:
        """The folder that messages name."""
        return Path(os.path.commonpath([path.parent for path in self.paths.values()]))

    def write(self, stems: np.ndarray, mix: np.ndarray | None = None) -> None:
        """Append a buffer.

        Args:
            stems: of all stems, in the order of the targets. Shape: ``(stem, channel, time)``.
            mix: where there is a rest, which it replaces. Shape: ``(channel, time)``.

        Raises:
            AudioError: NaN or infinite samples, or no space left.
            ValueError: a rest without a mix, or a mix without a rest.
        """
        peak = peak_of(stems, self._place)
        if (mix is None) != (self._rest is None):
            raise ValueError("mix must be given where there is a rest, and only there")
        if mix is not None:
            peak = max(peak, peak_of(mix, self._place))
        self._peak = max(self._peak, peak)
        if self._kept is not None:
            self._kept.append(stems, mix)
        if self._kept is None or self._peak <= 1.0:
            self._write(stems, mix)

    def _write(self, stems: np.ndarray, mix: np.ndarray | None) -> None:
        if self._rest is not None and mix is not None:
            stems, n_limited = sum_to_mix(stems, self._rest, mix, self._format.levels)
            self._n_limited += n_limited
        for writer, stem in zip(self._writers, stems, strict=True):
            writer.write(stem)

    def __enter__(self) -> StemWriter:
        try:
            for path in self.paths.values():
                self._create_folder(path.parent)
            self._open_writers()
            if self._keeps:
                file = _unnamed_file(next(iter(self.paths.values())).parent)
                self._kept = _KeptBuffers(self._open.enter_context(file), self._place)
        except BaseException:
            self._discard()
            raise
        return self

    def _open_writers(self) -> None:
        for name, path in self.paths.items():
            writer = AudioWriter(path, *self._settings, self._tags.get(name))
            self._writers.append(writer)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                if self._kept is not None and self._peak > 1.0:
                    self._rescale(self._kept)
                self._refuse_replacing()  # which somebody else may have written meanwhile
                publish(self._writers)
        finally:
            self._discard()
        if kind is None:
            self._warn()

    def _rescale(self, kept: _KeptBuffers) -> None:
        """Write all of it again, by one factor."""
        for writer in self._writers:
            writer.discard()
        self._writers.clear()
        self._open_writers()
        for stems, mix in kept.scaled(self._scale):
            self._write(stems, mix)

    @property
    def _scale(self) -> float:
        return self._format.levels.high / self._peak

    def _warn(self) -> None:
        if self._kept is not None and self._peak > 1.0:
            which, none = (
                ("all stems are", "none") if len(self.paths) > 1 else ("it is", "it never")
            )
            _tell(
                f"{self._song}: {which} {-20 * math.log10(self._scale):.2f} dB lower than without "
                f"limits, so that {none} exceeds full scale; {_ADVICE}, --clip clamp "
                "(clip='clamp') limits samples instead"
            )
        elif self._n_limited:
            above_db = 20 * math.log10(max(self._peak, 1.0))
            _tell(
                f"{self._song}: {self._n_limited} samples were limited to full scale (the peak is "
                f"{above_db:.1f} dB above it), and other stems took what was over, so that they "
                f"sum to the mix; {_ADVICE}, --clip rescale (clip='rescale') lowers all instead"
            )
        else:
            for writer in self._writers:
                writer.warn_if_clipped()

    def _create_folder(self, folder: Path) -> None:
        missing = [p for p in (folder, *folder.parents) if not os.path.lexists(p)]
        try:
            for path in reversed(missing):
                path.mkdir(exist_ok=True)
                self._created.append(path)
            if not folder.is_dir():
                raise AudioError(f"{folder}: is a file, a folder is needed there")
        except OSError as error:
            raise AudioError(f"{folder}: cannot be created ({error.strerror})") from error

    def _discard(self) -> None:
        """Removes what has not got its name, and the folders made for nothing."""
        self._open.close()
        for writer in self._writers:
            writer.discard()
        for path in reversed(self._created):
            try:
                path.rmdir()
            except OSError:  # it holds stems
                continue


_ADVICE = "32-bit float WAV keeps the level (--bit-depth 32f, bit_depth='32f')"


def _tell(message: str) -> None:
    warnings.warn(message, AudioWarning, stacklevel=4)


class _KeptBuffers:
    """Buffers in a file, to be read again.

    Args:
        file: empty.
        place: the folder that errors name.
    """

    def __init__(self, file: IO[bytes], place: Path):
        self._file, self._place = file, place
        self._shapes: list[tuple[tuple[int, ...], bool]] = []

    def append(self, stems: np.ndarray, mix: np.ndarray | None) -> None:
        """Keep a buffer.

        Raises:
            AudioError: no space left.
        """
        self._shapes.append((stems.shape, mix is not None))
        try:
            for samples in (stems, mix):
                if samples is not None:
                    self._file.write(np.ascontiguousarray(samples, np.float32).data)
        except OSError as error:
            full = shutil.disk_usage(self._place).free < 2 * stems.nbytes + 2**16
            reason = (
                "no space is left on the disk" if full else f"writing failed ({error.strerror})"
            )
            raise AudioError(f"{self._place}: {reason}; nothing is kept") from error

    def scaled(self, scale: float) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """All buffers, times a factor."""
        self._file.seek(0)
        for shape, has_mix in self._shapes:
            yield self._read(shape) * scale, self._read(shape[1:]) * scale if has_mix else None

    def _read(self, shape: tuple[int, ...]) -> np.ndarray:
        n_bytes = 4 * math.prod(shape)
        return np.frombuffer(self._file.read(n_bytes), np.float32).reshape(shape)


def _unnamed_file(folder: Path) -> IO[bytes]:
    """A file that is gone once it is closed, also by the end of the process."""
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise AudioError(f"{folder}: cannot be written ({error.strerror})") from error
