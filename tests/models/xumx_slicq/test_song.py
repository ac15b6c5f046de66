"""Facts about songs in segments: with two passes, stems are those of the song in one piece."""

import numpy as np
import pytest
import soundfile as sf
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.separation import Ensemble, Separator
from asteroid_slicq.wiener import (
    SongCovariances,
    SongCovariancesOfBlocks,
    SongPostfilter,
    wiener_em,
    wiener_on_stft,
)
from tests.helpers import complex_noise, noise, numpy_noise, with_slow

RATE = 2000
TRANSFORM = {"n_bins": 12, "f_min_hz": 60.0}


def tiny(wiener):
    torch.manual_seed(0)
    return XUMXSliCQ(
        hidden_channels=(2, 3), sample_rate=RATE, transform=TRANSFORM, wiener=wiener
    ).eval()


@pytest.fixture
def model():
    return tiny("slicqt")


@pytest.fixture
def mix():
    """Noise that grows, so that the covariances of parts differ: twenty seconds in stereo."""
    grown = numpy_noise(2, 20 * RATE) * np.linspace(0.01, 1, 20 * RATE, dtype=np.float32) ** 2
    grown[1, : 10 * RATE] *= 0.2
    return grown


def whole(model, mix):
    with torch.inference_mode():
        return model(torch.from_numpy(mix)[None])[0].numpy()


def snr_db(reference, estimate):
    return 10 * np.log10((reference**2).sum() / ((reference - estimate) ** 2).sum())


@pytest.mark.parametrize(
    ("wiener", "at_once"), [("slicqt", False), ("slicqt", True), ("stft", False)]
)
@pytest.mark.parametrize("segment_s", with_slow([8.0, 15.0], 8.0))
def test_segments_do_not_show(wiener, mix, segment_s, at_once):
    model = tiny(wiener)
    model.at_once = at_once
    expected = whole(model, mix)
    one_pass = Separator(model, segment_s, 4.0, two_passes=False).separate_waveform(mix)
    assert snr_db(expected, one_pass) < 70
    assert snr_db(expected, Separator(model, segment_s, 4.0).separate_waveform(mix)) > 90


@pytest.mark.parametrize(
    ("wiener", "at_once"),
    with_slow(
        [("slicqt", False), ("slicqt", True), ("stft", False)], ("slicqt", True), ("stft", False)
    ),
)
def test_windows_of_silence(wiener, mix, at_once):
    """Three minutes of it, longer than a window, within the music."""
    model = tiny(wiener)
    model.at_once = at_once
    half = mix.shape[-1] // 2
    silence = np.zeros((2, 180 * RATE), np.float32)
    mix = np.concatenate([mix[:, :half], silence, mix[:, half:]], axis=1)
    made = Separator(model, 15.0, 4.0).separate_waveform(mix)
    assert snr_db(whole(model, mix), made) > 90
    assert not made[..., half + 5 * RATE : half + 170 * RATE].any()


@pytest.mark.parametrize("wiener", ["slicqt", "stft"])
def test_silence_at_the_end(wiener, mix):
    """Where the windows of the STFT end depends on the length of the song, silence included."""
    model = tiny(wiener)
    sound = np.tile(mix, 12) * np.linspace(0.1, 1, 240 * RATE, dtype=np.float32)
    ending = np.concatenate([sound, np.zeros((2, 160 * RATE), np.float32)], axis=1)
    made = Separator(model, 15.0, 4.0).separate_waveform(ending)
    assert snr_db(whole(model, ending), made) > 90


def test_a_batch_and_shifts_have_statistics_of_their_own(model, mix):
    both = np.stack([mix, mix[:, ::-1]])
    made = Separator(model, 4.0, 2.0, shifts=2).separate_waveform(both)
    delay = RATE // 4
    for item, estimate in zip(both, made, strict=True):
        later = np.pad(item, ((0, 0), (delay, 0)))
        expected = (whole(model, item) + whole(model, later)[..., delay:]) / 2
        assert snr_db(expected, estimate) > 80


def test_members_of_an_ensemble_measure_the_song(model, mix):
    torch.manual_seed(1)
    other = XUMXSliCQ(hidden_channels=(2, 2), sample_rate=RATE, transform=TRANSFORM).eval()
    plain = XUMXSliCQ(
        hidden_channels=(2, 2), sample_rate=RATE, transform=TRANSFORM, wiener_iterations=0
    ).eval()
    ensemble = Ensemble([model, other, plain])
    expected = np.mean([whole(each, mix) for each in (model, other, plain)], 0)
    assert snr_db(expected, Separator(ensemble, 4.0, 2.0).separate_waveform(mix)) > 90


def test_a_file_is_read_twice_and_its_progress_grows(model, mix, tmp_path):
    mix = np.clip(mix, -1, 1)
    sf.write(tmp_path / "song.wav", mix.T, RATE, subtype="FLOAT")
    told = []
    paths = Separator(model, 4.0, 2.0).separate_file(
        tmp_path / "song.wav", progress=lambda done, total: told.append((done, total))
    )
    for stem, expected in zip(model.sources, whole(model, mix), strict=True):
        assert snr_db(expected, sf.read(paths[stem])[0].T) > 80
    done = [each for each, _ in told]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(20)


def test_what_the_song_cannot_tell_is_measured_in_segments(model):
    model.wiener_iterations = 2
    assert model.song_statistics() is None
    model.wiener_iterations = 0
    assert model.song_statistics() is None
    mono = XUMXSliCQ(n_channels=1, sample_rate=RATE, transform=TRANSFORM, hidden_channels=(2, 2))
    assert mono.song_statistics() is None


def test_covariances_that_were_added_up_are_those_of_the_whole():
    mix, masks = 40 * complex_noise(2, 2, 3, 10, 8), noise(2, 4, 2, 3, 10, 8).sigmoid()
    sums = SongCovariances(window_frames=30)
    for start, stop in ((0, 2), (2, 7), (7, 10)):
        sums.add(masks[..., start:stop, :], mix[..., start:stop, :], 8 * start)
    expected = wiener_em(masks * mix.unsqueeze(1), mix, window_frames=30)
    refined = sums.refine(masks[..., 3:9, :], mix[..., 3:9, :], 24)
    torch.testing.assert_close(refined, expected[..., 3:9, :], atol=1e-4, rtol=1e-4)


def test_covariances_of_all_blocks_are_those_of_each():
    """Whatever the windows and the segments, and the order in which these are added."""
    blocks = ((1, 12), (3, 8), (2, 10))
    mix = [40 * complex_noise(2, 2, n, 10, m, seed=m) for n, m in blocks]
    masks = [noise(2, 4, 2, n, 10, m, seed=m).sigmoid() for n, m in blocks]
    flat_masks = [torch.cat([v[..., s:e, :].flatten(3) for v in masks], -1) for s, e in _PARTS]
    flat_mix = [torch.cat([x[..., s:e, :].flatten(2) for x in mix], -1) for s, e in _PARTS]
    together = SongCovariancesOfBlocks(blocks, window_frames=30)
    assert not together.refine(flat_masks[0], flat_mix[0], 0).any()
    each = [SongCovariances(window_frames=30) for _ in blocks]
    for (start, stop), v, x, own in zip(_PARTS, flat_masks, flat_mix, _OWN, strict=True):
        together.add(v, x, start, own)
        for sums, mask, block, (_, m) in zip(each, masks, mix, blocks, strict=True):
            part = slice(start + (own.start or 0), stop if own.stop is None else start + own.stop)
            if part.start < part.stop:
                sums.add(mask[..., part, :], block[..., part, :], part.start * m)
    for (start, stop), v, x in zip(_PARTS, flat_masks, flat_mix, strict=True):
        expected = [
            sums.refine(mask[..., start:stop, :], block[..., start:stop, :], start * m).flatten(3)
            for sums, mask, block, (_, m) in zip(each, masks, mix, blocks, strict=True)
        ]
        torch.testing.assert_close(
            together.refine(v, x, start), torch.cat(expected, -1), atol=1e-5, rtol=1e-5
        )


_PARTS = [(4, 10), (0, 5), (3, 6)]
_OWN = [slice(1, None), slice(0, 5), slice(1, 1)]  # none is added twice


@pytest.mark.parametrize("n_frames", with_slow([250, 742], 742))
def test_windows_on_the_stft_are_those_of_the_song(n_frames):
    length = n_frames * 1024 - 3072
    mix = noise(1, 2, length) * torch.linspace(0, 3, length)
    estimates = torch.stack([0.3 * mix, 0.7 * mix + 0.1 * mix.flip(1)], 1)
    expected = wiener_on_stft(estimates, mix)
    song, size, hop = SongPostfilter(), 150_000, 110_001  # an overlap, and no multiple of a frame
    n_segments = 1 + max(0, -(-(length - size) // hop))
    segments = [slice(i * hop, i * hop + size) for i in range(n_segments)]
    for number, part in enumerate(segments):
        begin, end = 20_000 if number else 0, hop + 20_000
        last = None if number == n_segments - 1 else end
        song.observe(estimates[..., part], mix[..., part], number * hop, begin, last)
    for number, part in enumerate(segments):
        refined = song.refine(estimates[..., part], mix[..., part], number * hop)
        inner = slice(4096, None if number == n_segments - 1 else -4096)
        torch.testing.assert_close(
            refined[..., inner], expected[..., part][..., inner], atol=1e-4, rtol=1e-4
        )
