"""Voices: speech is cut into syllables, survives packing, and sings what the notes say."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from asteroid_slicq.data.procedural.track import track_song
from asteroid_slicq.data.procedural.voice import SungNote
from asteroid_slicq.data.sampled.bank import Bank, BankWriter
from asteroid_slicq.data.sampled.voices import (
    VOICE_SOURCES,
    Voice,
    add_voices,
    building,
    read_voices,
    speech,
    sung_vocals,
)
from asteroid_slicq.data.sampled.voices.recorded import phrases_of, recorded_speakers
from asteroid_slicq.data.sampled.voices.singer import COMPASSES, FARTHEST, draw_singer
from asteroid_slicq.data.sampled.voices.singing import PREROLL_S, sing
from asteroid_slicq.data.sampled.voices.speech import Speaker, draw_line
from asteroid_slicq.data.sampled.voices.utterances import analyse, pack, unpack
from asteroid_slicq.data.sampled.voices.wideband import wideband_speakers

pytest.importorskip("pyworld")

RATE = 16000
FIVE = ("jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo")


def babble(rng: np.random.Generator, n_syllables: int = 6) -> tuple[np.ndarray, int]:
    """Syllables of noise and of a pulse train of 120 Hz through two formants."""
    out = [np.zeros(RATE // 10)]
    for _ in range(n_syllables):
        hiss = 0.02 * rng.standard_normal(RATE // 20)
        vowel = np.zeros(RATE // 5)
        vowel[:: RATE // 120] = 1.0
        f_hz = np.fft.rfftfreq(len(vowel), 1 / RATE)
        formants = rng.uniform(400, 800), rng.uniform(1200, 2200)
        gain = sum(1 / (1 + ((f_hz - f) / 120) ** 2) for f in formants) + 0.02
        vowel = np.fft.irfft(np.fft.rfft(vowel) * gain, len(vowel)) * np.hanning(len(vowel))
        out += [hiss, vowel / np.abs(vowel).max(), np.zeros(RATE // 25)]
    return np.concatenate([*out, np.zeros(RATE // 10)]), RATE


@pytest.fixture(scope="module")
def utterance():
    utterance = analyse(*babble(np.random.default_rng(0)))
    assert utterance is not None
    return utterance


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    writer, done = BankWriter(), []
    speakers = [Speaker("one", "flite", True, babble), Speaker("two", "unknown", True, babble)]
    add_voices(writer, [(s, folder) for s in VOICE_SOURCES], speakers, done.append)
    assert done[0] == "one"
    silent = {line.split(":")[0] for line in done[1:]}
    assert silent == {source.name for source in VOICE_SOURCES} - {"flite"}
    writer.write(folder)
    return Bank(folder)


@pytest.fixture(scope="module")
def voices(bank):
    return read_voices(bank)


def test_syllables_are_the_vowels_that_were_spoken(utterance):
    assert len(utterance.syllables) == 6
    pitch = utterance.f0_hz[utterance.f0_hz > 0]
    assert abs(np.median(pitch) - RATE / (RATE // 120)) < 3
    for begin, first, last, end in utterance.syllables:
        assert begin <= first < last <= end
        assert (utterance.f0_hz[first + 3 : last - 3] > 0).mean() > 0.8


def test_silence_and_noise_are_no_speech():
    assert analyse(1e-4 * np.random.default_rng(0).standard_normal(RATE), RATE) is None


def test_packed_utterances_come_back(utterance):
    data = pack([utterance, utterance])
    assert data == pack([utterance, utterance])
    first, second = unpack(data)
    for again in (first, second):
        assert again.top_hz == pytest.approx(utterance.top_hz)
        floor = -160.0
        near = np.abs(again.envelopes - np.maximum(utterance.envelopes, floor))
        assert near.max() <= 0.38
        np.testing.assert_allclose(again.aperiodicity, utterance.aperiodicity, atol=0.006)
        np.testing.assert_allclose(again.f0_hz, utterance.f0_hz, rtol=1e-3)
        np.testing.assert_array_equal(again.syllables, utterance.syllables)


@pytest.mark.parametrize("midi", [45, 57, 64, 71])
def test_the_pitch_is_that_of_the_note(utterance, midi):
    import pyworld

    voice = Voice("test", True, 1.0, [utterance])
    singer = draw_singer(np.random.default_rng(1), {"test": voice})
    notes = [SungNote(0.0, 1.2, midi, 0.8, None)]
    x = sing(notes, singer, utterance, 44100, np.random.default_rng(2))
    assert np.isfinite(x).all()
    middle = x[int((PREROLL_S + 0.4) * 44100) : int((PREROLL_S + 0.9) * 44100)]
    f0, _ = pyworld.harvest(np.ascontiguousarray(middle), 44100)
    sung = 69 + 12 * np.log2(np.median(f0[f0 > 0]) / 440)
    assert abs(sung - midi) < 0.6


def test_men_sing_where_men_sing(utterance):
    """Leads of rock and pop lie at 57 to 65; no speech is sung farther up than it may be."""
    voice = Voice("test", True, 1.0, [utterance])  # speaks at MIDI pitch 47
    singers = [draw_singer(np.random.default_rng(seed), {"test": voice}) for seed in range(400)]
    assert all((s.low, s.high) in COMPASSES[s.male] for s in singers)
    middles = np.array([(s.low + s.high) / 2 for s in singers if s.male])
    assert 0.3 < np.mean(middles >= 60) < 0.6
    assert np.mean(middles < 53) < 0.15
    deep = replace(utterance, f0_hz=0.6 * utterance.f0_hz)
    for seed in range(200):
        singer = draw_singer(np.random.default_rng(seed), {"deep": Voice("deep", True, 1, [deep])})
        assert singer.high <= 38 + FARTHEST or singer.low == min(COMPASSES[singer.male])[0]


def test_no_voice_ends_where_its_recording_did(utterance):
    """A 16 kHz recording sings with energy up to 16 kHz, and without a cliff at 8 kHz."""
    voice = Voice("test", True, 1.0, [utterance])
    for seed in range(3):
        singer = draw_singer(np.random.default_rng(seed), {"test": voice})
        notes = [SungNote(0.3 * i, 0.3 * i + 0.28, 55 + i, 0.8, None) for i in range(4)]
        x = sing(notes, singer, utterance, 44100, np.random.default_rng(seed))
        power = np.abs(np.fft.rfft(x)) ** 2
        f_hz = np.fft.rfftfreq(len(x), 1 / 44100)
        level_db = [
            10 * np.log10(power[(f_hz > f) & (f_hz <= 1.1 * f)].mean() + 1e-20)
            for f in 4000 * 1.1 ** np.arange(15)
        ]
        assert np.diff(level_db).min() > -9
        assert level_db[-1] > level_db[0] - 50


@pytest.mark.slow
def test_a_vocal_stem_is_a_function_of_its_seed(voices):
    song = track_song(11, 2.0)
    stems = [sung_vocals(np.random.default_rng(s), song, voices) for s in (3, 3, 4)]
    assert all(stem.shape == (2, song.n_samples) and np.isfinite(stem).all() for stem in stems)
    assert any(stem.any() for stem in stems)
    np.testing.assert_array_equal(stems[0], stems[1])
    assert not np.array_equal(stems[0], stems[2])


def test_lines_are_words():
    rng = np.random.default_rng(0)
    lines = {draw_line(rng) for _ in range(50)}
    assert len(lines) > 40
    assert not any("{" in line or "-" in line for line in lines)


def test_every_voice_is_credited(bank, voices):
    assert list(voices) == ["flite/one"]
    assert voices["flite/one"].male
    (sound,) = bank.manifest["sounds"]
    assert sound["licence"] == "LicenseRef-CMU"
    assert sound["author"] == "Carnegie Mellon University"
    assert sound["source"] == "flite"


def test_what_was_spoken_is_kept_until_nobody_needs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "_FEW_S", 2.0)
    flite = next(s for s in VOICE_SOURCES if s.name == "flite")
    spoken = []

    def say(rng):
        spoken.append(1)
        return babble(rng)

    def build(*names):
        writer = BankWriter()
        speakers = [Speaker(name, "flite", True, say) for name in names]
        spoken.clear()
        add_voices(writer, [(flite, tmp_path)], speakers, kept=tmp_path / "kept")
        return {entry["file"]: writer.voices for entry in writer.voices.values()}, len(spoken)

    first, n_spoken = build("a", "b")
    assert n_spoken >= 2
    assert build("a", "b") == (first, 0)
    files = sorted((tmp_path / "kept").iterdir())
    assert len(files) == 2
    files[0].write_bytes(b"damaged")
    assert build("a", "b") == (first, n_spoken // 2)
    assert build("b")[1] == 0
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_recorded_speech_is_cut_at_its_pauses(tmp_path):
    rng = np.random.default_rng(3)
    pause = np.zeros(RATE // 2)
    said = [babble(rng, n)[0][RATE // 10 : -RATE // 10] for n in (6, 1, 8)]
    x = np.concatenate([pause, said[0], pause, said[1], pause, said[2], pause])
    phrases = phrases_of(x, RATE)
    lengths = [(end - begin) / RATE for begin, end in phrases]
    assert lengths == pytest.approx([len(said[0]) / RATE, len(said[2]) / RATE], abs=0.25)
    assert not phrases_of(np.zeros(RATE), RATE)
    soundfile.write(tmp_path / "line.wav", x / np.abs(x).max(), RATE)
    (speaker,) = recorded_speakers(tmp_path)
    assert speaker.male
    line, rate = speaker.say(np.random.default_rng(0))
    assert rate == RATE
    assert len(line) / RATE in [pytest.approx(s) for s in lengths]
    assert not list(recorded_speakers(tmp_path / "none"))


@pytest.mark.slow
def test_open_jtalk_speaks_where_it_is_installed(tmp_path):
    assert not list(wideband_speakers(tmp_path))
    mei = next(s for s in VOICE_SOURCES if s.name == "mei")
    speakers = list(wideband_speakers(Path("/") / mei.folder))
    if not speakers:
        pytest.skip("Open JTalk and its voice are not installed")
    for speaker in speakers:
        x, rate = speaker.say(np.random.default_rng(0))
        assert rate == 48000
        np.testing.assert_array_equal(x, speaker.say(np.random.default_rng(0))[0])
        power, f_hz = np.abs(np.fft.rfft(x)) ** 2, np.fft.rfftfreq(len(x), 1 / rate)
        assert 10 * np.log10(power[f_hz > 16000].sum() / power.sum()) > -50


def test_all_styles_of_kokoro_or_blends_of_five(tmp_path, monkeypatch):
    """A model that says which style it was given; a file of styles is one voice."""
    five = {name: np.full((3, 1, 256), i, np.float32) for i, name in enumerate(FIVE)}

    class Model:
        styles = five

        def __init__(self, data, parts):
            pass

        def say(self, phonemes, style, speed):
            return style[0, 0, :1].astype(np.float64), RATE

    found = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(speech.util, "find_spec", lambda name: found)
    monkeypatch.setattr(speech.shutil, "which", lambda name: "/bin/true")
    monkeypatch.setattr(speech, "_Kokoro", Model)
    monkeypatch.setattr(speech, "_phonemes", lambda rng: "a")
    rng = np.random.default_rng(0)
    blends = {s.name: s for s in speech.kokoro_speakers()}
    assert len(blends) == 15
    assert {s.source for s in blends.values()} == {"kokoro"}
    assert sum(s.male for s in blends.values()) > 3
    for name, value in (("am_adam", 7.0), ("bf_emma", 8.0), ("jm_kumo", 9.0)):
        np.full((3, 256), value, np.float32).tofile(tmp_path / f"{name}.bin")
    styles = {s.name: s for s in speech.kokoro_speakers(tmp_path)}
    assert list(styles) == [*FIVE, "am_adam", "bf_emma"]
    assert [s.male for s in styles.values()] == [False] * 4 + [True, True, False]
    assert [s.source for s in styles.values()] == ["kokoro"] * 5 + ["kokoro-styles"] * 2
    assert [s.say(rng)[0][0] for s in styles.values()] == [0, 1, 2, 3, 4, 7, 8]
