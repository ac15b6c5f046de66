"""What ``separate`` writes on demand: two stems, a residual, a remix; formats, tags and names."""

import os
import signal
import subprocess
import sys

import av
import numpy as np
import pytest
import soundfile as sf
import torch

from asteroid_slicq.audio import AudioReader, is_stem, read_tags
from asteroid_slicq.cli import main, model_choice
from asteroid_slicq.vocabulary import AUDIO_FORMATS, LOSSY_FORMATS
from tests.helpers import Split, environment

GAINS = (0.1, 0.5, 0.15, 0.2)  # of bass, vocals, other and drums: a twentieth is nobody's


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder, and a model whose sources leave some of the mix."""
    monkeypatch.chdir(tmp_path)
    model = Split()
    with torch.no_grad():
        model.gains.copy_(torch.tensor(GAINS))
    monkeypatch.setattr(model_choice, "load_default_model", lambda: model)
    return tmp_path


@pytest.fixture
def loud(monkeypatch):
    """A model whose sources exceed the mix, with signs of their own."""
    model = Split()
    with torch.no_grad():
        model.gains.copy_(torch.tensor([1.8, -0.3, 1.1, -0.4]))
    monkeypatch.setattr(model_choice, "load_default_model", lambda: model)


def song(path, rate=44100, n_channels=2, n_samples=8001, subtype="PCM_16", peak=0.99):
    """Write noise up to a peak; return it as read. Shape: ``(channel, time)``."""
    wave = np.random.default_rng(0).uniform(-peak, peak, (n_samples, n_channels))
    sf.write(path, wave, rate, subtype)
    return read(path)


def read(path):
    with AudioReader(path) as reader:
        return np.concatenate(list(reader.buffers(10_000)), axis=1).astype(np.float64)


def separate(*options):
    return main(["separate", "-o", "out", "-q", *map(str, options)])


def written(folder):
    return sorted(
        str(path.relative_to(folder / "out"))
        for path in (folder / "out").rglob("*")
        if path.is_file() and path.name != ".asteroid-slicq.jsonl"  # the record of a run
    )


CHOICES = {
    "two stems": (["--two-stems", "vocals"], ["no_vocals", "vocals"]),
    "residual": (["--residual"], ["bass", "drums", "other", "vocals"]),
    "some": (["--residual", "--stems", "vocals,drums"], ["drums", "residual", "vocals"]),
    "named": (["--residual-to", "rest"], ["bass", "drums", "other", "rest", "vocals"]),
    "to one": (["--residual-to", "drums"], ["bass", "drums", "other", "vocals"]),
}


@pytest.mark.parametrize(
    ("choice", "suffix", "depth", "subtype"),
    [
        *(("two stems", "wav", "16", "PCM_16"), ("some", "wav", "16", "PCM_24")),
        *(("residual", "wav", "24", "PCM_16"), ("named", "flac", "16", "FLOAT")),
        *(("to one", "flac", "24", "PCM_24"), ("residual", "wav", "32f", "PCM_24")),
    ],
)
@pytest.mark.parametrize("fixture", ["folder", "loud"])
def test_stems_sum_to_the_mix_to_the_sample(
    request, folder, fixture, choice, suffix, depth, subtype, capsys
):
    request.getfixturevalue(fixture)
    mix = song(folder / "song.wav", subtype=subtype)
    options, names = CHOICES[choice]
    assert separate("song.wav", *options, "--format", suffix, "--bit-depth", depth) == 0
    assert written(folder) == [f"song/{name}.{suffix}" for name in names]
    total = sum(read(folder / "out" / "song" / f"{name}.{suffix}") for name in names)
    step = 2.0**-23 if depth == "32f" else 2.0 ** (1 - int(depth))
    np.testing.assert_array_equal(total, np.clip(np.rint(mix / step) * step, -1, 1 - step))
    told = capsys.readouterr().err
    assert ("sum to the mix" in told) == (fixture == "loud" and depth != "32f")


def test_the_rest_is_what_the_stem_leaves(folder):
    mix = song(folder / "song.wav")
    assert separate("song.wav", "--two-stems", "vocals", "--bit-depth", "32f") == 0
    np.testing.assert_allclose(read(folder / "out/song/no_vocals.wav"), 0.5 * mix, atol=1e-6)
    assert separate("song.wav", "--residual", "--bit-depth", "32f") == 2  # vocals.wav is there
    assert separate("song.wav", "--residual", "--bit-depth", "32f", "--overwrite") == 0
    np.testing.assert_allclose(read(folder / "out/song/other.wav"), 0.2 * mix, atol=1e-6)


def test_rescaled_stems_sum_to_the_rescaled_mix(folder, loud, capsys):
    mix = song(folder / "song.wav")
    assert separate("song.wav", "--residual", "--clip", "rescale") == 0
    stems = {path.stem: read(path) for path in (folder / "out" / "song").iterdir()}
    scale = (1 - 2.0**-15) / (1.8 * np.abs(mix).max())
    total = np.rint(scale * mix * 2**15) / 2**15
    assert np.abs(sum(stems.values()) - total).max() <= 2**-15  # the scale is of the float's peak
    np.testing.assert_allclose(stems["bass"], 1.8 * scale * mix, atol=2**-15)
    assert f"all stems are {-20 * np.log10(scale):.2f} dB lower" in capsys.readouterr().err


@pytest.mark.parametrize("audio_format", LOSSY_FORMATS)
def test_lossy_stems_sum_to_the_mix_but_for_their_noise(folder, audio_format):
    time = np.arange(20_000) / 48000
    tone = np.stack([np.sin(2 * np.pi * f * time) for f in (440.0, 660.0)], axis=1)
    sf.write(folder / "song.wav", 0.5 * tone, 48000)
    mix = read(folder / "song.wav")
    assert separate("song.wav", "--two-stems", "vocals", "--format", audio_format) == 0
    stems = [read(path) for path in (folder / "out" / "song").iterdir()]
    assert len(stems) == 2
    inner = slice(2000, -2000)
    error = (sum(stems) - mix)[:, inner]
    assert np.square(error).sum() < 1e-3 * np.square(mix[:, inner]).sum()


@pytest.mark.parametrize(
    ("options", "gain"),
    [
        (["--mix", "vocals=0.3,drums=1"], 0.3 * 0.5 + 0.2),
        (["--mix", "vocals=0.25,no_vocals=1", "--two-stems", "vocals"], 0.25 * 0.5 + 0.5),
        (["--mix", "other=1", "--residual"], 0.2),
        (["--mix", "residual=2,bass=1", "--residual-to", "residual"], 2 * 0.05 + 0.1),
    ],
)
def test_a_remix_is_one_file(folder, options, gain):
    mix = song(folder / "song.wav")
    assert separate("song.wav", *options, "--bit-depth", "32f") == 0
    assert written(folder) == ["song/remix.wav"]
    np.testing.assert_allclose(read(folder / "out/song/remix.wav"), gain * mix, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--two-stems", "choir"], "two_stems must be one of bass, vocals, other, drums, got"),
        (["--mix", "choir=1"], "remix must name some of bass, vocals, other, drums, got 'choir'"),
        (["--mix", "vocals=0"], "remix would be silent: every gain is 0"),
        (["--mix", "residual=1", "--residual"], "got 'residual'"),
        (["--residual-to", "bass", "--stems", "vocals"], "'bass', which stems leaves out"),
        (["--residual-to", "a/b"], "a name that a file can have, got 'a/b'"),
        (["--format", "mp3", "--bitrate", "1000k"], "from 32k to 320k for mp3, got 1000k"),
        (["--output-template", "{track}/{stem}"], "must end in .{ext}"),
        (["--output-template", "{stems}.{ext}"], "got {stems} in '{stems}.{ext}'"),
        (["--output-template", "{stem.{ext}"], "template"),
        (["--output-template", "../{stem}.{ext}"], "must stay in the output folder"),
        (["--output-template", "/{stem}.{ext}"], "must stay in the output folder"),
        (["--output-template", "{track}.{ext}"], "must hold {stem}"),
        (["--output-template", "{stem}.{ext}", "b.wav"], "song.wav and b.wav the same file"),
        (["--output-template", "{album}/{stem}.{ext}", "b.wav"], "with {track} they differ"),
        (["--residual-to", "..."], "a name that a file can have, got '...'"),
        (["--residual-to", "vocals."], "a name that a file can have, got 'vocals.'"),
        (["--residual-to", "Vocals"], "stems 'vocals' and 'Vocals' would share the file out"),
    ],
)
def test_what_cannot_be_written_is_one_sentence(folder, capsys, options, words):
    song(folder / "song.wav", n_samples=1000)
    song(folder / "b.wav", n_samples=1000)
    assert separate("song.wav", *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert not (folder / "out").exists()


@pytest.mark.parametrize("options", [[], ["--skip-existing"], ["--overwrite"]])
def test_no_stem_takes_the_file_of_another_songs_stem(folder, options, capsys):
    for name in ("song.wav", "song_no.wav"):
        song(folder / name, n_samples=1000)
    options = [*options, "--two-stems", "vocals", "--output-template", "{track}_{stem}.{ext}"]
    assert separate("song.wav", "song_no.wav", *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "gives song.wav and song_no.wav the same file, out/song_no_vocals.wav" in line
    assert line.endswith("in folders {track} they differ")
    assert not (folder / "out").exists()


@pytest.mark.parametrize("audio_format", AUDIO_FORMATS)
@pytest.mark.parametrize(
    ("rate", "n_channels", "n_samples"),
    [(44100, 2, 50_000), (8000, 1, 12_345), (96000, 2, 20_001), (44100, 2, 1152), (48000, 1, 100)],
)
def test_lengths_and_places_are_kept(folder, audio_format, rate, n_channels, n_samples):
    wave = np.zeros((n_samples, n_channels))
    place = n_samples // 2
    wave[place] = 0.9
    sf.write(folder / "song.wav", wave, rate)
    options = ["--two-stems", "vocals", "--format", audio_format]
    assert separate("song.wav", *options) == 0
    rate_out = {"opus": 48000, "mp3": min(rate, 48000)}.get(audio_format, rate)
    for name in ("vocals", "no_vocals"):
        path = folder / "out" / "song" / f"{name}.{audio_format}"
        with AudioReader(path) as reader:
            assert (reader.sample_rate, reader.n_channels) == (rate_out, n_channels)
        stem = read(path)
        assert stem.shape == (n_channels, round(n_samples * rate_out / rate))
        click = np.argmax(np.abs(stem), axis=1)
        assert np.abs(click - place * rate_out / rate).max() <= (rate_out > rate)
        assert is_stem(path)


@pytest.mark.parametrize("audio_format", AUDIO_FORMATS)
def test_silence_stays_silent(folder, audio_format):
    sf.write(folder / "song.wav", np.zeros((20_000, 2)), 44100)
    assert separate("song.wav", "--residual", "--format", audio_format) == 0
    assert len(written(folder)) == 4
    for path in (folder / "out" / "song").iterdir():
        assert not read(path).any()


@pytest.mark.parametrize("audio_format", AUDIO_FORMATS)
def test_surround_sound_is_mixed_down_or_refused(folder, audio_format, capsys):
    song(folder / "song.wav", n_channels=6, n_samples=5000, peak=0.2)
    options = ["--two-stems", "vocals", "--format", audio_format]
    assert separate("song.wav", *options) == 2
    assert "--downmix" in capsys.readouterr().err
    assert separate("song.wav", *options, "--downmix") == 0
    assert read(folder / f"out/song/no_vocals.{audio_format}").shape[0] == 2


def test_six_channels_of_a_mono_model(folder, monkeypatch, capsys):
    mono = Split()
    mono.n_channels = 1
    monkeypatch.setattr(model_choice, "load_default_model", lambda: mono)
    mix = song(folder / "song.wav", n_channels=6, n_samples=5000)
    assert separate("song.wav", "--residual", "--format", "flac") == 0
    total = sum(read(path) for path in (folder / "out" / "song").iterdir())
    np.testing.assert_array_equal(total, mix)
    assert separate("song.wav", "--format", "opus") == 2
    assert "has 6 channels, opus stems hold 2 at most" in capsys.readouterr().err


def test_the_bitrate_is_that_asked_for(folder):
    song(folder / "song.wav", n_samples=40_000)
    sizes = []
    for bitrate in ("64k", "256k"):
        options = ["--stems", "vocals", "--format", "mp3", "--bitrate", bitrate]
        assert separate("song.wav", *options, "--overwrite") == 0
        sizes.append((folder / "out/song/vocals.mp3").stat().st_size)
    assert sizes[1] == pytest.approx(4 * sizes[0], rel=0.1)


def tagged(path, **texts):
    """A FLAC file of half a second with tags."""
    with av.open(str(path), "w") as file:
        file.metadata.update(texts)
        stream = file.add_stream("flac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ones((1, 4000), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        file.mux([*stream.encode(frame), *stream.encode(None)])


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("{track} - {stem}.{ext}", ["b - drums.wav", "song - drums.wav"]),
        ("{stem}/{track}.{ext}", ["drums/b.wav", "drums/song.wav"]),
        (
            "{artist}/{album}/{number} {title} ({stem}).{ext}",
            [
                "AC_DC/_Up_/03 So long (drums).wav",
                "Unknown artist/Unknown album/00 b (drums).wav",
            ],
        ),
    ],
)
def test_names_by_a_template(folder, template, names):
    tagged(folder / "song.flac", artist="AC/DC", album=". ../Up?.", title="So long", track="3/12")
    tagged(folder / "b.flac")
    options = ["--stems", "drums", "--output-template", template]
    assert separate("song.flac", "b.flac", *options) == 0
    assert written(folder) == names
    assert separate("song.flac", "b.flac", *options) == 2  # they exist
    assert separate(folder, "--overwrite", *options) == 0  # stems in a folder are passed over


def test_titles_tell_the_stem(folder):
    tagged(folder / "song.flac", title="So long", artist="Ann")
    assert separate("song.flac", "--two-stems", "vocals", "--format", "mp3") == 0
    texts = read_tags(folder / "out" / "song" / "no_vocals.mp3").texts
    assert texts == {"title": "So long (no_vocals)", "artist": "Ann"}


@pytest.mark.parametrize("audio_format", AUDIO_FORMATS)
def test_stems_in_a_folder_are_passed_over_in_every_format(folder, audio_format, capsys):
    (folder / "in").mkdir()
    song(folder / "in" / "song.wav", n_samples=3000)
    assert separate("in/song.wav", "--format", audio_format) == 0
    (folder / "out" / "song").rename(folder / "in" / "stems")
    assert separate("in", "--format", "flac", "--overwrite") == 0
    assert "4 file(s) passed over" in capsys.readouterr().err
    assert all(name.startswith("song/") for name in written(folder))


SLOW_RESCALING = """
import sys, time, torch
from asteroid_slicq.audio import stem_writing
from asteroid_slicq.cli import main, model_choice
from tests.helpers import Split

def scaled(self, scale):
    for buffers in original(self, scale):
        yield buffers
        print("busy", flush=True)
        time.sleep(float(sys.argv[1]))

original, stem_writing._KeptBuffers.scaled = stem_writing._KeptBuffers.scaled, scaled
model = Split()
with torch.no_grad():
    model.gains.copy_(torch.tensor([1.8, -0.3, 1.1, -0.4]))
model_choice.load_default_model = lambda: model
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are another matter there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("audio_format", ["flac", "mp3"])
def test_a_process_ended_while_it_rescales_leaves_nothing_half_written(
    folder, number, audio_format
):
    song(folder / "song.wav", n_samples=200_000)

    def start(pause_s):
        return subprocess.Popen(
            [
                *(sys.executable, "-c", SLOW_RESCALING, str(pause_s), "separate", "song.wav"),
                *("-o", "out", "--format", audio_format, "-q"),
            ],
            env=environment(),
            stdout=subprocess.PIPE,
        )

    process = start(600)
    assert process.stdout is not None
    assert process.stdout.readline() == b"busy\n"
    process.send_signal(number)
    process.communicate(timeout=600)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert not any("." in name and ".part" not in name for name in written_or_none(folder))
    process = start(0)
    process.communicate(timeout=600)
    assert process.returncode == 0
    names = sorted(os.listdir(folder / "out" / "song"))
    assert names == [f"{name}.{audio_format}" for name in ("bass", "drums", "other", "vocals")]
    assert {read(folder / "out" / "song" / name).shape for name in names} == {(2, 200_000)}


def written_or_none(folder):
    return written(folder) if (folder / "out").exists() else []
