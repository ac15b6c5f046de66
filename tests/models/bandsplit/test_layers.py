"""Attention of few rows at a time, equal to that of all, and how positions turn pairs."""

import pytest
import torch

from asteroid_slicq.models.bandsplit import layers


@pytest.mark.parametrize("reach", [None, 2])
@pytest.mark.parametrize("axis", ["time", "bands"])
def test_rows_taken_apart_are_those_taken_at_once(axis, reach, monkeypatch):
    torch.manual_seed(0)
    layer = layers.Attention(16, axis, reach).double()
    x = torch.randn(3, 2, 13, 16, dtype=torch.float64)
    weights = list(layer.parameters())
    whole = layer(x)
    expected = torch.autograd.grad(whole.square().sum(), weights)
    sizes, mixed = [], layer._mixed
    monkeypatch.setattr(layer, "_mixed", lambda x, *rest: sizes.append(x.shape) or mixed(x, *rest))
    monkeypatch.setattr(layers, "_CACHED", 4 * 13 * 16)
    monkeypatch.setattr(layers, "_CACHED_TRAINING", 4 * 13 * 16)
    # 6 rows of 13 steps, 4 at a time; or 26 rows of 3 bands, 17 at a time
    rows = [(4, 13, 16), (2, 13, 16)] if axis == "time" else [(3, 17, 16), (3, 9, 16)]
    with torch.no_grad():
        torch.testing.assert_close(layer(x), whole.detach())
    assert [tuple(size) for size in sizes] == rows
    found = layer(x)
    assert [tuple(size) for size in sizes] == 2 * rows
    torch.testing.assert_close(found, whole)
    torch.testing.assert_close(torch.autograd.grad(found.square().sum(), weights), expected)


@pytest.mark.parametrize("axis", ["time", "bands"])
def test_pairs_turn_alike_as_halves_of_a_head_and_as_complex_numbers(axis):
    """What autocast and graphs do is what float32 does on a processor, gradients included."""
    torch.manual_seed(0)
    layer = layers.Attention(64, axis).double()
    x = torch.randn(3, 2, 13, 64, dtype=torch.float64)
    rows = x.flatten(0, 1) if axis == "time" else x.flatten(1, 2)
    halves = layer._turns(13 if axis == "time" else 3, x.dtype)
    expected = layer._mixed(rows, layer.query_key_value.weight, halves).view_as(x)
    found = layer(x)
    torch.testing.assert_close(found, expected)
    parameters = list(layer.parameters())
    gradients = (torch.autograd.grad(y.square().sum(), parameters) for y in (found, expected))
    torch.testing.assert_close(*gradients)


def test_parts_one_after_the_other_meet_weights_where_they_are_neighbours():
    """The weight has the three parts of a coefficient side by side, whatever the input has."""
    torch.manual_seed(0)
    layer = layers.BandLinear(2, 4 * 3, 5 * 3).double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 7, 4, 3, dtype=torch.float64)
    expected = layer(x.flatten(2)).unflatten(-1, (5, 3))
    found = layer(x.mT.flatten(2), 3, 3).unflatten(-1, (3, 5)).mT
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_positions_are_exact_in_any_precision(dtype):
    layer, n_steps = layers.Attention(64, "time"), 1600
    exact = [turns.double() for turns in layer.double()._turns(n_steps, torch.float64)]
    for found, expected in zip(layer.to(dtype)._turns(n_steps, torch.float32), exact, strict=True):
        torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=0)
