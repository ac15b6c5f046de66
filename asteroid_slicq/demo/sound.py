"""Pieces, pictures and files of a song, as the page hears, shows and offers them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile as sf

from asteroid_slicq.audio import StemFormat, StemWriter
from asteroid_slicq.demo.songs import Song, SongError
from asteroid_slicq.files import whole_file
from asteroid_slicq.plotting import amplitude_image, drawing_transform

CHUNK_S = 4.0
"""Length of the pieces that the page plays."""

IMAGE_SHAPE = (96, 720)
"""Rows and columns of a picture."""

_N_BINS, _DB_RANGE = 120, 72.0
_BUFFER = 2**18


def chunk_of(song: Song, index: int) -> bytes:
    """A piece of all tracks at once, so that they play together.

    Returns:
        Little-endian 16-bit samples. Shape: ``(track, channel, time)``.

    Raises:
        SongError: behind the end.
    """
    pieces = []
    for path in song.tracks.values():
        with sf.SoundFile(path) as file:
            n = round(CHUNK_S * file.samplerate)
            if not 0 <= index * n < file.frames:
                raise SongError("This song has no such part.")
            file.seek(index * n)
            piece = file.read(n, dtype="float32", always_2d=True).T
        pieces.append(np.clip(np.rint(piece * 32768), -32768, 32767).astype("<i2"))
    return np.stack(pieces).tobytes()


def levels_of(song: Song, track: str) -> bytes:
    """The sliCQT of a track as a picture, whose colours are relative to the loudest of the mix.

    Returns:
        Bytes, from 0 for the quietest. Shape: ``(freq, time)``, low frequencies first.

    Raises:
        SongError: no such track.
    """
    _check_track(song, track)
    with song.lock:  # one at a time: each takes a processor
        if "mix" not in song.levels:
            image = _image(song.tracks["mix"])
            song.levels["reference"] = float(image.max()) or 1.0
            song.levels["mix"] = _in_bytes(image, song.levels["reference"])
        if track not in song.levels:
            song.levels[track] = _in_bytes(_image(song.tracks[track]), song.levels["reference"])
        return song.levels[track]


def archive_of(song: Song) -> Path:
    """A ZIP file of all stems, made when it is first asked for."""
    path = song.folder / "stems.zip"
    with song.lock:
        if not path.exists():
            with whole_file(path) as partial, zipfile.ZipFile(partial, "w") as archive:
                for name, stem in song.tracks.items():
                    if name != "mix":
                        archive.write(stem, f"{song.title}/{stem.name}")
    return path


def remix_of(song: Song, gains: Mapping[str, float]) -> Path:
    """A file of the stems, each by a gain, summed.

    Args:
        song: whose.
        gains: of stems, from 0 to 2; those that are not named are left out.

    Raises:
        SongError: no such stem, or a gain out of range.
    """
    for name, gain in gains.items():
        _check_track(song, name)
        if not 0 <= gain <= 2:  # NaN, too
            raise SongError("The gain of a stem must lie between 0 and 2.")
    with song.lock, sf.SoundFile(song.tracks["mix"]) as mix:
        names = list(gains)
        target, stem_format = {"remix": song.folder / "remix.wav"}, StemFormat("wav", "32f")
        writer = StemWriter(target, mix.samplerate, mix.channels, stem_format, overwrite=True)
        files = [sf.SoundFile(song.tracks[name]) for name in names]
        try:
            with writer:
                for start in range(0, mix.frames, _BUFFER):
                    n = min(_BUFFER, mix.frames - start)
                    total = np.zeros((n, mix.channels), np.float32)
                    for name, file in zip(names, files, strict=True):
                        total += gains[name] * file.read(n, dtype="float32", always_2d=True)
                    writer.write(total.T[None])
        finally:
            for file in files:
                file.close()
    return writer.paths["remix"]


def _check_track(song: Song, track: str) -> None:
    if track not in song.tracks:
        raise SongError("This song has no such stem.")


def _image(path: Path) -> np.ndarray:
    with sf.SoundFile(path) as file:
        rate = file.samplerate
        parts = [
            part.mean(axis=1) for part in file.blocks(_BUFFER, dtype="float32", always_2d=True)
        ]
    transform = drawing_transform(rate, n_bins=_N_BINS)
    return amplitude_image(np.concatenate(parts), transform, *IMAGE_SHAPE)[0]


def _in_bytes(image: np.ndarray, reference: float) -> bytes:
    level_db = 20 * np.log10(np.maximum(image / reference, 10 ** (-_DB_RANGE / 20)))
    return np.rint(np.clip(1 + level_db / _DB_RANGE, 0, 1) * 255).astype(np.uint8).tobytes()
