"""What the page hears, sees and downloads of a song."""

import zipfile

import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.demo.songs import SongError
from asteroid_slicq.demo.sound import (
    CHUNK_S,
    IMAGE_SHAPE,
    archive_of,
    chunk_of,
    levels_of,
    remix_of,
)

RATE, N = 8000, 44_000  # 5.5 s


@pytest.fixture
def song(songs):
    song = songs.add("A song.mp3")
    time = np.arange(N) / RATE
    tones = {"mix": 0.5, "vocals": 0.4, "bass": 0.1}
    for (name, scale), hz in zip(tones.items(), (440, 440, 110), strict=True):
        wave = scale * np.sin(2 * np.pi * hz * time)
        song.tracks[name] = song.folder / f"{name}.wav"
        sf.write(song.tracks[name], np.stack([wave, -wave / 2], 1), RATE, "PCM_16")
    return song


def test_pieces_hold_all_tracks_to_the_sample(song):
    n = int(CHUNK_S * RATE)
    parts = [np.frombuffer(chunk_of(song, k), "<i2").reshape(3, 2, -1) for k in range(2)]
    assert [part.shape[-1] for part in parts] == [n, N - n]
    whole = np.concatenate(parts, axis=-1)
    for got, path in zip(whole, song.tracks.values(), strict=True):
        assert np.array_equal(got.T, sf.read(path, dtype="int16")[0])
    for k in (-1, 2, 10**12):
        with pytest.raises(SongError, match="no such part"):
            chunk_of(song, k)


def test_pictures_are_relative_to_the_mix(song):
    images = {
        name: np.frombuffer(levels_of(song, name), np.uint8).reshape(IMAGE_SHAPE)
        for name in ("bass", "mix", "vocals")
    }
    assert images["mix"].max() == 255
    loudest = {name: image[:, 100:600].mean(axis=1).argmax() for name, image in images.items()}
    assert loudest["mix"] == loudest["vocals"] > loudest["bass"]
    step = 255 / 72  # of a decibel
    difference = images["mix"].max() / step - images["vocals"].max() / step
    assert difference == pytest.approx(20 * np.log10(0.5 / 0.4), abs=0.5)
    with pytest.raises(SongError, match="no such stem"):
        levels_of(song, "../upload")


def test_the_archive_holds_the_stems(song):
    with zipfile.ZipFile(archive_of(song)) as archive:
        assert archive.namelist() == ["A song/vocals.wav", "A song/bass.wav"]
        assert archive.read("A song/bass.wav") == song.tracks["bass"].read_bytes()


def test_a_remix_is_the_sum_by_gains(song):
    vocals, bass = (sf.read(song.tracks[name])[0] for name in ("vocals", "bass"))
    got, rate = sf.read(remix_of(song, {"vocals": 0.25, "bass": 2.0}))
    assert rate == RATE
    assert np.abs(got - 0.25 * vocals - 2 * bass).max() < 1e-6
    assert not sf.read(remix_of(song, {}))[0].any()
    for gains in ({"drums": 1.0}, {"bass": -1.0}, {"bass": float("nan")}, {"bass": 3.0}):
        with pytest.raises(SongError):
            remix_of(song, gains)
