"""Oracles: exact where the mix has the right phase, bounded where it has not."""

import pytest
import torch

from asteroid_slicq.metrics import utterance_sdr
from asteroid_slicq.oracles import mix_phase_oracle
from asteroid_slicq.transform import SliCQT


@pytest.fixture(scope="module")
def slicqt():
    return SliCQT(scale="bark", n_bins=24, f_min_hz=100.0, sample_rate=8000)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_scaled_copies_of_the_mix_are_recovered_exactly(slicqt):
    mix = noise(2, 5000)
    stems = torch.stack([0.25 * mix, 0.75 * mix])
    torch.testing.assert_close(mix_phase_oracle(slicqt, mix, stems), stems, atol=1e-5, rtol=0)


def test_the_phase_is_that_of_the_mix(slicqt):
    mix = noise(1, 5000)
    # A stem of the opposite sign comes back with the sign of the mix.
    stems = torch.stack([2 * mix, -mix])
    expected = torch.stack([2 * mix, mix])
    torch.testing.assert_close(mix_phase_oracle(slicqt, mix, stems), expected, atol=1e-5, rtol=0)


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
    mix_phase_oracle(Recorder(), mix, stems)
    for block, stem, mixed in zip(received, slicqt(stems), slicqt(mix), strict=True):
        torch.testing.assert_close(block.abs(), stem.abs())
        torch.testing.assert_close(block.angle().cos(), mixed.angle().cos().expand_as(block))


def test_beats_the_mix_as_an_estimate(slicqt):
    stems = noise(4, 2, 8000)
    mix = stems.sum(0)
    oracle = utterance_sdr(stems, mix_phase_oracle(slicqt, mix, stems))
    baseline = utterance_sdr(stems, mix.expand_as(stems))
    assert (oracle > baseline + 3).all()


def test_batches_are_independent(slicqt):
    stems = noise(2, 3, 2, 3000)
    together = mix_phase_oracle(slicqt, stems.sum(1), stems)
    alone = torch.stack([mix_phase_oracle(slicqt, s.sum(0), s) for s in stems])
    torch.testing.assert_close(together, alone)


def test_silence_stays_silent(slicqt):
    stems = torch.zeros(2, 1, 3000)
    assert torch.equal(mix_phase_oracle(slicqt, stems.sum(0), stems), stems)


def test_wrong_shapes_are_named(slicqt):
    with pytest.raises(ValueError, match=r"got \(2, 90\) and \(4, 2, 100\)"):
        mix_phase_oracle(slicqt, torch.zeros(2, 90), torch.zeros(4, 2, 100))
