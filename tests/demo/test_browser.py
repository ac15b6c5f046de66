"""The page as people have it: a process that serves, and Chromium that looks and listens.

It skips where Gradio, Playwright's client or Chromium is missing; ``SLICQ_REQUIRE_BROWSER=1`` makes
that a failure.
"""

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
import zipfile
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.data.procedural import write_dataset
from tests.demo.conftest import silent_video, wav
from tests.helpers import ROOT, environment

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
MISSING = [name for name in ("gradio", "playwright") if find_spec(name) is None]
MISSING += [] if CHROMIUM else ["chromium"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING) and not os.environ.get("SLICQ_REQUIRE_BROWSER"),
        reason=f"no {', '.join(MISSING)}",
    ),
]
SECONDS = 9.0
SECRET = "a secret of this folder"
PASSWORDS = Path("/etc/passwd").read_bytes().splitlines()[0]
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
STEMS = ("vocals", "drums", "bass", "other")
LISTEN = """
window.started = []; window.gains = []; window.told = [];
addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
  const status = document.querySelector(".slicq .status");
  if (status && status.textContent !== told.at(-1)) told.push(status.textContent);
}).observe(document.body, { subtree: true, childList: true, characterData: true }));
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, offset) {
  window.context = this.context;
  const { length, sampleRate } = this.buffer;
  started.push({ when, offset, length, rate: this.context.sampleRate, bufferRate: sampleRate });
  return start.apply(this, arguments);
};
const createGain = AudioContext.prototype.createGain;
AudioContext.prototype.createGain = function () {
  const node = createGain.apply(this, arguments);
  gains.push(node);
  return node;
};
"""


class Page:
    """The server and its address."""

    def __init__(self, folder, process, port, proxy):
        self.folder, self.process, self.port, self.proxy = folder, process, port, proxy
        self.url = f"http://127.0.0.1:{port}/"

    def ask(self, method, path, body=None, **headers):
        """Send a path as it is, which other clients would tidy up."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
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
        deadline = time.monotonic() + 10
        while self.songs and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.songs


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "tmp").mkdir()
    (folder / ".hidden").write_text(SECRET)
    (folder / "private.txt").write_text(SECRET)
    (folder / "link.txt").symlink_to("/etc/passwd")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--max-minutes", "0.5", "--max-mb", "4", "--model", "small", "--model", "default"]
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


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    folder = tmp_path_factory.mktemp("song")
    write_dataset(folder, 1, SECONDS, 1)
    (mixture,) = folder.glob("*/*/mixture.wav")
    return shutil.copy(mixture, folder / "My söng.wav")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
    arguments += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def visit(page, browser):
    """Open the page; what it asks from elsewhere, and errors in it, fail the test."""
    opened, foreign, errors = [], [], []

    def note_request(request):
        if not request.url.startswith((page.url, "blob:", "data:")):
            foreign.append(request.url)

    def note_message(message):
        if message.type == "error" and "status of 4" not in message.text:
            errors.append(message.text)

    def visit(width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.add_init_script(LISTEN)
        tab = context.new_page()
        tab.set_default_timeout(30_000)
        tab.on("request", note_request)
        tab.on("console", note_message)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(page.url)
        tab.wait_for_selector(".slicq .choose")
        opened.append(context)
        return tab

    yield visit
    for context in opened:
        context.close()
    assert not foreign
    assert not errors


def give(tab, *file):
    tab.set_input_files(".slicq .file", *file)


def refusal(tab):
    tab.wait_for_selector(".slicq .notice:not([hidden])")
    tab.wait_for_selector(".slicq[data-stage=idle]")
    return tab.inner_text(".slicq .notice")


def until_done(tab):
    tab.wait_for_selector(".slicq[data-stage=done], .slicq .notice:not([hidden])")
    assert not tab.inner_text(".slicq .notice")
    tab.wait_for_selector(".slicq[data-stage=done]")


def gains(tab):
    """Of the original and the stems, once they have settled."""
    tab.wait_for_timeout(250)
    return [round(gain, 2) for gain in tab.evaluate("gains.map((node) => node.gain.value)")]


def position(tab):
    return float(tab.input_value(".slicq .seek"))


def download(tab, selector):
    with tab.expect_download() as waiting:
        tab.click(selector)
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def wave(content):
    return sf.read(io.BytesIO(content), always_2d=True)


def test_a_song_is_separated_heard_and_kept(page, visit, song):
    tab = visit()
    give(tab, song)
    tab.wait_for_selector(".slicq[data-stage=working]")
    until_done(tab)
    told = dict.fromkeys(text.split(":")[0].split(" (")[0] for text in tab.evaluate("told") if text)
    told.pop("Reading", None)  # which may be too short to be seen
    assert list(told) == ["Uploading", "Waiting for its turn", "Separating"]
    assert tab.inner_text(".slicq .title") == "My söng"
    assert tab.inner_text(".slicq .details") == "0:09 · 44.1 kHz · stereo"
    lanes = tab.eval_on_selector_all(
        ".slicq .lanes .lane", "(all) => all.map((x) => x.dataset.track)"
    )
    assert lanes == ["mix", *STEMS]

    # One clock: all tracks start together, at whole samples, each piece where the last one ends.
    tab.click(".slicq .play")
    tab.wait_for_function("started.length >= 10")
    pieces = [group[0] for group in np.reshape(tab.evaluate("started")[:10], (2, 5))]
    for five in np.reshape(tab.evaluate("started")[:10], (2, 5)):
        assert len({(x["when"], x["offset"], x["length"]) for x in five}) == 1
    assert all(x["rate"] == x["bufferRate"] == 44100 for x in pieces)
    frames = [x["when"] * 44100 for x in pieces]
    assert frames == pytest.approx(np.rint(frames), abs=1e-4)
    assert frames[1] - frames[0] == pytest.approx(pieces[0]["length"], abs=1e-4)
    tab.wait_for_function("document.querySelector('.slicq .seek').value > 0.5")
    assert tab.get_attribute(".slicq .play", "aria-label") == "Pause"

    # Mute, solo, volume, quick mixes, the original.
    assert gains(tab) == [0, 1, 1, 1, 1]
    tab.click(".slicq [data-track=drums] .mute")
    assert gains(tab) == [0, 1, 0, 1, 1]
    tab.click(".slicq [data-track=bass] .solo")
    assert gains(tab) == [0, 0, 0, 1, 0]
    tab.fill(".slicq [data-track=bass] .volume", "0.25")
    assert gains(tab) == [0, 0, 0, 0.25, 0]
    tab.click(".slicq .original")
    assert gains(tab) == [1, 0, 0, 0, 0]
    tab.click("text=Karaoke")
    assert gains(tab) == [0, 0, 1, 1, 1]
    name, content = download(tab, ".slicq .remix")
    karaoke, _ = wave(content)
    assert name == "My söng - remix.wav"

    # Seek, pause, and by the keyboard.
    n_started = len(tab.evaluate("started"))
    tab.fill(".slicq .seek", "6.5")
    tab.wait_for_timeout(300)
    assert 6.5 <= position(tab) < 8
    assert tab.evaluate("started")[n_started]["offset"] == pytest.approx(2.5, abs=0.001)
    tab.keyboard.press("Space")
    stopped = position(tab)
    tab.wait_for_timeout(200)
    assert position(tab) == stopped
    box = tab.locator(".slicq [data-track=vocals] .picture").bounding_box()
    tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
    assert position(tab) == pytest.approx(SECONDS / 2, abs=0.05)

    # All pictures are there and differ.
    tab.wait_for_function("document.querySelectorAll('canvas.drawn').length == 5")
    pictures = tab.eval_on_selector_all("canvas", "(all) => all.map((x) => x.toDataURL())")
    assert len(set(pictures)) == 5

    # The stems: names, lengths, and that they sum to the mix.
    name, content = download(tab, ".slicq .zip")
    assert name == "My söng - stems.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == [f"My söng/{stem}.wav" for stem in STEMS]
        stems = {stem: wave(archive.read(f"My söng/{stem}.wav"))[0] for stem in STEMS}
    mix, _ = sf.read(song)
    assert {stem.shape for stem in stems.values()} == {mix.shape}
    assert np.sqrt(np.mean((sum(stems.values()) - mix) ** 2) / np.mean(mix**2)) < 0.1
    assert np.abs(karaoke - sum(stems[s] for s in STEMS[1:])).max() < 1e-4
    name, content = download(tab, ".slicq [data-track=vocals] .save")
    assert name == "My söng - vocals.wav"
    assert np.array_equal(wave(content)[0], stems["vocals"])

    # Another song: the files of this one go.
    assert len(page.songs) == 1
    tab.click(".slicq .again")
    tab.wait_for_selector(".slicq[data-stage=idle]")
    assert page.forgets()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(visit, tmp_path, scheme):
    tab = visit(390, 844, color_scheme=scheme, has_touch=True, is_mobile=True)
    width = "document.documentElement.scrollWidth"
    assert tab.evaluate(width) == 390
    assert tab.inner_text(".slicq select").split() == ["small", "default"]
    tab.select_option(".slicq select", "default")
    wav(tmp_path / "tone.wav", 8000, 1, rate=8000)  # mono, of a low rate
    give(tab, tmp_path / "tone.wav")
    until_done(tab)
    assert tab.inner_text(".slicq .details") == "0:01 · 8 kHz · mono"
    assert tab.evaluate(width) == 390
    tab.tap(".slicq .play")
    tab.wait_for_function("started.length == 5")
    tab.wait_for_selector(".slicq:not(.playing)")  # it ends, and can be heard again
    tab.tap(".slicq .play")
    tab.wait_for_function("started.length == 10")
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 19, 20)"
    assert dark == (scheme == "dark")
    for selector in ("button", "a", "input[type=range]"):  # all have names, all can be hit
        for item in tab.locator(f".slicq .result {selector}").all():
            assert item.get_attribute("aria-label") or item.inner_text().strip()
            assert item.bounding_box()["height"] >= 32


def test_bad_files_end_in_a_sentence_and_the_page_works_on(page, visit, tmp_path):
    tab = visit()
    path = tmp_path / "file"
    files = {
        "notes.txt": (b"just some words", "notes.txt is no audio that can be read"),
        "empty.wav": (b"", "empty.wav is empty (0 bytes)."),
        "silence.wav": (wav(path, scale=0.0), "silence.wav is silent"),
        "video.mp4": (silent_video(path), "video.mp4 is no audio that can be read"),
        "long.wav": (wav(path, 250_000, 1, rate=8000), "long.wav is longer than 0.5 minutes"),
        "large.wav": (bytes(4_000_001), "large.wav is larger than 4 MB"),
        "list.m3u8": (f"#EXTM3U\n#EXTINF:1,\n{path}\n".encode(), "list.m3u8 is no audio"),
    }
    for name, (content, sentence) in files.items():
        give(tab, {"name": name, "mimeType": "audio/wav", "buffer": content})
        tab.wait_for_function(f"document.querySelector('.notice').textContent.includes({name!r})")
        assert refusal(tab).startswith(sentence)
        assert str(page.folder) not in refusal(tab)
    assert not page.songs
    content = wav(path, 20_000)
    give(tab, {"name": "good one.wav", "mimeType": "audio/wav", "buffer": content})
    until_done(tab)
    assert not tab.is_visible(".slicq .notice")


def test_a_recording_is_separated(visit):
    tab = visit()
    tab.click(".slicq .record")
    tab.wait_for_selector("text=Stop, 0:01")
    tab.click(".slicq .record")
    until_done(tab)
    assert tab.inner_text(".slicq .title") == "recording"
    assert tab.inner_text(".slicq .details").startswith(("0:01", "0:02"))


def test_what_is_cancelled_goes(page, visit, song):
    tab = visit()
    give(tab, song)
    tab.wait_for_selector(".slicq[data-stage=working]")
    tab.click(".slicq .cancel")
    tab.wait_for_selector(".slicq[data-stage=idle]")
    assert page.forgets()


def routes():
    """Method and path of all that Gradio answers, with a mark for what a client fills in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Gradio imports
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
            yield method, re.sub(r"{[^}]*}", "@", route.path)


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


def test_it_listens_on_this_machine_alone(page):
    addresses = {x[4][0] for x in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in addresses - {"127.0.0.1"}:
        with (
            pytest.raises(OSError, match="refused"),
            socket.create_connection((address, page.port), 2),
        ):
            pass


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
    assert page.process.wait(timeout=20) == 130
    errors = (page.folder / "tmp" / "errors").read_text()
    assert errors.endswith("asteroid-slicq: interrupted\n")
    assert "ASGI" not in errors
    assert [path.name for path in (page.folder / "tmp").iterdir()] == ["errors"]
    left = sorted(path.name for path in page.folder.iterdir())
    assert left == [".hidden", "link.txt", "private.txt", "tmp"]
