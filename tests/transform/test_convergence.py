"""Facts about ‖I − R∘A‖, the factor by which a pass of the overlap-added inverse errs."""

import math
import re

import pytest
import torch
from scipy.sparse.linalg import svds

from asteroid_slicq import SliCQT
from asteroid_slicq.transform.convergence import PRECISION_DB, contraction, passes_needed

SMALL = {"n_bins": 10, "f_min_hz": 300.0, "sample_rate": 8000}
FRAMES = {
    "published": {},
    "hann": {"window": "hann"},
    "hann, wide": {"window": "hann", "min_width": 32},
    "sine": {"window": "sine"},
}


def error_matrix(slicqt: SliCQT, length: int) -> torch.Tensor:
    """I − R∘A, column after column."""
    unit = torch.eye(length, dtype=torch.float64)
    return (unit - slicqt.inverse(slicqt(unit), length, passes=1)).mT


@pytest.mark.parametrize("frame", FRAMES)
def test_contraction_is_the_norm_of_the_matrix(frame):
    slicqt = SliCQT(**SMALL, **FRAMES[frame], overlap_added=True).double()
    norm = contraction(slicqt.maps(torch.float64))
    matrix = error_matrix(slicqt, 4 * slicqt.frame.slice_length)
    (exact,) = svds(matrix.numpy(), k=1, return_singular_vectors=False)
    assert 0.9 * exact <= norm <= exact * (1 + 1e-9)  # power iteration comes from below


@pytest.mark.parametrize("frame", FRAMES)
def test_worst_signal_reaches_the_precision(frame):
    """The signal of the largest singular value, of a longer signal than the norm was taken on."""
    slicqt = SliCQT(**SMALL, **FRAMES[frame], overlap_added=True).double()
    length = 5 * slicqt.frame.slice_length
    matrix = error_matrix(slicqt, length)
    worst = torch.from_numpy(svds(matrix.numpy(), k=1)[2][0].copy())
    for dtype, decibels in PRECISION_DB.items():
        passes = slicqt.passes_needed(dtype)
        error = slicqt.inverse(slicqt(worst), length, passes=passes) - worst
        assert -20 * math.log10(float(error.norm())) > decibels


def test_wider_bins_and_hann_windows_converge_faster():
    norms = [
        contraction(SliCQT(**SMALL, **FRAMES[frame], overlap_added=True).maps(torch.float64))
        for frame in ("published", "hann", "hann, wide")
    ]
    assert norms == sorted(norms, reverse=True)
    assert norms[-1] < 0.01 < 0.1 < norms[0] < 0.5


def test_a_sliced_layout_has_no_error():
    assert contraction(SliCQT(**SMALL).maps(torch.float64)) < 1e-12


@pytest.mark.parametrize("norm", [1e-6, 0.0024, 0.2, 0.5, 0.89])
@pytest.mark.parametrize("dtype", PRECISION_DB)
def test_passes_are_the_fewest_that_reach_the_precision(norm, dtype):
    passes = passes_needed(norm, PRECISION_DB[dtype])
    assert -20 * math.log10(norm) * passes >= PRECISION_DB[dtype] * (1 - 1e-12)
    assert passes == 1 or -20 * math.log10(norm) * (passes - 1) < PRECISION_DB[dtype]


def test_no_error_at_all_needs_one_pass():
    assert passes_needed(0.0, 100) == 1


@pytest.mark.parametrize(
    "frame",
    [
        {"n_bins": 40, "min_width": 4},
        {"n_bins": 40, "min_width": 8},
        {
            "scale": "vqlog",
            "f_min_hz": 500.0,
            "min_width": 48,
            "bandwidth_factor": 0.5,
            "transition_length": 16,
        },
    ],
)
def test_the_remedy_for_what_does_not_converge_works(frame):
    arguments = {**SMALL, **frame, "overlap_added": True}
    with pytest.raises(RuntimeError, match="works") as told:
        SliCQT(**arguments).passes_needed(torch.complex64)
    name, value = re.search(r"(\w+) = (\w+) works", str(told.value)).groups()
    again = SliCQT(**{**arguments, name: None if value == "None" else int(value)})
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    assert (again.inverse(again(x), 1000) - x).norm() < 1e-5 * x.norm()


@pytest.mark.parametrize("norm", [0.9, 1.0, 2.5, math.nan])
def test_what_does_not_converge_is_refused(norm):
    with pytest.raises(RuntimeError, match=r"min_width.*slice_length"):
        passes_needed(norm, 120)


def test_frame_that_does_not_converge_says_so_but_has_its_synthesis():
    slicqt = SliCQT(**{**SMALL, "n_bins": 40}, min_width=4, overlap_added=True)
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    coefficients = slicqt(x)
    with pytest.raises(RuntimeError, match="min_width = 16 works"):
        slicqt.inverse(coefficients, 1000)
    assert slicqt.synthesis(coefficients, 1000).isfinite().all()


def test_contraction_leaves_the_module_and_the_gradient_mode_alone():
    slicqt = SliCQT(**SMALL, overlap_added=True)
    before = {name: buffer.clone() for name, buffer in slicqt.named_buffers()}
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    with torch.inference_mode():
        norm = contraction(slicqt.maps(torch.float64))
        assert torch.is_inference_mode_enabled()
    assert torch.equal(torch.rand(1), expected)
    with torch.no_grad():
        assert contraction(slicqt.maps(torch.float64)) == norm
    for name, buffer in slicqt.named_buffers():
        assert torch.equal(buffer, before[name])
        assert buffer.dtype == before[name].dtype
