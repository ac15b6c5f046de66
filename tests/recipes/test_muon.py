"""Muon: steps along orthogonal matrices, Adam for the rest."""

import copy

import pytest
import torch
from asteroid.engine.optimizers import make_optimizer
from common.muon import Muon, as_matrices, is_matrix, orthogonalised
from torch import nn

from tests.helpers import noise


def with_gradients(*shapes):
    parameters = [nn.Parameter(noise(*shape, seed=i)) for i, shape in enumerate(shapes)]
    for i, p in enumerate(parameters):
        p.grad = noise(*p.shape, seed=100 + i, scale=3.0)
    return parameters


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 40, 12), (2, 12, 200)])
def test_matrices_keep_their_singular_vectors_and_lose_their_size(shape):
    matrices = 1e-3 * noise(*shape)
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    values = u.mT @ orthogonalised(matrices) @ v.mT
    diagonal = values.diagonal(dim1=-2, dim2=-1)
    assert (values - torch.diag_embed(diagonal)).abs().max() < 1e-4
    assert (diagonal > 0.3).all()  # the least ones of a square matrix are slow
    assert (diagonal < 1.3).all()
    assert diagonal.median() > 0.7


def test_zeros_stay_zeros():
    assert not orthogonalised(torch.zeros(2, 3, 4)).any()


@pytest.mark.parametrize("shape", [(24, 24), (10, 50), (50, 10)])
def test_a_matrix_moves_as_by_the_optimizer_of_pytorch(shape):
    (ours,), (theirs,) = with_gradients(shape), with_gradients(shape)
    before = ours.detach().clone()
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}
    optimizers = [
        Muon([ours], **options),
        torch.optim.Muon([theirs], nesterov=True, adjust_lr_fn="match_rms_adamw", **options),
    ]
    for step in range(3):
        for p, optimizer in zip((ours, theirs), optimizers, strict=True):
            p.grad = noise(*shape, seed=step)
            optimizer.step()
    # It computes in 16 bits.
    error = (ours - theirs).norm() / (theirs - before).norm()
    assert error < 0.02
    assert 0.8 * 0.2 * 0.1 < (ours - before).square().mean().sqrt() / 3**0.5 < 2 * 0.2 * 0.1


def test_what_is_no_matrix_moves_as_by_adam():
    shapes = [(7,), (1, 5), (5, 1), (3, 1, 4)]
    ours, theirs = with_gradients(*shapes), with_gradients(*shapes)
    options = {"lr": 0.01, "betas": (0.9, 0.95), "weight_decay": 0.1}
    optimizers = Muon(ours, **options), torch.optim.AdamW(theirs, **options)
    for _ in range(3):
        for optimizer in optimizers:
            optimizer.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_matrices_of_a_batch_and_kernels_of_a_convolution_are_matrices_of_their_own():
    shapes = {(3, 6, 4): 3, (6, 2, 5, 3): 1, (6, 4): 1}
    for shape, n in shapes.items():
        (whole,) = with_gradients(shape)
        apart = [nn.Parameter(m.clone()) for m in as_matrices(whole.detach())]
        assert len(apart) == n
        assert is_matrix(whole)
        for p, gradient in zip(apart, as_matrices(whole.grad), strict=True):
            p.grad = gradient.clone()
        Muon([whole], 0.1).step()
        Muon(apart, 0.1).step()
        torch.testing.assert_close(as_matrices(whole.detach()), torch.stack(apart).detach())


def test_it_goes_on_where_it_stopped():
    ours = with_gradients((6, 4), (3, 6, 4), (4,))
    optimizer = Muon(ours, 0.1)
    optimizer.step()
    again = copy.deepcopy(ours)
    resumed = Muon(again, 0.5)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for parameters, each in ((ours, optimizer), (again, resumed)):
        for p in parameters:
            p.grad = torch.ones_like(p)
        each.step()
    for a, b in zip(ours, again, strict=True):
        assert torch.equal(a, b)


def test_parameters_without_a_gradient_stay():
    (matrix,) = with_gradients((3, 3))
    before, matrix.grad = matrix.detach().clone(), None
    Muon([matrix], 0.1, weight_decay=0.5).step()
    assert torch.equal(matrix, before)


def test_the_rate_may_be_a_tensor_that_changes():
    rate, (matrix,) = torch.tensor(0.0), with_gradients((3, 3))
    before, optimizer = matrix.detach().clone(), Muon([matrix], rate)
    optimizer.step()
    assert torch.equal(matrix, before)
    rate.fill_(0.1)
    optimizer.step()
    assert not torch.equal(matrix, before)


def test_asteroid_knows_it_by_its_name():
    optimizer = make_optimizer(nn.Linear(2, 3).parameters(), "muon", lr=0.02, weight_decay=0.01)
    assert isinstance(optimizer, Muon)
    assert optimizer.defaults["lr"] == 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr must be at least 0, got -1.0"),
        ({"weight_decay": float("nan")}, "weight_decay must be at least 0, got nan"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1, got 1.0"),
        ({"betas": (0.9, 2.0)}, r"betas\[1\] must be at least 0 and below 1, got 2.0"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Muon([nn.Parameter(torch.zeros(2, 2))], **options)
