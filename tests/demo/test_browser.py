"""The page as people have it: a process that serves, and Chromium that looks and listens.

It skips where Gradio, Playwright's client or Chromium is missing; ``SLICQ_REQUIRE_BROWSER=1`` makes
that a failure.
"""

import io
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.data.procedural import write_dataset
from tests.demo.conftest import silent_video, wav
from tests.demo.serving import needs

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), "")
pytestmark = needs(chromium=not CHROMIUM)
SECONDS = 20.0
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


# While it plays, which may have ended meanwhile; the number of pieces that were started before.
SEEK = """
(seconds) => {
  const [play, seek] = ["play", "seek"].map((name) => document.querySelector(".slicq ." + name));
  if (play.getAttribute("aria-label") === "Play") play.click();
  const before = started.length;
  seek.value = seconds;
  seek.dispatchEvent(new Event("input", { bubbles: true }));
  return before;
}
"""


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
        tab.set_default_timeout(300_000)
        tab.on("request", note_request)
        tab.on("console", note_message)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(page.url)
        tab.wait_for_selector(".slicq .choose")
        opened.append(context)
        return tab

    yield visit
    told = [*foreign], [*errors]
    for context in opened:
        for tab in context.pages:
            tab.goto("about:blank")  # which it tells the server, unlike one that is closed at once
        context.close()
    assert told == ([], [])


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


GAINS = "gains.map((node) => Math.round(100 * node.gain.value) / 100)"


def gains(tab, wanted):
    """Of the original and the stems, once they have settled at what is wanted."""
    tab.wait_for_function(f"(wanted) => String({GAINS}) === String(wanted)", arg=wanted)
    tab.wait_for_timeout(100)
    return tab.evaluate(GAINS)


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
    assert tab.inner_text(".slicq .details") == "0:20 · 44.1 kHz · stereo"
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
    assert gains(tab, [0, 1, 1, 1, 1]) == [0, 1, 1, 1, 1]
    tab.click(".slicq [data-track=drums] .mute")
    assert gains(tab, [0, 1, 0, 1, 1]) == [0, 1, 0, 1, 1]
    tab.click(".slicq [data-track=bass] .solo")
    assert gains(tab, [0, 0, 0, 1, 0]) == [0, 0, 0, 1, 0]
    tab.fill(".slicq [data-track=bass] .volume", "0.25")
    assert gains(tab, [0, 0, 0, 0.25, 0]) == [0, 0, 0, 0.25, 0]
    tab.click(".slicq .original")
    assert gains(tab, [1, 0, 0, 0, 0]) == [1, 0, 0, 0, 0]
    tab.click("text=Karaoke")
    assert gains(tab, [0, 0, 1, 1, 1]) == [0, 0, 1, 1, 1]
    name, content = download(tab, ".slicq .remix")
    karaoke, _ = wave(content)
    assert name == "My söng - remix.wav"

    # Seek, pause, and by the keyboard.
    n_started = tab.evaluate(SEEK, 9)
    tab.wait_for_function("document.querySelector('.slicq .seek').value > 9.2")
    assert tab.evaluate("started")[n_started]["offset"] == pytest.approx(1, abs=0.001)
    tab.focus(".slicq .seek")
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
    assert tab.inner_text(".slicq select").split() == ["default", "free-stems"]
    tab.select_option(".slicq select", "free-stems")
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
    assert page.forgets()
    content = wav(path, 20_000)
    give(tab, {"name": "good one.wav", "mimeType": "audio/wav", "buffer": content})
    until_done(tab)
    assert not tab.is_visible(".slicq .notice")


def test_a_recording_is_separated(visit):
    tab = visit()
    began = time.monotonic()
    tab.click(".slicq .record")
    tab.wait_for_selector("text=/Stop, 0:(0[2-9]|[1-9])/")
    tab.click(".slicq .record")
    most_s = time.monotonic() - began
    until_done(tab)
    assert tab.inner_text(".slicq .title") == "recording"
    minutes, seconds = map(int, tab.inner_text(".slicq .details").split()[0].split(":"))
    assert 1 <= 60 * minutes + seconds <= most_s


def test_what_is_cancelled_goes(page, visit, song):
    tab = visit()
    give(tab, song)
    tab.wait_for_selector(".slicq[data-stage=working]")
    tab.click(".slicq .cancel")
    tab.wait_for_selector(".slicq[data-stage=idle]")
    assert page.forgets()
