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
    once = tuple(places[[0, -1]].tolist()) if isinstance(dft, OneStep) else ()
    assert dft.once == once


def test_zeros_at_the_ends_of_windows_are_left_out():
    """And without a window, as of the gradient of an inverse, nothing is."""
    n, n_zeros = 12 * 19, 25  # two of 19 rows of 12 samples
    whole, dft = (real_dft(n, torch.float64, CPU, zeros) for zeros in (0, n_zeros))
    slices, window = noise(2, 3, n), noise(n, seed=1)
    window[:n_zeros] = window[-n_zeros:] = 0
    expected = whole.spectra(slices, window)
    assert dft.margin == 2
    assert (dft.spectra(slices, window) - expected).abs().max() < 1e-13
    assert (dft.spectra(slices, None) - whole.spectra(slices, None)).abs().max() == 0
    assert (dft.slices(expected) - whole.slices(expected)).abs().max() == 0


def test_margins_are_those_of_the_slicing_window():
    slicqt = SliCQT()
    maps = slicqt.maps(torch.float64)
    margin = maps.layout.dft.margin * slicqt.frame.slice_length // 43
    window = maps.analysis.slicing
    assert margin > 2000
    assert not window[:margin].any()
    assert not window[-margin:].any()


def test_transforms_and_gradients_are_those_of_one_step(monkeypatch):
    results, x = [], noise(30_000)
    for one_step in (False, True):
        if one_step:
            monkeypatch.setattr(
                "asteroid_slicq.transform.slicqt.real_dft", lambda n, *_, **__: OneStep(n)
            )
        slicqt = SliCQT(n_bins=40, slice_length=144 * 19).double()
        assert isinstance(slicqt.maps(x.dtype).layout.dft, OneStep) == one_step
        leaf = x.clone().requires_grad_()
        blocks = slicqt(leaf)
        given = [noise(*c.shape, seed=1, dtype=c.dtype).requires_grad_() for c in blocks]
        y = slicqt.inverse(given, len(x))
        (of_x,) = torch.autograd.grad(blocks, leaf, [c.detach() for c in given])
        results.append([*blocks, y, of_x, *torch.autograd.grad(y, given, x)])
    for found, expected in zip(*results, strict=True):
        assert (found - expected).abs().max() < 1e-12 * expected.abs().max()
