"""Operators that Apple's MPS lacks are not called, as far as that shows on a processor.

What MPS lacks, of the oldest PyTorch that this package allows (2.11): complex ``gather`` and
``scatter`` (https://github.com/pytorch/pytorch/pull/177794), complex ``repeat``
(https://github.com/pytorch/pytorch/pull/178198), and what the list of expected failures names,
``UNIMPLEMENTED_XFAILLIST`` in ``torch/testing/_internal/common_mps.py``; float64 everywhere
(https://github.com/pytorch/pytorch/issues/77764). Complex numbers may meet operators alone that
``SUPPORTED_COMPLEX_OPS`` there names.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from asteroid_slicq import NSGT, SliCQT, SliCQTInverseStream, SliCQTStream
from asteroid_slicq.models.xumx_slicq import load_default_model
from asteroid_slicq.separation import Separator
from asteroid_slicq.transform import complex_indexing
from tests.helpers import noise, numpy_noise
from tests.models.bandsplit.helpers import tiny

NOT_FOR_COMPLEX = {
    *("gather", "scatter", "scatter_", "scatter_add", "scatter_add_", "scatter_reduce"),
    *("index_add", "index_add_", "index_reduce", "repeat", "put", "put_", "polar", "angle"),
    *("mm", "bmm", "addmm", "baddbmm", "addbmm", "mv", "dot", "vdot", "convolution"),
    *("linalg_inv_ex", "linalg_solve_ex", "linalg_eigh", "_linalg_eigh", "_linalg_svd"),
}
NOT_AT_ALL = {"frexp", "put", "put_", "heaviside", "linalg_eig", "logspace", "histc", "nextafter"}
SMALL = {"n_bins": 40, "f_min_hz": 60.0, "sample_rate": 16000.0}
ADDED = {"overlap_added": True, "window": "hann", "min_width": 32}


class Recorded(TorchDispatchMode):
    """The operators that are called: their names, and of which numbers."""

    def __init__(self):
        super().__init__()
        self.complex, self.all, self.doubles = set(), set(), set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        dtypes = {x.dtype for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor)}
        self.all.add(name)
        if any(dtype.is_complex for dtype in dtypes):
            self.complex.add(name)
        if dtypes & {torch.float64, torch.complex128}:
            self.doubles.add(name)
        return out


@pytest.fixture
def as_on_mps(monkeypatch):
    monkeypatch.setattr(complex_indexing, "_REAL_ALONE", ("mps", "cpu"))


def refused(seen):
    return (seen.complex & NOT_FOR_COMPLEX) | (seen.all & NOT_AT_ALL)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"rasterize": "full", "phase": "global"},
        ADDED,
        {"rasterize": "piecewise", **ADDED},
    ],
)
def test_the_transform_calls_what_mps_has(as_on_mps, arguments):
    slicqt, x = SliCQT(**SMALL, **arguments), noise(2, 9000)
    expected = slicqt.synthesis(slicqt(x), 9000)
    slicqt.inverse(slicqt(x), 9000)  # counts its passes on the processor, once
    with Recorded() as seen:
        leaf = x.requires_grad_()
        coefficients = slicqt(leaf)
        restored = slicqt.synthesis(coefficients, 9000)
        restored.square().sum().backward()
        slicqt.inverse(coefficients, 9000)
    assert "_fft_c2c" in seen.complex  # it does record
    assert not refused(seen)
    assert not seen.doubles
    torch.testing.assert_close(restored, expected)


def test_streams_call_what_mps_has(as_on_mps):
    slicqt, x = SliCQT(**SMALL), noise(2, 20000)
    analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt)
    with Recorded() as seen, torch.no_grad():
        parts = [synthesis.push(analysis.push(part)) for part in x.split(7000, -1)]
        parts.append(synthesis.flush(analysis.flush(), 20000))
    assert not refused(seen)
    assert not seen.doubles
    torch.testing.assert_close(torch.cat(parts, -1), x, atol=1e-4, rtol=0)


def test_the_unsliced_transform_calls_what_mps_has(as_on_mps):
    nsgt = NSGT(length=8000, **SMALL)
    with Recorded() as seen, torch.no_grad():
        restored = nsgt.inverse(nsgt(noise(2, 8000)), 8000)
    assert not refused(seen)
    assert not seen.doubles
    torch.testing.assert_close(restored, noise(2, 8000), atol=1e-4, rtol=0)


@pytest.mark.slow
def test_separation_by_the_default_model_calls_what_mps_has(as_on_mps):
    model = load_default_model().eval()
    with Recorded() as seen:  # its Wiener-EM computes in float64, but on MPS in float32
        Separator(model, 1.0, 0.25).separate_waveform(0.1 * numpy_noise(2, 60_000))
    assert not refused(seen)
    model.wiener_iterations = 0
    with Recorded() as seen:
        Separator(model, 1.0, 0.25).separate_waveform(0.1 * numpy_noise(2, 60_000))
    assert not seen.doubles


@pytest.mark.parametrize("arguments", [{}, {"attention_reach_s": 0.05}, {"time_mixer": "lstm"}])
def test_a_band_split_model_calls_what_mps_has(as_on_mps, arguments):
    model = tiny(**arguments)
    with Recorded() as seen, torch.no_grad():
        model(noise(1, 2, 4000))
    assert not refused(seen)
    assert not seen.doubles


@pytest.mark.parametrize("shape", [(3, 4, 10), (10,)])
def test_parts_that_go_apart_give_the_same(monkeypatch, shape):
    x, values = noise(*shape, 2), noise(*shape[:-1], 6, 2, seed=1)
    x, values = torch.view_as_complex(x), torch.view_as_complex(values)
    index = torch.tensor([0, 3, 3, 9, 1, 0]).expand(values.shape)
    found = []
    for devices in ((), ("cpu",)):
        monkeypatch.setattr(complex_indexing, "_REAL_ALONE", devices)
        added = complex_indexing.scatter_added(x.clone(), index, values)
        found.append((complex_indexing.gathered(x, index), added))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
