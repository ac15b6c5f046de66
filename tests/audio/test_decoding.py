"""Facts about compressed audio: all of it comes out, at its place, or one sentence says why not."""

import io
import os
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.audio import AudioError, AudioReader
from tests.audio.helpers import encode, sweep

RATE = 44100
N_SAMPLES = 40_001
# name, codec, samples too many at most, worst error relative to the signal, settings
FORMATS = [
    ("a.mp3", "libmp3lame", 0, 0.1, {}),
    ("a.m4a", "aac", 0, 0.1, {}),
    ("a.m4a", "aac", 0, 0.1, {"movflags": "faststart"}),
    ("a.m4a", "alac", 0, 1e-6, {}),
    ("a.opus", "libopus", 0, 0.1, {}),
    ("a.webm", "libopus", 0, 0.1, {"video": "libvpx"}),
    ("a.mp4", "aac", 0, 0.1, {"video": "mpeg4"}),
    ("a.mov", "alac", 0, 1e-6, {"video": "mpeg4"}),
    ("a.mkv", "libopus", 0, 0.1, {"video": "mpeg4"}),
    ("a.mka", "flac", 0, 1e-4, {}),
    ("a.ogg", "flac", 0, 1e-4, {}),
    ("a.wv", "wavpack", 0, 1e-2, {}),
    ("a.tta", "tta", 0, 1e-2, {}),
    ("a.wav", "adpcm_ms", 2000, 0.05, {}),
]
# The encoder's delay, which is not marked there, comes out too.
DELAYED = [
    ("a.mp3", "libmp3lame", 1105, {"write_xing": "0"}),
    ("a.mp3", "libmp3lame", 1105, {"write_xing": "0", "abr": "1"}),
    ("a.aac", "aac", 1024, {"container": "adts"}),
    ("a.ac3", "ac3", 256, {}),
    ("a.avi", "libmp3lame", 1105, {"video": "mpeg4"}),
]


def read(path):
    with AudioReader(path) as reader:
        return np.concatenate(list(reader.buffers(1000)), axis=-1), reader


def rate_of(codec):
    return 48000 if codec == "libopus" else RATE


def is_at(read, wave, delay=0, error=0.1):
    inner = slice(3000, min(read.shape[1] - delay, wave.shape[1]) - 3000)
    difference = read[:, delay:][:, inner] - wave[:, inner]
    return np.sqrt(np.mean(difference**2)) < error * np.sqrt(np.mean(wave**2))


@pytest.mark.parametrize(("name", "codec", "n_more", "error", "settings"), FORMATS)
def test_all_of_it_comes_out_at_its_place(tmp_path, name, codec, n_more, error, settings):
    wave = sweep(N_SAMPLES, 2, rate_of(codec))
    encode(tmp_path / name, wave, rate_of(codec), codec, **settings)
    out, reader = read(tmp_path / name)
    assert (reader.sample_rate, reader.n_channels, reader.n_samples) == (rate_of(codec), 2, None)
    assert reader.n_expected == pytest.approx(N_SAMPLES, abs=2500)
    assert N_SAMPLES <= out.shape[1] <= N_SAMPLES + n_more
    assert out.dtype == np.float32
    assert is_at(out, wave, error=error)


@pytest.mark.parametrize(("name", "codec", "delay", "settings"), DELAYED)
def test_all_of_it_comes_out_where_no_length_is_announced(tmp_path, name, codec, delay, settings):
    wave = sweep(N_SAMPLES, 1, RATE)
    encode(tmp_path / name, wave, RATE, codec, **settings)
    out, _ = read(tmp_path / name)
    assert N_SAMPLES + delay <= out.shape[1] < N_SAMPLES + delay + 2048
    assert is_at(out, wave, delay)


@pytest.mark.parametrize(
    ("name", "codec", "sample_format", "depth"),
    [
        ("a.mp3", "libmp3lame", "fltp", "16"),
        ("a.m4a", "alac", "s16p", "16"),
        ("b.m4a", "alac", "s32p", "24"),
        ("a.wv", "wavpack", "fltp", "32f"),
    ],
)
def test_bit_depth_holds_what_the_file_holds(tmp_path, name, codec, sample_format, depth):
    with av.open(str(tmp_path / name), "w") as file:
        stream = file.add_stream(codec, rate=RATE, layout="mono")
        stream.format = sample_format
        frame = av.AudioFrame.from_ndarray(sweep(5000, 1, RATE), "fltp", "mono")
        frame.sample_rate = RATE
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with AudioReader(tmp_path / name) as reader:
        assert reader.bit_depth == depth


@pytest.mark.parametrize(("n_samples", "n_channels"), [(1, 1), (100, 2), (12345, 1), (30003, 2)])
def test_short_vorbis_is_whole(tmp_path, n_samples, n_channels):
    wave = sweep(n_samples, n_channels, RATE)
    sf.write(tmp_path / "a.ogg", wave.T, RATE, subtype="VORBIS")
    assert read(tmp_path / "a.ogg")[0].shape == wave.shape


# What people do to MP3 files, most of which libsndfile or FFmpeg alone do not survive.


def id3v2(n_bytes, content=b""):
    size = bytes(n_bytes >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + content.ljust(n_bytes, b"\0")


def ape(n_bytes, is_header=True):
    def fields(flags):
        numbers = (2000, n_bytes + 32, 1, flags)
        return b"APETAGEX" + b"".join(x.to_bytes(4, "little") for x in numbers) + bytes(8)

    return (fields(0xA0000000) if is_header else b"") + b"x" * n_bytes + fields(0x80000000)


ID3V1 = b"TAG" + b"a song".ljust(125, b"\0")
PICTURE = np.random.default_rng(0).bytes(200_000)


@pytest.fixture(scope="module")
def mp3(tmp_path_factory):
    """Frames of an MP3 file with and without the one that tells their number."""
    folder = tmp_path_factory.mktemp("mp3")
    wave = sweep(N_SAMPLES, 1, RATE)
    return {
        xing: encode(folder / "a.mp3", wave, RATE, "libmp3lame", id3v2_version="0", write_xing=xing)
        for xing in ("1", "0")
    }


BEGINNINGS = {
    "nothing": b"",
    "zeros": bytes(10),
    "more zeros": bytes(100_000),
    "APE": ape(2000),
    "APE and ID3": ape(2000) + id3v2(3000),
    "a picture": id3v2(200_000, PICTURE),
    "two ID3": id3v2(5000) + id3v2(300),
}


@pytest.mark.parametrize("name", BEGINNINGS)
@pytest.mark.parametrize("end", [b"", ID3V1, ape(3000), ape(500, is_header=False) + ID3V1])
def test_tags_and_zeros_around_an_mp3(tmp_path, mp3, name, end):
    (tmp_path / "a.mp3").write_bytes(BEGINNINGS[name] + mp3["1"] + end)
    out, _ = read(tmp_path / "a.mp3")
    assert out.shape[1] == N_SAMPLES
    assert is_at(out, sweep(N_SAMPLES, 1, RATE))


@pytest.mark.parametrize("xing", ["1", "0"])
@pytest.mark.parametrize(
    "between", [b"", id3v2(35), ID3V1, ID3V1 + id3v2(200_000, PICTURE), ape(2000) + ID3V1]
)
def test_joined_mp3_files_are_read_to_the_end(tmp_path, mp3, xing, between):
    frames = mp3[xing]
    (tmp_path / "a.mp3").write_bytes(frames + between + frames + between + frames)
    out, _ = read(tmp_path / "a.mp3")
    n_frames = 36 if xing == "0" else 37  # of 1152 samples, the first of which is no sound
    assert out.shape[1] == pytest.approx(3 * n_frames * 1152 - (1105 + 1152) * (xing == "1"), abs=1)
    last = out[:, -n_frames * 1152 :]
    assert is_at(last, sweep(N_SAMPLES, 1, RATE), last.shape[1] - 36 * 1152 + 1105)


def test_chained_ogg_is_read_to_the_end(tmp_path):
    wave = sweep(N_SAMPLES, 2, 48000)
    link = encode(tmp_path / "a.opus", wave, 48000, "libopus")
    (tmp_path / "a.opus").write_bytes(link + link)
    out, _ = read(tmp_path / "a.opus")
    assert out.shape[1] == 2 * N_SAMPLES
    assert is_at(out[:, :N_SAMPLES], wave)
    assert is_at(out[:, N_SAMPLES:], wave)


def test_chained_vorbis_is_read_to_the_end(tmp_path):
    wave = sweep(N_SAMPLES, 2, RATE)
    sf.write(tmp_path / "a.ogg", wave.T, RATE, subtype="VORBIS")
    link = (tmp_path / "a.ogg").read_bytes()
    (tmp_path / "a.ogg").write_bytes(link + link)
    out, _ = read(tmp_path / "a.ogg")
    assert out.shape[1] == 2 * N_SAMPLES
    assert is_at(out[:, N_SAMPLES:], wave)


# Named as what it is not.


@pytest.mark.parametrize("suffix", ["mp3", "wav", "flac", "raw", "txt", "ogg", "m4a"])
def test_the_content_counts_and_not_the_name(tmp_path, suffix):
    wave = sweep(N_SAMPLES, 2, RATE)
    path = tmp_path / f"a.{suffix}"
    for kind in ("wav", "flac", "aiff"):
        sf.write(tmp_path / "b", wave.T, RATE, format=kind, subtype="PCM_16")
        os.replace(tmp_path / "b", path)
        out, reader = read(path)
        assert reader.n_samples == N_SAMPLES
        assert np.abs(out - wave).max() <= 2**-15
    for codec, container in (("aac", "ipod"), ("libmp3lame", "mp3")):
        encode(path, wave, RATE, codec, container=container)
        out, _ = read(path)
        assert out.shape == wave.shape
        assert is_at(out, wave)


@pytest.mark.parametrize("n_bytes", [1000, 200_000])
def test_flac_after_an_id3_tag(tmp_path, n_bytes):
    wave = sweep(N_SAMPLES, 2, RATE)
    sf.write(tmp_path / "a.flac", wave.T, RATE)
    (tmp_path / "a.mp3").write_bytes(id3v2(n_bytes) + (tmp_path / "a.flac").read_bytes() + ID3V1)
    out, reader = read(tmp_path / "a.mp3")
    assert reader.n_samples == N_SAMPLES
    assert np.abs(out - wave).max() <= 2**-15


def test_a_list_of_other_files_is_no_audio(tmp_path, mp3):
    (tmp_path / "b.mp3").write_bytes(mp3["1"])
    (tmp_path / "a.mp3").write_text("ffconcat version 1.0\nfile b.mp3\n")
    with pytest.raises(AudioError, match="no audio that can be read"):
        read(tmp_path / "a.mp3")


# What is cut: a refusal, or all that is there.

CUT = {
    "mp3": ("a.mp3", "libmp3lame", {}),
    "m4a": ("a.m4a", "aac", {}),
    "m4a, index first": ("a.m4a", "aac", {"movflags": "faststart"}),
    "m4a in fragments": ("a.mp4", "aac", {"movflags": "empty_moov", "frag_duration": "300000"}),
    "mp4": ("a.mp4", "aac", {"video": "mpeg4"}),
    "opus": ("a.opus", "libopus", {}),
    "flac in ogg": ("a.ogg", "flac", {}),
    "webm": ("a.webm", "libopus", {"video": "libvpx"}),
    "mka": ("a.mka", "flac", {}),
    "avi": ("a.avi", "libmp3lame", {"video": "mpeg4"}),
    "wma": ("a.wma", "wmav2", {"container": "asf", "b": "128000"}),
    "wavpack": ("a.wv", "wavpack", {}),
    "tta": ("a.tta", "tta", {}),
    "adpcm": ("a.wav", "adpcm_ms", {}),
}


@pytest.mark.parametrize("kind", CUT)
def test_what_is_cut_is_refused(tmp_path, kind):
    name, codec, settings = CUT[kind]
    path = tmp_path / name
    content = encode(path, sweep(70_000, 2, rate_of(codec)), rate_of(codec), codec, **settings)
    read(path)
    for share in (0.3, 0.6, 0.85):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(AudioError, match=r"truncated|damaged") as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "W64", "RF64", "FLAC", "CAF"])
def test_cut_pcm_is_refused(tmp_path, kind):
    path = tmp_path / "a"
    sf.write(path, sweep(70_000, 2, RATE).T, RATE, format=kind, subtype="PCM_16")
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    with pytest.raises(AudioError, match=r"truncated|damaged"):
        read(path)


def test_ogg_cut_between_pages_is_refused(tmp_path):
    path = tmp_path / "a.ogg"
    sf.write(path, sweep(200_000, 2, RATE).T, RATE, subtype="VORBIS")
    content = path.read_bytes()
    path.write_bytes(content[: content.rfind(b"OggS")])
    with pytest.raises(AudioError, match="its last page is missing"):
        read(path)


@pytest.mark.parametrize(
    ("name", "codec", "settings"),
    [
        ("a.mp3", "libmp3lame", {"write_xing": "0"}),
        ("a.aac", "aac", {"container": "adts"}),
        ("a.ac3", "ac3", {}),
    ],
)
def test_of_what_announces_nothing_all_that_is_there_is_read(tmp_path, name, codec, settings):
    wave = sweep(N_SAMPLES, 1, RATE)
    content = encode(tmp_path / name, wave, RATE, codec, **settings)
    whole, _ = read(tmp_path / name)
    (tmp_path / name).write_bytes(content[: len(content) * 6 // 10])
    out, _ = read(tmp_path / name)
    assert out.shape[1] > 0.5 * whole.shape[1]
    np.testing.assert_array_equal(out[:, :-1536], whole[:, : out.shape[1] - 1536])


def test_frames_that_are_missing_in_bare_aac_are_refused(tmp_path):
    content = encode(tmp_path / "a.aac", sweep(N_SAMPLES, 1, RATE), RATE, "aac", container="adts")
    (tmp_path / "a.aac").write_bytes(content[:3000] + content[5003:])
    with pytest.raises(AudioError, match=r"after 0\.\d\d s: the file is damaged"):
        read(tmp_path / "a.aac")


@pytest.mark.parametrize("filling", [b"", bytes(3000)])
def test_a_hole_is_refused(tmp_path, monkeypatch, mp3, filling):
    monkeypatch.chdir(tmp_path)
    frames = mp3["0"]
    Path("my song.mp3").write_bytes(frames[:2000] + filling + frames[3300:])
    with pytest.raises(AudioError, match=r"after 0\.\d\d s: the file is damaged") as caught:
        read("my song.mp3")
    assert "`ffmpeg -i 'my song.mp3' 'my song-mended.flac'`" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "codec", "settings"),
    [
        ("a.opus", "libopus", {}),
        ("a.ogg", "flac", {}),
        ("a.webm", "libopus", {"video": "libvpx"}),
        ("a.mka", "flac", {}),
        ("a.wma", "wmav2", {"container": "asf", "b": "128000"}),
        ("a.avi", "libmp3lame", {"video": "mpeg4"}),
        ("a.m4a", "aac", {}),
        ("a.aac", "aac", {"container": "adts"}),
    ],
)
def test_damage_that_ffmpeg_passes_over_is_refused(tmp_path, name, codec, settings):
    wave = sweep(10 * RATE, 2, rate_of(codec))
    content = bytearray(encode(tmp_path / name, wave, rate_of(codec), codec, **settings))
    half, n_bytes = len(content) // 2, max(4000, len(content) // 20)
    content[half : half + n_bytes] = bytes(n_bytes)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(
        AudioError, match=r"after \d\.\d\d s: the file is damaged|damaged: |truncated: "
    ):
        read(tmp_path / name)


def test_zeros_at_the_end_are_no_damage(tmp_path, mp3):
    (tmp_path / "a.mp3").write_bytes(mp3["0"] + bytes(50_000))
    assert read(tmp_path / "a.mp3")[0].shape[1] == 36 * 1152


@pytest.mark.parametrize(("rate", "n_channels"), [(48000, 1), (RATE, 2)])
def test_a_change_of_format_is_refused(tmp_path, mp3, rate, n_channels):
    buffer = io.BytesIO()
    sf.write(buffer, sweep(N_SAMPLES, n_channels, rate).T, rate, format="MP3")
    (tmp_path / "a.mp3").write_bytes(5 * mp3["0"] + buffer.getvalue())
    with pytest.raises(AudioError, match=r"changes from .* Hz"):
        read(tmp_path / "a.mp3")


def test_memory_does_not_grow_with_the_song(tmp_path, mp3):
    peaks = []
    for n_times in (5, 20):
        (tmp_path / "a.mp3").write_bytes(mp3["0"] * n_times)
        tracemalloc.start()
        with AudioReader(tmp_path / "a.mp3") as reader:
            assert sum(buffer.shape[1] for buffer in reader.buffers(RATE)) > n_times * N_SAMPLES
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
