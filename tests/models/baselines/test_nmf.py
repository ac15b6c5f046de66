"""Facts about supervised NMF: its updates, its dictionaries, its masks."""

import math
from itertools import pairwise

import pytest
import torch

from asteroid_slicq.models import NMF
from tests.helpers import double_noise, noise
from tests.models.baselines.helpers import RATE, tiny


def low_rank(n_components=3, n_columns=60, seed=0):
    """A spectrogram that so many spectra explain."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.rand(129, n_components, generator=generator, dtype=torch.float64) ** 4
    h = torch.rand(n_components, n_columns, generator=generator, dtype=torch.float64) ** 4
    return w @ h + 1e-9


@pytest.mark.parametrize("kind", ["nmf", "nmf-kl"])
def test_the_divergence_falls_with_every_update_to_next_to_nothing(kind):
    model = tiny(kind).double()
    values = model._find(0, low_rank(), 300, math.inf)
    assert all(b <= a + 1e-9 for a, b in pairwise(values))
    assert values[-1] < 0.01 * values[0]
    torch.testing.assert_close(model.dictionaries[0].sum(0), torch.ones(3).double())


@pytest.mark.parametrize(("kind", "power"), [("nmf", -2), ("nmf-kl", -1)])
def test_an_update_is_that_of_the_papers(kind, power):
    """Lee, Seung; Févotte, Bertin, Durrieu: of the divergence of exponent β = 0 and 1."""
    model = tiny(kind).double()
    v, w, h = low_rank(), *(double_noise(*s).abs() + 0.1 for s in ((129, 3), (3, 60)))
    explained = w @ h
    numerator = torch.einsum("fk,ft,ft->kt", w, explained**power, v)
    denominator = torch.einsum("fk,ft->kt", w, explained ** (power + 1))
    torch.testing.assert_close(model._updated(h, w, v), h * numerator / denominator)


def test_divergences_are_zero_at_the_truth_and_those_of_the_formulas():
    v, w = torch.tensor([[2.0]]), torch.tensor([[1.0]])
    assert tiny("nmf").divergence_of(v, w) == pytest.approx(2 - math.log(2) - 1)
    assert tiny("nmf-kl").divergence_of(v, w) == pytest.approx(2 * math.log(2) - 2 + 1)
    for kind in ("nmf", "nmf-kl"):
        assert tiny(kind).divergence_of(v, v) == 0


def test_masks_sum_to_one_and_sources_to_the_mix():
    for kind in ("nmf", "nmf-slicqt", "nmf-kl"):
        mix = noise(2, 2, 4000)
        estimate = tiny(kind).estimate(mix)
        sums = estimate.masks[0].sum(1)
        torch.testing.assert_close(sums, torch.ones_like(sums), atol=1e-5, rtol=0)
        error = (estimate.waveforms.sum(1) - mix).square().sum() / mix.square().sum()
        assert 10 * math.log10(error) < -40  # what one pass of the synthesis reaches


def tones(seed, f_hz, n_samples=8000):
    """Notes that come and go, each with three partials."""
    time = torch.arange(n_samples) / RATE
    generator = torch.Generator().manual_seed(seed)
    gates = torch.rand(2, 1, 1, 16, generator=generator).gt(0.4).float()
    gates = gates.repeat_interleave(n_samples // 16, -1)
    waves = sum(torch.sin(2 * math.pi * i * f_hz * time) / i for i in (1, 2, 3))
    return 0.1 * gates * waves


@pytest.mark.parametrize("kind", ["nmf", "nmf-slicqt", "nmf-kl"])
def test_dictionaries_of_stems_separate_other_mixes(kind):
    model = tiny(kind, sources=["low", "high"])

    def stems(seed):
        return torch.cat([tones(seed, 220.0), tones(seed + 50, 370.0)], 1)

    def sdr():
        truth = stems(9)
        error = model(truth.sum(1)) - truth
        return 10 * math.log10(truth.square().sum() / error.square().sum())

    before = sdr()
    history = model.fit(stems(seed) for seed in range(2))
    assert set(history) == {"low", "high"}
    assert all(values[-1] < 0.3 * values[0] for values in history.values())
    assert before < 6 < 12 < sdr()


def test_no_more_is_taken_than_there_is_place_for():
    model, taken = tiny("nmf", sources=["a", "b"]), []

    def batches():
        for seed in range(10):
            taken.append(seed)
            yield noise(1, 2, 2, 8000, seed=seed)

    history = model.fit(batches(), n_iterations=1000, max_columns=300, max_s=0.0)
    assert len(taken) == 4  # of 84 columns each, 42 a channel
    assert all(len(values) == 1 for values in history.values())


def test_fitting_is_the_same_again_and_refuses_silence():
    stems = noise(1, 4, 1, 4000)
    first, again = tiny("nmf"), tiny("nmf")
    first.fit([stems], 3)
    again.fit([stems], 3)
    assert torch.equal(first.dictionaries, again.dictionaries)
    silent = stems * torch.tensor([1.0, 0.0, 1.0, 1.0])[:, None, None]
    with pytest.raises(ValueError, match="must hold sounds of drums, which is silent in all"):
        first.fit([silent])
    with pytest.raises(ValueError, match="must hold sounds of vocals"):
        first.fit([])
    with pytest.raises(ValueError, match=r"stems must be \(batch, 4 sources, channel, time\)"):
        first.fit([stems[:, :2]])
    assert NMF(["a"], n_components=2).divergence == "itakura-saito"
