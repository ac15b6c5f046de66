"""Facts about tags: what a song says about itself, its stems say, too, if it holds for them."""

import shutil
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.audio import StemFormat, StemWriter, Tags, is_stem, read_tags
from asteroid_slicq.audio.tags import Cover
from asteroid_slicq.vocabulary import AUDIO_FORMATS

TEXTS = {
    "title": "Größe / 音",
    "artist": "Ann & Bob",
    "album": "The Album",
    "track": "3/12",
    "date": "1999",
    "genre": "Pop",
    "comment": "hello",
    "copyright": "© Ann",
}
WRONG = {"REPLAYGAIN_TRACK_GAIN": "-9 dB", "encoder": "Someone", "MUSICBRAINZ_TRACKID": "12"}


def picture(codec):
    """A square of noise, as a JPEG or PNG file."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.width = encoder.height = 48
    encoder.pix_fmt = "yuvj420p" if codec == "mjpeg" else "rgb24"
    encoder.time_base = Fraction(1, 25)
    pixels = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=encoder.pix_fmt)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def write(path, tags):
    with StemWriter({"a": path}, 44100, 2, StemFormat(path.suffix[1:]), tags={"a": tags}) as writer:
        writer.write(np.zeros((1, 2, 4000)))
    return path


@pytest.mark.parametrize("codec", ["mjpeg", "png"])
@pytest.mark.parametrize("audio_format", AUDIO_FORMATS)
def test_tags_and_cover_are_carried_over(tmp_path, audio_format, codec):
    cover = Cover(picture(codec), codec, 48, 48)
    path = write(tmp_path / f"a.{audio_format}", Tags(TEXTS, cover))
    assert read_tags(path) == Tags(TEXTS, None if audio_format == "wav" else cover)
    assert is_stem(path)
    # and from a stem to what is made of it
    again = write(tmp_path / f"b.{audio_format}", read_tags(path).of_stem("vocals", "a"))
    assert read_tags(again).texts == TEXTS | {"title": "Größe / 音 (vocals)"}


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe")
@pytest.mark.slow
@pytest.mark.parametrize("audio_format", AUDIO_FORMATS)
def test_other_programs_read_tags_and_cover(tmp_path, audio_format):
    cover = Cover(picture("png"), "png", 48, 48)
    path = write(tmp_path / f"a.{audio_format}", Tags(TEXTS, cover))
    entries = (
        "format_tags=title,artist,track:stream_tags=title,artist,track:stream=codec_name,width"
    )
    command = ["ffprobe", "-v", "error", "-show_entries", entries, path]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for words in ("Größe / 音", "Ann & Bob", "3/12"):
        assert words in told
    assert ("codec_name=png" in told and "width=48" in told) == (audio_format != "wav")


def test_what_would_be_wrong_of_a_stem_is_left_out(tmp_path):
    path = tmp_path / "song.flac"
    with av.open(str(path), "w") as file:
        file.metadata.update(TEXTS | WRONG)
        stream = file.add_stream("flac", rate=44100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.int16), "s16", "stereo")
        frame.sample_rate = 44100
        file.mux([*stream.encode(frame), *stream.encode(None)])
    assert read_tags(path) == Tags(TEXTS)


def test_a_song_without_tags_gives_its_name(tmp_path):
    sf.write(tmp_path / "song.wav", np.zeros((100, 2)), 44100)
    assert read_tags(tmp_path / "song.wav") == Tags()
    assert Tags().of_stem("vocals", "song").texts == {"title": "song (vocals)"}


@pytest.mark.parametrize("content", [None, b"", b"nothing", b"ID3\4\0\0\0\0\0\0"])
def test_a_file_that_cannot_be_read_has_no_tags(tmp_path, content):
    if content is not None:
        (tmp_path / "a.mp3").write_bytes(content)
    assert read_tags(tmp_path / "a.mp3") == Tags()
    assert not is_stem(tmp_path / "a.mp3")


def test_names_of_any_bytes_have_tags(tmp_path):
    path = write(tmp_path / "a.mp3", Tags({"title": "x"}))
    odd = tmp_path / "\udcff.mp3"
    try:
        path.rename(odd)
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes no such name")
    assert read_tags(odd) == Tags({"title": "x"})


@pytest.mark.parametrize("song_format", ["mp3", "m4a"])
@pytest.mark.parametrize("data", [b"\xff\xd8\xff" + bytes(range(256)), b"RIFF\x10\0\0\0WEBPVP8 "])
def test_a_cover_of_no_size_is_left_out(tmp_path, song_format, data):
    song = write(tmp_path / f"song.{song_format}", Tags({"title": "x"}, Cover(data, "mjpeg", 9, 9)))
    tags = read_tags(song)
    assert tags == Tags({"title": "x"})
    for audio_format in AUDIO_FORMATS:
        assert read_tags(write(tmp_path / f"a.{audio_format}", tags)) == tags
