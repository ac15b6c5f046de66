"""The bank of sounds that no model hears, of made-up packages: it plays songs to test on alone."""

import json
import sys
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from asteroid_slicq.cli import main
from asteroid_slicq.data.procedural import write_dataset
from asteroid_slicq.data.sampled import bass, build_bank, vocals
from asteroid_slicq.data.sampled.bank import Bank
from asteroid_slicq.data.sampled.track import Renderer
from tests.data.sampled.made_up import KEYS, ROOT, SAMPLE, soundfont, span, tone, write
from tests.helpers import ROOT as REPOSITORY

RECIPE = REPOSITORY / "recipes" / "free_stems"


@pytest.fixture(scope="module")
def unheard() -> Iterator:
    sys.path.insert(0, str(RECIPE))
    try:
        import unheard

        yield unheard
    finally:
        sys.path.remove(str(RECIPE))
        sys.modules.pop("unheard", None)


def kit(unheard, root):
    """A kit of two pieces: a kick of seven layers out of order, a snare, and a choked cymbal."""
    kits = root / unheard.KITS
    for package, names in unheard._KITS.items():
        for name in names:
            (kits / name).mkdir(parents=True)
            text = ""
            for piece, n_layers in (("Kick", 7), ("Snare", 0), ("Crash choke", 1)):
                layers = ""
                for i in reversed(range(n_layers)):
                    write(kits / name / f"{piece}{i}.flac", tone(60.0 + 9 * i, 3000, seed=i))
                    layers += (
                        f"<layer><filename>{piece}{i}.flac</filename><min>{i / 7}</min></layer>"
                    )
                if not n_layers:
                    write(kits / name / f"{piece}.flac", tone(200.0, 3000, seed=len(name)))
                    layers = f"<filename>{piece}.flac</filename>"
                text += f"<instrument><name>{piece}</name>{layers}</instrument>"
            space = "xmlns='http://www.hydrogen-music.org/drumkit'" if package[-1] == "s" else ""
            xml = f"<drumkit_info {space}>{text}</drumkit_info>"
            (kits / name / "drumkit.xml").write_text(xml)


@pytest.fixture(scope="module")
def root(unheard, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    fonts = root / unheard.SOUNDFONTS
    fonts.mkdir(parents=True)
    samples = [
        (np.round(20000 * tone(261.6, 20000)).astype(np.int16), (0, 0)),
        (np.round(20000 * tone(80.0, 8000, decay_s=0.1)).astype(np.int16), (0, 0)),
    ]
    tones = [{SAMPLE: 0, ROOT: 60, KEYS: span(0, 127)}]
    drums = [{SAMPLE: 1, ROOT: k, KEYS: span(k, k)} for k in range(35, 82)]
    presets = {(0, p): tones for p in (0, 33, 48)} | {(128, 0): drums, (128, 48): drums}
    (fonts / "TimGM6mb.sf2").write_bytes(soundfont(presets, samples))
    for file in unheard._AVL_KITS.values():
        (fonts / file).write_bytes(soundfont({(0, 0): drums}, samples))
    kit(unheard, root)
    return root


@pytest.fixture(scope="module")
def bank(unheard, root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    missing = unheard.build(folder, root, lambda text: None)
    assert all(package.startswith("festvox-") for package in missing)
    return Bank(folder)


@pytest.mark.parametrize(
    ("name", "piece"),
    [
        ('Kick (Tama Superstar 22")', "kick"),
        ("BassDrum", "kick"),
        ('Tom Low (Tama Superstar 16")', "tom3"),
        ('Tom High (Tama Superstar 12")', "tom1"),
        ("Cowbell", "perc"),
        ("Rim Click (Pearl)", "rim"),
        ("Snare 2 Rimshot", "snare"),
        ("Sabian Hat Closed", "hat"),
        ("Sabian Hat Choke", None),
        ("Pedal HH", "pedal"),
        ("VariBreaks Hat 1 Pd", "pedal"),
        ("VariBreaks Hat 1 Op", "open"),
        ("Open HH", "open"),
        ("Ride Jazz", "ride"),
        ("Paiste Bell", None),
        ("Splash", "crash"),
        ("Tom 1", "tom1"),
        ("Tom Hi", "tom1"),
        ("Tom Mid", "tom2"),
        ("Pearl Tom Floor", "tom3"),
        ("Main", None),
        ("17", None),
    ],
)
def test_pieces_are_known_by_their_names(unheard, name, piece):
    assert unheard.piece_of(name) == piece


def test_kits_keep_five_layers_from_soft_to_hard(unheard, bank):
    n_kits = sum(map(len, unheard._KITS.values()))
    assert set(bank.hits) == {"kick", "snare"}
    assert len(bank.hits["kick"]) == len(bank.hits["snare"]) == n_kits
    assert {len(layers) for layers in bank.hits["kick"]} == {5}
    first = bank.hits["kick"][0]
    hz = [np.abs(np.fft.rfft(bank.pcm(i).astype(float), 44100)).argmax() for i in first]
    assert hz == sorted(hz)
    assert hz[-1] - hz[0] > 40


def test_kits_of_five_layers_are_presets_of_their_own(bank):
    assert {"0:33", "128:0", "128:1", "128:2", "128:48"} <= set(bank.presets)


def test_the_bank_is_for_tests_and_credits_its_sounds(bank):
    manifest = bank.manifest
    assert bank.for_tests
    assert manifest["for_tests"]
    licences = {sound["licence"] for sound in manifest["sounds"]}
    assert licences == {"GPL-2.0-only", "GPL-2.0-or-later"}
    assert manifest["refused"] == {}
    assert all(sound["author"] for sound in manifest["sounds"])


def test_it_plays_no_songs_to_train_on(bank, tmp_path, capsys):
    command = ["synth", str(tmp_path), "--sounds", "sampled", "--cache", str(bank.folder)]
    assert main([*command, "--tracks", "2", "--test-tracks", "1", "--seconds", "2"]) == 2
    assert "n_test must be n_tracks (2) with sounds that are for tests" in capsys.readouterr().err
    with pytest.raises(ValueError, match="for tests alone, not to train on, got 0"):
        write_dataset(tmp_path, 1, 2.0, n_test=0, render=Renderer("sampled", bank.folder))
    hidden = partial(partial(Renderer("sampled", bank.folder)))
    with pytest.raises(ValueError, match="for tests alone"):
        write_dataset(tmp_path, 2, 2.0, n_test=1, render=hidden)
    assert not list(tmp_path.iterdir())
    assert main([*command, "--tracks", "1", "--seconds", "2"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["test"]


@pytest.mark.parametrize("for_tests", [True, False])
def test_synthesisers_leave_the_songs_to_its_sounds(for_tests, monkeypatch):
    bank = SimpleNamespace(for_tests=for_tests)
    sampler = SimpleNamespace(bank=bank, having=lambda presets: ["a preset"])
    song = SimpleNamespace(style="dance", n_samples=4)
    monkeypatch.setattr(vocals, "read_voices", lambda bank: {"a voice": None})
    for room, name in ((vocals, "render_vocals"), (bass, "render_bass")):
        monkeypatch.setattr(room, name, lambda rng, song: "synthesised")
    monkeypatch.setattr(vocals, "sung_vocals", lambda rng, song, voices: "sung")
    monkeypatch.setattr(bass, "draw_line", lambda rng, song, kind: [])
    monkeypatch.setattr(bass, "_play", lambda *arguments: np.zeros(4))
    found = [
        [vocals.sampled_vocals(rng, song, bank), bass.sampled_bass(rng, song, sampler)]
        for rng in map(np.random.default_rng, range(60))
    ]
    for stem in zip(*found, strict=True):
        assert any(isinstance(x, str) and x == "synthesised" for x in stem) != for_tests


def test_banks_to_train_on_do_not_take_them(root, tmp_path):
    with pytest.raises(FileNotFoundError, match="no source of sounds"):
        build_bank(tmp_path, root, packed=tmp_path)


def test_banks_to_train_on_are_not_for_tests(tmp_path):
    from tests.data.sampled.made_up import packages

    build_bank(tmp_path / "bank", packages(tmp_path / "root"), packed=tmp_path)
    assert not Bank(tmp_path / "bank").for_tests
    assert "for_tests" not in json.loads((tmp_path / "bank" / "manifest.json").read_text())


def test_nothing_installed_is_told_in_a_sentence(unheard, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        unheard.main([str(tmp_path / "bank"), "--root", str(tmp_path)])
    assert ended.value.code == 1
    assert "apt-get install timgm6mb-soundfont" in capsys.readouterr().err
    assert not (tmp_path / "bank").exists()
