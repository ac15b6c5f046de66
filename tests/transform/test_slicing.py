"""Facts about the transforms of real slices, two of which go into one complex transform."""

import pytest
import torch

from asteroid_slicq.transform.slicing import half_spectra, real_slices
from tests.helpers import double_noise as noise

SHAPES = [(2, 6), (2, 5), (1, 5), (3, 5), (1, 1), (1, 2), (4, 3), (2, 40)]
shapes = pytest.mark.parametrize("shape", SHAPES)


@shapes
def test_half_spectra_are_those_of_rfft(shape):
    slices, window = noise(*shape, 20), noise(20, seed=1)
    for given, factor in ((window, window), (None, 1.0)):
        expected = torch.fft.rfft(slices * factor)
        assert (half_spectra(slices, given) - expected).abs().max() < 1e-14


@shapes
def test_real_slices_are_those_of_irfft(shape):
    """Of spectra that no real signal has, too: DC and Nyquist are taken as real."""
    spectra = noise(*shape, 11, dtype=torch.complex128)
    before = spectra.clone()
    assert (real_slices(spectra, 20) - torch.fft.irfft(spectra, n=20)).abs().max() < 1e-15
    assert torch.equal(spectra, before)
