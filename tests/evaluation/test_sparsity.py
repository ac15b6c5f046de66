"""Sparsity measures: known values, what they do not depend on, and cells that compare."""

import math

import numpy as np
import pytest
import torch

from asteroid_slicq.evaluation.sparsity import (
    gini_index,
    kurtosis,
    measure,
    renyi_entropy,
    ridge_concentration,
)
from asteroid_slicq.evaluation.tiling import tiling
from asteroid_slicq.transform import STFT, SliCQT
from asteroid_slicq.vocabulary import SPARSITY_MEASURES

RATE = 8000
FRAME = {"n_bins": 40, "f_min_hz": 60.0, "sample_rate": RATE}
TRANSFORMS = {
    "sliced": lambda: SliCQT(**FRAME),
    "overlap-added": lambda: SliCQT(**FRAME, overlap_added=True),
    "global phase": lambda: SliCQT(**FRAME, phase="global"),
    "piecewise": lambda: SliCQT(**FRAME, rasterize="piecewise"),
    "matrix": lambda: SliCQT(**FRAME, rasterize="full", overlap_added=True),
    "STFT": lambda: STFT(512, 128, RATE),
}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def spike(n: int) -> np.ndarray:
    return np.eye(n)[n // 2]


@pytest.mark.parametrize("n", [1, 2, 37])
def test_values_of_a_constant_and_of_a_spike(n):
    constant = np.full(n, 3.0)
    assert gini_index(constant) == pytest.approx(0, abs=1e-12)
    assert gini_index(spike(n)) == pytest.approx(1 - 1 / n)
    assert renyi_entropy(constant) == pytest.approx(math.log2(n))
    assert renyi_entropy(spike(n)) == pytest.approx(0, abs=1e-12)
    assert kurtosis(constant) == pytest.approx(1)
    assert kurtosis(spike(n)) == pytest.approx(n)
    assert ridge_concentration(constant[:, None]) == pytest.approx(0, abs=1e-12)
    assert ridge_concentration(spike(n)[:, None]) == pytest.approx(1 - 1 / n)


def test_gini_of_two_magnitudes():
    # Lorenz curve through (1/2, 1/4): the area below it is 3/8.
    assert gini_index([1.0, 9.0]) == pytest.approx(1 / 4)


def test_gini_is_the_mean_difference_of_magnitudes():
    magnitude = rng().exponential(size=50)
    difference = np.abs(magnitude[:, None] - magnitude).mean()
    assert gini_index(magnitude**2) == pytest.approx(difference / (2 * magnitude.mean()))


def test_kurtosis_of_complex_gaussian_noise_is_two():
    density = rng().exponential(size=200_000)
    assert kurtosis(density) == pytest.approx(2, rel=0.02)


def test_renyi_entropy_of_energy_on_an_area():
    density = np.array([0.0, 5.0, 5.0])
    assert renyi_entropy(density, [7.0, 0.5, 1.5]) == pytest.approx(math.log2(2.0))


def test_renyi_entropy_falls_with_its_order():
    density = rng().exponential(size=100)
    entropies = [renyi_entropy(density, order=order) for order in (0.5, 2, 3, 8)]
    assert entropies == sorted(entropies, reverse=True)
    assert entropies[0] < math.log2(100)


def test_a_ridge_ends_at_half_its_height():
    column = np.array([1.0, 4.0, 6.0, 10.0, 5.0, 2.0, 1.0, 3.0, 1.0])[:, None]
    # The maximum of 3 is below the mean.
    assert ridge_concentration(column) == pytest.approx((6 + 10 + 5) / 33 - 3 / 9)


def test_a_shoulder_is_no_ridge_and_a_plateau_is_one():
    column = np.array([1.0, 9.0, 4.0, 4.0, 1.0, 8.0, 8.0, 1.0])[:, None]
    assert ridge_concentration(column) == pytest.approx((9 + 8 + 8) / 36 - 3 / 8)


@pytest.mark.parametrize("name", SPARSITY_MEASURES)
def test_loudness_does_not_count(name):
    density, area = rng().exponential(size=(30, 20)), rng(1).uniform(1, 2, 30)
    value = measure([density], [area], [name])[name]
    assert measure([1e-9 * density], [area], [name])[name] == pytest.approx(value)
    assert measure([density], [7 * area], [name])[name] == pytest.approx(value)


@pytest.mark.parametrize("name", SPARSITY_MEASURES)
def test_a_cell_cut_into_two_counts_as_one(name):
    density, area = rng().exponential(size=(30, 20)), rng(1).uniform(1, 2, 30)
    value = measure([density], [area], [name])[name]
    in_time = measure([density.repeat(2, 1)], [area / 2], [name])
    in_frequency = measure([density.repeat(2, 0)], [area.repeat(2) / 2], [name])
    in_blocks = measure([density[:7], density[7:].repeat(2, 1)], [area[:7], area[7:] / 2], [name])
    for cut in (in_time, in_frequency, in_blocks):
        assert cut[name] == pytest.approx(value)


def test_silence_has_no_sparsity():
    for value in measure([np.zeros((4, 5))], [np.ones(4)]).values():
        assert math.isnan(value)


@pytest.mark.parametrize("make", TRANSFORMS.values(), ids=TRANSFORMS)
def test_white_noise_has_density_one_in_every_bin_and_cells_tile_the_plane(make):
    transform = make()
    tiles = tiling(transform)
    n_units = 40 * RATE // tiles.unit
    noise = torch.randn(1, 42 * RATE, generator=torch.Generator().manual_seed(0))
    coefficients = transform(noise)
    blocks = [coefficients] if isinstance(coefficients, torch.Tensor) else coefficients
    cells = tiles.densities(blocks, 2, 2 + n_units)
    bins = np.concatenate([block.mean(1) for block in cells])
    # DC and Nyquist are real, which is noisier.
    np.testing.assert_allclose(bins[1:-1], 1, atol=0.25)
    assert np.average(bins, weights=np.concatenate(tiles.heights_hz)) == pytest.approx(1, abs=0.01)
    area = sum(float((a * c.shape[1]).sum()) for a, c in zip(tiles.areas, cells, strict=True))
    assert area == pytest.approx(n_units * tiles.unit / RATE * RATE / 2)


def sparsity_of(transform, waveform: torch.Tensor) -> dict[str, float]:
    tiles = tiling(transform)
    coefficients = transform(waveform[None])
    blocks = [coefficients] if isinstance(coefficients, torch.Tensor) else coefficients
    cells = tiles.densities(blocks, tiles.margin, len(waveform) // tiles.unit - tiles.margin)
    return measure(cells, tiles.areas)


def test_the_layout_of_a_frame_does_not_count():
    time = torch.arange(4 * RATE) / RATE
    wave = torch.sin(2 * torch.pi * 300 * time) * torch.exp(-((time % 0.5) * 10))
    wave = wave + 0.01 * torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    reference = sparsity_of(TRANSFORMS["sliced"](), wave)
    for name in ("overlap-added", "global phase", "piecewise", "matrix"):
        assert sparsity_of(TRANSFORMS[name](), wave) == pytest.approx(reference, rel=0.03), name


def test_tones_are_sparser_in_long_windows_and_clicks_in_short_ones():
    time = torch.arange(4 * RATE) / RATE
    tones = sum(torch.sin(2 * torch.pi * f * time) for f in (331.0, 507.0, 1203.0))
    clicks = (torch.arange(4 * RATE) % 1500 == 0).float()
    short, long = STFT(256, 64, RATE), STFT(2048, 512, RATE)
    for wave, sparse, wide in ((tones, long, short), (clicks, short, long)):
        better, worse = sparsity_of(sparse, wave), sparsity_of(wide, wave)
        assert better["gini"] > worse["gini"]
        assert better["renyi"] < worse["renyi"] - 1
        assert better["kurtosis"] > 2 * worse["kurtosis"]
    noise = torch.randn(4 * RATE, generator=torch.Generator().manual_seed(0))
    for transform in (short, long):
        ridge = sparsity_of(transform, tones)["ridge"]
        assert ridge > sparsity_of(transform, noise)["ridge"] + 0.2
        assert ridge > sparsity_of(transform, clicks)["ridge"] + 0.2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gini_index([1.0, -1.0]), "density must"),
        (lambda: gini_index([]), "density must"),
        (lambda: kurtosis([1.0, math.nan]), "density must"),
        (lambda: kurtosis([1.0, 1.0], [1.0, 0.0]), "area must be above 0, got 0.0"),
        (lambda: renyi_entropy([1.0], order=1), "order must be above 0 and not 1, got 1"),
        (lambda: ridge_concentration([1.0]), r"density must be \(freq, time\), got \(1,\)"),
        (lambda: ridge_concentration([[1.0]], [1.0, 2.0]), r"height must be \(1,\), got \(2,\)"),
        (lambda: measure([np.ones((1, 1))], [np.ones(1)], ["sum"]), "got 'sum'"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_other_transforms_have_no_tiling():
    with pytest.raises(TypeError, match="got Identity"):
        tiling(torch.nn.Identity())  # type: ignore[arg-type]
