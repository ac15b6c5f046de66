"""Facts about writing: samples are exact, and a file is there whole or not at all."""

import io
import os
import warnings

import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.audio import (
    AudioError,
    AudioReader,
    AudioWarning,
    ExistsError,
    StemFormat,
    StemWriter,
    is_stem,
    track_name,
)
from asteroid_slicq.audio.mp3_padding import note_padding
from asteroid_slicq.audio.stem_writing import _KeptBuffers
from asteroid_slicq.audio.writing import AudioWriter
from asteroid_slicq.vocabulary import AUDIO_FORMATS

NAMES = ("vocals", "drums")


def noise(n_samples, n_channels=2, peak=0.9, seed=0):
    wave = np.random.default_rng(seed).uniform(-peak, peak, (n_channels, n_samples))
    return wave.astype(np.float32)


def write(path, wave, sample_rate=44100, bit_depth=None, **kwargs):
    stem_format = StemFormat(path.suffix[1:], bit_depth)
    writer = AudioWriter(path, sample_rate, wave.shape[0], stem_format, **kwargs)
    for start in range(0, wave.shape[-1], 777):
        writer.write(wave[:, start : start + 777])
    writer.publish()
    writer.warn_if_clipped()


def targets(folder, suffix="wav", names=NAMES):
    return {name: folder / f"{name}.{suffix}" for name in names}


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(("suffix", "depth"), [("wav", "16"), ("flac", "16"), ("wav", "24")])
def test_integer_samples_survive_reading_and_writing(tmp_path, suffix, depth):
    bits = int(depth)
    levels = np.random.default_rng(0).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (2, 5000))
    levels[:, :2] = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
    wave = (levels / 2.0 ** (bits - 1)).astype(np.float32)
    path = tmp_path / f"a.{suffix}"
    write(path, wave, bit_depth=depth)
    with AudioReader(path) as reader:
        read = np.concatenate(list(reader.buffers(1000)), axis=-1)
    np.testing.assert_array_equal(read * 2.0 ** (bits - 1), levels)


@pytest.mark.parametrize(
    ("suffix", "depth", "subtype"),
    [
        ("wav", "16", "PCM_16"),
        ("wav", "24", "PCM_24"),
        ("wav", "32f", "FLOAT"),
        ("flac", "16", "PCM_16"),
        ("flac", "24", "PCM_24"),
    ],
)
def test_format_rate_and_rounding(tmp_path, suffix, depth, subtype):
    wave = noise(3001, 1)
    path = tmp_path / f"a.{suffix}"
    write(path, wave, sample_rate=96000, bit_depth=depth)
    info = sf.info(path)
    assert (info.frames, info.channels, info.samplerate) == (3001, 1, 96000)
    assert (info.format, info.subtype) == (suffix.upper(), subtype)
    read = sf.read(path, dtype="float64", always_2d=True)[0].T
    half_step = 0.0 if depth == "32f" else 2.0 ** -int(depth)
    assert np.abs(read - wave).max() <= half_step + 1e-9


def test_clipping_is_limited_not_wrapped_and_told_once(tmp_path):
    wave = np.array([[0.5, 1.0, 2.0, -3.0, -1.0, 1.1]], np.float32)
    path = tmp_path / "loud.wav"
    with pytest.warns(AudioWarning, match=r"loud\.wav: 3 samples .* 9\.5 dB .*--bit-depth 32f"):
        write(path, wave)
    read, _ = sf.read(path, dtype="int16")
    assert read.tolist() == [16384, 32767, 32767, -32768, -32768, 32767]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write(tmp_path / "float.wav", wave, bit_depth="32f")
    np.testing.assert_array_equal(sf.read(tmp_path / "float.wav", dtype="float32")[0], wave[0])


def test_writing_does_not_change_its_input(tmp_path):
    wave = noise(1000, peak=1.5)
    copy = wave.copy()
    with pytest.warns(AudioWarning):
        write(tmp_path / "a.wav", wave)
    np.testing.assert_array_equal(wave, copy)


def test_stems_over_4_gib_become_rf64(tmp_path):
    writer = AudioWriter(tmp_path / "long.wav", 44100, 2, n_samples=2**30)
    writer.write(noise(1000))
    writer.publish()
    assert sf.info(tmp_path / "long.wav").format == "RF64"
    with AudioReader(tmp_path / "long.wav") as reader:
        assert sum(block.shape[-1] for block in reader.buffers(300)) == 1000


@pytest.mark.parametrize(
    ("suffix", "depth", "n_samples"),
    [
        *(("wav", "16", None), ("wav", "24", 2**30), ("wav", "32f", None), ("flac", "24", None)),
        *(("mp3", None, None), ("m4a", None, None), ("opus", None, None)),
    ],
)
def test_what_is_written_here_is_known_as_a_stem(tmp_path, suffix, depth, n_samples):
    path = tmp_path / f"a.{suffix}"
    write(path, noise(1000), bit_depth=depth, n_samples=n_samples)
    assert is_stem(path)
    if suffix in ("wav", "flac"):
        samples, rate = sf.read(path)
        sf.write(path, samples, rate)  # by another program
        assert not is_stem(path)
    path.write_text("nothing")
    assert not is_stem(path)


def test_stem_writer_writes_all_stems_and_nothing_else(tmp_path):
    waves = {name: noise(2000, seed=seed) for seed, name in enumerate(NAMES)}
    folder = tmp_path / "out" / "song"
    with StemWriter(targets(folder, "flac"), 44100, 2, StemFormat("flac", "24")) as writer:
        writer.write(np.stack(list(waves.values())))
        assert not any(path.exists() for path in writer.paths.values())
    assert tree(tmp_path) == ["out", "out/song", "out/song/drums.flac", "out/song/vocals.flac"]
    for name, wave in waves.items():
        assert np.abs(sf.read(folder / f"{name}.flac")[0].T - wave).max() <= 2**-24 + 1e-9


def write_stems(folder, n_samples=5000, error=None, audio_format="wav", peak=0.9, **kwargs):
    """Writes noise to each stem; raises the error when half of it is written, if there is one."""
    files = targets(folder, audio_format)
    with StemWriter(files, 44100, 2, StemFormat(audio_format), **kwargs) as writer:
        for _ in range(2):
            writer.write(np.stack([noise(n_samples // 2, peak=peak)] * len(NAMES)))
            if error is not None:
                assert list(folder.glob(".*.part"))
                raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, AudioError])
def test_an_exception_leaves_nothing(tmp_path, error):
    with pytest.raises(error):
        write_stems(tmp_path / "a" / "b", error=error("in the middle"))
    assert tree(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, AudioError])
def test_an_exception_while_stems_are_rescaled_leaves_nothing(tmp_path, monkeypatch, error):
    def scaled(self, scale):
        assert scale < 1
        yield np.zeros((2, 2, 100)), None
        raise error

    monkeypatch.setattr(_KeptBuffers, "scaled", scaled)
    with pytest.raises(error):
        write_stems(tmp_path / "a" / "b", peak=1.5, audio_format="flac")
    assert tree(tmp_path) == []


def test_an_exception_leaves_what_was_there(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "vocals.wav").write_text("mine")
    with pytest.raises(RuntimeError):
        write_stems(tmp_path / "out", overwrite=True, error=RuntimeError())
    assert tree(tmp_path) == ["out", "out/vocals.wav"]
    assert (tmp_path / "out" / "vocals.wav").read_text() == "mine"


def fail_for_drums(source, target):
    if target.name == "drums.wav" and not os.path.lexists(target):  # but for what was there
        raise OSError(5, "Input/output error", str(source), None, str(target))
    os.rename(source, target)


def test_failing_to_rename_one_stem_takes_back_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", fail_for_drums)
    with pytest.raises(AudioError, match=r"drums\.wav: cannot be written \(Input/output error\)"):
        write_stems(tmp_path / "out")
    assert tree(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "symlink", "file without hard links"])
def test_stems_that_cannot_all_be_replaced_are_as_they_were(tmp_path, monkeypatch, kind):
    def no_links(*_, **__):
        raise OSError(95, "Operation not supported")

    (tmp_path / "mine").write_text("my vocals")
    if kind == "symlink":
        (tmp_path / "vocals.wav").symlink_to("mine")
    else:
        (tmp_path / "vocals.wav").write_text("my vocals")
    if kind == "file without hard links":
        monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(os, "replace", fail_for_drums)
    with pytest.raises(AudioError, match=r"drums\.wav: cannot be written"):
        write_stems(tmp_path, overwrite=True)
    assert tree(tmp_path) == ["mine", "vocals.wav"]
    assert (tmp_path / "vocals.wav").read_text() == "my vocals"
    assert (tmp_path / "vocals.wav").is_symlink() == (kind == "symlink")


def test_stems_are_replaced_only_when_asked(tmp_path):
    (tmp_path / "drums.wav").write_text("mine")
    with pytest.raises(AudioError, match=r"already holds drums\.wav; .*\(overwrite=True\)"):
        StemWriter(targets(tmp_path), 44100, 2)
    StemWriter(targets(tmp_path, names=["vocals"]), 44100, 2)
    StemWriter(targets(tmp_path, "flac"), 44100, 2)
    write_stems(tmp_path, 100, overwrite=True)
    assert sf.info(tmp_path / "drums.wav").frames == 100


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("file", "is a file, a folder is needed"),
        ("file/out", "cannot be created (Not a directory)"),
        ("x" * 300, "cannot be created (File name too long)"),
        ("taken", "cannot be written, a folder has that name"),
    ],
)
def test_places_that_cannot_be_written(tmp_path, name, words):
    (tmp_path / "file").write_text("hello")
    (tmp_path / "taken" / "drums.wav").mkdir(parents=True)
    before = tree(tmp_path)
    with pytest.raises(AudioError) as caught:
        write_stems(tmp_path / name, overwrite=True)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tree(tmp_path) == before


def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(AudioError, match="Permission denied"):
            AudioWriter(tmp_path / "a.wav", 44100, 2)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("suffix", AUDIO_FORMATS)
@pytest.mark.parametrize("clip", ["rescale", "clamp"])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, suffix, clip):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # as good as a full disk
    try:
        with pytest.raises(AudioError, match="nothing is kept"):
            write_stems(tmp_path / "out", 300_000, audio_format=suffix, clip=clip)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert tree(tmp_path) == []


def test_nan_of_a_model_is_refused(tmp_path):
    wave = noise(100)
    wave[0, 5] = np.nan
    with pytest.raises(AudioError, match="NaN"), StemWriter(targets(tmp_path), 44100, 2) as writer:
        writer.write(np.stack([noise(100), wave]))
    assert tree(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("aiff",), "audio_format must be one of wav, flac, mp3, m4a, opus, got 'aiff'"),
        (("wav", "8"), "bit_depth must be one of 16, 24, 32f, got '8'"),
        (("flac", "32f"), r"16 or 24 for FLAC, got '32f' \(WAV holds 32f\)"),
        (("mp3", "16"), "bit_depth is for wav and flac, mp3 has a bitrate"),
        (("wav", None, 192_000), "bitrate is for mp3, m4a, opus, wav has a bit_depth; got 192000"),
        (("mp3", None, 500_000), "bitrate must be from 32k to 320k for mp3, got 500k"),
    ],
)
def test_formats_that_do_not_exist(arguments, words):
    with pytest.raises(ValueError, match=words):
        StemFormat(*arguments)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/song.wav", "song"),
        ("song.v2.flac", "song.v2"),
        ("a/My Song!.mp3", "My Song!"),
        ("song", "song"),
        ("...wav", "wav"),
        ("what. .wav", "what"),
        (".wav", "wav"),
    ],
)
def test_track_name_is_a_safe_folder(path, name):
    assert track_name(path) == name


def test_a_mix_goes_with_a_rest(tmp_path):
    stems, mix = np.zeros((3, 2, 8), np.float32), np.zeros((2, 8), np.float32)
    names = ["vocals", "drums", "rest"]
    for rest, given in (("rest", None), (None, mix)):
        with (
            pytest.raises(ValueError, match="mix must be given where there is a rest"),
            StemWriter(targets(tmp_path, names=names), 44100, 2, rest=rest) as writer,
        ):
            writer.write(stems, given)
    assert not list(tmp_path.rglob("*.wav"))


def crc_16(data):
    """CRC-16 of ARC by division of polynomials."""
    value = int("".join(f"{byte:08b}"[::-1] for byte in data) + 16 * "0", 2)
    while value.bit_length() > 16:
        value ^= 0x18005 << value.bit_length() - 17
    return int(f"{value:016b}"[::-1], 2)


@pytest.mark.parametrize(("rate", "packet"), [(44100, 1152), (22050, 576)])
@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("n_over", [0, 1, 12, 46, 47, 575])
def test_mp3_has_as_many_samples_as_went_in(tmp_path, rate, packet, n_channels, n_over):
    n_samples = 20 * packet + n_over
    path = tmp_path / "a.mp3"
    write(path, noise(n_samples, n_channels), rate)
    with AudioReader(path) as reader:
        assert sum(buffer.shape[1] for buffer in reader.buffers(4096)) == n_samples
    data = path.read_bytes()
    tag = max(data.find(b"Info"), data.find(b"Xing"))
    n_all = int.from_bytes(data[tag + 8 : tag + 12], "big") * packet
    added = int.from_bytes(data[tag + 141 : tag + 144], "big")
    assert n_all - (added >> 12) - (added & 0xFFF) == n_samples
    start = data.rfind(b"\xff", 0, tag)
    frame = bytearray(data[start : start + 190])
    place = tag + 154 - start
    noted, frame[place : place + 2] = data[tag + 154 : tag + 156], b"\0\0"
    assert crc_16(frame[:190]) == int.from_bytes(noted, "big")


def test_an_mp3_without_a_tag_stays_as_it_is():
    for content in (b"", b"ID3", b"\xff\xfb" * 500, b"\xff\xfb\0\0Info" + bytes(500)):
        file = io.BytesIO(content)
        note_padding(file, 5)
        assert file.getvalue() == content


def test_stems_that_somebody_writes_meanwhile_are_not_replaced(tmp_path):
    first, second = (StemWriter(targets(tmp_path / "x"), 44100, 2) for _ in range(2))

    def write_both():
        with second:
            second.write(np.stack(2 * [noise(200)]))
            with first:
                first.write(np.stack(2 * [noise(100)]))

    with pytest.raises(ExistsError, match=r"x: already holds drums.wav, vocals.wav; replacing"):
        write_both()
    assert tree(tmp_path) == ["x", "x/drums.wav", "x/vocals.wav"]
    assert sf.info(tmp_path / "x" / "vocals.wav").frames == 100


@pytest.mark.parametrize(
    ("name", "asked", "n_channels", "rate", "given"),
    [
        ("opus", 510_000, 1, 48000, 256_000),
        ("opus", 510_000, 2, 48000, 510_000),
        ("opus", None, 1, 48000, 96_000),
        ("mp3", 320_000, 1, 44100, 320_000),
        ("mp3", 320_000, 2, 22050, 160_000),
        ("m4a", 512_000, 1, 44100, 512_000),
    ],
)
def test_a_bitrate_is_the_highest_that_a_format_has(tmp_path, name, asked, n_channels, rate, given):
    stem_format = StemFormat(name, bitrate=asked)
    assert stem_format.bitrate_for(rate, n_channels) == given
    with StemWriter({"a": tmp_path / f"a.{name}"}, rate, n_channels, stem_format) as writer:
        writer.write(noise(5000, n_channels)[None])
