"""The bank of sounds: one ZIP file of audio and an index, and a manifest that credits every sound.

``bank.zip`` holds ``index.json`` and files of audio (Ogg Vorbis or FLAC), uncompressed and without
dates, so that the same sounds give the same bytes. ``manifest.json`` lies beside it. The index maps

- ``samples``: recordings, each with file, root key, cents and loop;
- ``presets``: instruments by bank and programme of General MIDI, each with its zones;
- ``hits``: single drum hits by voice, each a list of samples from soft to hard;
- ``strums``: recorded guitar chords by pitch class and quality, each with down and up strokes;
- ``voices``: recorded voices, as the room of the voices lays them out; none by default.
"""

import hashlib
import io
import json
import lzma
import os
import zipfile
import zlib
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from asteroid_slicq.data.sampled.catalogue import Credit, Source, check_licence
from asteroid_slicq.data.sampled.modulators import Modulator
from asteroid_slicq.data.sampled.refused import REFUSED
from asteroid_slicq.data.sampled.zones import Zone
from asteroid_slicq.files import given_path, whole_file

FORMAT = 3
_READABLE = (1, 2, FORMAT)  # 1 has neither starts nor ends of recordings, nor has 2 modulators
BANK_FILE, MANIFEST_FILE, INDEX_FILE = "bank.zip", "manifest.json", "index.json"
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError)
_LEAST_RATE = 40000
_DATE = (1980, 1, 1, 0, 0, 0)


def default_folder() -> Path:
    """Find where banks lie: ``$ASTEROID_SLICQ_SOUNDS``, or a folder of the user's cache."""
    if folder := os.environ.get("ASTEROID_SLICQ_SOUNDS"):
        return Path(folder)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "asteroid-slicq" / "sounds"


@dataclass(frozen=True)
class Recording:
    """A sample of the bank.

    Args:
        file: Of the bank.
        rate: In Hz.
        root: MIDI key at which it sounds as recorded.
        cents: Correction of its pitch.
        loop_start: First sample of the loop, counted from the beginning of the file.
        loop_end: Sample behind the loop; equal to `loop_start` if there is none.
        start: Sample at which it begins to sound.
        end: Sample behind the last one; ``None`` for that of the file.
        finer: Factor by which a low rate was raised; 1 in the index.
    """

    file: str
    rate: int
    root: int = 60
    cents: int = 0
    loop_start: int = 0
    loop_end: int = 0
    start: int = 0
    end: int | None = None
    finer: int = 1


class BankWriter:
    """Collects sounds with their credits, and writes the bank and its manifest.

    Args:
        for_tests: Whether sounds may be under any licence, since only songs to test on are made of
            them. The manifest says so, `synth` writes no songs to train on with it, and
            synthesisers, which models know, only play what it has nothing for.
    """

    def __init__(self, for_tests: bool = False) -> None:
        self._for_tests = for_tests
        self._files: dict[str, bytes] = {}
        self._sounds: list[dict[str, Any]] = []
        self._names: dict[str, str] = {}
        self._sources: dict[str, dict[str, Any]] = {}
        self._recordings: list[Recording] = []
        self._indices: dict[Recording, int] = {}
        self.presets: dict[str, dict[str, Any]] = {}
        self.hits: dict[str, list[list[int]]] = {}
        self.strums: dict[str, dict[str, list[int]]] = {}
        self.voices: dict[str, Any] = {}

    def add_source(self, source: Source, version: str) -> None:
        """Note a source and the version of its package."""
        self._sources[source.name] = {
            "package": source.package,
            "version": version,
            "author": source.credit.author,
            "licence": source.credit.licence,
            "taken": source.taken,
            "verified": source.verified,
            "url": source.url,
        }

    def version(self, source: str) -> str:
        """Recall the version of a source's package; empty where none was noted."""
        return self._sources.get(source, {}).get("version", "")

    def add_file(
        self, name: str, data: bytes, suffix: str, source: str, credit: Credit, origin: str = ""
    ) -> str:
        """Store a file under its own hash, once however often it is added.

        Args:
            name: Of the sound, for the manifest.
            data: Content of the file.
            suffix: Of the file, with its dot.
            source: Name of a source.
            credit: Author and licence of the sound.
            origin: Where the source has it from, if it says so.

        Returns:
            The file's name within the bank.

        Raises:
            LicenceError: If the licence is not allowed, and the bank not one for tests.
        """
        if not self._for_tests:
            check_licence(credit.licence, f"{name} of {source}")
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._names:
            file = f"{suffix[1:]}/{len(self._files):04d}{suffix}"
            self._names[digest] = file
            self._files[file] = data
            self._sounds.append(
                {
                    "name": name,
                    "file": file,
                    "source": source,
                    "author": credit.author,
                    "licence": credit.licence,
                    **({"origin": origin} if origin else {}),
                    "sha256": digest,
                    "bytes": len(data),
                }
            )
        return self._names[digest]

    @property
    def n_bytes(self) -> int:
        """Bytes of all files so far."""
        return sum(len(data) for data in self._files.values())

    def add_recording(self, recording: Recording) -> int:
        """Enter a sample into the index; returns its number."""
        if recording not in self._indices:
            self._indices[recording] = len(self._recordings)
            self._recordings.append(recording)
        return self._indices[recording]

    def add_preset(self, key: str, name: str, zones: list[Zone]) -> None:
        """Enter an instrument, whose zones refer to samples of this bank."""
        self.presets[key] = {"name": name, "zones": [_changed(zone) for zone in zones]}

    def write(self, folder: Path) -> dict[str, Any]:
        """Write ``bank.zip`` and ``manifest.json``; returns the manifest.

        Raises:
            OSError: If the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        purpose = {"for_tests": True} if self._for_tests else {}
        index = {
            "format": FORMAT,
            **purpose,
            "samples": [_changed(r) for r in self._recordings],
            "presets": self.presets,
            "hits": self.hits,
            "strums": self.strums,
            "voices": self.voices,
        }
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            text = json.dumps(index, separators=(",", ":"), sort_keys=True).encode()
            archive.writestr(_entry(INDEX_FILE), text, zipfile.ZIP_DEFLATED)
            for file, data in self._files.items():
                archive.writestr(_entry(file), data)
        bank = buffer.getvalue()
        manifest = {
            "format": FORMAT,
            **purpose,
            "bank": {
                "file": BANK_FILE,
                "bytes": len(bank),
                "sha256": hashlib.sha256(bank).hexdigest(),
            },
            "sources": self._sources,
            "sounds": self._sounds,
            "refused": {} if self._for_tests else REFUSED,
        }
        text = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
        for name, data in ((BANK_FILE, bank), (MANIFEST_FILE, text)):
            with whole_file(folder / name) as path:
                path.write_bytes(data)
        return manifest


class Bank:
    """A bank of sounds that was built before; recordings are decoded when they are first asked for.

    Args:
        folder: Where ``bank.zip`` lies; `default_folder` by default.

    Raises:
        FileNotFoundError: If there is no bank.
        ValueError: If it is of another format, or damaged.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = default_folder() if folder is None else given_path(folder, "folder")
        path = self.folder / BANK_FILE
        if not path.is_file():
            raise FileNotFoundError(
                f"no bank of sounds in {self.folder}; build one with `asteroid-slicq sounds build`"
            )
        try:
            self._archive = zipfile.ZipFile(path)
            index = json.loads(self._archive.read(INDEX_FILE))
        except (*_DAMAGE, KeyError, ValueError) as error:
            raise _damaged(path, error) from error
        if index.get("format") not in _READABLE:
            raise ValueError(
                f"{path} has format {index.get('format')!r}, not {FORMAT}; "
                "build it again with `asteroid-slicq sounds build`"
            )
        self.recordings = [_oversampled(Recording(**r)) for r in index["samples"]]
        self.hits: dict[str, list[list[int]]] = index["hits"]
        self.strums: dict[str, dict[str, list[int]]] = index["strums"]
        self.voices: dict[str, Any] = index["voices"]
        self.for_tests: bool = index.get("for_tests", False)
        self._presets = index["presets"]
        self._zones: dict[str, list[Zone]] = {}
        self._pcm: dict[tuple[str, int], NDArray[np.int16]] = {}

    @property
    def presets(self) -> dict[str, str]:
        """Names of the instruments by ``"bank:programme"``."""
        return {key: preset["name"] for key, preset in self._presets.items()}

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Who made every sound, and under which licence."""
        return read_manifest(self.folder)

    def zones(self, preset: str) -> list[Zone]:
        """List the zones of an instrument.

        Raises:
            KeyError: If the bank does not have it.
        """
        if preset not in self._zones:
            self._zones[preset] = [_zone(**zone) for zone in self._presets[preset]["zones"]]
        return self._zones[preset]

    def read(self, file: str) -> bytes:
        """Read a file of the bank.

        Raises:
            ValueError: If it is damaged.
        """
        try:
            return self._archive.read(file)
        except _DAMAGE as error:
            raise _damaged(self.folder / BANK_FILE, error) from error

    def pcm(self, index: int) -> NDArray[np.int16]:
        """Decode a sample up to its end, mono and 16 bits wide, at the rate of its recording.

        Shape:
            - Output: ``(time,)``
        """
        recording = self.recordings[index]
        key = recording.file, recording.rate
        if key not in self._pcm:
            data = io.BytesIO(self.read(recording.file))
            x, rate = soundfile.read(data, dtype="int16", always_2d=True)
            mono = np.ascontiguousarray(x[:, 0], dtype=np.int16)
            if rate < recording.rate:
                finer = resample_poly(mono.astype(np.float64), recording.rate // rate, 1)
                mono = np.clip(np.rint(finer), -32768, 32767).astype(np.int16)
            self._pcm[key] = mono
        return self._pcm[key][: recording.end]


def read_manifest(folder: Path | None = None) -> dict[str, Any]:
    """Read the manifest of a bank.

    Raises:
        FileNotFoundError: If there is no bank.
    """
    folder = default_folder() if folder is None else given_path(folder, "folder")
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"no bank of sounds in {folder}; build one with `asteroid-slicq sounds build`"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def _oversampled(recording: Recording) -> Recording:
    """Raise a low rate by a whole factor.

    A sampler interpolates between few points, and so mirrors a spectrum at half the rate of its
    sample: unless that lies above what is heard.
    """
    factor = -(-_LEAST_RATE // recording.rate)
    return replace(
        recording,
        rate=factor * recording.rate,
        loop_start=factor * recording.loop_start,
        loop_end=factor * recording.loop_end,
        start=factor * recording.start,
        end=None if recording.end is None else factor * recording.end,
        finer=factor,
    )


def _changed(item: Zone | Recording) -> dict[str, Any]:
    """Describe a zone or a recording by what differs from the defaults."""
    return {f.name: value for f in fields(item) if (value := getattr(item, f.name)) != f.default}


def _zone(
    keys: list[int] | None = None,
    velocities: list[int] | None = None,
    modulators: list[list[int]] | None = None,
    **rest: Any,
) -> Zone:
    ranges = {"keys": keys, "velocities": velocities}
    return Zone(
        **{name: (low_high[0], low_high[1]) for name, low_high in ranges.items() if low_high},
        modulators=None if modulators is None else tuple(Modulator(*m) for m in modulators),
        **rest,
    )


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path} is damaged ({error}); build it again with `asteroid-slicq sounds build`"
    )


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.external_attr = 0o644 << 16
    entry.create_system = 3
    return entry
