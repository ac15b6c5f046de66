"""Facts about runs over songs that go on: what is kept, what is done again, and that it is told."""

import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

from asteroid_slicq.cli import main, model_choice
from asteroid_slicq.jobs import MANIFEST, separate_files
from tests.helpers import Split
from tests.jobs.helpers import samples, songs, stems, write_song

FAST = ("--segment-seconds", "0.5")


@pytest.fixture
def model(monkeypatch):
    model = Split()
    monkeypatch.setattr(model_choice, "load_default_model", lambda: model)
    return model


@pytest.fixture
def run(folder, model, capsys):
    """Separate a folder of three songs; the exit code, and lines of standard output and error."""
    songs(folder / "in")

    def run(*options, inputs=("in",)):
        code = main(["separate", *map(str, inputs), "-o", "out", *FAST, *options])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    return run


def test_a_run_tells_what_came_of_it(run, folder):
    (folder / "in" / "d.wav").touch()
    code, out, err = run(inputs=("in", "gone.wav"))
    assert code == 2
    assert out[-3:] == [
        "5 songs: 3 separated, 2 failed",
        f"  {Path('in', 'd.wav')}: is empty (0 bytes)",
        "  gone.wav: no such file or folder",
    ]
    assert err == [
        "asteroid-slicq: gone.wav: no such file or folder",
        f"asteroid-slicq: {Path('in', 'd.wav')}: is empty (0 bytes)",
    ]


def test_one_song_leaves_no_record(run):
    assert run(inputs=("in/a.wav",))[0] == 0
    assert not Path("out", MANIFEST).exists()


def test_what_is_done_is_kept(run, folder):
    assert run()[0] == 0
    before = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.wav")}
    assert run()[0] == 2  # nothing is replaced that nobody asked for
    code, out, err = run("--skip-existing")
    assert (code, err) == (0, [])
    assert out[0] == f"{Path('in', 'a.wav')} -> {Path('out', 'a')}: kept (done already)"
    assert out[-1] == "3 songs: 0 separated, 3 done already"
    assert {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.wav")} == before
    assert run("--skip-existing", "-q") == (0, [], [])


def test_a_run_that_was_broken_off_ends_in_the_same_files(run, model):
    assert run()[0] == 0
    whole = stems(Path("out"))
    shutil.rmtree("out")
    forward, seen = model.forward, []

    def stop(mix):
        seen.append(mix)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return forward(mix)

    model.forward = stop
    assert run()[0] == 130
    assert {name[0] for name in stems(Path("out"))} == {"a"}
    model.forward = forward
    code, out, _ = run("--skip-existing")
    assert (code, out[-1]) == (0, "3 songs: 2 separated, 1 done already")
    assert stems(Path("out")) == whole
    lines = Path("out", MANIFEST).read_text().splitlines()
    assert sorted(json.loads(line)["track"] for line in lines) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda model: write_song(Path("in/b.wav"), seed=7), "the song has changed"),
        (lambda model: Path("out/b/drums.wav").unlink(), "drums missing"),
        (lambda model: shutil.rmtree("out/b"), "bass, drums, other, vocals missing"),
    ],
)
def test_one_song_is_done_again(run, model, change, reason):
    assert run()[0] == 0
    before = stems(Path("out"))
    os.utime("in/b.wav", (1, 1))
    run("--skip-existing")
    change(model)
    code, out, _ = run("--skip-existing")
    assert (code, out[-1]) == (0, f"3 songs: 1 separated (1 again: {reason}), 2 done already")
    changed = {name[0] for name, data in stems(Path("out")).items() if before[name] != data}
    assert changed == ({"b"} if "song" in reason else set())
    assert run("--skip-existing")[1][-1] == "3 songs: 0 separated, 3 done already"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--segment-seconds", "0.4"), "other settings"),
        (("--stems", "vocals"), "other settings"),
        (("--bit-depth", "24"), "other settings"),
        ((), "another model"),
    ],
)
def test_all_songs_are_done_again(run, model, options, reason):
    assert run()[0] == 0
    before = stems(Path("out"))
    if not options:
        with torch.no_grad():
            model.gains.mul_(0.5)
    code, out, _ = run("--skip-existing", *options)
    assert (code, out[-1]) == (0, f"3 songs: 3 separated (3 again: {reason}), 0 done already"[:-16])
    changed = {name for name, data in stems(Path("out")).items() if before[name] != data}
    assert len(changed) == (0 if "--stems" in options else 12)


def test_what_somebody_edited_is_not_replaced(run, model):
    assert run()[0] == 0
    edited = write_song(Path("out/b/bass.wav"), seed=5).read_bytes()
    assert run("--skip-existing")[0] == 0  # it is there
    code, out, err = run("--skip-existing", "--stems", "bass,drums")
    words = "bass.wav was changed since it was written; replacing must be asked for (--overwrite)"
    assert code == 2
    assert words in err[0]
    assert "2 separated (2 again: other settings), 1 failed" in out[-2]
    assert Path("out/b/bass.wav").read_bytes() == edited
    code, out, _ = run("--skip-existing", "--overwrite", "--stems", "bass,drums")
    assert (code, out[-1]) == (
        0,
        "3 songs: 1 separated (1 again: other settings), 2 done already",
    )
    assert Path("out/b/bass.wav").read_bytes() != edited


def test_stems_without_a_record_are_kept_and_told(run):
    assert run()[0] == 0
    Path("out", MANIFEST).unlink()
    Path("out/b/bass.wav").unlink()  # the rest is ours, and nobody changed it
    write_song(Path("out/c/bass.wav"))
    Path("out/c/drums.wav").unlink()  # the rest is not all ours
    code, out, err = run("--skip-existing")
    assert code == 2
    assert out[-2].startswith(
        "3 songs: 1 separated, 1 done already (1 of them by a run of which nothing is known), "
        "1 failed"
    )
    assert "already holds bass.wav, other.wav, vocals.wav" in err[0]
    assert Path("out/b/bass.wav").exists()


def test_a_damaged_record_is_told_and_nothing_is_lost(run):
    assert run()[0] == 0
    record = Path("out", MANIFEST)
    good = record.read_bytes().splitlines(keepends=True)
    damaged = good[0] + b"\xff\0{]\n[1]\n{}\n" + good[1]
    record.write_bytes(damaged)
    before = stems(Path("out"))
    code, out, err = run("--skip-existing")
    assert code == 0
    assert out[-1].startswith("3 songs: 0 separated, 3 done already (1 of them by a run of which")
    (line,) = err
    assert f"{record}: 3 of its lines cannot be read (kept as {MANIFEST}.damaged-" in line
    assert [p.read_bytes() for p in Path("out").glob("*damaged*")] == [damaged]
    assert stems(Path("out")) == before
    assert run("--skip-existing")[2] == []


def test_a_line_that_a_kill_cut_is_no_damage(run):
    assert run()[0] == 0
    record = Path("out", MANIFEST)
    lines = record.read_bytes()
    record.write_bytes(lines[:-20])
    shutil.rmtree("out/c")
    code, out, err = run("--skip-existing")
    assert (code, out[-1], err) == (0, "3 songs: 1 separated, 2 done already", [])
    code, out, err = run("--skip-existing")
    assert (out[-1], len(err)) == ("3 songs: 0 separated, 3 done already", 1)  # that line, once
    assert run("--skip-existing")[2] == []


def test_a_song_keeps_its_folder_whatever_comes_before_it(run):
    write_song(Path("more/a.wav"), seed=8)
    assert run()[0] == 0
    before = stems(Path("out"))
    code, out, _ = run("--skip-existing", inputs=("more", "in"))
    assert (code, out[-1]) == (0, "4 songs: 1 separated, 3 done already")
    after = stems(Path("out"))
    assert {k: after[k] for k in before} == before
    assert {name.split("/")[0] for name in after} == {"a", "b", "c", "a-2"}
    os.rename("in", "elsewhere")
    assert run("--skip-existing", inputs=("elsewhere",))[1][-1] == (
        "3 songs: 0 separated, 3 done already"
    )


@pytest.mark.parametrize("seed", [7, None])
def test_a_song_of_another_run_keeps_its_folder(run, seed):
    """Also where the other one has the same size and time, as after ``cp -r``."""
    other = Path("other/a.wav")
    write_song(other, seed=8 if seed is None else seed)
    if seed is None:
        time = Path("in/a.wav").stat().st_mtime_ns
        os.utime(other, ns=(time, time))
    assert run("--skip-existing", inputs=("in/a.wav",))[0] == 0
    before = stems(Path("out"))
    for expected in ("-> out/a-2: bass", "-> out/a-2: kept (done already)"):
        code, out, err = run("--skip-existing", inputs=(other,))
        assert (code, err) == (0, [])
        assert expected in out[0]
    after = stems(Path("out"))
    assert {k: after[k] for k in before} == before
    assert {name.split("/")[0] for name in after} == {"a", "a-2"}
    if os.name == "posix":  # the same song by another name keeps its folder
        os.symlink("in", "link")
        assert "-> out/a: kept" in run("--skip-existing", inputs=("link/a.wav",))[1][0]


@pytest.mark.parametrize("later_ns", [10**9, 10**12])
def test_a_song_that_is_out_of_reach_keeps_its_folder(run, later_ns):
    """Whatever the time of another one of the same name and size, as of tunes of equal length."""
    assert run("--skip-existing", inputs=("in/a.wav",))[0] == 0
    before = stems(Path("out"))
    time = Path("in/a.wav").stat().st_mtime_ns
    os.rename("in", "away")
    os.utime(write_song(Path("other/a.wav"), seed=8), ns=(time + later_ns,) * 2)
    assert "-> out/a-2: bass" in run("--skip-existing", inputs=("other/a.wav",))[1][0]
    after = stems(Path("out"))
    assert {k: after[k] for k in before} == before
    assert {name.split("/")[0] for name in after} == {"a", "a-2"}
    os.rename("away", "in")
    for song, track in (("in/a.wav", "a"), ("other/a.wav", "a-2")):
        assert f"-> out/{track}: kept" in run("--skip-existing", inputs=(song,))[1][0]


def test_copies_of_a_song_are_told_by_their_folders_after_a_move(run):
    for place in ("all/x/a.wav", "all/y/a.wav"):
        os.utime(write_song(Path(place), seed=8), (1e9, 1e9))
    assert run("--skip-existing", inputs=("all",))[0] == 0
    os.rename("all", "moved")
    out = run("--skip-existing", inputs=("moved",))[1]
    assert out[-1] == "2 songs: 0 separated, 2 done already"
    assert ["out/x/a" in out[0], "out/y/a" in out[1]] == [True, True]
    shutil.rmtree("moved/y")
    shutil.copytree("moved/x", "one/more")
    os.rename("moved", "again")
    out = run("--skip-existing", inputs=("again/x/a.wav", "one/more/a.wav"))[1]
    assert "-> out/x/a: kept" in out[0]
    assert "-> out/a: bass" in out[1]


def test_a_song_that_a_stem_would_replace(run):
    mine = Path("in/a/bass.wav")
    write_song(mine, seed=8)
    before = mine.read_bytes()
    code, _, err = run("--overwrite", "-o", "in", inputs=("in/a.wav", mine))
    assert code == 2
    assert err == [
        f"asteroid-slicq: {mine}: would be replaced by a stem of {Path('in', 'a.wav')} before it "
        "is separated; give the stems another folder"
    ]
    assert mine.read_bytes() == before
    assert sorted(p.name for p in mine.parent.iterdir()) == ["bass.wav"]


def test_names_that_would_steer_a_terminal(run):
    if os.name != "posix":
        pytest.skip("names of files have no control characters elsewhere")
    name = "n\x1b[31mred\nx.wav"
    write_song(Path(name), seed=8)
    code, out, err = run(inputs=(name,))
    assert (code, err, len(out)) == (0, [], 1)
    assert out[0].startswith("n\\x1b[31mred\\nx.wav -> ")


def test_a_record_that_cannot_be_written_is_told(run):
    Path("out", MANIFEST).mkdir(parents=True)
    code, out, err = run()
    assert (code, out[-1]) == (0, "3 songs: 3 separated")
    assert err == [f"asteroid-slicq: {Path('out', MANIFEST)}: cannot be written (Is a directory)"]


class Input:
    """Standard input that is no terminal."""

    closed = False

    def __init__(self, path):
        self.buffer = io.BytesIO(Path(path).read_bytes())

    def isatty(self):
        return False


def test_a_song_on_standard_input(run, monkeypatch, model):
    assert run(inputs=("in/a.wav",))[0] == 0
    for expected in (f"{Path('out', 'my song')}: bass", "kept (done already)"):
        monkeypatch.setattr(sys, "stdin", Input("in/a.wav"))
        options = ("--stdin-name", "my song", "--skip-existing")
        code, out, err = run(*options, inputs=("-",))
        assert (code, err, len(out)) == (0, [], 1)
        assert out[0].startswith("standard input -> ")
        assert expected in out[0]
    assert samples(Path("out/my song/bass.wav")) == samples(Path("out/a/bass.wav"))
    Path("text").write_text("hello")
    monkeypatch.setattr(sys, "stdin", Input("text"))
    code, _, err = run(inputs=("-",))
    assert code == 2
    assert err[0].startswith("asteroid-slicq: standard input: is no audio that can be read")
    Path("nothing").touch()
    monkeypatch.setattr(sys, "stdin", Input("nothing"))
    assert run(inputs=("-",))[2] == ["asteroid-slicq: standard input: is empty (0 bytes)"]


def test_from_python(folder):
    songs(folder / "in")
    options = {"segment_s": 0.5, "stems": ["vocals"], "audio_format": "flac"}
    seen = []
    outcomes = separate_files(
        [folder / "in", "gone.wav"],
        "out",
        Split(),
        progress=lambda job, done_s, total_s: seen.append((job.track, done_s, total_s)),
        **options,
    )
    assert [(o.status, o.job.track, o.stems) for o in outcomes] == [
        ("failed", "", {}),
        *(("done", name, {"vocals": Path("out", name, "vocals.flac")}) for name in "abc"),
    ]
    assert outcomes[0].reason == "gone.wav: no such file or folder"
    assert seen[-1] == ("c", 20_001 / 44100, 20_001 / 44100)
    again = separate_files("in", "out", Split(), skip_existing=True, **options)
    assert {o.status for o in again} == {"kept"}
    assert {o.audio_s for o in again} == {20_001 / 44100}
    with pytest.raises(TypeError, match="nonsense"):
        separate_files("in", "out", Split(), nonsense=1)
    with pytest.raises(ValueError, match="stems must be different names out of"):
        separate_files("in", "out", Split(), stems=["flute"])
    with pytest.raises(ValueError, match="output_dir must be a path"):
        separate_files("in", "", Split())
