"""Augmentation: stems stay stems, their sum the mix, and a seed decides everything."""

from dataclasses import fields

import numpy as np
import pytest
import soundfile

from asteroid_slicq.data import find_tracks
from asteroid_slicq.data.augmentation import Augmentation, levels, play_at, spectra
from asteroid_slicq.data.datasets import TrainingSegments

RATE = 44100
KINDS = [field.name for field in fields(Augmentation)[1:]]
EVERYTHING = dict.fromkeys(KINDS, 0.5)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def stem(seed: int = 0, length: int = 20000) -> np.ndarray:
    return (0.1 * rng(seed).standard_normal((2, length))).astype(np.float32)


def tone(f_hz: float, length: int = RATE) -> np.ndarray:
    wave = 0.3 * np.sin(2 * np.pi * f_hz * np.arange(length) / RATE)
    return np.stack([wave, wave]).astype(np.float32)


def power_above(x: np.ndarray, f_hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(x)) ** 2
    return float(spectrum[:, np.fft.rfftfreq(x.shape[-1], 1 / RATE) > f_hz].sum() / spectrum.sum())


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("speed", "double")])
def test_every_kind_changes_a_stem_and_leaves_its_input(kind):
    augmentation = Augmentation(RATE, **{kind: 1.0})
    stems = np.stack([stem(0), stem(1)])
    before = stems.copy()
    changed = np.stack([augmentation.change_stem(s, rng(2)) for s in stems])
    changed = augmentation.change_mix(changed, rng(1))
    assert changed.shape == stems.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    np.testing.assert_array_equal(stems, before)
    # Where all sources would drop, none does.
    assert not np.allclose(changed, before, atol=1e-6) or kind == "drop"


def test_nothing_changes_with_no_probability():
    augmentation, stems = Augmentation(RATE), np.stack([stem(0), stem(1)])
    assert augmentation.draw_speed(rng()) == 1
    np.testing.assert_array_equal(augmentation.change_stem(stems[0], rng()), stems[0])
    np.testing.assert_array_equal(augmentation.change_mix(stems, rng()), stems)


@pytest.mark.parametrize("length", [1, 50, 4096])
def test_silent_and_short_stems(length):
    augmentation = Augmentation(RATE, **dict.fromkeys(KINDS, 1.0))
    for x in (np.zeros((2, length), np.float32), stem(length=length)):
        changed = augmentation.change_stem(x, rng())
        changed = augmentation.change_mix(np.stack([changed, changed]), rng())
        assert np.isfinite(changed).all()
        assert changed.shape == (2, 2, length)
        assert x.any() or not changed.any()


def test_a_low_pass_leaves_nothing_above_and_noise_fills_it():
    noise = stem(length=RATE)
    low = Augmentation(RATE, low_pass=1.0)
    for seed in range(5):
        gains = spectra.low_pass(rng(seed), np.array([100.0, 21000.0]))
        assert gains[0] > 0.99
        assert gains[1] < 0.7
        assert power_above(low.change_stem(noise, rng(seed)), 18500) < power_above(noise, 18500)
    for seed in range(5):
        added = spectra.band_noise(rng(seed), tone(1000), RATE)
        assert power_above(added, 3000) > 0.9
        ratio_db = 10 * np.log10(np.square(added).mean() / np.square(tone(1000)).mean())
        assert -40 < ratio_db < 0


def test_formants_move_and_the_pitch_stays():
    # A pulse train at 200 Hz through a resonance at 1000 Hz.
    pulses = np.zeros(RATE)
    pulses[:: RATE // 200] = 1.0
    f_hz = np.fft.rfftfreq(RATE, 1 / RATE)
    voice = np.fft.irfft(np.fft.rfft(pulses) / (1 + ((f_hz - 1000) / 150) ** 2)).astype(np.float32)
    voice = np.stack([voice, voice])

    def loudest_harmonic(x: np.ndarray) -> float:
        return float(f_hz[np.abs(np.fft.rfft(x[0])).argmax()])

    assert abs(loudest_harmonic(voice) - 1000) < 110
    for factor, peak_hz in ((1.25, 1250), (0.8, 800)):
        moved = spectra.shift_formants(voice, factor, RATE)
        assert abs(loudest_harmonic(moved) - peak_hz) < 210
        assert loudest_harmonic(moved) % (RATE / (RATE // 200)) < 3  # still a harmonic
    np.testing.assert_allclose(spectra.shift_formants(voice, 1.0, RATE), voice, atol=1e-5)


def test_speed_is_pitch():
    played = play_at(tone(1000, round(RATE * 1.2)), 1.2, RATE)
    peak = np.abs(np.fft.rfft(played[0])).argmax()
    assert played.shape == (2, RATE)
    assert abs(peak - 1200) <= 1


def test_the_bus_acts_on_the_mix():
    stems = np.stack([stem(0), stem(1)])
    stems[:, :, 5000:10000] *= 8
    changed = Augmentation(RATE, bus_compression=1.0).change_mix(stems, rng(3))
    gain = changed.sum(0) / stems.sum(0)
    np.testing.assert_allclose(gain[0], gain[1], rtol=1e-3)
    assert np.median(gain[0, 6000:9000]) < np.median(gain[0, 12000:])


@pytest.mark.parametrize("codec", levels.CODECS)
def test_codecs_keep_time_level_and_length(codec):
    x = tone(440) + 0.1 * stem(length=RATE)
    coded = levels.recode(3 * x, RATE, codec, 0.3)
    assert coded.shape == x.shape
    error_db = 10 * np.log10(np.square(coded - 3 * x).mean() / np.square(3 * x).mean())
    assert error_db < -12


def test_width():
    x = stem()
    assert np.allclose(*levels.widen(x, 0.0))
    np.testing.assert_allclose(levels.widen(x, 1.0), x, atol=1e-6)
    np.testing.assert_allclose(levels.widen(x, 0.3).sum(0), x.sum(0), atol=1e-5)


def test_refuses_what_is_no_probability():
    with pytest.raises(ValueError, match="codec must be a probability"):
        Augmentation(RATE, codec=1.5)


@pytest.fixture
def tracks(tmp_path):
    for i in range(3):
        folder = tmp_path / "train" / f"track {i}"
        folder.mkdir(parents=True)
        for j, source in enumerate(("bass", "drums")):
            soundfile.write(folder / f"{source}.wav", stem(2 * i + j, 30000).T, RATE, "FLOAT")
    return find_tracks(tmp_path, "train", ["bass", "drums"], RATE, n_channels=2)


def segments(tracks, seed: int = 42, **kinds: float) -> TrainingSegments:
    return TrainingSegments(
        tracks,
        ["bass", "drums"],
        length_samples=8000,
        samples_per_track=4,
        random_mix=0.5,
        seed=seed,
        augmentation=Augmentation(RATE, **kinds),
    )


def test_items_are_a_function_of_seed_and_index(tracks):
    first, again = segments(tracks, **EVERYTHING), segments(tracks, **EVERYTHING)
    other = segments(tracks, seed=7, **EVERYTHING)
    backwards = {i: again[i] for i in reversed(range(len(again)))}
    for i in range(len(first)):
        item = first[i]
        assert item.shape == (2, 2, 8000)
        assert item.isfinite().all()
        assert item.equal(backwards[i])
        assert not item.equal(other[i])


def test_doubles_add_a_second_stem(tracks):
    alone, doubled = segments(tracks), segments(tracks, double=1.0)
    power = [sum(float(s[i].square().mean()) for i in range(len(s))) for s in (alone, doubled)]
    assert power[1] > 1.1 * power[0]
