import numpy as np
import pytest

from asteroid_slicq.data.sampled.articulation import Expression, glide
from asteroid_slicq.data.sampled.bank import Bank, BankWriter, Recording
from asteroid_slicq.data.sampled.catalogue import Credit
from asteroid_slicq.data.sampled.extraction import encode_flac
from asteroid_slicq.data.sampled.sampler import CONTROL, Sampler
from asteroid_slicq.data.sampled.zones import Zone
from tests.data.sampled.made_up import LOOPS, MODULATORS, RELEASE, ROOT, SAMPLE, bank_of_soundfont

RATE = 44100
PERIOD = 100  # of the looped sine: 441 Hz at 44.1 kHz


def sine_bank(folder, rate=RATE, **fields):
    """A bank of one sine, looped over a whole number of periods."""
    writer = BankWriter()
    x = 0.5 * np.sin(2 * np.pi * np.arange(4000) / PERIOD)
    file = writer.add_file("sine", encode_flac(x, rate), ".flac", "test", Credit("me", "CC0-1.0"))
    number = writer.add_recording(Recording(file, rate, 69, 0, 1000, 3000))
    zone = Zone(sample=number, loop=1, attack_s=0.001, release_s=0.5, **fields)
    writer.add_preset("0:0", "sine", [zone])
    writer.write(folder)
    return Bank(folder)


def play(bank, key=69, duration_s=0.5, seconds=1.0, velocity=1.0, start=0, **options):
    out = np.zeros((2, int(seconds * RATE)))
    Sampler(bank, RATE).play(out, start, "0:0", key, velocity, duration_s, **options)
    return out


def peak_hz(x):
    x = x * np.hanning(len(x))
    spectrum = np.abs(np.fft.rfft(x, 8 * len(x)))
    return np.argmax(spectrum) * RATE / (8 * len(x))


@pytest.fixture(scope="module")
def sine(tmp_path_factory):
    return sine_bank(tmp_path_factory.mktemp("sine"))


@pytest.mark.parametrize(("key", "cents"), [(69, 0), (81, 0), (62, 0), (69, 30)])
def test_the_pitch_is_that_of_the_key(sine, key, cents):
    x = play(sine, key, cents=cents)[0, 2000:20000]
    expected = 441.0 * 2 ** ((key - 69 + cents / 100) / 12)
    assert peak_hz(x) == pytest.approx(expected, rel=1e-3)


def test_a_loop_goes_on_without_a_seam(sine):
    x = play(sine, 71, duration_s=0.9)[0, 2000:30000]
    t = np.arange(len(x))
    hz = 441.0 * 2 ** (2 / 12)
    basis = np.stack([f(2 * np.pi * hz / RATE * t) for f in (np.sin, np.cos)], axis=1)
    fit = basis @ np.linalg.lstsq(basis, x, rcond=None)[0]
    assert np.abs(x - fit).max() < 2e-3 * np.abs(x).max()


def sine_font(folder, n_samples, loop, mode):
    """A bank of a SoundFont with one sine that begins at its peak."""
    x = np.round(16000 * np.cos(2 * np.pi * np.arange(n_samples) / PERIOD)).astype(np.int16)
    zone = {SAMPLE: 0, ROOT: 69, RELEASE: -1200, LOOPS: mode}
    return bank_of_soundfont(folder, {(0, 0): [zone]}, [(x, loop)])


@pytest.mark.parametrize("n_behind", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("key", [57, 69, 71])
def test_a_loop_goes_on_that_ends_with_its_recording(tmp_path, n_behind, key):
    bank = sine_font(tmp_path, 4000 + n_behind, (1000, 4000), 1)
    x = play(bank, key, duration_s=0.9)[0, 2000 : int(0.89 * RATE)]
    t = 2 * np.pi * 441.0 * 2 ** ((key - 69) / 12) / RATE * np.arange(len(x))
    basis = np.stack([np.sin(t), np.cos(t)], axis=1)
    fit = basis @ np.linalg.lstsq(basis, x, rcond=None)[0]
    assert np.abs(x - fit).max() < 2e-3 * np.abs(x).max()


@pytest.mark.parametrize("mode", [0, 3])
@pytest.mark.parametrize("release_at", [2000, 3900, 4000, 20000])
def test_what_comes_to_its_end_fades(tmp_path, mode, release_at):
    bank = sine_font(tmp_path, 4000, (1000, 4000), mode)
    x = play(bank, duration_s=release_at / RATE)[0]
    assert (len(x.nonzero()[0]) > 20000) == (mode == 3 and release_at == 20000)
    assert np.abs(np.diff(x)).max() < 1.1 * np.abs(x).max() * 2 * np.pi / PERIOD


def test_a_release_falls_by_100_db_in_its_time(sine):
    x = play(sine, duration_s=0.2, seconds=1.0)[0]
    level = np.sqrt(np.mean(x[: RATE // 5].reshape(-1, 20)[20:] ** 2))
    later = np.sqrt(np.mean(x[int(0.3 * RATE) - 500 : int(0.3 * RATE) + 500] ** 2))
    assert 20 * np.log10(later / level) == pytest.approx(-20.0, abs=1.0)
    assert not x[int(0.75 * RATE) :].any()


def test_softer_keys_are_softer(sine):
    loud, soft = (np.abs(play(sine, velocity=v)).max() for v in (1.0, 0.5))
    assert 20 * np.log10(loud / soft) == pytest.approx(26.0 * np.log10(2.0), abs=0.2)


def level_db(x):
    return 10 * np.log10(np.mean(x**2))


def saw_font(folder, *modulators, **options):
    """A bank of a SoundFont with a looped saw of 441 Hz."""
    x = np.round(16000 * (np.arange(4000) % PERIOD / 50 - 1)).astype(np.int16)
    zone = {SAMPLE: 0, ROOT: 69, LOOPS: 1, MODULATORS: list(modulators)}
    zone |= options.pop("zone", {})
    return bank_of_soundfont(folder, {(0, 0): [zone]}, [(x, (1000, 3000))], **options)


def test_the_velocity_of_a_soundfont_follows_its_modulators(tmp_path):
    fixed = (0x0102, 8, 0, 0, 0)
    bank = saw_font(tmp_path, fixed)
    loud, soft = (level_db(play(bank, velocity=v)[0]) for v in (1.0, 0.5))
    assert loud - soft == pytest.approx(40 * np.log10(127 / 64), abs=0.05)
    even = saw_font(tmp_path, fixed, (0x0502, 48, 0, 0, 0))
    assert level_db(play(even, velocity=0.1)) == pytest.approx(loud, abs=0.05)
    fifth = {MODULATORS: [(0x0502, 48, 480, 0, 0)]}
    adds = saw_font(tmp_path, fixed, (0x0502, 48, 0, 0, 0), outer=fifth)
    soft = level_db(play(adds, velocity=0.5)[0])
    assert loud - soft == pytest.approx(20 * np.log10(127 / 64), abs=0.05)


def centroid_hz(x):
    power = np.abs(np.fft.rfft(x)) ** 2
    return power @ np.fft.rfftfreq(len(x), 1 / RATE) / power.sum()


def test_velocity_and_key_open_a_filter(tmp_path):
    """As of a piano whose filter lets nothing through by itself."""
    closed = {8: 5900, 29: 0}  # 246 Hz
    opening = [(0x0102, 8, 0, 0, 0), (2, 11, 6000, 0, 0), (0x0203, 8, 2000, 0, 0)]
    bank = saw_font(tmp_path, *opening, zone=closed)
    velocities = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
    notes = [play(bank, velocity=v)[0, :20000] for v in velocities]
    levels, centroids = [level_db(x) for x in notes], [centroid_hz(x) for x in notes]
    assert levels == sorted(levels)
    assert centroids == sorted(centroids)
    assert centroids[-1] > 2 * centroids[0]
    low, high = (bank.zones("0:0")[0].at(key, 127).cutoff_hz for key in (32, 96))
    assert high / low == pytest.approx(2 ** (2000 / 1200))


def test_brightness_still_opens_a_filter(tmp_path):
    bank = saw_font(tmp_path, zone={8: 6000})
    plain, bright = (centroid_hz(play(bank, bright=b)[0, :20000]) for b in (0.0, 2.0))
    assert bright > 1.2 * plain


def test_modulators_move_envelopes_and_places(tmp_path):
    moves = [(0x0102, 34, 12000, 0, 0), (2, 38, 2400, 0, 0), (2, 17, 1000, 0, 0)]
    moves += [(0x0102, 0, -64, 0, 0), (2, 37, 640, 0, 0), (2, 52, 100, 0, 0), (0, 9, 99, 0, 0)]
    (zone,) = saw_font(tmp_path, *moves, zone={0: 1000}).zones("0:0")
    half = zone.at(60, 64)
    assert half.modulators is None
    assert half.attack_s == pytest.approx(2.0**-5, rel=1e-3)
    assert half.release_s == pytest.approx(2.0**-9, rel=1e-3)
    assert (half.pan, half.sustain_db, half.tune_cents) == (1.0, 32.0, 50.0)
    assert (half.moved, half.resonance_db) == ((-32, 0, 0, 0), pytest.approx(9.9))
    assert half.attenuation_db == pytest.approx(40 * np.log10(127 / 64))


def test_the_velocity_moves_where_a_recording_begins(tmp_path):
    step = np.repeat([0, 16000], 3000).astype(np.int16)  # silent up to sample 3000
    later = (2, 0, 6000, 0, 0)
    zone = {SAMPLE: 0, ROOT: 69, MODULATORS: [later]}
    bank = bank_of_soundfont(tmp_path, {(0, 0): [zone]}, [(step, (0, 0))])
    first = [int(play(bank, velocity=v)[0].nonzero()[0][0]) for v in (32 / 127, 63 / 127, 1.0)]
    assert first == pytest.approx([1500, 47, 0], abs=4)


def test_no_modulator_leaves_the_range_of_its_generator(tmp_path):
    extremes = (-32768, 32767)
    for amount in extremes:
        moves = [(2, n, amount, 0, 0) for n in (8, 9, 11, 17, 28, 29, *range(33, 39), 48, 0, 4)]
        bank = saw_font(tmp_path, *moves)
        assert np.isfinite(play(bank)).all()
        zone = bank.zones("0:0")[0].at(60, 127)
        assert 19 < zone.cutoff_hz < 20000
        assert 0 <= zone.attenuation_db <= 144
        assert zone.release_s < 102


def test_a_bend_moves_the_pitch(sine):
    bend = np.full(RATE // CONTROL, 1200.0)
    assert peak_hz(play(sine, bend=bend)[0, 2000:20000]) == pytest.approx(882.0, rel=1e-3)
    assert peak_hz(play(sine, bend=np.zeros(0))[0, 2000:20000]) == pytest.approx(441.0, rel=1e-3)


def test_what_began_before_the_buffer_goes_on_in_it(sine):
    whole = play(sine)
    cut = play(sine, start=-10000)
    np.testing.assert_allclose(cut[:, :20000], whole[:, 10000:30000], atol=1e-12)
    assert not play(sine, start=RATE).any()


def test_a_zone_is_filtered_and_panned(tmp_path, sine):
    dull = sine_bank(tmp_path / "dull", cutoff_hz=100.0)
    steady = slice(8000, 20000)
    ratio = np.abs(play(dull)[:, steady]).max() / np.abs(play(sine)[:, steady]).max()
    assert ratio == pytest.approx((100.0 / 441.0) ** 2, rel=0.05)
    left = play(sine_bank(tmp_path / "left", pan=-1.0))
    assert np.abs(left[1]).max() < 1e-9 < np.abs(left[0]).max()


def test_a_sample_of_a_low_rate_has_no_mirror_image(tmp_path):
    bank = sine_bank(tmp_path, 11025)
    assert bank.recordings[0].rate == 44100
    assert bank.recordings[0].loop_end == 12000
    x = play(bank, 69 + 24)[0, 4000:20000]
    spectrum = np.abs(np.fft.rfft(x * np.blackman(len(x))))
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    assert peak_hz(x) == pytest.approx(441.0, rel=1e-3)
    assert spectrum[hz > 2000].max() < 1e-4 * spectrum.max()


def test_hits_are_read_at_their_own_rate(sine):
    assert peak_hz(Sampler(sine, RATE).hit(0)) == pytest.approx(441.0, rel=5e-3)
    assert peak_hz(Sampler(sine, RATE).hit(0, 1200.0)) == pytest.approx(882.0, rel=5e-3)


def test_glides_end_at_the_note():
    course = glide(-3.0, 0.1, RATE)
    assert course[0] == -300.0
    assert course[-1] == pytest.approx(0.0)
    course = Expression(np.random.default_rng(0), (20, 20), 0.0).course(1.0, RATE)
    assert 5 < np.abs(course[len(course) // 2 :]).max() < 60
