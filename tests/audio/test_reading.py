"""Facts about reading: what comes out is what is in the file, or one sentence says why not."""

import os
import struct

import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.audio import AudioError, AudioReader

# suffix, subtype, sample rates, worst error (of lossy formats: relative to the signal)
FORMATS = [
    ("wav", "PCM_16", (8000, 22050, 44100, 96000), 2**-15),
    ("wav", "PCM_24", (44100,), 2**-23),
    ("wav", "FLOAT", (48000,), 0.0),
    ("wav", "DOUBLE", (44100,), 1e-7),
    ("wav", "PCM_U8", (11025,), 2**-7),
    ("flac", "PCM_16", (8000, 44100), 2**-15),
    ("flac", "PCM_24", (96000,), 2**-23),
    ("aiff", "PCM_16", (44100,), 2**-15),
    ("ogg", "VORBIS", (22050, 44100), None),
    ("ogg", "OPUS", (48000,), None),
    ("mp3", "MPEG_LAYER_III", (22050, 44100, 48000), None),
]


def tone(n_samples, n_channels, sample_rate):
    time = np.arange(n_samples) / sample_rate
    channels = [np.sin(2 * np.pi * 440 * (1 + j) * time) for j in range(n_channels)]
    return (0.4 * np.stack(channels)).astype(np.float32)


def read_all(path, n_samples=1000):
    with AudioReader(path) as reader:
        return np.concatenate(list(reader.buffers(n_samples)), axis=-1), reader


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize(("suffix", "subtype", "rates", "error"), FORMATS)
def test_reads_every_format(tmp_path, suffix, subtype, rates, error, n_channels):
    for rate in rates:
        wave = tone(12345, n_channels, rate)
        path = tmp_path / f"tone.{suffix}"
        sf.write(path, wave.T, rate, subtype=subtype)
        read, reader = read_all(path)
        assert (reader.sample_rate, reader.n_channels) == (rate, n_channels)
        assert reader.n_samples == (None if subtype in ("OPUS", "MPEG_LAYER_III") else 12345)
        assert reader.n_expected == pytest.approx(12345, abs=400)
        assert read.shape == wave.shape
        assert read.dtype == np.float32
        if error is None:
            difference = read[:, 2000:-2000] - wave[:, 2000:-2000]
            assert np.sqrt(np.mean(difference**2)) < 0.05 * np.sqrt(np.mean(wave**2))
        else:
            assert np.abs(read - wave).max() <= error


@pytest.mark.parametrize(
    ("subtype", "depth"), [("PCM_U8", "16"), ("PCM_16", "16"), ("PCM_24", "24"), ("FLOAT", "32f")]
)
def test_bit_depth_holds_what_the_file_holds(tmp_path, subtype, depth):
    sf.write(tmp_path / "a.wav", np.zeros((10, 1)), 8000, subtype=subtype)
    with AudioReader(tmp_path / "a.wav") as reader:
        assert reader.bit_depth == depth


@pytest.mark.parametrize("n_samples", [1, 7, 999, 1000, 1001, 3000])
def test_blocks_are_whole_and_in_order(tmp_path, n_samples):
    wave = tone(n_samples, 2, 8000)
    sf.write(tmp_path / "a.wav", wave.T, 8000, subtype="FLOAT")
    with AudioReader(tmp_path / "a.wav") as reader:
        blocks = list(reader.buffers(1000))
    assert [b.shape[-1] for b in blocks[:-1]] == [1000] * (len(blocks) - 1)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=-1), wave)


def test_wav_that_was_written_to_a_pipe_is_read(tmp_path):
    for announced in (0xFFFFFFFF, 0x7FFFFFFF):  # what common tools write when they cannot seek
        header = struct.pack("<4sI4s", b"RIFF", 0xFFFFFFFF, b"WAVE")
        header += struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
        header += struct.pack("<4sI", b"data", announced)
        (tmp_path / "pipe.wav").write_bytes(header + np.arange(500, dtype="<i2").tobytes())
        read, _ = read_all(tmp_path / "pipe.wav")
        np.testing.assert_array_equal(read[0] * 2**15, np.arange(500))


def test_flac_without_a_length_is_read(tmp_path):
    path = tmp_path / "a.flac"
    sf.write(path, tone(5000, 1, 8000).T, 8000)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # STREAMINFO: the 36 bits of the number of samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    read, reader = read_all(path)
    assert reader.n_samples is None
    assert read.shape == (1, 5000)


def bad_file(folder, kind):
    """A file that must be refused, and words of the sentence that does."""
    rng = np.random.default_rng(0)
    wave = tone(20000, 2, 44100).T
    name, words = {
        "missing": ("a.wav", "no such file"),
        "missing folder": ("nowhere/a.wav", "no such file"),
        "below a file": ("note.txt/a.wav", "no such file"),
        "folder": ("folder.wav", "is a folder"),
        "fifo": ("fifo.wav", "not a regular file"),
        "zero bytes": ("a.wav", "is empty"),
        "zero bytes of flac": ("a.flac", "is empty"),
        "zero samples": ("a.wav", "no samples"),
        "text": ("a.wav", "no audio that can be read"),
        "text as mp3": ("a.mp3", "no audio that can be read"),
        "zeros as mp3": ("a.mp3", "no audio that can be read"),
        "noise": ("a.flac", "no audio that can be read"),
        "noise as ogg": ("a.ogg", "no audio that can be read"),
        "headerless": ("a.raw", "no audio that can be read"),
        "header only": ("a.wav", "is truncated"),
        "m4a": ("a.m4a", "no audio that can be read"),
        "wma": ("a.wma", "no audio that can be read"),
        "truncated wav": ("a.wav", "is truncated"),
        "length of nothing": ("a.wav", "is damaged: its header announces 0 bytes of samples, and"),
        "length of an earlier time": ("a.wav", "header announces 1000 bytes of samples, and"),
        "truncated flac": ("a.flac", "damaged"),
        "truncated mp3": ("a.mp3", "is truncated"),
        "corrupt flac": ("a.flac", "damaged"),
        "nan": ("a.wav", "NaN or infinite samples, first at 0.100 s"),
        "infinite": ("a.wav", "NaN or infinite samples, first at 0.100 s"),
    }[kind]
    path = folder / name
    if kind == "below a file":
        (folder / "note.txt").write_text("hello")
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind.startswith("zero bytes"):
        path.touch()
    elif kind == "zero samples":
        sf.write(path, np.zeros((0, 2)), 44100)
    elif kind.startswith("text"):
        path.write_text("this is no audio\n" * 500)
    elif kind == "zeros as mp3":
        path.write_bytes(bytes(5000))
    elif kind.startswith("noise") or kind in ("headerless", "wma"):
        path.write_bytes(rng.integers(0, 200, 5000, dtype=np.uint8).tobytes())
    elif kind == "m4a":
        path.write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(1000))
    elif kind == "header only":
        sf.write(path, wave, 44100)
        path.write_bytes(path.read_bytes()[:30])
    elif kind.startswith("truncated"):
        sf.write(path, wave, 44100)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind.startswith("length of"):
        sf.write(path, 0.1 * rng.standard_normal((40000, 2)), 44100)
        content = bytearray(path.read_bytes())
        length = 0 if kind == "length of nothing" else 1000
        content[40:44] = length.to_bytes(4, "little")
        path.write_bytes(content)
    elif kind == "corrupt flac":
        sf.write(path, 0.1 * rng.standard_normal((40000, 2)), 44100)
        content = bytearray(path.read_bytes())
        content[len(content) // 2 : len(content) // 2 + 20000] = bytes(20000)
        path.write_bytes(content)
    elif kind in ("nan", "infinite"):
        wave[4410, 1] = np.nan if kind == "nan" else np.inf
        sf.write(path, wave, 44100, subtype="FLOAT")
    return path, words


BAD_FILES = [
    "missing",
    "missing folder",
    "below a file",
    "folder",
    pytest.param("fifo", marks=pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs")),
    "zero bytes",
    "zero bytes of flac",
    "zero samples",
    "text",
    "text as mp3",
    "zeros as mp3",
    "noise",
    "noise as ogg",
    "headerless",
    "header only",
    "m4a",
    "wma",
    "truncated wav",
    "length of nothing",
    "length of an earlier time",
    "truncated flac",
    "truncated mp3",
    "corrupt flac",
    "nan",
    "infinite",
]


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_get_one_sentence(tmp_path, kind):
    path, words = bad_file(tmp_path, kind)
    with pytest.raises(AudioError) as caught:
        read_all(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("behind", [bytes(200_000), b"TAG" + bytes(125), b"LIST" + bytes(9000)])
def test_what_stands_behind_the_samples_of_a_wav_file_is_no_damage(tmp_path, behind):
    wave = 0.1 * np.random.default_rng(0).standard_normal((1001, 1)).astype(np.float32)
    sf.write(tmp_path / "a.wav", wave, 44100, subtype="PCM_U8")
    with (tmp_path / "a.wav").open("ab") as file:
        file.write(behind)
    assert read_all(tmp_path / "a.wav")[0].shape[-1] == 1001
