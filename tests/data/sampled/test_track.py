import hashlib
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from asteroid_slicq.data.procedural import synthesize_track, write_dataset
from asteroid_slicq.data.procedural.drums import render_drums
from asteroid_slicq.data.procedural.mixing import glue
from asteroid_slicq.data.procedural.seeds import derive, generator
from asteroid_slicq.data.procedural.track import track_song
from asteroid_slicq.data.sampled.bass import _amplify, sampled_bass
from asteroid_slicq.data.sampled.drums import sampled_drums
from asteroid_slicq.data.sampled.kit import RecordedKit
from asteroid_slicq.data.sampled.noise import add_floor
from asteroid_slicq.data.sampled.other import sampled_other
from asteroid_slicq.data.sampled.sampler import Sampler
from asteroid_slicq.data.sampled.track import Renderer, sampled_track
from asteroid_slicq.data.sampled.vocals import sampled_vocals
from asteroid_slicq.vocabulary import STEMS

RATE = 44100


def digests(root):
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*.wav"))
    }


def test_the_same_seed_gives_the_same_samples(bank):
    first, again = (sampled_track(3, 1.0, RATE, bank) for _ in range(2))
    for name in STEMS:
        assert first[name].shape == (2, RATE)
        assert first[name].dtype == np.float32
        np.testing.assert_array_equal(first[name], again[name])
    other = sampled_track(4, 1.0, RATE, bank)
    assert any(not np.array_equal(first[name], other[name]) for name in STEMS)


def test_stems_are_finite_and_do_not_clip(bank):
    heard = set()
    for seed in range(4):
        stems = sampled_track(seed, 1.0, RATE, bank)
        for name, x in stems.items():
            assert np.isfinite(x).all()
            assert np.abs(x).max() <= 1.0
            heard |= {name} if x.any() else set()
        assert np.abs(sum(stems.values())).max() <= 1.0
    assert heard == set(STEMS)


@pytest.mark.parametrize("render", [sampled_drums, sampled_bass, sampled_other])
def test_stems_at_any_rate_and_length(bank, render):
    for seed, (seconds, rate) in enumerate([(0.01, 44100), (1.5, 22050), (1.0, 48000)]):
        song = track_song(seed, seconds, rate)
        x = render(generator(seed, "x"), song, Sampler(bank, rate))
        assert x.shape == (2, song.n_samples)
        assert np.isfinite(x).all()


def test_recorded_sounds_are_heard(bank):
    """A song's stems differ from the synthesised ones of the same streams."""
    differs = 0
    for seed in range(2):
        song = track_song(derive(seed, "sampled"), 2.0, RATE)
        x = sampled_drums(generator(seed, "drums"), song, Sampler(bank, RATE))
        differs += not np.array_equal(x, render_drums(generator(seed, "drums"), song))
    assert differs == 2


def test_a_synthesised_singer_stands_in_for_voices(bank):
    song = track_song(1, 2.0, RATE)
    assert sampled_vocals(generator(1), song, bank).shape == (2, song.n_samples)


def test_a_drummer_never_plays_two_equal_strokes_in_a_row(bank):
    kit = RecordedKit(np.random.default_rng(0), Sampler(bank, RATE), RATE, electronic=False)
    strokes = [kit.hit("snare", 0.7) for _ in range(12)]
    assert len({x.tobytes() for x in strokes}) == 4
    for one, following in pairwise(strokes[4:]):
        assert one.tobytes() != following.tobytes()
    assert np.abs(kit.hit("snare", 0.2)).max() < np.abs(kit.hit("snare", 1.0)).max()


def test_single_hits_of_percussion_are_played(bank, monkeypatch):
    """About half of the pieces are single hits, where the bank has some."""
    single, all_pieces = 0, 0
    monkeypatch.setitem(bank.hits, "perc", bank.hits["snare"])
    for seed in range(20):
        sampler, struck = Sampler(bank, RATE), []
        monkeypatch.setattr(
            sampler, "hit", lambda *a, struck=struck: struck.append(a) or np.ones(9)
        )
        kit = RecordedKit(np.random.default_rng(seed), sampler, RATE, electronic=False)
        for key in (56, 60, 64, 76):
            struck.clear()
            kit.hit(f"perc{key}", 0.7)
            single += bool(struck)
            all_pieces += 1
    assert 0.3 < single / all_pieces < 0.7


@pytest.mark.parametrize("kind", ["electric", "upright"])
def test_most_string_basses_are_brought_forward(kind):
    """An amplifier and a desk give a dark bass what is heard of it above 700 Hz."""
    t = np.arange(RATE) / RATE
    x = sum(10 ** (-0.15 * k) * np.sin(2 * np.pi * 55 * (k + 1) * t) for k in range(20))

    def high_db(y):
        power = np.abs(np.fft.rfft(y)) ** 2
        return 10 * np.log10(power[700:].sum() / power.sum())

    dry = high_db(x / np.abs(x).max())
    raised = [
        high_db(_amplify(np.random.default_rng(s), x / np.abs(x).max(), RATE, kind)) - dry
        for s in range(60)
    ]
    assert np.mean(np.array(raised) > 6.0) > 0.55


def test_noise_is_heard_only_around_a_part():
    x = np.zeros((2, 8 * RATE))
    x[:, RATE : RATE + 4000] = 0.3 * np.random.default_rng(0).standard_normal((2, 4000))
    y = add_floor(np.random.default_rng(1), x, RATE, True)
    assert np.abs((y - x)[:, RATE : RATE + 4000]).max() > 0
    assert not y[:, 5 * RATE :].any()
    silent = np.zeros((2, 1000))
    assert not add_floor(np.random.default_rng(1), silent, RATE).any()


def test_one_gain_for_all_stems_keeps_their_proportions():
    rng = np.random.default_rng(0)
    stems = {
        n: rng.uniform(-0.2, 0.2, (2, RATE)).astype(np.float32) * (k + 1) / 4
        for k, n in enumerate(STEMS)
    }
    changed = 0
    for seed in range(8):
        out = glue(stems, np.random.default_rng(seed), RATE)
        assert np.abs(sum(out.values())).max() <= 1.0
        ratio = out["vocals"] / stems["vocals"]
        np.testing.assert_allclose(out["other"], ratio * stems["other"], rtol=1e-4, atol=1e-6)
        changed += not np.array_equal(out["drums"], stems["drums"])
    assert 0 < changed < 8


def test_a_data_set_of_both_sounds(bank, tmp_path):
    render = Renderer("both", bank.folder)
    folders = write_dataset(tmp_path, 4, 0.5, 1, render=render, label="both")
    assert all(f.name.endswith(" (both)") for f in folders)
    kinds = set()
    for i, folder in enumerate(f for f in folders if f.parent.name == "train"):
        audio = {n: soundfile.read(folder / f"{n}.wav", dtype="int16")[0] for n in STEMS}
        mixture, _ = soundfile.read(folder / "mixture.wav", dtype="int16")
        assert np.array_equal(sum(x.astype(int) for x in audio.values()), mixture)
        synthesised = synthesize_track(derive(1, "train", i), 0.5)
        kinds.add(
            all(
                np.array_equal(np.rint(synthesised[n].T.astype(float) * 32767), audio[n])
                for n in STEMS
            )
        )
    assert kinds == {True, False}


@pytest.mark.slow
def test_bytes_do_not_depend_on_jobs(bank, tmp_path):
    render = Renderer("sampled", bank.folder)
    for jobs in (1, 2):
        write_dataset(tmp_path / str(jobs), 3, 0.5, 2, render=render, jobs=jobs)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_a_renderer_names_what_it_lacks(bank, tmp_path):
    with pytest.raises(ValueError, match="sounds must be one of"):
        Renderer("loud", bank.folder)
    with pytest.raises(FileNotFoundError, match="sounds build"):
        Renderer("sampled", tmp_path)
