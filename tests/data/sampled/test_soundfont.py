import struct

import numpy as np
import pytest

from asteroid_slicq.data.sampled.bank import BankWriter
from asteroid_slicq.data.sampled.catalogue import SOURCES
from asteroid_slicq.data.sampled.extraction import add_instrument
from asteroid_slicq.data.sampled.sampler import Sampler
from asteroid_slicq.data.sampled.soundfont import SoundFont, decode_pcm
from tests.data.sampled.made_up import (
    KEYS,
    LOOPS,
    MODULATORS,
    RELEASE,
    ROOT,
    SAMPLE,
    SUSTAIN,
    VELOCITIES,
    bank_of_soundfont,
    soundfont,
    span,
)

X = np.arange(-500, 500, dtype=np.int16)
Y = np.arange(300, dtype=np.int16)


@pytest.fixture
def font(tmp_path):
    zones = [
        {SAMPLE: 0, KEYS: span(0, 59), LOOPS: 1, ROOT: 57, SUSTAIN: 120, RELEASE: -1200, 51: -1},
        {SAMPLE: 1, KEYS: span(60, 127), VELOCITIES: span(64, 127), 17: -500, 48: 100, 8: 6900},
    ]
    presets = {(0, 5): zones, (128, 3): [{SAMPLE: 1}]}
    path = tmp_path / "a.sf2"
    path.write_bytes(soundfont(presets, [(X, (100, 900)), (Y, (0, 0))]))
    return SoundFont(path)


def test_presets_and_samples(font):
    assert font.presets == [(0, 5), (128, 3)]
    assert font.n_samples == 2
    sample = font.sample(0)
    np.testing.assert_array_equal(decode_pcm(sample.data), X)
    assert (sample.rate, sample.root, sample.loop_start, sample.loop_end) == (44100, 60, 100, 900)
    np.testing.assert_array_equal(decode_pcm(font.sample(1).data), Y)
    assert font.sample_size(1) == 2 * len(Y)


def test_zones_have_units(font):
    first, second = font.preset(0, 5).zones
    assert (first.keys, first.velocities, first.root, first.loop) == ((0, 59), (0, 127), 57, 1)
    assert first.sustain_db == 12.0
    assert first.release_s == pytest.approx(0.5)
    assert first.tune_cents == -100.0
    assert (second.keys, second.velocities, second.root) == ((60, 127), (64, 127), None)
    assert second.pan == -1.0
    assert second.attenuation_db == pytest.approx(4.0)
    assert second.cutoff_hz == pytest.approx(440.0, rel=1e-3)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "b.sf2"
    path.write_bytes(b"RIFF\0\0\0\0WAVE")
    with pytest.raises(ValueError, match="no SoundFont"):
        SoundFont(path)
    whole = soundfont({(0, 0): [{SAMPLE: 0}]}, [(X, (0, 0))])
    path.write_bytes(whole[:-60])
    with pytest.raises(ValueError, match=r"cut short|no chunk"):
        SoundFont(path)


@pytest.mark.parametrize(("bag", "field", "part"), [("ibag", 0, "igen"), ("pbag", 2, "pmod")])
def test_zones_that_refer_to_nothing(tmp_path, bag, field, part):
    path = tmp_path / "c.sf2"
    whole = bytearray(soundfont({(0, 0): [{SAMPLE: 0}]}, [(X, (0, 0))]))
    at = whole.index(bag.encode()) + 8 + 4 + field  # of the last one
    whole[at : at + 2] = struct.pack("<H", 99)
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=f"records that chunk '{part}' has not"):
        SoundFont(path)


def test_a_file_without_modulators_is_told(tmp_path):
    path = tmp_path / "d.sf2"
    whole = soundfont({(0, 0): [{SAMPLE: 0, MODULATORS: [(2, 8, 1, 0, 0)]}]}, [(X, (0, 0))])
    path.write_bytes(whole.replace(b"imod", b"xmod"))
    with pytest.raises(ValueError, match="no chunk 'imod'"):
        SoundFont(path)
    path.write_bytes(whole.replace(b"imod" + struct.pack("<I", 10), b"imod" + struct.pack("<I", 9)))
    with pytest.raises(ValueError, match=r"'imod' of .* is cut short"):
        SoundFont(path)


def modulators(tmp_path, *zones, outer=None):
    path = tmp_path / "e.sf2"
    path.write_bytes(soundfont({(0, 0): list(zones)}, [(X, (0, 0))], outer=outer))
    return [set(zone.modulators) for zone in SoundFont(path).preset(0, 0).zones]


LOUDNESS, CUTOFF = (0x0502, 48, 960, 0, 0), (0x0102, 8, -2400, 0, 0)


def test_zones_replace_modulators_and_presets_add_to_them(tmp_path):
    plain = {SAMPLE: 0}
    assert modulators(tmp_path, plain) == [{LOUDNESS, CUTOFF}]
    common = {MODULATORS: [(0x0502, 48, 300, 0, 0), (2, 11, 5000, 0, 0)]}
    own = {SAMPLE: 0, MODULATORS: [(2, 11, 1000, 0, 0), (2, 11, 2000, 0, 0), (3, 11, 7, 0, 0)]}
    louder = (0x0502, 48, 300, 0, 0)
    assert modulators(tmp_path, common, plain, own) == [
        {louder, CUTOFF, (2, 11, 5000, 0, 0)},
        {louder, CUTOFF, (2, 11, 2000, 0, 0), (3, 11, 7, 0, 0)},
    ]
    outer = {MODULATORS: [(0x0502, 48, -300, 0, 0), (0x0102, 8, -100, 0, 0), (2, 8, 50, 3, 0)]}
    assert modulators(tmp_path, common, plain, plain | common, outer=outer)[1] == {
        (0x0102, 8, -2500, 0, 0),
        (2, 8, 50, 3, 0),
        (2, 11, 5000, 0, 0),
    }


def test_a_zone_without_velocity_to_cutoff(tmp_path):
    for amount_source in (0, 0x0D02):  # as the specification has it, and as it had it
        zone = {SAMPLE: 0, MODULATORS: [(0x0102, 8, 0, amount_source, 0)]}
        assert modulators(tmp_path, zone) == [{LOUDNESS}]
        own = {MODULATORS: [(0x0102, 8, -4800, 0, 0)]}
        assert modulators(tmp_path, zone, outer=own) == [{LOUDNESS, (0x0102, 8, -4800, 0, 0)}]


def test_what_no_key_or_velocity_moves_is_left_out(tmp_path):
    others = [
        (0x0582, 48, 500, 0, 0),  # a controller
        (14, 8, 500, 0, 0),  # the pitch wheel
        (2, 8, 500, 13, 0),  # scaled by pressure
        (2, 8, 500, 0, 1),  # an unknown transform
        (0x1002, 8, 500, 0, 0),  # an unknown curve
        (2, 0x8001, 500, 0, 0),  # another modulator
        (2, 5, 500, 0, 0),  # what the sampler has not
    ]
    assert modulators(tmp_path, {SAMPLE: 0, MODULATORS: others}) == [{LOUDNESS, CUTOFF}]


# An octave higher from sample 40000 on; the loop is of the lower part.
HZ = np.where(np.arange(80000) < 40000, 441.0, 882.0)
TWO_TONES = np.round(12000 * np.sin(2 * np.pi * np.cumsum(HZ) / 44100)).astype(np.int16)


def two_tones(folder, *zones, **options):
    zones = [{SAMPLE: 0, ROOT: 60, LOOPS: 1} | zone for zone in zones]
    samples = [(TWO_TONES, (10000, 30000))]
    return bank_of_soundfont(folder, {(0, 0): zones}, samples, **options)


def heard_hz(bank, at, duration_s=3.0):
    out = np.zeros((2, 3 * 44100))
    Sampler(bank, 44100).play(out, 0, "0:0", 60, 1.0, duration_s)
    x = out[0, at : at + 4410]
    return 10 * np.argmax(np.abs(np.fft.rfft(x * np.hanning(len(x))))) if x.any() else 0


@pytest.mark.parametrize("compressed", [False, True])
def test_a_zone_moves_the_ends_and_the_loop_of_its_sample(tmp_path, compressed):
    def place(bank):
        (recording,) = bank.recordings
        assert {z.moved for z in bank.zones("0:0")} == {(0, 0, 0, 0)}
        loop = recording.loop_start, recording.loop_end
        return recording.start, len(bank.pcm(0)), *loop

    def moved(zone, **options):
        return two_tones(tmp_path, zone, compressed=compressed, **options)

    assert place(moved({})) == (0, 80000, 10000, 30000)
    late = moved({0: 9232, 4: 1, LOOPS: 0})
    assert place(late) == (42000, 80000, 10000, 30000)
    assert heard_hz(late, 0) == pytest.approx(882, abs=10)
    assert heard_hz(late, 39000) == 0
    assert np.abs(Sampler(late, 44100).hit(0)).max() > 0.3
    assert len(Sampler(late, 44100).hit(0)) == 80000 - 42000 - 3
    short = moved({1: -10000, 12: -1, LOOPS: 0})
    assert place(short) == (0, 37232, 10000, 30000)
    assert heard_hz(short, 38000) == 0
    high = moved({2: 2232, 45: 1, 3: 12232, 50: 1})
    assert place(high) == (0, 80000, 45000, 75000)
    assert [heard_hz(high, at) for at in (20000, 76000, 120000)] == [440, 880, 880]
    # No further than there are samples; not by presets.
    assert place(moved({0: -1, 1: 1, 2: -20000, 50: 3})) == (0, 80000, 0, 80000)
    assert place(moved({4: 9})) == (79999, 80000, 10000, 30000)
    assert place(moved({12: -9})) == (0, 1, 1, 1)
    assert place(moved({}, outer={0: 900, 4: 1, 2: 9})) == (0, 80000, 10000, 30000)


def test_zones_that_move_a_sample_alike_share_a_recording(tmp_path):
    low, high = ({KEYS: span(0, 59)}, {KEYS: span(60, 127)})
    bank = two_tones(tmp_path, low | {0: 7}, high | {0: 7}, low, high | {0: 8, 2: 1}, low)
    assert [zone.sample for zone in bank.zones("0:0")] == [0, 0, 1, 2, 1]
    assert len(bank.manifest["sounds"]) == 1


def test_a_sample_without_samples_is_moved_nowhere(tmp_path):
    path, writer = tmp_path / "a.sf2", BankWriter()
    path.write_bytes(soundfont({(0, 0): [{SAMPLE: 0, 0: 5, 1: -5}]}, [(X[:0], (0, 0))]))
    font = SoundFont(path)
    zones = list(font.preset(0, 0).zones)
    add_instrument(writer, SOURCES[0], "0:0", font, "none", zones)
    (recording,) = writer._recordings
    assert (recording.start, recording.end, recording.loop_end) == (0, None, 0)
