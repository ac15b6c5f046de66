"""The page as a process that serves, in a folder with secrets and behind a proxy that listens."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection
from importlib.util import find_spec
from random import randrange

import pytest

from tests.helpers import ROOT, environment

SECRET = "a secret of this folder"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


def needs(**missing):
    """Marks of tests that skip where something is missing.

    Args:
        missing: by name, whether it is; modules need not be named.
    """
    absent = [name for name in ("gradio", "playwright") if find_spec(name) is None]
    absent += [name for name, is_missing in missing.items() if is_missing]
    skips = bool(absent) and not os.environ.get("SLICQ_REQUIRE_BROWSER")
    return [pytest.mark.slow, pytest.mark.skipif(skips, reason=f"no {', '.join(absent)}")]


def free_port():
    """A port that no connection gets by chance until the server listens on it: those are higher."""
    while True:
        with (
            suppress(OSError),
            socket.create_server(("127.0.0.1", randrange(10_000, 30_000))) as it,
        ):
            return it.getsockname()[1]


class Page:
    """The server and its address."""

    def __init__(self, folder, process, port, proxy):
        self.folder, self.process, self.port, self.proxy = folder, process, port, proxy
        self.url = f"http://127.0.0.1:{port}/"

    def ask(self, method, path, body=None, **headers):
        """Send a path as it is, which other clients would tidy up."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.putrequest(method, path, skip_host=False)
        for name, value in {"Content-Length": str(len(body or b"")), **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body)
        response = connection.getresponse()
        answer = response.status, response.read(2**20)
        connection.close()
        return answer

    @property
    def songs(self):
        """Folders of songs that it holds."""
        folders = (self.folder / "tmp").glob(".asteroid-slicq-demo-*/*/")
        return [folder for folder in folders if folder.name != "gradio"]

    def forgets(self):
        """Whether all songs go soon."""
        deadline = time.monotonic() + 120
        while self.songs and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.songs


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The server, one for each module of tests."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "tmp").mkdir()
    (folder / ".hidden").write_text(SECRET)
    (folder / "private.txt").write_text(SECRET)
    (folder / "link.txt").symlink_to("/etc/passwd")
    port = free_port()
    options = ["--max-minutes", "0.5", "--max-mb", "4"]
    options += ["--model", "default", "--model", "free-stems"]
    # That of the Space, whose settings later ones overrule.
    command = [sys.executable, str(ROOT / "recipes" / "space" / "app.py")]
    command += ["--host", "127.0.0.1", "--port", str(port), *options]
    with (
        socket.create_server(("127.0.0.1", 0)) as proxy,  # by which all that it sends would go
        (folder / "tmp" / "errors").open("w") as errors,
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment()
            | {"TMPDIR": str(folder / "tmp"), "NO_PROXY": "localhost,127.0.0.1"}
            | dict.fromkeys(PROXIES, f"http://127.0.0.1:{proxy.getsockname()[1]}"),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            line = process.stdout.readline()
            assert f"http://127.0.0.1:{port}/" in line, (folder / "tmp" / "errors").read_text()
            yield Page(folder, process, port, proxy)
        finally:
            process.kill()
