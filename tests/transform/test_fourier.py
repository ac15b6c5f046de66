"""Facts about the DFTs of real slices, in one step or in two: those of ``rfft`` and ``irfft``."""

import pytest
import torch

from asteroid_slicq import SliCQT
from asteroid_slicq.transform.fourier import OneStep, TwoSteps, real_dft
from tests.helpers import double_noise as noise

CPU = torch.device("cpu")
LENGTHS = [20, 4 * 17, 12 * 19, 2 * 43]
of_each_length = pytest.mark.parametrize("n", LENGTHS)


def dft_and_order(n):
    """A DFT, the places of DFT bins 0 … N/2 in its spectra, and the sign of imaginary parts."""
    dft = real_dft(n, torch.float64, CPU)
    bins = torch.arange(n // 2 + 1)
    return dft, *dft.places(bins, torch.ones(len(bins), dtype=torch.float64))


def signed(spectra, sign):
    return torch.complex(spectra.real, spectra.imag * sign)


def test_two_steps_are_for_large_primes_on_a_cpu():
    kinds = [type(real_dft(n, torch.float32, CPU)) for n in (*LENGTHS, 52, 4 * 317, 51)]
    assert kinds == [OneStep, TwoSteps, TwoSteps, TwoSteps, OneStep, OneStep, OneStep]
    assert type(real_dft(4 * 17, torch.float32, torch.device("meta"))) is OneStep
    assert type(SliCQT().maps(torch.float32).layout.dft) is TwoSteps  # N = 420·43


@of_each_length
@pytest.mark.parametrize("shape", [(2, 5), (1, 1)])
def test_spectra_are_those_of_rfft(n, shape):
    dft, places, sign = dft_and_order(n)
    slices, window = noise(*shape, n), noise(n, seed=1)
    before = slices.clone()
    for given, factor in ((window, window), (None, 1.0)):
        spectra = dft.spectra(slices, given)
        assert spectra.shape == (*shape, dft.size)
        expected = torch.fft.rfft(slices * factor)
        assert (signed(spectra[..., places], sign) - expected).abs().max() < 1e-13
    assert torch.equal(slices, before)


@of_each_length
@pytest.mark.parametrize("shape", [(2, 5), (1, 1)])
def test_slices_are_those_of_irfft(n, shape):
    """Of spectra that no real signal has, too: DC and Nyquist are taken as real."""
    dft, places, sign = dft_and_order(n)
    half = noise(*shape, n // 2 + 1, dtype=torch.complex128)
    counted = half.clone()  # DC and Nyquist count once, or as often as all others
    if not dft.once:
        counted[..., [0, -1]] /= 2
    spectra = half.new_zeros(*shape, dft.size)
    spectra[..., places] = signed(counted, sign)
    before = spectra.clone()
    assert (dft.slices(spectra) - torch.fft.irfft(half, n=n)).abs().max() < 1e-14
    assert torch.equal(spectra, before)
    assert dft.once == tuple(places[[0, -1]].tolist()) or not dft.once
