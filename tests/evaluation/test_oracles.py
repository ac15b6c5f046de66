"""Oracles: exact where they can be, by their definitions, and part by part as on the whole."""

import numpy as np
import pytest
import soundfile
import torch

from asteroid_slicq.data import Track
from asteroid_slicq.evaluation import middle_of, oracle_sdr, source_sparsity
from asteroid_slicq.evaluation.metrics import track_sdr, utterance_sdr
from asteroid_slicq.evaluation.oracles import (
    Block,
    estimate,
    oracle,
    spatial_sums,
)
from asteroid_slicq.transform import STFT, SliCQT
from asteroid_slicq.vocabulary import ORACLES
from tests.helpers import complex_noise, noise

RATE = 8000
FRAME = {"scale": "bark", "n_bins": 24, "f_min_hz": 100.0, "sample_rate": RATE}
TRANSFORMS = {
    "sliced": lambda: SliCQT(**FRAME),
    "overlap-added": lambda: SliCQT(**FRAME, overlap_added=True, window="hann", min_width=32),
    "matrix": lambda: SliCQT(**FRAME, rasterize="full"),
    "STFT": lambda: STFT(512, 128, RATE),
}


@pytest.fixture(scope="module")
def slicqt():
    return SliCQT(scale="bark", n_bins=24, f_min_hz=100.0, sample_rate=8000)


def test_scaled_copies_of_the_mix_are_recovered_exactly(slicqt):
    mix = noise(2, 5000)
    stems = torch.stack([0.25 * mix, 0.75 * mix])
    torch.testing.assert_close(oracle("mix-phase", slicqt, mix, stems), stems, atol=1e-5, rtol=0)


def test_the_phase_is_that_of_the_mix(slicqt):
    mix = noise(1, 5000)
    # A stem of the opposite sign comes back with the sign of the mix.
    stems = torch.stack([2 * mix, -mix])
    expected = torch.stack([2 * mix, mix])
    torch.testing.assert_close(oracle("mix-phase", slicqt, mix, stems), expected, atol=1e-5, rtol=0)


def test_magnitudes_are_those_of_the_stems_before_synthesis(slicqt):
    received = []

    class Recorder:
        def __call__(self, waveform):
            return slicqt(waveform)

        def inverse(self, coefficients, length):
            received.extend(coefficients)
            return slicqt.inverse(coefficients, length)

    stems = noise(3, 2, 4000)
    mix = stems.sum(0)
    oracle("mix-phase", Recorder(), mix, stems)
    for block, stem, mixed in zip(received, slicqt(stems), slicqt(mix), strict=True):
        torch.testing.assert_close(block.abs(), stem.abs())
        torch.testing.assert_close(block.angle().cos(), mixed.angle().cos().expand_as(block))


def test_beats_the_mix_as_an_estimate(slicqt):
    stems = noise(4, 2, 8000)
    mix = stems.sum(0)
    bound = utterance_sdr(stems, oracle("mix-phase", slicqt, mix, stems))
    baseline = utterance_sdr(stems, mix.expand_as(stems))
    assert (bound > baseline + 3).all()


def test_batches_are_independent(slicqt):
    stems = noise(2, 3, 2, 3000)
    together = oracle("mix-phase", slicqt, stems.sum(1), stems)
    alone = torch.stack([oracle("mix-phase", slicqt, s.sum(0), s) for s in stems])
    torch.testing.assert_close(together, alone)


def test_silence_stays_silent(slicqt):
    stems = torch.zeros(2, 1, 3000)
    assert torch.equal(oracle("mix-phase", slicqt, stems.sum(0), stems), stems)


def test_wrong_shapes_are_named(slicqt):
    with pytest.raises(ValueError, match=r"got \(2, 90\) and \(4, 2, 100\)"):
        oracle("mix-phase", slicqt, torch.zeros(2, 90), torch.zeros(4, 2, 100))


def block_of(sources: torch.Tensor) -> Block:
    return Block(sources.sum(-4), sources, sources.shape[-1:])


def test_masks_are_those_of_their_definitions():
    block = block_of(complex_noise(3, 2, 5, 40))
    magnitude, mix = block.sources.abs(), block.mix.abs()
    masks = {
        "irm1": magnitude / magnitude.sum(0),
        "irm2": magnitude**2 / (magnitude**2).sum(0),
        "ibm1": (magnitude / mix >= 0.5).float(),
        "ibm2": (magnitude**2 / mix**2 >= 0.5).float(),
    }
    for name, mask in masks.items():
        torch.testing.assert_close(estimate(name, block), mask * block.mix)
    assert not torch.equal(masks["ibm1"], masks["ibm2"])


def test_ratio_masks_and_the_wiener_filter_sum_to_the_mix():
    block = block_of(complex_noise(3, 2, 5, 40))
    spatial = spatial_sums(block.sources, block.mix)
    for name in ("irm1", "irm2", "mwf"):
        torch.testing.assert_close(estimate(name, block, spatial).sum(0), block.mix)


def test_where_sources_do_not_overlap_masks_and_filters_are_exact():
    sources = complex_noise(2, 2, 5, 40)
    sources[0, ..., ::2] = 0
    sources[1, ..., 1::2] = 0
    block = block_of(sources)
    spatial = spatial_sums(block.sources, block.mix)
    for name in ORACLES:
        torch.testing.assert_close(
            estimate(name, block, spatial), sources, atol=1e-5, rtol=1e-5, msg=name
        )


@pytest.mark.parametrize("n_channels", [2, 3])
def test_the_wiener_filter_tells_directions_apart(n_channels):
    """As many sources as channels, each from one direction: a matter of linear algebra."""
    directions = complex_noise(n_channels, n_channels, 5, 1)
    sources = directions * complex_noise(n_channels, 1, 5, 200)
    block = block_of(sources)
    estimates = estimate("mwf", block, spatial_sums(block.sources, block.mix))
    torch.testing.assert_close(estimates, sources, atol=1e-3, rtol=1e-3)


def test_of_one_channel_the_wiener_filter_is_the_ratio_mask_of_powers():
    block = block_of(complex_noise(3, 1, 5, 40))
    spatial = spatial_sums(block.sources, block.mix)
    torch.testing.assert_close(estimate("mwf", block, spatial), estimate("irm2", block))


def test_covariances_of_parts_add_up():
    block = block_of(complex_noise(3, 2, 5, 40))
    whole = spatial_sums(block.sources, block.mix)
    parts = [
        spatial_sums(block.sources[..., part], block.mix[..., part])
        for part in (slice(0, 13), slice(13, 40))
    ]
    torch.testing.assert_close(whole, sum(parts))


@pytest.mark.parametrize("make", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("name", ORACLES)
def test_every_oracle_beats_the_mix_in_every_transform(name, make):
    stems = noise(4, 2, 6000) * torch.tensor([1.0, 0.3])[:, None]
    mix = stems.sum(0)
    estimates = oracle(name, make(), mix, stems)
    assert estimates.shape == stems.shape
    baseline = utterance_sdr(stems, mix.expand_as(stems))
    assert (utterance_sdr(stems, estimates) > baseline + 3).all()


@pytest.mark.parametrize("name", ORACLES)
def test_oracles_of_batches_and_of_silence(slicqt, name):
    stems = noise(2, 2, 2, 3000)  # as many items as sources and channels
    stems[1, 0] = 0
    together = oracle(name, slicqt, stems.sum(1), stems)
    alone = torch.stack([oracle(name, slicqt, s.sum(0), s) for s in stems])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    silence = torch.zeros(2, 2, 3000)
    assert torch.equal(oracle(name, slicqt, silence[0], silence), silence)


def test_unknown_oracles_are_named(slicqt):
    with pytest.raises(ValueError, match=r"name must be one of mix-phase, .* got 'irm3'"):
        oracle("irm3", slicqt, torch.zeros(2, 90), torch.zeros(4, 2, 90))
    block = block_of(complex_noise(3, 2, 5, 40))
    with pytest.raises(ValueError, match="spatial must be given"):
        estimate("mwf", block)


@pytest.fixture(scope="module")
def track(tmp_path_factory):
    """Three seconds of three sources that come and go."""
    path, rng = tmp_path_factory.mktemp("track"), np.random.default_rng(0)
    time = np.arange(3 * RATE + 123) / RATE
    for i, name in enumerate("abc"):
        wave = rng.standard_normal((len(time), 2)) * np.exp(2 * np.sin((i + 2) * time))[:, None]
        soundfile.write(path / f"{name}.wav", 0.02 * wave * [1, 0.3 + 0.2 * i], RATE, "FLOAT")
    return Track(path, len(time))


@pytest.mark.parametrize("make", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_track_scored_in_parts_has_the_scores_of_the_whole(track, make):
    transform, excerpt = make(), middle_of(track, "abc", RATE)
    mix, stems = excerpt.read(0, excerpt.length_samples)
    scores = oracle_sdr(transform, excerpt, part_s=1.0)
    for name, of_sources in scores.items():
        whole = track_sdr(stems.numpy(), oracle(name, transform, mix, stems).numpy(), RATE)
        # Which cells are rounding is told by the mix of each part, for the Wiener filter.
        assert list(of_sources.values()) == pytest.approx(whole.tolist(), abs=0.01), name


def test_an_excerpt_is_the_middle_of_a_track(track):
    excerpt = middle_of(track, "abc", RATE, seconds=2.0)
    mix, stems = excerpt.read(0, 10**9)
    start = (track.length_samples - 2 * RATE) // 2
    np.testing.assert_array_equal(stems[1], track.read("b", start, 2 * RATE))
    torch.testing.assert_close(mix, stems.sum(0))  # there is no mixture.wav
    assert middle_of(track, "abc", RATE, seconds=1e6).length_samples == track.length_samples


def test_short_excerpts_have_scores(track):
    for transform in (TRANSFORMS["sliced"](), TRANSFORMS["STFT"]()):
        excerpt = middle_of(track, "abc", RATE, seconds=0.05)
        assert np.isfinite(list(oracle_sdr(transform, excerpt)["mwf"].values())).all()
        assert np.isfinite(list(source_sparsity(transform, excerpt)["gini"].values())).all()


def test_a_transform_of_another_rate_is_refused(track):
    with pytest.raises(ValueError, match="must be of the track's 8000 Hz, got 44100 Hz"):
        oracle_sdr(STFT(), middle_of(track, "abc", RATE))
    with pytest.raises(ValueError, match="got 'irm3'"):
        oracle_sdr(TRANSFORMS["STFT"](), middle_of(track, "abc", RATE), ["irm3"])


@pytest.mark.parametrize("length", [1, 127, 128, 129, 5000])
@pytest.mark.parametrize(("n_fft", "hop"), [(512, 128), (512, 256), (256, 100), (4, 2)])
def test_the_stft_is_inverted(n_fft, hop, length):
    stft, wave = STFT(n_fft, hop, RATE), noise(2, 3, length).double()
    (block,) = stft(wave)
    assert block.shape[:-1] == (2, 3, n_fft // 2 + 1)
    torch.testing.assert_close(stft.inverse([block], length), wave)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((5, 1), "nearest is 4"), ((8, 5), "n_fft / 2 = 4, got 5"), ((8, 2, 0), "above 0 Hz, got 0")],
)
def test_wrong_sizes_of_an_stft_are_named(sizes, message):
    with pytest.raises(ValueError, match=message):
        STFT(*sizes)
