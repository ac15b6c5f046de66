"""Coefficients and inverse of the independent ``nsgt`` package, which is optional.

It runs on today's NumPy only with one call wrapped, which is done here and nowhere else.
"""

import os
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch

from asteroid_slicq import NSGT, SliCQT

if os.environ.get("SLICQ_REQUIRE_NSGT"):
    import nsgt
else:
    nsgt = pytest.importorskip("nsgt", reason="nsgt is not installed (see README)")

SAMPLE_RATE = 8000


@pytest.fixture(autouse=True)
def clip_of_old_numpy(monkeypatch):
    """``nsgt`` clips integers at infinity into an integer array, which NumPy ≥ 1.25 refuses."""
    clip = np.clip

    def tolerant(a, lowest, highest, out=None, **kwargs):
        if out is not None and out.dtype.kind == "i" and highest == np.inf:
            highest = np.iinfo(out.dtype).max
        return clip(a, lowest, highest, out=out, **kwargs)

    monkeypatch.setattr(np, "clip", tolerant)


CASES = {
    "mel": ({"scale": "mel", "n_bins": 24}, lambda: nsgt.MelScale(100.0, 3800.0, 24)),
    "log": ({"scale": "log", "n_bins": 30}, lambda: nsgt.LogScale(100.0, 3800.0, 30)),
    "linear": ({"scale": "linear", "n_bins": 20}, lambda: nsgt.LinScale(100.0, 3800.0, 20)),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_nsgt_sliced(name):
    arguments, scale = CASES[name]
    ours = SliCQT(
        **arguments,
        f_min_hz=100.0,
        f_max_hz=3800.0,
        sample_rate=SAMPLE_RATE,
        slice_length=2000,
        transition_length=500,
        min_bandwidth_hz=32.0,  # below the floor of 16 DFT bins: it only admits the short slice
    ).double()
    frame = ours.frame
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # falls back to numpy.fft, and says so
        theirs = nsgt.NSGT_sliced(
            scale(), frame.slice_length, frame.transition_length, SAMPLE_RATE, real=True
        )
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(5 * frame.slice_length + 123)
    expected = list(theirs.forward((signal,)))
    blocks = ours(torch.from_numpy(signal))
    bins = [block[row].numpy() for block in blocks for row in range(block.shape[0])]
    n_slices = bins[0].shape[0]
    for k, coefficients in enumerate(bins):
        reference = np.stack([expected[s][k] for s in range(n_slices)])
        assert np.abs(coefficients - reference).max() < 1e-13

    # Masked coefficients, which no signal has: the inverses must be the same operator.
    masks = [rng.uniform(size=b.shape) for b in bins]
    changed = [
        [masks[k][s] * bins[k][s] if s < n_slices else expected[s][k] for k in range(len(bins))]
        for s in range(len(expected))
    ]
    reference = np.concatenate(list(theirs.backward(iter(changed))))[: len(signal)]
    sizes = list(frame.bins_per_block)
    starts = np.cumsum([0, *sizes])
    masked = [
        block * torch.from_numpy(np.stack(masks[a : a + n]))
        for block, a, n in zip(blocks, starts, sizes, strict=False)
    ]
    assert np.abs(ours.inverse(masked, len(signal)).numpy() - reference).max() < 1e-12


WHOLE = {
    **CASES,
    "octave": ({}, lambda: nsgt.OctScale(100.0, 3800.0, 12)),
    "up to nyquist": ({}, lambda: nsgt.LogScale(50.0, 4000.0, 30)),
    "a narrow range": ({}, lambda: nsgt.MelScale(1000.0, 2000.0, 8)),
    "two bins": ({}, lambda: nsgt.LinScale(1500.0, 1900.0, 2)),
    "ties": ({}, lambda: nsgt.LinScale(200.0, 3800.0, 19)),  # a tenth of 1005 is 100.5
}


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("length", [64, 65, 66, 67, 1001, 1005, 8000])
@pytest.mark.parametrize("name", WHOLE)
def test_equals_nsgt_unsliced(name, length, matrix):
    arguments, scale = WHOLE[name]
    arguments = {**arguments, "f_min_hz": 100.0, "f_max_hz": 3800.0} if arguments else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fallback, and that Q is too high for a short signal
        theirs = nsgt.NSGT(scale(), SAMPLE_RATE, length, real=True, matrixform=matrix)
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(length)
    expected = theirs.forward(signal)
    # Complex changes, of DC and Nyquist too: no signal has such coefficients.
    changed = [
        c * rng.uniform(size=len(c)) + 0.1 * np.exp(2j * np.pi * rng.uniform(size=len(c)))
        for c in expected
    ]
    reference = theirs.backward(changed)

    for given in [{"scale": scale()}, *([arguments] if arguments else [])]:
        ours = NSGT(
            **given,
            sample_rate=SAMPLE_RATE,
            length=length,
            rasterize="full" if matrix else "none",
        ).double()
        blocks = ours(torch.from_numpy(signal))
        rows = [row.numpy() for block in ([blocks] if matrix else blocks) for row in block]
        assert len(rows) == len(expected)
        for row, theirs_row in zip(rows, expected, strict=True):
            assert np.abs(row - theirs_row).max() < 1e-12
        starts = np.cumsum([0, *(n for n, _ in ours.frame.blocks)])
        parts = [torch.from_numpy(np.stack(changed[a:b])) for a, b in pairwise(starts)]
        assert np.abs(ours.inverse(parts).numpy() - reference).max() < 1e-12


def test_reduced_form_leaves_the_outer_bins_out():
    """``reducedform`` 1 drops DC and Nyquist, 2 also the scale's ends: rows of ours."""
    signal = np.random.default_rng(0).standard_normal(1001)
    scale = nsgt.MelScale(100.0, 3800.0, 24)
    blocks = NSGT(scale, sample_rate=SAMPLE_RATE, length=1001).double()(torch.from_numpy(signal))
    rows = [row.numpy() for block in blocks for row in block]
    for dropped in (1, 2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = nsgt.NSGT(scale, SAMPLE_RATE, 1001, real=True, reducedform=dropped)
        expected = theirs.forward(signal)
        for row, theirs_row in zip(rows[dropped:-dropped], expected, strict=True):
            assert np.abs(row - theirs_row).max() < 1e-12
