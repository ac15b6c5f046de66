"""Facts about ``asteroid-slicq spectrogram``: what it draws, writes, says and returns."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.cli import main

pytest.importorskip("matplotlib")

from PIL import Image

from asteroid_slicq.cli import spectrogram as command
from tests.helpers import environment, with_slow

RATE = 8000
FAST = ("--n-bins", 60, "--min-bandwidth", 60, "--size", "400x250")


@pytest.fixture
def figures(monkeypatch):
    """Every figure that a command draws."""
    drawn, draw = [], command.plot_waveform_spectrogram

    def remember(*args, **kwargs):
        drawn.append(draw(*args, **kwargs))
        return drawn[-1]

    monkeypatch.setattr(command, "plot_waveform_spectrogram", remember)
    return drawn


def write(path, seconds=2.0, n_channels=2, f_hz=500.0, rate=RATE):
    t = np.arange(int(seconds * rate)) / rate
    wave = 0.1 * np.random.default_rng(0).standard_normal((len(t), n_channels))
    sf.write(path, wave * (t < seconds / 2)[:, None] + 0.3 * np.sin(2e3 * t)[:, None], rate)
    return path


def run(*argv):
    return main(["spectrogram", *map(str, argv)])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "song",
    [
        "song.wav",
        *(pytest.param(f"song.{f}", marks=pytest.mark.slow) for f in ("mp3", "flac", "ogg")),
    ],
)
def test_a_song_becomes_a_picture(folder, capsys, song):
    write(song)
    assert run(song, *FAST) == 0
    assert names(folder) == sorted([song, "song.png"])
    assert capsys.readouterr() == (f"{song} -> song.png\n", "")
    with Image.open("song.png") as image:
        assert image.size == (400, 250)
        assert len(image.convert("RGB").getcolors(2**24)) > 50


@pytest.mark.parametrize(
    ("name", "magic"),
    with_slow(
        [("a.PNG", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml"), ("a.jpg", b"\xff\xd8")],
        ("a.pdf", b"%PDF"),
    ),
)
def test_the_suffix_selects_the_format(folder, name, magic):
    write("song.wav", 0.5, 1)
    assert run("song.wav", "-o", name, "-q", *FAST) == 0
    assert (folder / name).read_bytes().startswith(magic)
    assert names(folder) == sorted([name, "song.wav"])


def test_options_reach_the_picture(folder, figures, capsys):
    write("song.wav", 1.0, rate=16000)
    options = ("--scale", "bark", "--n-bins", 50, "--f-min", 100, "--window", "blackman-harris")
    options += ("--min-bandwidth", 50, "--bandwidth-factor", 1, "--db-range", 55)
    assert run("song.wav", "-o", "a.png", "--stft", *options, "--size", "640x480", "-q") == 0
    (figure,) = figures
    stft, slicqt, bar = figure.axes
    assert slicqt.get_title() == "sliCQT, 51 bins, bark scale"
    assert stft.get_title() == "STFT, 4096 samples"
    assert stft.get_ylim() == slicqt.get_ylim()
    assert slicqt.get_ylim()[1] == 8000
    assert 80 < slicqt.get_ylim()[0] < 100
    assert bar.get_ylim() == (-55, 0)
    with Image.open("a.png") as image:
        assert image.size == (640, 480)
    assert capsys.readouterr() == ("", "")


def test_octaves_have_their_own_number_of_bins(folder, figures):
    write("song.wav", 0.5)
    assert run("song.wav", "--scale", "octave", "--size", "400x250") == 0
    assert figures[0].axes[0].get_title() == "sliCQT, 335 bins, octave scale"


def test_a_span_shows_the_times_and_levels_of_the_whole(folder, figures):
    """Also at its ends, where a cut would click."""
    write("song.wav", 8.0, 1)
    assert run("song.wav", "-o", "part.png", "--start", 5, "--duration", 1.5, *FAST) == 0
    assert run("song.wav", "-o", "rest.png", "--start", 5, "--duration", 99, *FAST) == 0
    assert run("song.wav", "-o", "all.png", *FAST) == 0
    part, rest, whole = (figure.axes[0] for figure in figures)
    assert part.get_xlim() == (5, 6.5)
    assert rest.get_xlim() == (5, 8)
    assert whole.get_xlim() == (0, 8)
    # The noise ends at 4 s, and all that sounds after it lies around 318 Hz.
    for mesh in part.collections:
        edges_hz = mesh.get_coordinates()[:, 0, 1]
        if edges_hz[0] > 1000:
            assert np.asarray(mesh.get_array()).max() < -60


def test_an_existing_picture_is_kept_without_overwrite(folder, capsys):
    write("song.wav", 0.5)
    (folder / "song.png").write_text("mine")
    assert run("song.wav", *FAST) == 2
    assert "song.png: exists; replacing must be asked for (--overwrite)" in capsys.readouterr().err
    assert (folder / "song.png").read_text() == "mine"
    assert run("song.wav", "--overwrite", *FAST) == 0
    assert (folder / "song.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["no.wav"], "no.wav: no such file"),
        (["empty.wav"], "empty.wav: is empty (0 bytes)"),
        (["text.wav"], "text.wav: is no audio that can be read"),
        (["nothing.wav"], "nothing.wav: holds no samples"),
        (["cut.wav"], "cut.wav: is truncated"),
        (["nan.wav"], "nan.wav: holds NaN"),
        (["."], "is a folder"),
        (["song.wav", "-o", "a.gif"], "a.gif: must end in one of .png, .pdf, .svg, .jpg, .webp"),
        (["song.wav", "-o", "song.wav"], "song.wav: must end in"),
        (["song.wav", "-o", "folder.png"], "a folder has that name"),
        (["song.wav", "-o", "no/a.png"], "there is no folder no"),
        (["song.wav", "-o", "text.wav/a.png"], "there is no folder text.wav"),
        (["song.wav", "-o", "x" * 300 + ".png"], "cannot be written (File name too long)"),
        (["song.wav", "--start", "0.5"], "ends after 0.50 s, before --start 0.5"),
        (["song.wav", "--start", "1e300"], "before --start 1e+300"),
        (["song.wav", "--f-min", "5000"], "f_min_hz"),
        (["song.wav", "--n-bins", "1"], "n_bins must be at least 2"),
        (
            ["song.wav", "--min-bandwidth", "5000"],
            "min_bandwidth_hz must be less than",
        ),
    ],
)
def test_bad_inputs_are_told_in_one_sentence(folder, capsys, argv, words):
    write("song.wav", 0.5)
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("no audio\n" * 100)
    (folder / "folder.png").mkdir()
    sf.write("nothing.wav", np.zeros((0, 2)), RATE)
    sf.write("nan.wav", np.full(100, np.nan), RATE, subtype="FLOAT")
    (folder / "cut.wav").write_bytes((folder / "song.wav").read_bytes()[:5000])
    before = names(folder)
    assert run(*argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("asteroid-slicq: ")
    assert words in err
    assert err.count("\n") == 1
    assert names(folder) == before


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "required: SONG"),
        (["a.wav", "b.wav"], "unrecognized arguments: b.wav"),
        (["a.wav", "--start", "-1"], "at least 0"),
        (["a.wav", "--duration", "0"], "must be more than 0"),
        (["a.wav", "--duration", "long"], "'long' is not a number"),
        (["a.wav", "--scale", "blues"], "invalid choice: 'blues'"),
        (["a.wav", "--window", "bay"], "invalid choice: 'bay'"),
        (["a.wav", "--n-bins", "0"], "whole number in 1 … 10000"),
        (["a.wav", "--n-bins", "many"], "whole number in 1 … 10000"),
        (["a.wav", "--f-min", "0"], "must be more than 0"),
        (["a.wav", "--min-bandwidth", "nan"], "at least 0 and finite"),
        (["a.wav", "--db-range", "loud"], "'loud' is not a number"),
        (["a.wav", "--size", "1200"], "WIDTHxHEIGHT"),
        (["a.wav", "--size", "10x10"], "between 400x250 and 10000x10000"),
    ],
)
def test_usage_errors_return_2(argv, words, capsys):
    assert run(*argv) == 2
    assert words in capsys.readouterr().err


def test_a_failure_while_writing_leaves_nothing(folder, monkeypatch, capsys):
    from matplotlib.figure import Figure

    def half(self, file, **_):
        with open(file, "wb") as opened:
            opened.write(b"half")
        raise OSError(28, "No space left on device")

    write("song.wav", 0.5)
    monkeypatch.setattr(Figure, "savefig", half)
    assert run("song.wav", "-o", "a.pdf", *FAST) == 2
    assert "a.pdf: cannot be written (No space left on device)" in capsys.readouterr().err
    assert names(folder) == ["song.wav"]


def test_without_matplotlib_it_says_what_to_install(folder, monkeypatch, capsys):
    write("song.wav", 0.5)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert run("song.wav", *FAST) == 2
    assert capsys.readouterr().err == (
        "asteroid-slicq: drawing needs matplotlib: pip install 'asteroid-slicq[plot]'\n"
    )
    assert names(folder) == ["song.wav"]


def test_help_names_the_command(capsys):
    assert main(["--help"]) == 0
    assert "spectrogram" in capsys.readouterr().out
    assert run("--help") == 0
    assert "usage: asteroid-slicq spectrogram" in capsys.readouterr().out


@pytest.mark.slow
def test_process(tmp_path):
    """On its own, without a display."""
    write(tmp_path / "song.wav", 0.5)
    without = {k: v for k, v in environment().items() if k not in ("DISPLAY", "MPLBACKEND")}
    done = subprocess.run(
        [sys.executable, "-m", "asteroid_slicq", "spectrogram", "song.wav", "--stft"],
        cwd=tmp_path,
        env=without,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "song.wav -> song.png\n", "")
    assert names(tmp_path) == ["song.png", "song.wav"]
