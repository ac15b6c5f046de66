"""Wiener-EM a piece at a time: two channels in closed form equal the general solver."""

from functools import partial

import pytest
import torch
from torch import Tensor

from asteroid_slicq.wiener import general, stereo, wiener_em
from asteroid_slicq.wiener.expectation import BlockPieces, ExpectationMaximisation
from tests.helpers import noise, with_slow

complex_noise = partial(noise, dtype=torch.complex128)

EPS = 1e-7


def constants(n_batch: int, dtype=torch.float64) -> Tensor:
    return torch.tensor([EPS, EPS**0.5], dtype=dtype)[:, None, None, None].expand(-1, n_batch, 1, 1)


def refined(solver, y: Tensor, x: Tensor, iterations: int, constants: Tensor) -> Tensor:
    out = torch.empty(y.shape, dtype=torch.promote_types(y.dtype, x.dtype))
    solver.refine(y, x, iterations, constants, out)
    return out


@pytest.mark.parametrize("n_sources", [1, 2, 4])
@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_two_channels_equal_the_general_solver(n_sources, iterations):
    x, y = complex_noise(3, 2, 4, 2, 15, seed=0), complex_noise(3, n_sources, 2, 4, 2, 15, seed=1)
    for estimates in (y, y.real.square()):  # or masks
        args = estimates, x, iterations, constants(3)
        torch.testing.assert_close(
            refined(stereo, *args), refined(general, *args), rtol=1e-9, atol=1e-10
        )


def test_its_gradient_equals_that_of_the_general_solver():
    x, y = complex_noise(2, 2, 3, 2, 10, seed=0), complex_noise(2, 3, 2, 3, 2, 10, seed=1)
    args = complex_noise(*y.shape, seed=2), y, x, 2, constants(2)
    torch.testing.assert_close(
        stereo.gradients(*args), general.gradients(*args), rtol=1e-8, atol=1e-9
    )


def test_two_channels_of_which_one_is_silent_equal_one_channel():
    x, y = complex_noise(1, 1, 3, 1, 10, seed=0), complex_noise(1, 2, 1, 3, 1, 10, seed=1)
    silent = torch.cat([y, 0 * y], 2), torch.cat([x, 0 * x], 1)
    two = refined(stereo, *silent, 1, constants(1))
    # PSD is a mean over channels: half of it here. R is twice as large.
    doubled = constants(1) * torch.tensor([2, 1])[:, None, None, None]
    torch.testing.assert_close(two[:, :, :1], refined(general, y, x, 1, doubled), rtol=1e-9, atol=0)
    assert not two[:, :, 1].any()


@pytest.mark.parametrize("n_channels", with_slow([1, 2, 3], 3))
@pytest.mark.parametrize("masks", [False, True])
def test_gradcheck(n_channels, masks):
    x, y = complex_noise(1, n_channels, 1, 3, seed=0), complex_noise(1, 2, n_channels, 1, 3, seed=1)
    leaves = (y.real.square() if masks else y).requires_grad_(), x.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda y, x: ExpectationMaximisation.apply(y, x, 2, BlockPieces(3, EPS)), leaves
    )


@pytest.mark.parametrize("solver", [general, stereo])
def test_solvers_compute_in_the_precision_of_their_constants(solver):
    x = complex_noise(1, 2, 2, 1, 5)
    y = torch.stack([0.3 * x, 0.7 * x], 1)
    exact = refined(solver, y, x, 1, constants(1))
    single = refined(solver, y, x, 1, constants(1, torch.float32))
    assert 1e-9 < (single - exact).abs().max() < 1e-2


@pytest.mark.parametrize("n_channels", [1, 2])
def test_pieces_change_nothing(n_channels, monkeypatch):
    """A few bins of a few items at a time are the same as all together, and so is the gradient."""
    mix = complex_noise(3, n_channels, 5, 30).requires_grad_()
    y = complex_noise(3, 4, n_channels, 5, 30, seed=1).requires_grad_()
    cotangent = complex_noise(*y.shape, seed=2)

    def run() -> tuple[Tensor, ...]:
        out = wiener_em(y, mix, window_frames=12)
        return out, *torch.autograd.grad(out, (y, mix), cotangent)

    whole = run()
    for budget in (1, 14, 70, 200):
        monkeypatch.setitem(ExpectationMaximisation.forward.__globals__["_CHUNK"], "cpu", budget)
        torch.testing.assert_close(run(), whole)
