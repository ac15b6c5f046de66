"""Wiener-EM on all blocks at once equals that on one block after the other."""

import pytest
import torch

from asteroid_slicq.wiener import filter_all_masked, filter_masked, rows
from tests.helpers import noise

BLOCKS = ((1, 14), (5, 8), (3, 10), (2, 12), (1, 20), (1, 36))
N_SLICES = 6


def coefficients(batch=2, n_channels=2, dtype=torch.complex128):
    mix = [
        noise(batch, n_channels, n, N_SLICES, m, seed=i, scale=10.0 * (i % 2) + 5, dtype=dtype)
        for i, (n, m) in enumerate(BLOCKS)
    ]
    real = dtype.to_real()
    masks = [noise(batch, 3, *x.shape[1:], seed=9, dtype=real).sigmoid() for x in mix]
    return masks, mix


def flat(blocks, axis=-3):
    return torch.cat([block.flatten(axis) for block in blocks], -1)


def one_by_one(masks, mix, **options):
    return flat([filter_masked(v, x, **options) for v, x in zip(masks, mix, strict=True)])


@pytest.mark.parametrize("few", [1, 100, 2**19])
@pytest.mark.parametrize("n_channels", [1, 2, 3])
@pytest.mark.parametrize("window", [None, 5000, 50, 7])
def test_equals_one_block_after_the_other(n_channels, window, few, monkeypatch):
    """Whatever the length of a window, and however many rows go together."""
    monkeypatch.setattr(rows, "_FEW", few)
    monkeypatch.setattr(rows, "_BUDGET", 4 * few)
    masks, mix = coefficients(n_channels=n_channels)
    options = {"iterations": 2, "window_frames": window}
    expected = one_by_one(masks, mix, **options)
    found = filter_all_masked(flat(masks), flat(mix), BLOCKS, **options)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_gradients_are_the_same(n_channels):
    masks, mix = coefficients(n_channels=n_channels)
    leaves = [x.requires_grad_() for x in (*masks, *mix)]
    expected = one_by_one(masks, mix, window_frames=50)
    cotangent = noise(*expected.shape, dtype=torch.complex128)
    found = filter_all_masked(flat(masks), flat(mix), BLOCKS, window_frames=50)
    for of_leaf, wanted in zip(
        torch.autograd.grad(found, leaves, cotangent),
        torch.autograd.grad(expected, leaves, cotangent),
        strict=True,
    ):
        torch.testing.assert_close(of_leaf, wanted, rtol=1e-10, atol=1e-12)


def test_inputs_are_left_alone_and_silence_stays_silent():
    masks, mix = (flat(blocks) for blocks in coefficients(dtype=torch.complex64))
    before = masks.clone(), mix.clone()
    filter_all_masked(masks, mix, BLOCKS)
    assert torch.equal(masks, before[0])
    assert torch.equal(mix, before[1])
    assert not filter_all_masked(masks, torch.zeros_like(mix), BLOCKS).any()
    no_slice = filter_all_masked(masks[..., :0], mix[..., :0], BLOCKS)
    assert no_slice.shape == (2, 3, 2, 0)


def test_wrong_arguments_are_refused():
    masks, mix = (flat(blocks) for blocks in coefficients())
    with pytest.raises(ValueError, match="masks must be real"):
        filter_all_masked(masks + 0j, mix, BLOCKS)
    with pytest.raises(ValueError, match=r"masks must be real, .* and mix the same without source"):
        filter_all_masked(masks[..., 1:], mix, BLOCKS)
    with pytest.raises(ValueError, match="mix must hold whole slices of its blocks"):
        filter_all_masked(masks[..., 1:], mix[..., 1:], BLOCKS)
    with pytest.raises(ValueError, match="window_frames"):
        filter_all_masked(masks, mix, BLOCKS, window_frames=0)
