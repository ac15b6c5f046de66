"""What the page keeps to itself: files of the server, and that it was there at all."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.demo.serving import SECRET, needs

pytestmark = needs()
LISTENS = "0A"  # as /proc notes it
PASSWORDS = Path("/etc/passwd").read_bytes().splitlines()[0]
ROUTES = """
import gradio
from gradio.routes import App
with gradio.Blocks(analytics_enabled=False) as blocks:
    gradio.HTML("")
blocks.queue()
blocks.config = blocks.get_config_file()
waiting = list(App.create_app(blocks).routes)
for route in waiting:
    waiting += getattr(getattr(route, "original_router", None), "routes", [])
    for method in getattr(route, "methods", None) or ():
        print(method, route.path)
"""


def routes():
    """Method and path of all that Gradio answers, with a mark for what a client fills in."""
    command = [sys.executable, "-W", "ignore", "-c", ROUTES]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        method, _, path = line.partition(" ")
        yield method, re.sub(r"{[^}]*}", "@", path)


def test_no_file_of_the_server_can_be_read(page):
    own = [f"/songs/@/{name}" for name in ("@.wav", "sound/@", "levels/@", "stems.zip")]
    paths = {*routes(), *(("GET", path) for path in ["/@", "/file=@", *own])}
    assert ("GET", "/gradio_api/file=@") in paths
    assert len(paths) > 60
    here = str(page.folder)
    relative = "../" * 12 + "etc/passwd"
    targets = ["/etc/passwd", relative, relative.replace("../", "%2e%2e%2f"), "....//" + relative]
    targets += ["private.txt", ".hidden", "link.txt", f"{here}/.hidden", f"{here}/link.txt"]
    targets += ["file:///etc/passwd", "%2fetc%2fpasswd", "..\\..\\private.txt"]
    for method, path in sorted(paths):
        if method == "GET" and re.search("queue/data|heartbeat", path):
            continue  # streams that end with their session
        for target in targets if "@" in path else [""]:
            _, body = page.ask(method, path.replace("@", target))
            assert SECRET.encode() not in body, (method, path, target)
            assert PASSWORDS not in body, (method, path, target)


def test_no_file_is_read_for_what_an_event_names(page):
    with urllib.request.urlopen(f"{page.url}config") as response:
        config = json.load(response)
    (separate,) = config["dependencies"]
    file = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    join = {"fn_index": separate["id"], "trigger_id": separate["targets"][0][0]}
    names = {"ticket": "../../private.txt", "model": "/etc/passwd"}
    for data, event in (([], names), ([file], names), ([], names | {"ticket": file})):
        body = {**join, "session_hash": "abc", "data": data, "event_data": event}
        content = json.dumps(body).encode()
        page.ask("POST", "/gradio_api/queue/join", content, Content_Type="application/json")
        _, answer = page.ask("GET", "/gradio_api/queue/data?session_hash=abc")
        assert PASSWORDS not in answer
        assert SECRET.encode() not in answer
        assert b"These stems are gone" in answer or b"cannot be accessed" in answer
    assert str(page.folder).encode() not in page.ask("GET", "/config")[1]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is another matter there")
def test_it_listens_on_this_machine_alone(page):
    """The only socket that waits for connections on the port has the address 127.0.0.1."""
    tables = Path(f"/proc/{page.process.pid}/net").glob("tcp*")  # tcp6, too, where there is one
    sockets = [line.split() for table in tables for line in table.read_text().splitlines()]
    bound = [local for _, local, _, state, *_ in sockets if state == LISTENS]
    port = f"{page.port:04X}"
    number = int.from_bytes(socket.inet_aton("127.0.0.1"), sys.byteorder)
    assert [local for local in bound if local.endswith(f":{port}")] == [f"{number:08X}:{port}"]
    with pytest.raises(OSError, match="refused"):  # another address of the same machine
        socket.create_connection(("127.0.0.2", page.port), 2)


def test_the_server_sends_nothing_elsewhere(page):
    page.proxy.setblocking(False)
    with pytest.raises(BlockingIOError):  # nobody has come
        page.proxy.accept()


def test_ctrl_c_ends_it_and_nothing_stays(page):
    """The last of this file: it ends the server."""
    content = b"x" * 1000
    assert page.ask("POST", "/songs?name=left.wav", content, X_Song="1")[0] == 200
    assert len(page.songs) == 1
    assert oct(page.songs[0].parent.stat().st_mode)[-3:] == "700"
    page.process.send_signal(signal.SIGINT)
    assert page.process.wait(timeout=300) == 130
    errors = (page.folder / "tmp" / "errors").read_text()
    assert errors.endswith("asteroid-slicq: interrupted\n")
    assert "ASGI" not in errors
    assert [path.name for path in (page.folder / "tmp").iterdir()] == ["errors"]
    left = sorted(path.name for path in page.folder.iterdir())
    assert left == [".hidden", "link.txt", "private.txt", "tmp"]
