"""Facts about songs that workers share: every one is done, once, whoever is killed meanwhile."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from asteroid_slicq.jobs import Job, Work, local_crew, ray_crew, separate_files
from asteroid_slicq.jobs.crew import CrewError, Event, separate_by_crew
from asteroid_slicq.jobs.work import Outcome, Task
from asteroid_slicq.separation import FileOutput, Separator
from tests.helpers import Split, environment
from tests.jobs.helpers import Deadly, Held, songs, stems, write_deadly_song, write_song


class Script:
    """A crew whose workers answer, or die, as a script says: by song, what becomes of attempts."""

    def __init__(self, fates, false_starts=0, is_crowded=False):
        self.fates, self.false_starts, self.is_crowded = fates, false_starts, is_crowded
        self.waiting, self.given, self.n_hired = deque(), [], 0

    def hire(self):
        self.n_hired += 1
        fate = "ready"
        if self.false_starts:
            self.false_starts -= 1
            fate = "died"
        self.waiting.append(Event(self.n_hired, fate, reason="exit code 1"))
        return self.n_hired

    def give(self, worker, task):
        self.given.append((worker, task.job.track, task.attempt, task.resumes))
        if next(self.fates.get(task.job.track, iter(())), "lives") == "dies":
            event = Event(worker, "died", reason="signal 9", is_crowded=self.is_crowded)
        else:
            event = Event(worker, "outcome", outcome=Outcome(task.job, "done"))
        self.waiting.append(event)

    def events(self):
        assert self.waiting, "everybody waits"
        yield self.waiting.popleft()


def tasks(names="abcd"):
    return [Task(Job(Path(f"{name}.wav"), name)) for name in names]


def test_every_song_is_given_to_one_worker():
    crew = Script({})
    assert sorted(o.job.track for o in separate_by_crew(crew, tasks(), 3)) == list("abcd")
    assert (len(crew.given), crew.n_hired) == (4, 3)


@pytest.mark.parametrize(("is_crowded", "n_hired"), [(False, 3), (True, 2)])
def test_a_song_whose_worker_dies_is_done_again_at_the_end(is_crowded, n_hired):
    crew = Script({"a": iter(["dies"])}, is_crowded=is_crowded)
    outcomes = list(separate_by_crew(crew, tasks(), 2))
    assert [(o.job.track, o.status) for o in outcomes] == [(x, "done") for x in "bcda"]
    assert crew.given[-1][1:] == ("a", 2, True)
    assert crew.n_hired == n_hired


def test_a_song_that_kills_its_workers_fails():
    crew = Script({"a": iter(["dies"] * 9)}, is_crowded=True)
    outcomes = {o.job.track: o for o in separate_by_crew(crew, tasks("ab"), 1)}
    assert outcomes["b"].status == "done"
    assert (outcomes["a"].status, outcomes["a"].cause) == ("failed", "process")
    assert outcomes["a"].reason == "a.wav: its worker ended 2 times (signal 9)"


def test_workers_that_do_not_start():
    assert len(list(separate_by_crew(Script({}, false_starts=2), tasks(), 2))) == 4
    with pytest.raises(CrewError, match=r"no worker starts \(exit code 1\)"):
        list(separate_by_crew(Script({}, false_starts=99), tasks(), 2))


class Cluster(SimpleNamespace):
    """As much of Ray as a crew asks before it hires."""

    def __init__(self, **resources):
        super().__init__(cluster_resources=lambda: resources, put=len)


@pytest.mark.parametrize(
    ("resources", "asked", "n_workers", "each", "where"),
    [
        ({"CPU": 8.0}, {}, 8, {"num_cpus": 1}, "cpu"),
        ({"CPU": 8.0}, {"n_threads": 3}, 2, {"num_cpus": 3}, "cpu"),
        ({"CPU": 8.0}, {"n_workers": 5}, 5, {"num_cpus": 1}, "cpu"),
        ({"CPU": 8.0, "GPU": 2.0}, {}, 2, {"num_cpus": 0, "num_gpus": 1.0}, "cuda"),
        ({"CPU": 8.0, "GPU": 2.0}, {"n_workers": 4}, 4, {"num_gpus": 0.5}, "cuda"),
        ({"CPU": 8.0, "GPU": 2.0}, {"n_workers": 3}, 3, {"num_gpus": 0.5}, "cuda"),
        ({"CPU": 8.0, "GPU": 2.0}, {"device": "cpu"}, 8, {"num_cpus": 1}, "cpu"),
    ],
)
def test_what_workers_of_a_cluster_get(monkeypatch, resources, asked, n_workers, each, where):
    monkeypatch.setattr(ray_crew, "_import_ray", lambda: Cluster(**resources))
    asked = {"n_threads": None, "n_workers": None, "device": None} | asked
    work = Work(Separator(Split(), device=asked.pop("device")), FileOutput(), Path("out"))
    crew = ray_crew.RayCrew(work, **asked)
    assert crew.n_workers == n_workers
    assert crew._options.items() >= each.items()
    assert crew._arguments[-1] == where


def test_a_cluster_without_room(monkeypatch):
    monkeypatch.setattr(ray_crew, "_import_ray", lambda: Cluster(CPU=2.0))
    work = Work(Separator(Split()), FileOutput(), Path("out"))
    with pytest.raises(CrewError, match="no worker of 4 processors free"):
        ray_crew.RayCrew(work, 4, None)


class Gone:
    """A pipe whose other end goes after a number of messages were read."""

    def __init__(self, n_read, error):
        work = pickle.dumps(SimpleNamespace(do=print))
        self.messages = [(work, torch.get_num_threads())][:n_read]
        self.error, self.sent = error, []

    def recv(self):
        if not self.messages:
            raise self.error
        return self.messages.pop()

    def send(self, message):
        if isinstance(self.error, BrokenPipeError):
            raise self.error
        self.sent.append(message["kind"])


@pytest.mark.parametrize(
    "error",
    [EOFError(), ConnectionResetError(), BrokenPipeError(), OSError("end of file in a message")],
    ids=repr,
)
@pytest.mark.parametrize("n_read", [0, 1])
def test_a_worker_whose_parent_is_gone_ends_in_silence(monkeypatch, error, n_read):
    monkeypatch.setattr(local_crew, "become_worker", lambda: None)
    codes = []
    monkeypatch.setattr(local_crew.os, "_exit", codes.append)
    pipe = Gone(n_read, error)
    local_crew._serve(pipe)
    assert codes == [0]
    assert pipe.sent == ["ready"] * (n_read == 1 and not isinstance(error, BrokenPipeError))


# The rest starts processes.


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are another matter there")
@pytest.mark.parametrize(("n_deaths", "status"), [(1, "done"), (2, "failed")])
def test_a_process_that_is_killed(folder, n_deaths, status):
    songs(folder / "in", 4)
    write_deadly_song(folder / "in" / "b.wav")
    deaths = folder / "deaths"
    deaths.mkdir()
    options = {"segment_s": 0.5}
    assert len(separate_files("in", "expected", Deadly(deaths), **options)) == 4
    for number in range(n_deaths):
        (deaths / str(number)).touch()
    outcomes = separate_files("in", "out", Deadly(deaths), n_jobs=2, **options)
    expected = {"a": "done", "b": status, "c": "done", "d": "done"}
    assert {o.job.track: o.status for o in outcomes} == expected
    assert not list(deaths.iterdir())
    wanted = stems(Path("expected"))
    if status == "failed":
        (reason,) = (o.reason for o in outcomes if o.status == "failed")
        assert "its worker ended 2 times (killed, most likely for want of memory" in reason
        wanted = {name: data for name, data in wanted.items() if name[0] != "b"}
        assert separate_files("in", "out", Deadly(deaths), skip_existing=True, **options)
        wanted = stems(Path("expected"))
    assert stems(Path("out")) == wanted
    assert not list(folder.rglob("*.part"))


RUN = """
import sys
from pathlib import Path
from asteroid_slicq.cli import main, model_choice
from tests.jobs.helpers import Held

model_choice.load_default_model = lambda: Held(Path("hold"))
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


def children(pid):
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for children in /proc")
@pytest.mark.parametrize(
    ("name", "n_done"),
    [("INT", 1), ("KILL", 1), pytest.param("INT", 0, id="INT, while its processes start")],
)
def test_a_run_that_is_stopped_goes_on_where_it_was(folder, name, n_done):
    songs(folder / "in", 4)
    write_song(folder / "in" / "a.wav", scale=0.001)  # the only one that the model does at first
    (folder / "hold").touch()
    (folder / "run.py").write_text(RUN)
    options = ("-o", "out", "--jobs", "2", "--segment-seconds", "0.5")
    command = [sys.executable, "-W", "ignore", "run.py", "separate", "in", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), start_new_session=True, **pipes) as process:
        if n_done:
            assert b"a.wav -> " in process.stdout.readline()
        while len(children(process.pid)) < 3:  # of which one tracks resources
            assert process.poll() is None
            time.sleep(0.01)
        workers = children(process.pid)
        os.killpg(process.pid, signal.SIGINT) if name == "INT" else process.kill()
        assert process.wait(300) == {"INT": 130, "KILL": -9}[name]
        err = process.stderr.read().decode()  # until the last of them has ended
    until = time.monotonic() + 300
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, workers))
    assert err == ("asteroid-slicq: interrupted\n" if name == "INT" else "")
    if name == "INT":
        assert not list(folder.rglob("*.part"))
    assert len(list(Path("out").glob("*/bass.wav"))) == n_done
    (folder / "hold").unlink()
    done = subprocess.run([*command, "--skip-existing"], env=environment(), **pipes)
    assert (done.returncode, done.stderr) == (0, b"")
    told = f"4 songs: {4 - n_done} separated" + f", {n_done} done already" * n_done
    assert done.stdout.decode().splitlines()[-1] == told
    separate_files("in", "expected", Held(folder / "hold"), segment_s=0.5)
    assert stems(Path("out")) == stems(Path("expected"))
    assert not list(folder.rglob("*.part"))
