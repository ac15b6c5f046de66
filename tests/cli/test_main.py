"""Facts about the command line: what it writes, says and returns, on good and on bad days."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile as sf
import torch

from asteroid_slicq.cli import main, model_choice
from asteroid_slicq.cli.program import parse
from asteroid_slicq.jobs import MANIFEST
from tests.helpers import GAINS, Split, environment


@pytest.fixture
def model(monkeypatch):
    model = Split()
    monkeypatch.setattr(model_choice, "load_default_model", lambda: model)
    return model


def write(path, n_frames=20_001, n_channels=2, rate=44100, scale=0.1, seed=0, subtype=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = scale * np.random.default_rng(seed).standard_normal((n_frames, n_channels))
    sf.write(path, wave, rate, subtype=subtype)
    return sf.read(path, dtype="float32", always_2d=True)[0]


def tree(folder):
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]
    return sorted(str(path.relative_to(folder)) for path in files)


def stems_of(track, suffix="wav"):
    return sorted(f"{track}/{name}.{suffix}" for name in GAINS)


def run(*argv):
    return main([str(word) for word in argv])


def test_a_song_becomes_stems(folder, model, capsys):
    mix = write(folder / "song.wav", 50_001)
    assert run("separate", "song.wav", "-o", "out", "--segment-seconds", "0.4") == 0
    assert tree(folder / "out") == stems_of("song")
    for name, gain in GAINS.items():
        stem, rate = sf.read(folder / "out" / "song" / f"{name}.wav", dtype="float32")
        assert rate == 44100
        np.testing.assert_allclose(stem, gain * mix, atol=2**-16 + 1e-6)
    out, err = capsys.readouterr()
    assert out == f"song.wav -> {os.path.join('out', 'song')}: bass, vocals, other, drums\n"
    assert err == ""


def test_options_reach_the_files(folder, model, capsys):
    write(folder / "song.mp3", 30_001, 1, 22050)
    assert (
        run(
            *("separate", "song.mp3", "--output", "out", "--stems", "vocals, drums"),
            *("--format", "flac", "--bit-depth", "24", "--quiet", "--device", "cpu"),
            *("--overlap-seconds", "0.2", "--threads", torch.get_num_threads()),
        )
        == 0
    )
    assert tree(folder / "out") == ["song/drums.flac", "song/vocals.flac"]
    info = sf.info(folder / "out" / "song" / "drums.flac")
    assert (info.frames, info.channels, info.samplerate) == (30_001, 1, 22050)
    assert info.subtype == "PCM_24"
    assert capsys.readouterr() == ("", "")


def test_folders_and_equal_names(folder, model):
    write(folder / "in" / "a" / "song.wav")
    write(folder / "in" / "b" / "song.flac")
    write(folder / "song.wav", seed=1)
    assert run("separate", "in", "song.wav", "in/b/song.flac", "-o", "out", "-q") == 0
    assert tree(folder / "out") == sorted(
        stems_of("a/song") + stems_of("b/song") + stems_of("song")
    )
    assert run("separate", "in/a/song.wav", "in/b/song.flac", "-o", "flat") == 0
    assert tree(folder / "flat") == sorted(stems_of("song") + stems_of("song-2"))


@pytest.mark.parametrize("audio_format", ["wav", "flac"])
def test_stems_in_a_folder_of_songs_are_passed_over_aloud(folder, model, capsys, audio_format):
    write(folder / "in" / "song.wav")
    assert run("separate", "in", "-o", "in/stems", "-q", "--format", audio_format) == 0
    assert capsys.readouterr().err == ""
    before = tree(folder)
    told = (
        "asteroid-slicq: warning: 4 file(s) passed over, which are stems of an earlier separation; "
        "one that is named is separated\n"
    )
    assert run("separate", "in", "-o", "out", "-q") == 0
    assert capsys.readouterr().err == told
    assert tree(folder / "out") == stems_of("song")
    assert [name for name in tree(folder) if not name.startswith("out")] == before
    assert run("separate", "in/stems", "-o", "more", "-q") == 2  # nothing to do
    assert capsys.readouterr().err == told
    stem = f"in/stems/song/drums.{audio_format}"
    assert run("separate", stem, "-o", "more", "-q") == 0
    assert tree(folder / "more") == stems_of("drums")


def test_bad_inputs_are_told_and_the_others_done(folder, model, capsys):
    write(folder / "good.wav")
    write(folder / "also good.flac")
    write(folder / "six.wav", n_channels=6)
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("no audio\n" * 100)
    (folder / "song.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    sf.write(folder / "nothing.wav", np.zeros((0, 2)), 44100)
    (folder / "cut.wav").write_bytes((folder / "good.wav").read_bytes()[:10_000])
    names = ["missing", "empty", "good", "text", "nothing", "cut", "six"]
    names = [*(f"{name}.wav" for name in names), "song.m4a"]
    assert run("separate", *names, "also good.flac", "-o", "out", "-q") == 2
    assert tree(folder / "out") == sorted(stems_of("good") + stems_of("also good"))
    assert sorted(path.name for path in (folder / "out").glob("[!.]*")) == ["also good", "good"]
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert all(line.startswith("asteroid-slicq: ") for line in lines)
    told = {line.split(": ")[1]: line.split(": ", 2)[2] for line in lines}
    assert sorted(told) == sorted(set(names) - {"good.wav"})
    assert told["missing.wav"] == "no such file or folder"
    assert told["empty.wav"] == "is empty (0 bytes)"
    assert "no audio that can be read" in told["song.m4a"]
    assert "is truncated" in told["cut.wav"]
    assert "stereo or mono" in told["six.wav"]


def test_existing_stems_are_kept_without_overwrite(folder, model, capsys):
    write(folder / "song.wav")
    write(folder / "other.wav")
    assert run("separate", "song.wav", "-o", "out", "-q") == 0
    before = (folder / "out" / "song" / "bass.wav").read_bytes()
    write(folder / "song.wav", seed=1)
    assert run("separate", "song.wav", "other.wav", "-o", "out", "-q") == 2
    assert (
        "already holds bass.wav, drums.wav, other.wav, vocals.wav; replacing must be asked for "
        "(--overwrite)\n"
    ) in capsys.readouterr().err
    assert (folder / "out" / "song" / "bass.wav").read_bytes() == before
    assert tree(folder / "out") == sorted(stems_of("song") + stems_of("other"))
    assert run("separate", "song.wav", "-o", "out", "-q", "--overwrite") == 0
    assert (folder / "out" / "song" / "bass.wav").read_bytes() != before


def test_too_loud_stems_are_one_warning(folder, model, capsys):
    with torch.no_grad():
        model.gains.copy_(torch.tensor([30.0, 15.0, 0.1, 0.1]))
    write(folder / "song.wav")
    assert run("separate", "song.wav", "-o", "out", "-q") == 0
    (line,) = capsys.readouterr().err.splitlines()
    start = "asteroid-slicq: warning: song: all stems are "
    assert line.startswith(start)
    assert "--bit-depth 32f" in line
    bass, vocals = (sf.read(folder / f"out/song/{name}.wav")[0] for name in ("bass", "vocals"))
    assert np.abs(bass).max() == 1 - 2**-15
    np.testing.assert_allclose(bass, 2 * vocals, atol=2**-14)
    lower_db = 20 * np.log10(30 * np.abs(sf.read(folder / "song.wav")[0]).max())
    assert float(line[len(start) :].split(" dB")[0]) == pytest.approx(lower_db, abs=0.01)
    argv = ["separate", "song.wav", "-o", "float", "-q", "--bit-depth", "32f"]
    assert run(*argv) == 0
    assert capsys.readouterr().err == ""
    assert run("separate", "song.wav", "-o", "limited", "-q", "--clip", "clamp") == 0
    lines = capsys.readouterr().err.splitlines()
    files = [os.path.join("limited", "song", f"{name}.wav") for name in ("bass", "vocals")]
    for line, file in zip(lines, files, strict=True):
        assert line.startswith(f"asteroid-slicq: warning: {file}: ")
        assert "samples were limited to full scale" in line


def test_outputs_that_cannot_be_folders(folder, model, capsys):
    write(folder / "song.wav")
    (folder / "file").write_text("hello")
    for output in ("file", "file/out", "song.wav"):
        assert run("separate", "song.wav", "-o", output) == 2
        assert "is a file, so" in capsys.readouterr().err
    (folder / "out").mkdir()
    (folder / "out" / "song").write_text("in the way")
    write(folder / "tune.wav")
    assert run("separate", "song.wav", "tune.wav", "-o", "out", "-q") == 2
    assert "is a file, a folder is needed" in capsys.readouterr().err
    assert tree(folder / "out") == sorted(["song", *stems_of("tune")])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--stems", "piano"], "out of bass, vocals, other, drums, got piano"),
        (["--device", "cuda:99"], "device cuda:99: not available here; usable are cpu"),
        (["--model", "no.pth"], "model no.pth: no such file"),
        (["--model", "song.wav"], "model song.wav: is no model file"),
        (["--model", "v2"], "no trained weights"),
    ],
)
def test_models_stems_and_devices_that_are_not_there(folder, model, capsys, options, words):
    write(folder / "song.wav")
    assert run("separate", "song.wav", "-o", "out", *options) == 2
    out, err = capsys.readouterr()
    assert err.startswith("asteroid-slicq: ")
    assert words in err
    assert err.count("\n") == 1
    assert out == ""
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--debug"], "required: COMMAND"),
        (["dance"], "invalid choice: 'dance'"),
        (["separate"], "required: INPUT"),
        (["separate", "a", "--stems", " ,"], "names separated by commas"),
        (["separate", "a", "--format", "aiff"], "invalid choice: 'aiff'"),
        (["separate", "a", "--two-stems", "b", "--stems", "b"], "names the one that is written"),
        (["separate", "a", "--two-stems", "b", "--residual"], "--two-stems writes what is left"),
        (["separate", "a", "--mix", "b=1", "--stems", "b"], "--mix names those that it is made"),
        (["separate", "a", "--mix", "b"], "must be STEM=GAIN,STEM=GAIN …, got 'b'"),
        (["separate", "a", "--mix", "b=1,b=2"], "must name each stem once, got b twice"),
        (["separate", "a", "--mix", "b=-1"], "argument --mix: must be at least 0 and finite"),
        (["separate", "a", "--mix", "b=nan"], "argument --mix: must be at least 0 and finite"),
        (["separate", "a", "--mix", "b=loud"], "argument --mix: 'loud' is not a number"),
        (["separate", "a", "--bitrate", "fast"], "number of kbit/s such as 192k, got 'fast'"),
        (["separate", "a", "--bitrate", "192k"], "wav has --bit-depth instead"),
        (["separate", "a", "--format", "mp3", "--bit-depth", "16"], "mp3 has --bitrate instead"),
        (["separate", "a", "--bit-depth", "8"], "invalid choice: '8'"),
        (["separate", "a", "--format", "flac", "--bit-depth", "32f"], "32f needs --format wav"),
        (["separate", "a", "--segment-seconds", "0"], "must be more than 0"),
        (["separate", "a", "--segment-seconds", "nan"], "at least 0 and finite"),
        (["separate", "a", "--segment-seconds", "ten"], "'ten' is not a number"),
        (["separate", "a", "--overlap-seconds", "-1"], "at least 0"),
        (["separate", "a", "--overlap-seconds", "8"], "at most half of --segment-seconds (6)"),
        (["separate", "a", "--threads", "0"], "whole number from 1 on"),
        (["separate", "a", "--threads", "two"], "whole number from 1 on"),
    ],
)
def test_usage_errors_return_2(argv, words, capsys):
    assert main(argv) == 2
    reason, advice = capsys.readouterr().err.splitlines()
    assert words in reason
    assert advice.endswith("--help` lists the options")


def test_without_a_command_the_help_lists_them(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == err


def test_help_and_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("asteroid-slicq ")
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(command in text for command in ("separate", "synth", "convert", "examples:"))
    for command in ("separate", "synth", "convert"):
        assert main([command, "--help"]) == 0
        assert f"usage: asteroid-slicq {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (torch.cuda.OutOfMemoryError("CUDA\nout of memory"), 2, "try --segment-seconds 6"),
        (RuntimeError("[enforce fail] can't allocate memory: you tried"), 2, "out of memory"),
        (RuntimeError("a bug"), 2, "song.wav: the model fails (a bug)"),
    ],
)
def test_failures_in_the_middle_leave_nothing(folder, model, capsys, error, code, words):
    write(folder / "song.wav")
    model.error = error
    assert run("separate", "song.wav", "-o", "out", "-q") == code
    assert words in capsys.readouterr().err
    assert tree(folder) == ["song.wav"]
    assert not (folder / "out").exists()


def test_debug_shows_where(folder, model):
    write(folder / "song.wav")
    model.error = RuntimeError("a bug")
    with pytest.raises(RuntimeError, match="a bug"):
        run("--debug", "separate", "song.wav", "-o", "out", "-q")


def test_names_that_no_encoding_has(folder, model, monkeypatch, capsys):
    assert run("separate", "m\udce9lodie.wav") == 2
    assert "lodie.wav: no such file" in capsys.readouterr().err


# The rest runs as a process of its own, which takes some seconds each.

SLOW_MODEL = """
import signal, sys, time, torch
from asteroid_slicq.cli import main, model_choice
from asteroid_slicq.cli.program import parse

# A shell that starts a job in the background lets it ignore this.
signal.signal(signal.SIGINT, signal.default_int_handler)

class Slow(torch.nn.Module):
    sample_rate, n_channels, sources = 44100, 2, ["vocals", "drums"]
    def forward(self, mix):
        print("busy", flush=True)
        time.sleep(0.2)
        return 0.5 * mix[:, None].expand(-1, 2, -1, -1)

model_choice.load_default_model = Slow
sys.exit(main(sys.argv[1:]))
"""


def start(*argv, **kwargs):
    return subprocess.Popen(
        [sys.executable, *argv],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


@pytest.mark.slow
def test_process_refuses_in_one_sentence(tmp_path):
    process = start("-m", "asteroid_slicq", "separate", "no.wav", "-o", "out", cwd=tmp_path)
    out, err = process.communicate(timeout=600)
    assert (process.returncode, out) == (2, "")
    assert err == "asteroid-slicq: no.wav: no such file or folder\n"
    assert tree(tmp_path) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are another matter there")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_process_that_is_stopped_cleans_up(tmp_path, number, code):
    write(tmp_path / "song.wav", 44100 * 30, subtype="PCM_16")
    options = ("--segment-seconds", "0.5", "--overlap-seconds", "0.1")
    process = start("-c", SLOW_MODEL, "separate", "song.wav", "-o", "out", *options, cwd=tmp_path)
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline() == "busy\n"
    assert len(tree(tmp_path)) == 3  # two temporary files
    time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=600)
    assert process.returncode == code
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == ["song.wav"]


@pytest.mark.parametrize("before", [[], ["song.wav"], ["song.wav", "-o", "out", "b.wav"]])
def test_behind_two_hyphens_words_are_inputs(before):
    inputs = [word for word in before if word.endswith(".wav")]
    options = [] if "-o" in before else ["-o", "out"]
    given = parse(["separate", *before, *options, "--", "-dash.wav", "--debug"])
    assert given.inputs == [*inputs, "-dash.wav", "--debug"]


@pytest.mark.parametrize(
    ("words", "unknown"),
    [
        (["--vers"], "--vers"),
        (["--deb", "synth", "out"], "--deb"),
        (["synth", "out", "--track", "1"], "--track 1"),
        (["separate", "song.wav", "-o", "out", "--overw", "--", "b.wav"], "--overw -- b.wav"),
        (["spectrogram", "song.wav", "--overw"], "--overw"),
    ],
)
def test_options_are_written_in_full(words, unknown, folder, capsys):
    assert main(words) == 2
    assert f"unrecognized arguments: {unknown}\n" in capsys.readouterr().err
    assert tree(folder) == []
