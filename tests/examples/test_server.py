"""The service of ``examples/server.py``, by HTTP on the loopback device."""

import importlib.util
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
import requests
import soundfile as sf

from asteroid_slicq.separation import Separable
from tests.helpers import GAINS, ROOT, Split, environment, numpy_noise

pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")
pytestmark = pytest.mark.slow  # each test starts a server
SCRIPT = ROOT / "examples" / "server.py"


@pytest.fixture(scope="module")
def server():
    spec = importlib.util.spec_from_file_location("example_server", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


class Gate(Split, Separable):
    """A model that waits where it is told to."""

    def __init__(self):
        super().__init__()
        self.open, self.n_waiting = threading.Event(), threading.Semaphore(0)
        self.open.set()

    def forward(self, mix):
        self.n_waiting.release()
        assert self.open.wait(300)
        return super().forward(mix)


@pytest.fixture
def model():
    gate = Gate().eval()
    yield gate
    gate.open.set()


@pytest.fixture
def serve(server, model, tmp_path, monkeypatch):
    """A function that starts the service and gives its address."""
    monkeypatch.setattr(server.tempfile, "tempdir", str(tmp_path))

    @contextmanager
    def start(**limits):
        app = server.create_app(model, server.Limits(**limits))
        runner = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        thread = threading.Thread(target=runner.run)
        thread.start()
        while not runner.started:
            assert thread.is_alive()
            time.sleep(0.005)
        port = runner.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}/jobs"
        finally:
            runner.should_exit = True
            thread.join(300)
            assert not thread.is_alive()

    return start


MIX = numpy_noise(20_000, 2, scale=0.1)


def song(mix=MIX, subtype="PCM_24"):
    file = io.BytesIO()
    sf.write(file, mix, 44100, subtype, format="WAV")
    return file.getvalue()


def ended(url):
    report = {}

    def is_ended():
        nonlocal report
        report = requests.get(url).json()
        return report.get("state") not in ("waiting", "running")

    until(is_ended)
    return report


def n_files(folder):
    return sum(len(files) for _, _, files in os.walk(folder))  # folders may go meanwhile


def until(condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def half_sent(jobs):
    """The connection of an upload of which no more comes."""
    host, port = jobs.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), 300) as client:
        client.sendall(b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n")
        client.sendall(song()[:5000])
        yield client


def test_a_song_comes_back_as_stems(serve, tmp_path):
    with serve() as jobs:
        answer = requests.post(jobs, data=song())
        assert answer.status_code == 202
        job = f"{jobs}/{answer.json()['id']}"
        report = ended(job)
        assert report["state"] == "done"
        assert report["progress"] == 1.0
        assert report["stems"] == list(GAINS)
        archive = zipfile.ZipFile(io.BytesIO(requests.get(f"{job}/stems.zip").content))
        assert sorted(archive.namelist()) == sorted(f"{name}.flac" for name in GAINS)
        for name, gain in GAINS.items():
            data = requests.get(f"{job}/stems/{name}").content
            assert data == archive.read(f"{name}.flac")
            np.testing.assert_allclose(sf.read(io.BytesIO(data))[0], gain * MIX, atol=3e-7)
        assert requests.delete(job).status_code == 204
        assert requests.get(job).status_code == 404
        assert n_files(tmp_path) == 0


def test_threads_share_the_model(serve):
    with serve(threads=2) as jobs:
        posted = [requests.post(jobs, data=song(MIX * scale)).json() for scale in (1.0, -0.5)]
        for scale, one in zip((1.0, -0.5), posted, strict=True):
            job = f"{jobs}/{one['id']}"
            assert ended(job)["state"] == "done"
            data = requests.get(f"{job}/stems/vocals").content
            expected = scale * GAINS["vocals"] * MIX
            np.testing.assert_allclose(sf.read(io.BytesIO(data))[0], expected, atol=3e-7)


def test_a_full_queue_says_when_to_come_back(serve, model):
    model.open.clear()
    with serve(unfinished=2) as jobs:
        first, second = (requests.post(jobs, data=song()).json() for _ in range(2))
        refused = requests.post(jobs, data=song())
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert requests.get(f"{jobs}/{second['id']}").json()["state"] == "waiting"
        assert requests.get(f"{jobs}/{second['id']}/stems.zip").status_code == 409
        model.open.set()
        assert {ended(f"{jobs}/{one['id']}")["state"] for one in (first, second)} == {"done"}
        assert requests.post(jobs, data=song()).status_code == 202


@pytest.mark.parametrize("chunked", [False, True])
def test_uploads_are_limited(serve, tmp_path, chunked):
    data = song()
    with serve(upload_bytes=len(data) - 1) as jobs:
        body = iter([data[:5000], data[5000:]]) if chunked else data
        assert requests.post(jobs, data=body).status_code == 413
        assert n_files(tmp_path) == 0
        assert requests.post(jobs, data=song(MIX[:9000])).status_code == 202


def test_a_slow_upload_gives_its_place_back(serve, tmp_path):
    with serve(upload_s=0.5, unfinished=1) as jobs:
        with half_sent(jobs) as client:
            assert client.recv(2**16).startswith(b"HTTP/1.1 408 ")
        assert n_files(tmp_path) == 0
        status = 408
        while status == 408:  # which this one may be, too, where the machine is slow
            status = requests.post(jobs, data=song()).status_code
        assert status == 202


def test_an_upload_that_is_broken_off_gives_its_place_back(serve, tmp_path):
    with serve(unfinished=1) as jobs:
        with half_sent(jobs):
            until(lambda: n_files(tmp_path) == 1)
        until(lambda: n_files(tmp_path) == 0)
        assert requests.post(jobs, data=song()).status_code == 202


@pytest.mark.parametrize(
    ("body", "says"), [(b"", "empty"), (b"no song" * 99, "the song"), (song()[:30_000], "the song")]
)
def test_what_is_no_song_is_refused_without_a_path(serve, tmp_path, body, says):
    with serve() as jobs:
        answer = requests.post(jobs, data=body)
        assert answer.status_code == 422
        assert says in answer.json()["detail"]
        assert str(tmp_path) not in answer.text
        assert n_files(tmp_path) == 0


def test_a_form_is_refused_with_what_to_send(serve):
    with serve() as jobs:
        answer = requests.post(jobs, files={"file": song()})
        assert answer.status_code == 415
        assert "curl -T" in answer.json()["detail"]


def test_long_songs_are_refused_whether_they_say_so_or_not(serve, server, monkeypatch, tmp_path):
    with serve(song_s=0.4) as jobs:
        answer = requests.post(jobs, data=song())
        assert answer.status_code == 422
        assert answer.json()["detail"] == "the song is longer than 0.4 s"
        monkeypatch.setattr(server, "check", lambda *_: None)
        report = ended(f"{jobs}/{requests.post(jobs, data=song()).json()['id']}")
        assert report["state"] == "failed"
        assert report["error"] == "the song is longer than 0.4 s"
        until(lambda: n_files(tmp_path) == 0)


def test_an_error_of_the_model_stays_in_the_log(serve, model, tmp_path, caplog):
    model.error = RuntimeError("secret")
    with serve() as jobs:
        report = ended(f"{jobs}/{requests.post(jobs, data=song()).json()['id']}")
    assert report["state"] == "failed"
    assert report["error"] == "it went wrong"
    assert "secret" in caplog.text
    assert n_files(tmp_path) == 0


@pytest.mark.parametrize("path", ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "x/stems.zip"])
def test_what_a_client_sends_is_never_a_path(serve, path):
    with serve() as jobs:
        done = requests.post(jobs, data=song()).json()["id"]
        ended(f"{jobs}/{done}")
        for url in (f"{jobs}/{path}", f"{jobs}/{done}/stems/{path}"):
            request = requests.Request("GET", url).prepare()
            request.url = url  # as it is, with its dots
            assert requests.Session().send(request).status_code == 404


def test_a_running_job_stops_when_it_is_removed(serve, model, tmp_path):
    model.open.clear()
    with serve() as jobs:
        job = f"{jobs}/{requests.post(jobs, data=song()).json()['id']}"
        assert model.n_waiting.acquire(timeout=300)
        assert requests.delete(job).status_code == 204
        model.open.set()
        until(lambda: n_files(tmp_path) == 0)
        again = f"{jobs}/{requests.post(jobs, data=song()).json()['id']}"
        assert ended(again)["state"] == "done"


def test_files_are_removed_after_their_time_and_the_oldest_where_there_are_many(serve, tmp_path):
    with serve(kept_s=0.2) as jobs:
        job = f"{jobs}/{requests.post(jobs, data=song()).json()['id']}"
        ended(job)
        until(lambda: requests.get(job).status_code == 404)
        until(lambda: n_files(tmp_path) == 0)
    with serve(kept=1) as jobs:
        posted = [f"{jobs}/{requests.post(jobs, data=song()).json()['id']}" for _ in range(2)]
        [ended(job) for job in posted]
        posted.append(f"{jobs}/{requests.post(jobs, data=song()).json()['id']}")
        assert [requests.get(job).status_code for job in posted] == [404, 200, 200]


def test_the_end_stops_what_runs_and_what_waits(serve, model, tmp_path):
    model.open.clear()
    with serve() as jobs:
        for _ in range(2):
            requests.post(jobs, data=song())
        assert model.n_waiting.acquire(timeout=300)

        def open_once_removed():
            until(lambda: n_files(tmp_path) == 0)
            model.open.set()

        threading.Thread(target=open_once_removed).start()
    assert not model.n_waiting.acquire(blocking=False)
    assert list(tmp_path.iterdir()) == []


def test_the_script_ends_by_a_signal_and_leaves_nothing(tmp_path):
    (tmp_path / "tmp").mkdir()
    with subprocess.Popen(
        [sys.executable, SCRIPT, "--port", "0", "--threads", "2"],
        env=environment() | {"TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = next(line for line in process.stderr if "running on" in line)
            jobs = line.split("running on ")[1].split()[0] + "/jobs"
            report = ended(f"{jobs}/{requests.post(jobs, data=song()).json()['id']}")
            assert sorted(report["stems"]) == sorted(GAINS)
            assert n_files(tmp_path) == 5
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=300)
            assert list((tmp_path / "tmp").iterdir()) == []
        finally:
            process.kill()
