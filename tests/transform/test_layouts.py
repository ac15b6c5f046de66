"""Facts about every layout that do not hang on how it is computed: chunks, batches, views."""

import pytest
import torch

from tests.helpers import double_noise as noise
from tests.helpers import listed
from tests.transform.helpers import build, each_layout


@each_layout
@pytest.mark.parametrize("chunk", [1, 7])
def test_chunks_change_nothing(layout, chunk):
    plain, chunked = build("erb, wider", **layout), build("erb, wider", **layout, chunk=chunk)
    results = []
    for slicqt in (plain, chunked):
        x = noise(3, 4 * plain.frame.slice_length + 11).requires_grad_()
        blocks = listed(slicqt(x))
        y = slicqt.inverse(blocks, x.shape[-1], passes=2)
        loss = sum(block.abs().square().sum() for block in blocks) + y.pow(3).sum()
        results.append([*blocks, y, *torch.autograd.grad(loss, x)])
    for one, other in zip(*results, strict=True):
        assert (one - other).abs().max() < 1e-12 * one.abs().max()


@each_layout
def test_inputs_stay_as_they_are(layout):
    slicqt = build(**layout)
    x = noise(2, 1500)
    before = x.clone()
    blocks = listed(slicqt(x))
    copies = [block.clone() for block in blocks]
    slicqt.inverse(blocks, 1500)
    assert torch.equal(x, before)
    assert all(torch.equal(a, b) for a, b in zip(blocks, copies, strict=True))


@each_layout
def test_items_of_a_batch_are_independent(layout):
    slicqt = build(**layout)
    x = noise(2, 3, 1, 1501)
    blocks = listed(slicqt(x))
    back = slicqt.inverse(blocks, 1501)
    assert back.shape == x.shape
    alone = listed(slicqt(x[1, 2, 0]))
    for block, one in zip(blocks, alone, strict=True):
        assert (block[1, 2, 0] - one).abs().max() < 1e-14
    assert (back[1, 2, 0] - slicqt.inverse(alone, 1501)).abs().max() < 1e-14


@each_layout
def test_both_directions_are_linear(layout):
    slicqt = build(**layout)
    x, y = noise(1500), noise(1500, seed=1)
    a, b = listed(slicqt(x)), listed(slicqt(y))
    for both, one, other in zip(listed(slicqt(2 * x - 3 * y)), a, b, strict=True):
        assert (both - (2 * one - 3 * other)).abs().max() < 1e-13
    changed = [(1 + 0.5j) * one.conj() for one in a]
    both = slicqt.inverse([2 * u - 3 * v for u, v in zip(changed, b, strict=True)], 1500)
    apart = 2 * slicqt.inverse(changed, 1500) - 3 * slicqt.inverse(b, 1500)
    assert (both - apart).abs().max() < 1e-12


@each_layout
def test_views_and_shorter_lengths_are_taken(layout):
    slicqt = build(**layout)
    x = noise(1500, 2).t()  # not contiguous
    blocks = listed(slicqt(x))
    strided = [block.mT.contiguous().mT for block in blocks]
    whole = slicqt.inverse(blocks, 1500, passes=3)
    assert (slicqt.inverse(strided, 1500, passes=3) - whole).abs().max() < 1e-14
    assert (whole[..., :700] - slicqt.inverse(blocks, 700, passes=3)[..., :700]).abs().max() < 1e-2
