"""Augmentation: stems stay stems, their sum the mix, and a seed decides everything."""

from dataclasses import fields

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from asteroid_slicq.data import find_tracks
from asteroid_slicq.data.augmentation import Augmentation, levels, play_at, shift_pitch, spectra
from asteroid_slicq.data.datasets import TrainingSegments
from tests.helpers import with_slow

RATE = 44100
KINDS = [field.name for field in fields(Augmentation)[1:]]
EVERYTHING = dict.fromkeys(KINDS, 0.5)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def stem(seed: int = 0, length: int = 20000) -> np.ndarray:
    return (0.1 * rng(seed).standard_normal((2, length))).astype(np.float32)


def noises(n: int, length: int = 20000) -> Tensor:
    return torch.from_numpy(np.stack([stem(seed, length) for seed in range(n)]))


def tone(f_hz: float, length: int = RATE) -> Tensor:
    wave = 0.3 * torch.sin(2 * torch.pi * f_hz * torch.arange(length, dtype=torch.float64) / RATE)
    return torch.stack([wave, wave]).float()


def power_above(stems: Tensor, f_hz: float) -> Tensor:
    """Share of the power above a frequency, of each stem."""
    power = torch.fft.rfft(stems).abs().square()
    above = torch.fft.rfftfreq(stems.shape[-1], 1 / RATE) > f_hz
    return power[..., above].sum((1, 2)) / power.sum((1, 2))


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if k not in ("speed", "tempo", "pitch", "double")]
)
def test_every_kind_changes_items_and_leaves_its_input(kind):
    items = noises(6).unflatten(0, (3, 2))
    before = items.clone()
    changed = Augmentation(RATE, **{kind: 1.0})(items, rng(2))
    assert changed.shape == items.shape
    assert changed.dtype == torch.float32
    assert changed.isfinite().all()
    assert items.equal(before)
    for item, old in zip(changed, before, strict=True):
        # Where all sources would drop, none does.
        assert not torch.allclose(item, old, atol=1e-6) or kind == "drop"


@pytest.mark.parametrize(
    "kind",
    with_slow([k for k in KINDS if k not in ("speed", "tempo", "pitch", "double")], "codec"),
)
def test_a_probability_is_the_share_of_what_changes(kind):
    items = noises(4, 3000).repeat(100, 1, 1).unflatten(0, (100, 4))
    changed = Augmentation(RATE, **{kind: 0.25})(items, rng(0))
    touched = (changed - items).abs().amax((-2, -1)) > 1e-6
    if kind in ("bus_compression", "mono", "codec"):  # on items, all stems or none
        assert (touched.all(1) == touched.any(1)).all()
        touched = touched.all(1)
    assert 0.15 < touched.float().mean() < 0.35


def test_nothing_changes_with_no_probability():
    augmentation, items = Augmentation(RATE), noises(2)[None]
    assert augmentation.draw_playing(rng()) == (1, 1)
    assert augmentation(items, rng()).equal(items)


def test_tempo_and_pitch_are_drawn_each_for_itself():
    for kind, moved in (
        ("speed", (True, False)),
        ("tempo", (True, True)),
        ("pitch", (False, True)),
    ):
        drawn = [Augmentation(RATE, **{kind: 1.0}).draw_playing(rng(i)) for i in range(50)]
        assert all((speed != 1, pitch != 1) == moved for speed, pitch in drawn)
        if kind == "tempo":  # the pitch that the speed takes along goes back
            assert all(speed * pitch == pytest.approx(1) for speed, pitch in drawn)
        if kind == "pitch":
            semitones = 12 * np.log2([pitch for _, pitch in drawn])
            assert -3 <= semitones.min() < -2
            assert 2 < semitones.max() <= 3


@pytest.mark.parametrize("factor", [0.84, 0.9, 1.12, 1.2])
def test_a_shifted_pitch_keeps_time_and_loudness(factor):
    beats = tone(440.0)
    beats[:, RATE // 4 : RATE // 2] = 0  # a pause, which stays where it is
    stems = torch.stack([tone(440.0), beats])
    shifted = shift_pitch(stems, [factor, factor])
    assert shifted.shape == stems.shape
    spectrum = torch.fft.rfft(shifted[0, 0] * torch.hann_window(RATE)).abs()
    assert int(spectrum.argmax()) == pytest.approx(440 * factor, abs=1.5)
    power, before = (x.square().mean((1, 2)) for x in (shifted, stems))
    torch.testing.assert_close(power, before, rtol=0.05, atol=0)
    pause, rest = slice(RATE // 4 + 3000, RATE // 2 - 3000), slice(RATE // 2 + 3000, None)
    assert shifted[1, :, pause].square().mean() < 1e-3 * before[1]
    heard, there = (float(x[1, :, rest].square().mean()) for x in (shifted, stems))
    assert heard == pytest.approx(there, rel=0.3)


@pytest.mark.parametrize("length", [1, 50, 4096])
def test_silent_and_short_stems(length):
    augmentation = Augmentation(RATE, **dict.fromkeys(KINDS, 1.0))
    for items in (torch.zeros(2, 3, 2, length), noises(6, length).unflatten(0, (2, 3))):
        changed = augmentation(items, rng())
        assert changed.isfinite().all()
        assert changed.shape == items.shape
        assert items.any() or not changed.any()


def test_a_low_pass_leaves_nothing_above_and_noise_fills_it():
    noise = noises(1, RATE).expand(5, 2, RATE)
    gains = spectra.low_pass(rng(), torch.tensor([100.0, 21000.0]), 5)
    assert (gains[:, 0] > 0.99).all()
    assert (gains[:, 1] < 0.7).all()
    low = Augmentation(RATE, low_pass=1.0).change_stems(noise, rng())
    assert (power_above(low, 18500) < power_above(noise, 18500)).all()
    tones = tone(1000).expand(5, 2, RATE)
    added = spectra.band_noise(rng(), tones, RATE)
    assert (power_above(added, 3000) > 0.9).all()
    ratios_db = 10 * torch.log10(added.square().mean((1, 2)) / tones.square().mean((1, 2)))
    assert ((ratios_db > -40) & (ratios_db < 0)).all()


@pytest.mark.parametrize("stems", [noises(8, RATE), tone(440.0)[None]])
def test_noise_is_softer_than_its_stem_by_what_it_says(stems):
    stems = stems.repeat(256 // len(stems), 1, 1)
    power = spectra.band_noise(rng(), stems, RATE).square().mean((1, 2))
    level_db = 10 * torch.log10(power / stems.square().mean((1, 2)))
    found = torch.stack([level_db.min(), level_db.median(), level_db.max()])
    torch.testing.assert_close(found, torch.tensor([-37.0, -22.0, -7.0]), atol=2.5, rtol=0)


def test_an_equaliser_is_no_fader():
    noise = noises(8, RATE)
    kinds = {"equaliser": 1.0, "high_pass": 1.0}
    changed = Augmentation(RATE, **kinds).change_stems(noise, rng())
    torch.testing.assert_close(changed.square().mean((1, 2)), noise.square().mean((1, 2)))


def test_formants_move_and_the_pitch_stays():
    # A pulse train at 200 Hz through a resonance at 1000 Hz.
    pulses = np.zeros(RATE)
    pulses[:: RATE // 200] = 1.0
    f_hz = np.fft.rfftfreq(RATE, 1 / RATE)
    voice = np.fft.irfft(np.fft.rfft(pulses) / (1 + ((f_hz - 1000) / 150) ** 2)).astype(np.float32)
    voices = torch.from_numpy(np.stack([voice, voice])).expand(3, 2, RATE)

    def loudest_harmonic(x: Tensor) -> float:
        return float(f_hz[torch.fft.rfft(x[0]).abs().argmax()])

    assert abs(loudest_harmonic(voices[0]) - 1000) < 110
    higher, lower, same = spectra.shift_formants(voices, [1.25, 0.8, 1.0], RATE)
    for moved, peak_hz in ((higher, 1250), (lower, 800)):
        assert abs(loudest_harmonic(moved) - peak_hz) < 210
        assert loudest_harmonic(moved) % (RATE / (RATE // 200)) < 3  # still a harmonic
    torch.testing.assert_close(same, voices[0], atol=1e-5, rtol=0)


def test_saturation_keeps_the_level_and_adds_harmonics():
    tones = tone(500).expand(6, 2, RATE)
    bent = levels.saturate(rng(), tones)
    torch.testing.assert_close(bent.square().mean((1, 2)), tones.square().mean((1, 2)))
    assert (power_above(bent, 900) > 1e-4).all()


def test_a_room_rings_on_after_a_click():
    clicks = torch.zeros(4, 2, RATE)
    clicks[..., 1000] = 1.0
    wet = levels.room(rng(), clicks, RATE)
    assert wet[..., :1000].abs().max() < 1e-5
    tail = wet[..., 1001:].square().sum((1, 2)) / 2
    assert ((tail > 10 ** (-2.1)) & (tail < 10 ** (-0.25))).all()  # −20 … −3 dB of the click
    early, late = wet[..., 2500:6000], wet[..., 30000:40000]
    assert (early.square().mean((1, 2)) > 3 * late.square().mean((1, 2))).all()


def test_a_fader_rides_slowly_within_its_range():
    gains = levels.gain_ride(rng(), noises(5, RATE), RATE)
    gains_db = 20 * torch.log10(gains)
    assert gains_db.abs().max() <= 6.001
    assert gains_db.diff().abs().max() < 12 / (0.2 * RATE)


def test_speed_is_pitch():
    played = play_at(tone(1000, round(RATE * 1.2)).numpy(), 1.2, RATE)
    peak = np.abs(np.fft.rfft(played[0])).argmax()
    assert played.shape == (2, RATE)
    assert abs(peak - 1200) <= 1


def test_the_bus_acts_on_the_mix():
    items = noises(4).unflatten(0, (2, 2))
    items[..., 5000:10000] *= 8
    changed = Augmentation(RATE, bus_compression=1.0)(items, rng(3))
    for item, old in zip(changed, items, strict=True):
        gain = item / old
        torch.testing.assert_close(gain[0], gain[1], rtol=1e-3, atol=1e-3)
        assert gain[0, 0, 6000:9000].median() < gain[0, 0, 12000:].median()


@pytest.mark.parametrize("codec", levels.CODECS)
def test_codecs_keep_time_level_and_length(codec):
    x = tone(440).numpy() + 0.1 * stem(length=RATE)
    coded = levels.recode(3 * x, RATE, codec, 0.3)
    assert coded.shape == x.shape
    error_db = 10 * np.log10(np.square(coded - 3 * x).mean() / np.square(3 * x).mean())
    assert error_db < -12


def test_width():
    x = noises(3)
    narrow, same, half = levels.widen(x, [0.0, 1.0, 0.3])
    torch.testing.assert_close(narrow[0], narrow[1])
    torch.testing.assert_close(same, x[1])
    torch.testing.assert_close(half.sum(0), x[2].sum(0), atol=1e-5, rtol=0)


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
    backwards = {i: again[i] for i in reversed(range(4))}
    for i in range(4):
        item = first[i]
        assert item.shape == (2, 2, 8000)
        assert item.isfinite().all()
        assert item.equal(backwards[i])
        assert not item.equal(other[i])


def test_doubles_add_a_second_stem(tracks):
    alone, doubled = segments(tracks), segments(tracks, double=1.0)
    power = [sum(float(s[i].square().mean()) for i in range(len(s))) for s in (alone, doubled)]
    assert power[1] > 1.1 * power[0]
