"""Facts about the process of a command: standard streams that are not there, and how it ends."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.cli import main, model_choice, process
from asteroid_slicq.cli.process import Signals
from tests.helpers import GAINS, Split, environment, numpy_noise

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are another matter there")
SEPARATE = ["separate", "song.wav", "-o", "out", "--segment-seconds", "0.5"]
ALL = ["out", "out/song", *(f"out/song/{name}.wav" for name in sorted(GAINS)), "song.wav"]


class Signalled(Split):
    """A model while which signals come; a library may make anything of the exception."""

    numbers, swallows = (), False

    def forward(self, mix):
        try:
            for number in self.numbers:
                os.kill(os.getpid(), number)
        except KeyboardInterrupt as error:
            if self.swallows:
                raise RuntimeError("recursion") from error
            raise
        return super().forward(mix)


@pytest.fixture
def model(monkeypatch):
    model = Signalled()
    monkeypatch.setattr(model_choice, "load_default_model", lambda: model)
    return model


@pytest.fixture
def song(folder):
    sf.write(folder / "song.wav", numpy_noise(50_000, 2, scale=0.1), 44100)
    return folder


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_separation_without_standard_error(song, model, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    assert main([*SEPARATE, "no.wav"]) == 2  # which nobody is told
    assert tree(song) == ALL
    assert capsys.readouterr().out.startswith("song.wav -> ")
    assert sys.stderr is None


def test_streams_that_fail_do_not_stop_the_work(song, model, monkeypatch):
    ours, theirs = os.pipe()
    os.close(ours)  # as `| head -1` does after a line
    shutil.copy("song.wav", "b.wav")
    with os.fdopen(theirs, "w") as stdout, open("/dev/full", "w") as stderr:
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setattr(sys, "stderr", stderr)
        assert main([*SEPARATE, "b.wav", "no.wav"]) == 2
    assert len(list((song / "out").glob("*/*.wav"))) == 8


def test_results_that_cannot_be_printed_are_told(song, model, monkeypatch, capsys):
    with open("/dev/full", "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(SEPARATE) == 2
    words = "asteroid-slicq: standard output: cannot be written (No space left on device)\n"
    assert capsys.readouterr().err == words


@pytest.mark.parametrize("swallows", [False, True])
@pytest.mark.parametrize("name", ["INT", "HUP", "QUIT", "TERM", "USR1", "XCPU"])
def test_a_signal_ends_a_command_and_nothing_is_left(song, model, capsys, request, name, swallows):
    number = getattr(signal, f"SIG{name}")
    before = signal.default_int_handler if name == "INT" else signal.SIG_DFL
    found = signal.signal(number, before)  # that of the tests is another one under nohup
    request.addfinalizer(lambda: signal.signal(number, found))
    # A terminal that is closed sends several.
    model.numbers, model.swallows = (number, signal.SIGCONT, number, signal.SIGHUP), swallows
    assert main(SEPARATE) == 128 + number
    assert tree(song) == ["song.wav"]
    end = "interrupted" if name == "INT" else f"ended by SIG{name}"
    err = capsys.readouterr().err
    assert swallows or err == f"asteroid-slicq: {end}\n"
    assert signal.getsignal(number) is before


def end_twice(signals, steps):
    with signals.caught():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("removed")


def test_signals_that_come_while_files_are_removed_change_nothing(monkeypatch):
    monkeypatch.setattr(process, "_SAME_END_S", 3600.0)  # however slow the machine
    signals, steps = Signals(), []
    with pytest.raises(KeyboardInterrupt):
        end_twice(signals, steps)
    assert steps == ["removed"]
    assert signals.received == signal.SIGTERM


def test_what_is_ignored_stays_ignored(song, model):
    """As ``nohup`` ignores SIGHUP, and a shell SIGINT for what it starts in the background."""
    previous = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGHUP, signal.SIGINT)}
    try:
        model.numbers = tuple(previous)
        assert main(SEPARATE) == 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    assert tree(song) == ALL


# The rest runs as a process of its own, which takes some seconds each.

STEPWISE = """
import sys
from asteroid_slicq.cli import main, model_choice
from tests.helpers import Split

class Stepwise(Split):
    def forward(self, mix):
        print("busy", flush=True)
        sys.stdin.readline()
        return super().forward(mix)

model_choice.load_default_model = Stepwise
sys.exit(main(sys.argv[1:]))
"""
"""Separates a segment for each line of its input, and all that are left at its end."""


def start(*argv, **options):
    command = [sys.executable, "-W", "ignore", *argv]
    return subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, **options)


@pytest.mark.slow
def test_the_next_run_removes_what_a_killed_one_left(song):
    sf.write("song.wav", numpy_noise(200_000, 2, scale=0.1), 44100)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with start("-c", STEPWISE, *SEPARATE, **pipes) as killed:
        for _ in range(3):
            assert killed.stdout.readline() == b"busy\n"
            killed.stdin.write(b"\n")
            killed.stdin.flush()
        assert killed.stdout.readline() == b"busy\n"
        killed.kill()
    left = set(tree(song)) - {"out", "out/song", "song.wav"}
    assert len(left) == 4
    (song / "out" / "song" / ".mine.part").write_text("not ours")
    with start("-c", STEPWISE, *SEPARATE, **pipes) as one:
        assert one.stdout.readline() == b"busy\n"
        assert not left & set(tree(song))
        nothing = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        with start("-c", STEPWISE, *SEPARATE, **nothing) as other:
            assert other.wait() == 0  # neither takes the other's for left over
        one.communicate()
        assert one.returncode == 2  # and what the other wrote is not replaced
    assert set(tree(song)) == {*ALL, "out/song/.mine.part"}


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_a_process_without_standard_streams(song, closed):
    command = f'exec "{sys.executable}" -m asteroid_slicq {" ".join(SEPARATE)} {closed}'
    done = subprocess.run(["sh", "-c", command], env=environment(), timeout=600)
    assert done.returncode == 0
    assert tree(song) == ALL
    for path in (song / "out" / "song").iterdir():
        assert sf.info(path).frames == 50_000


# Of a process that runs the program: the number of its imports, or an interruption at one of them.
IMPORTS = """
import atexit, os, signal, sys
from pathlib import Path

class Imports:
    n = 0

    def find_spec(self, name, path=None, target=None):
        if self.n or name.startswith("asteroid_slicq."):
            self.n += 1
            if self.n == int(os.environ["INTERRUPTED_IMPORT"]):
                os.kill(os.getpid(), signal.SIGINT)

imports = Imports()
sys.meta_path.insert(0, imports)
atexit.register(lambda: Path("imports").write_text(str(imports.n)))
"""


@pytest.mark.slow
def test_an_interruption_while_it_starts_is_silent(song, monkeypatch):
    """Whatever is loaded at that moment: exit code 130 and no traceback."""
    (song / "sitecustomize.py").write_text(IMPORTS)
    monkeypatch.setenv("PYTHONPATH", str(song))

    def run(number):
        monkeypatch.setenv("INTERRUPTED_IMPORT", str(number))
        process = start("-m", "asteroid_slicq", *SEPARATE[:4], stdout=subprocess.DEVNULL)
        err = process.communicate(timeout=300)[1].decode()
        return process.returncode, err.removesuffix("asteroid-slicq: interrupted\n")

    assert run(0) == (0, "")  # none
    shutil.rmtree("out")
    n_imports = int((song / "imports").read_text())
    assert n_imports > 500
    for number in np.linspace(1, n_imports - 10, 11, dtype=int):
        assert run(number) == (130, ""), number
        assert not (song / "out").exists()


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def ignores(pid, number):
    (mask,) = re.findall(r"SigIgn:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for children in /proc")
@pytest.mark.parametrize("moment", ["start", "work"])
@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_processes_that_share_the_work_end_with_it(folder, name, moment):
    """They give up the songs that they are at, in silence, and leave nothing of them."""
    words = ["synth", "data", "--tracks", "4", "--seconds", "600", "--jobs", "2"]
    process = start("-m", "asteroid_slicq", *words, start_new_session=True)
    while len(children(process.pid)) < 3:  # of which one tracks resources
        assert process.poll() is None
        time.sleep(0.01)
    while moment == "work" and not all(ignores(c, signal.SIGINT) for c in children(process.pid)):
        assert process.poll() is None
        time.sleep(0.01)
    number = getattr(signal, f"SIG{name}")
    if name == "INT":
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    err = process.communicate(timeout=300)[1].decode()
    end = "interrupted" if name == "INT" else f"ended by SIG{name}"
    assert (process.returncode, err) == (128 + number, f"asteroid-slicq: {end}\n")
    assert [path for path in folder.rglob("*") if path.suffix in (".part", ".wav")] == []
