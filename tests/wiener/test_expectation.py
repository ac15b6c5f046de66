"""The iterations of Wiener-EM: two channels in closed form equal the general solver."""

from functools import partial

import pytest
import torch
from torch import Tensor

from asteroid_slicq.wiener import expectation
from tests.helpers import noise

complex_noise = partial(noise, dtype=torch.complex128)

EPS = 1e-7


def constants(n_batch: int, dtype=torch.float64) -> tuple[Tensor, Tensor]:
    return torch.full((n_batch,), EPS, dtype=dtype), torch.full((n_batch,), EPS**0.5, dtype=dtype)


@pytest.mark.parametrize("n_sources", [1, 2, 4])
@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_two_channels_equal_the_general_solver(n_sources, iterations):
    x, y = complex_noise(3, 2, 4, 15, seed=0), complex_noise(3, n_sources, 2, 4, 15, seed=1)
    args = y, x, iterations, *constants(3)
    torch.testing.assert_close(
        expectation.em(*args), expectation.general_em(*args), rtol=1e-9, atol=1e-10
    )


def test_its_gradient_equals_that_of_the_general_solver():
    x, y = complex_noise(1, 2, 3, 10, seed=0), complex_noise(1, 3, 2, 3, 10, seed=1)
    leaves = x.requires_grad_(), y.requires_grad_()
    gradients = [
        torch.autograd.grad(solver(y, x, 2, *constants(1)).abs().sum(), leaves)
        for solver in (expectation.em, expectation.general_em)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-9)


def test_two_channels_of_which_one_is_silent_equal_one_channel():
    x, y = complex_noise(1, 1, 3, 10, seed=0), complex_noise(1, 2, 1, 3, 10, seed=1)
    stereo = expectation.em(torch.cat([y, 0 * y], 2), torch.cat([x, 0 * x], 1), 1, *constants(1))
    # PSD is a mean over channels: half of it here. R is twice as large.
    mono = expectation.em(y, x, 1, 2 * constants(1)[0], constants(1)[1])
    torch.testing.assert_close(stereo[:, :, :1], mono, rtol=1e-9, atol=1e-9)
    assert not stereo[:, :, 1].any()


@pytest.mark.parametrize("n_channels", [1, 2, 3])
def test_gradcheck(n_channels):
    x, y = complex_noise(1, n_channels, 1, 3, seed=0), complex_noise(1, 2, n_channels, 1, 3, seed=1)
    leaves = y.requires_grad_(), x.requires_grad_()
    assert torch.autograd.gradcheck(lambda y, x: expectation.em(y, x, 2, *constants(1)), leaves)


@pytest.mark.parametrize("n_channels", [1, 2, 3])
def test_it_computes_in_the_precision_of_its_constants(n_channels):
    x = complex_noise(1, n_channels, 2, 5, seed=0, dtype=torch.complex64)
    y = torch.stack([0.3 * x, 0.7 * x], 1)
    assert expectation.em(y, x, 1, *constants(1)).dtype == torch.complex128
    assert expectation.em(y, x, 1, *constants(1, torch.float32)).dtype == torch.complex64
