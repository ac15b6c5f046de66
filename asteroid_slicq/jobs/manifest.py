"""The record of what a folder of stems was made from, by which models and with which settings.

It is a file of JSON, a song a line, to which every finished song is appended: what was written
before a kill stays, and of two lines about a song the later one counts. Elsewhere, where nothing
can be appended to a file, every run writes one of its own.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from asteroid_slicq import __version__
from asteroid_slicq.files import real_path, whole_file
from asteroid_slicq.jobs import remote
from asteroid_slicq.jobs.inputs import Job

MANIFEST = ".asteroid-slicq.jsonl"
_REMOTE_FOLDER = ".asteroid-slicq"
_FLUSH_S = 10.0
_MOST_LINES = 1000  # of a file elsewhere, which is written anew each time
_SAME_TIME_NS = 2 * 10**9  # some file systems keep even seconds


@dataclass(frozen=True)
class FileState:
    """What tells a file from what it was, without reading it.

    Attributes:
        path: absolute, or relative to the folder of the stems, or an address.
        size: in bytes; None where it is not known.
        version: of a file here, when it was changed, in nanoseconds; elsewhere, a word.
    """

    path: str
    size: int | None = None
    version: int | str | None = None

    @classmethod
    def of(cls, path: Path | str, name: str | None = None) -> FileState:
        """The state of a file now, under a name; of one that is not there, no size."""
        if isinstance(path, str):
            return cls(name or path, *remote.version(path))
        try:
            stat = path.stat()
        except OSError:
            return cls(name or str(path))
        return cls(name or str(path.absolute()), stat.st_size, stat.st_mtime_ns)

    def is_now(self, now: FileState) -> bool:
        """Whether a file is what it was, wherever it lies."""
        if self.size != now.size:
            return False
        if isinstance(self.version, int) and isinstance(now.version, int):
            return abs(self.version - now.version) <= _SAME_TIME_NS
        return self.version == now.version


@dataclass(frozen=True)
class Record:
    """A song that was separated.

    Attributes:
        track: of the job.
        mix: state of the song.
        settings: all that the stems depend on but the song.
        stems: state of each file that was written, by name.
        audio_s: length of the song in seconds.
        written: when, in UTC.
        version: of this package.
    """

    track: str
    mix: FileState
    settings: dict[str, Any]
    stems: dict[str, FileState]
    audio_s: float = 0.0
    written: str = field(default_factory=lambda: time.strftime("%FT%TZ", time.gmtime()))
    version: str = __version__

    def to_line(self) -> str:
        """A line of JSON, in ASCII, whatever bytes file names have."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: bytes) -> Record:
        """The record of a line.

        Raises:
            ValueError, TypeError, KeyError: it is none.
        """
        content = json.loads(line)
        content["mix"] = FileState(**content["mix"])
        content["stems"] = {k: FileState(**v) for k, v in content["stems"].items()}
        record = cls(**content)
        if not (isinstance(record.track, str) and isinstance(record.settings, dict)):
            raise ValueError("no record")
        return record


class Manifest:
    """The records of a folder of stems, read at once, and added to.

    Args:
        folder: of the stems, or its address.

    Attributes:
        problem: a sentence about what cannot be read or written; empty where all is well.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder, self.problem = folder, ""
        self._records: dict[str, Record] = {}
        self._store = _RemoteLines(folder) if isinstance(folder, str) else _Lines(folder)
        n_bad, lines = 0, []
        for line in self._store.read():
            try:
                record = Record.from_line(line)
            except (ValueError, TypeError, KeyError, AttributeError):
                n_bad += 1
            else:
                self._records[record.track] = record
                lines.append(line)
        if n_bad:
            kept = self._store.renew(lines)
            self.problem = (
                f"{self._store.path}: {n_bad} of its lines cannot be read (kept as {kept}); stems "
                "of which nothing is known are left as they are"
            )
        self._tracks = {record.mix.path: track for track, record in self._records.items()}
        self._moved: dict[Any, list[Record]] = {}
        for record in self._records.values():
            self._moved.setdefault(_identity(record.mix), []).append(record)

    def exists(self) -> bool:
        """Whether there are records, or were."""
        return bool(self._records or self.problem)

    def track_of(self, path: Path | str) -> str | None:
        """The folder that the stems of a song have; also of one that was moved with its folder."""
        name = path if isinstance(path, str) else str(path.absolute())
        track = self._tracks.get(name)
        if track is None and isinstance(path, Path):
            alike = self._moved.get(_identity(FileState.of(path)), [])
            alike = [record for record in alike if not os.path.lexists(record.mix.path)]
            ends = [_n_common_at_end(record.mix.path, name) for record in alike]
            if ends and ends.count(max(ends)) == 1:
                track = alike[ends.index(max(ends))].track
        return track

    def tracks_of_others(self, paths: Collection[Path | str]) -> set[str]:
        """The folders of stems of all songs but some, also of those that are out of reach now.

        Args:
            paths: of these songs, without links.
        """
        return {
            record.track
            for record in self._records.values()
            if (mix := record.mix.path) not in paths
            and (remote.is_address(mix) or real_path(mix) not in paths)
        }

    def find(self, track: str) -> Record | None:
        """What is known of a folder of stems."""
        return self._records.get(track)

    def present(self, record: Record) -> dict[str, FileState]:
        """The states now of those stems of a record that are there."""
        if isinstance(self.folder, str):
            sizes = self._store.sizes()
            now = {
                name: FileState(stem.path, sizes[stem.path])
                for name, stem in record.stems.items()
                if stem.path in sizes
            }
        else:
            states = {
                name: FileState.of(self.folder / stem.path, stem.path)
                for name, stem in record.stems.items()
            }
            now = {name: state for name, state in states.items() if state.size is not None}
        return now

    def add(
        self,
        job: Job,
        mix: FileState,
        settings: dict[str, Any],
        stems: dict[str, FileState],
        audio_s: float,
    ) -> None:
        """Write down that a song is done; what cannot be written is a `problem`, no more."""
        record = Record(job.track, mix, settings, stems, audio_s)
        self._records[job.track] = record
        try:
            self._store.append(record.to_line())
        except OSError as error:
            self.problem = f"{self._store.path}: cannot be written ({error.strerror or error})"

    def close(self) -> None:
        """Write what waits."""
        try:
            self._store.flush()
        except OSError as error:
            self.problem = f"{self._store.path}: cannot be written ({error.strerror or error})"


def _identity(state: FileState) -> tuple[str, int | None, int | str | None]:
    """What a file keeps where it is moved."""
    return os.path.basename(state.path), state.size, state.version


def _n_common_at_end(path: str, other: str) -> int:
    """How many parts of two paths are the same, from the last one on."""
    pairs = zip(reversed(Path(path).parts), reversed(Path(other).parts), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


class _Lines:
    """Lines of a file here."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / MANIFEST
        self._ends_well = True

    def read(self) -> list[bytes]:
        """All lines but a last one that was not written to its end."""
        try:
            data = self.path.read_bytes()
        except OSError:
            return []
        self._ends_well = not data or data.endswith(b"\n")
        return [line for line in data[: data.rfind(b"\n") + 1].split(b"\n") if line.strip()]

    def renew(self, lines: Iterable[bytes]) -> str:
        """Keep the file under another name and write the lines that are good."""
        kept = self.path.with_name(f"{MANIFEST}.damaged-{secrets.token_hex(4)}")
        try:
            with whole_file(self.path, durable=True) as partial:
                partial.write_bytes(b"".join(line + b"\n" for line in lines))
                os.link(self.path, kept)
        except OSError:
            return "it is"
        self._ends_well = True
        return kept.name

    def append(self, line: str) -> None:
        """Write a line in one piece, so that two runs do not mix theirs."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        data = line.encode() if self._ends_well else b"\n" + line.encode()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            self._ends_well = os.write(descriptor, data) == len(data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def flush(self) -> None:
        """Nothing waits."""

    def sizes(self) -> dict[str, int | None]:
        """Nobody asks."""
        return {}


class _RemoteLines:
    """Lines of files elsewhere, of which this run writes its own, every few seconds."""

    def __init__(self, address: str) -> None:
        self.path = remote.join(address, _REMOTE_FOLDER)
        self._folder = remote.RemoteFolder(address)
        self._sizes: dict[str, int | None] | None = None
        self._name, self._lines = self._new_name(), []
        self._written = time.monotonic()

    def read(self) -> Iterator[bytes]:
        """All lines of all files, in the order of the runs."""
        for name in sorted(self.sizes()):
            if name.startswith(f"{_REMOTE_FOLDER}/") and name.endswith(".jsonl"):
                yield from self._folder.read(name).splitlines()

    def renew(self, lines: Iterable[bytes]) -> str:
        """Nothing: a file is whole, so somebody else wrote those lines."""
        return "they are"

    def append(self, line: str) -> None:
        """Keep a line, and write all from time to time."""
        self._lines.append(line)
        if time.monotonic() - self._written > _FLUSH_S or len(self._lines) >= _MOST_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._lines:
            self._folder.write(f"{_REMOTE_FOLDER}/{self._name}", "".join(self._lines).encode())
        if len(self._lines) >= _MOST_LINES:
            self._name, self._lines = self._new_name(), []
        self._written = time.monotonic()

    def sizes(self) -> dict[str, int | None]:
        """The size of each file in the folder when the run began."""
        if self._sizes is None:
            self._sizes = self._folder.names()
        return self._sizes

    @staticmethod
    def _new_name() -> str:
        return f"{time.time_ns():020d}-{secrets.token_hex(4)}.jsonl"  # in the order of time
