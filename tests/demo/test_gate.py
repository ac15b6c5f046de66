"""The gate of the page: what passes, and what it answers itself."""

import asyncio
import json
import time

import pytest

from asteroid_slicq.demo.gate import Gate
from tests.demo.conftest import wav

PASSES = [
    "GET /",
    "HEAD /",
    "GET /config",
    "GET /theme.css",
    "GET /assets/index.js",
    "GET /static/img/x.png",
    "GET /gradio_api/heartbeat/abc123",
    "GET /gradio_api/queue/data",
    "POST /gradio_api/queue/join",
]
STAYS_OUT = [
    "GET /gradio_api/file=/etc/passwd",
    "GET /gradio_api/file/etc/passwd",
    "GET /file=/etc/passwd",
    "GET /gradio_api/proxy=https://example.org/",
    "GET /gradio_api/file=https://example.org/",
    "GET /assets/../../../../etc/passwd",
    "GET /assets/..%2f..",
    "GET /static/..\\..",
    "POST /gradio_api/upload",
    "POST /gradio_api/component_server",
    "POST /gradio_api/run/predict",
    "POST /gradio_api/call/separate",
    "GET /gradio_api/info",
    "GET /gradio_api/runs",
    "GET /monitoring",
    "POST /login",
    "DELETE /",
    "GET /songsx",
]


@pytest.fixture
def ask(settings, songs):
    """Send a request; status and body of the response, which is 299 where it passed."""

    async def passed(scope, receive, send):
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    gate = Gate(passed, settings, songs)

    def ask(request, content=b"", **headers):
        method, _, target = request.partition(" ")
        path, _, query = target.partition("?")
        messages = iter([{"type": "http.request", "body": content, "more_body": False}])
        sent = []

        async def receive():
            return next(messages, {"type": "http.disconnect"})

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        }
        asyncio.run(gate(scope, receive, send))
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], body

    return ask


@pytest.mark.parametrize("request_", PASSES)
def test_the_page_and_its_queue_pass(ask, request_):
    assert ask(request_)[0] == 299


@pytest.mark.parametrize("request_", STAYS_OUT)
def test_all_else_is_not_there(ask, request_):
    assert ask(request_)[0] == 404


def test_a_song_goes_in_and_its_stems_come_out(ask, workshop, tmp_path):
    content = wav(tmp_path / "song", 16_000, rate=8000)
    assert ask("POST /songs?name=from_elsewhere.wav", content)[0] == 403
    status, body = ask("POST /songs?name=My%20s%C3%B6ng.wav", content, x_song="1")
    assert status == 200
    ticket = json.loads(body)["ticket"]
    assert json.loads(body)["name"] == "My söng.wav"
    assert ask(f"GET /songs/{ticket}/sound/0")[0] == 404  # not yet
    list(workshop.separate(ticket, "split"))
    assert len(ask(f"GET /songs/{ticket}/sound/0")[1]) == 5 * 2 * 2 * 16_000
    assert len(ask(f"GET /songs/{ticket}/levels/vocals")[1]) == 96 * 720
    for name in ("vocals.wav", "remix.wav?vocals=1"):
        assert ask(f"GET /songs/{ticket}/{name}")[1].startswith(b"RIFF")
    assert ask(f"GET /songs/{ticket}/stems.zip")[1].startswith(b"PK")
    absent = ("mix.wav", "upload", "..%2fupload.wav", "sound/9", "sound/-1", "levels/x", "x")
    for name in (*absent, "remix.wav?vocals=much", "remix.wav?mix=nan", "remix.wav?/etc/passwd=1"):
        assert ask(f"GET /songs/{ticket}/{name}")[0] == 404, name
    assert ask(f"GET /songs/{ticket}/")[0] == 204
    assert ask(f"POST /songs/{ticket}/stop")[0] == 204
    status, body = ask(f"GET /songs/{ticket}/vocals.wav")
    assert status == 404
    assert "These stems are gone" in json.loads(body)["error"]


@pytest.mark.parametrize("is_claimed", [True, False])
def test_a_song_stays_once_the_page_has_asked_for_it(ask, tmp_path, monkeypatch, is_claimed):
    now = time.monotonic()
    _, body = ask("POST /songs?name=a.wav", wav(tmp_path / "song"), x_song="1")
    ticket = json.loads(body)["ticket"]
    if is_claimed:
        assert ask(f"GET /songs/{ticket}/")[0] == 204
    monkeypatch.setattr(time, "monotonic", lambda: now + 45)
    ask("POST /songs?name=b.wav", b"x", x_song="1")
    assert ask(f"GET /songs/{ticket}/")[0] == (204 if is_claimed else 404)


@pytest.mark.parametrize(
    ("content", "headers", "status", "error"),
    [
        (b"", {}, 400, "a.wav is empty (0 bytes)."),
        (b"x" * 1_000_001, {}, 413, "a.wav is larger than 1 MB, which is what this page takes."),
        (b"", {"content_length": "1000001"}, 413, "a.wav is larger than 1 MB"),
    ],
)
def test_uploads_that_are_refused_leave_nothing(ask, songs, content, headers, status, error):
    got, body = ask("POST /songs?name=a.wav", content, x_song="1", **headers)
    assert got == status
    assert json.loads(body)["error"].startswith(error)
    assert not list(songs._root.iterdir())


def test_what_is_removed_while_it_is_asked_for_is_gone(ask, songs):
    song = songs.add("a.wav")
    song.tracks = {name: song.folder / f"{name}.wav" for name in ("mix", "bass")}
    for name in ("sound/0", "levels/bass", "bass.wav", "remix.wav?bass=1", "stems.zip"):
        status, body = ask(f"GET /songs/{song.ticket}/{name}")
        assert (status, json.loads(body)) == (404, {"error": "These stems are gone."})


def test_a_page_that_is_full_says_so(ask):
    answers = [ask("POST /songs?name=a", b"x", x_song="1") for _ in range(4)]
    assert [status for status, _ in answers] == [200, 200, 200, 503]
    assert "Try again" in json.loads(answers[-1][1])["error"]
