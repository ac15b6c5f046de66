"""What arguments of all transforms have in common: numbers, integers, flags, words, hints."""

import itertools
import re

import numpy as np
import pytest
import torch

from asteroid_slicq import NSGT, SliCQT, SliCQTFB, SliCQTInverseStream, SliCQTStream, design_frame
from asteroid_slicq.transform import STFT
from tests.helpers import noise

SMALL = {"n_bins": 20, "f_min_hz": 60.0, "sample_rate": 8000}
SLICQT = SliCQT(**SMALL, overlap_added=True, window="hann", min_width=32)
COEFFICIENTS = SLICQT(noise(1, 3000))
NSGT_2000 = NSGT(**SMALL, length=2000)
STFT_64 = STFT(64, 16, 8000)

INTEGERS = {
    "n_bins": lambda n: SliCQT(**{**SMALL, "n_bins": n}),
    "chunk": lambda n: SliCQT(**SMALL, chunk=n),
    "min_width": lambda n: design_frame(**SMALL, min_width=n),
    "n_filters": lambda n: SliCQTFB(n_filters=n, kernel_size=8, stride=4),
    "kernel_size": lambda n: SliCQTFB(n_filters=32, kernel_size=n),
    "stride": lambda n: SliCQTFB(n_filters=32, kernel_size=8, stride=n),
    "passes of the filterbank": lambda n: SliCQTFB(32, 8, passes=n),
    "passes": lambda n: SLICQT.inverse(COEFFICIENTS, 3000, passes=n),
    "passes of a stream": lambda n: SliCQTInverseStream(SLICQT, passes=n),
    "length": lambda n: SLICQT.inverse(COEFFICIENTS, n),
    "length of a synthesis": lambda n: SLICQT.synthesis(COEFFICIENTS, n),
    "length of a stream": lambda n: SliCQTInverseStream(SLICQT).flush(COEFFICIENTS, n),
    "length of an NSGT": lambda n: NSGT(**SMALL, length=n),
    "length of an NSGT's inverse": lambda n: NSGT_2000.inverse(NSGT_2000(noise(1, 2000)), n),
    "n_fft": lambda n: STFT(n, 2),
    "hop": lambda n: STFT(64, n),
    "length of an STFT's inverse": lambda n: STFT_64.inverse(STFT_64(noise(1, 500)), n),
}
GOOD = {"n_bins": 40, "n_filters": 32, "length of an NSGT": 2000, "min_width": 16, "n_fft": 64}
NUMBERS = ("sample_rate", "f_min_hz", "f_max_hz", "min_bandwidth_hz", "bandwidth_factor")


@pytest.mark.parametrize("argument", INTEGERS)
def test_an_integer_is_one_of_any_library_and_no_truth_value(argument):
    call, good = INTEGERS[argument], GOOD.get(argument, 4)
    for value in (np.int64(good), np.int16(good), torch.tensor(good)):
        call(value)
    for value in (True, np.True_, torch.tensor(True), float(good), np.float64(good), "4"):
        with pytest.raises(TypeError, match=rf"^{argument.split()[0]} must be an integer, got "):
            call(value)
    with pytest.raises(ValueError, match=rf"{argument.split()[0]}\b.* got -?\d+"):
        call(-np.int64(good))


def test_integers_are_kept_as_plain_ones():
    slicqt = SliCQT(**{**SMALL, "n_bins": np.int64(20)}, chunk=np.int32(3))
    assert type(slicqt.chunk) is type(slicqt.config["n_bins"]) is int
    assert type(SliCQTInverseStream(SLICQT, passes=np.int64(2)).latency_samples) is int


@pytest.mark.parametrize("argument", NUMBERS)
def test_a_number_is_one_of_any_library_and_no_truth_value(argument):
    good = {**SMALL, "f_max_hz": 3900.0}.get(argument, 2.0)
    config = SliCQT(**{**SMALL, argument: np.float64(good)}).config
    assert type(config[argument]) is float
    for value in (True, np.True_, "2"):
        with pytest.raises(TypeError, match=f"{argument} must be a number, got"):
            SliCQT(**{**SMALL, argument: value})


def test_a_flag_is_true_or_false():
    assert type(SliCQT(**SMALL, overlap_added=np.True_).config["overlap_added"]) is bool
    for value in ("no", 1, None):
        with pytest.raises(TypeError, match="overlap_added must be True or False, got"):
            SliCQT(**SMALL, overlap_added=value)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *itertools.product(("scale", "window", "rasterize", "phase"), ("foo", "", "0")),
        *itertools.product(("window", "rasterize", "phase"), (1, None, ["hann"])),
    ],
)
def test_a_word_that_is_like_none_has_no_hint(argument, value):
    with pytest.raises(ValueError, match=f"^{argument} must be one of ") as told:
        SliCQT(**{**SMALL, argument: value})
    assert str(told.value).endswith(f", got {value!r}")


@pytest.mark.parametrize(
    ("arguments", "least", "most"),
    [
        ({"f_min_hz": 30000}, 2000, 22050),
        ({"f_max_hz": 10}, 33, 13000),
        ({"bandwidth_factor": 50}, 2, 49),
        ({"min_bandwidth_hz": 30000}, 1000, 22049),
        ({"min_width": 100_000}, 1000, 9032),
        ({"n_bins": 0}, 2, 8),
        ({"n_bins": 0, "scale": "octave"}, 2, 2),
    ],
    ids=str,
)
def test_the_value_that_works_is_near_the_one_given(arguments, least, most):
    with pytest.raises(ValueError, match="works") as told:
        design_frame(**arguments)
    name = next(iter(arguments))
    found = re.search(rf"{name} = ([\d.]+) works", str(told.value))
    assert found is not None, told.value
    assert least <= float(found[1]) <= most
    design_frame(**{**arguments, name: type(arguments[name])(float(found[1]))})


def test_missing_slices_are_what_is_wrong():
    for slicqt in (SliCQT(**SMALL), SLICQT):
        coefficients = slicqt(noise(1, 3000))
        n_slices = slicqt.frame.n_slices(3000)
        cut = [
            c[..., : -(m // 2)] if slicqt.frame.overlap_added else c[..., :-1, :]
            for c, (_, m) in zip(coefficients, slicqt.frame.blocks, strict=True)
        ]
        match = f"^coefficients must be of {n_slices} slices for length = 3000, got {n_slices - 1}"
        with pytest.raises(ValueError, match=match):
            slicqt.inverse(cut, 3000)
        with pytest.raises(ValueError, match="passes must be at least 1, got 0"):
            slicqt.inverse(coefficients, 3000, passes=0)


@pytest.mark.parametrize("wrong", [None, 3, [1], [np.zeros((1, 2))], "a"])
def test_what_is_no_tensor_is_told(wrong):
    for transform in (SLICQT, SliCQT(**SMALL), NSGT_2000):
        with pytest.raises(TypeError, match="coefficients must be tensors"):
            transform.inverse(wrong, 100)


@pytest.mark.parametrize("stream", [SliCQTStream, SliCQTInverseStream])
def test_what_is_no_transform_is_told(stream):
    with pytest.raises(TypeError, match="slicqt must be a SliCQT, got a str"):
        stream("a")


def test_buffers_of_no_samples_pass_through_a_stream():
    slicqt, x = SliCQT(**SMALL), noise(2, 3000)
    analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt)
    buffers = [x[:, :0], x[:, :1000], x[:, 1000:1000], x[:, 1000:], x[:, :0]]
    out = [synthesis.push(analysis.push(buffer)) for buffer in buffers]
    out.append(synthesis.flush(analysis.flush(), 3000))
    assert out[0].shape == (2, 0)
    assert (torch.cat(out, -1) - x).abs().max() < 1e-5


@pytest.mark.parametrize("method", ["n_slices", "time_s", "table"])
def test_lengths_of_a_frame_are_positive_integers(method):
    tell = getattr(SLICQT.frame, method)
    with pytest.raises(ValueError, match=r"^length_samples must be at least 1, got 0"):
        tell(0)
    with pytest.raises(TypeError, match=r"^length_samples must be an integer, got 2\.5"):
        tell(2.5)


@pytest.mark.parametrize("length", [1, 48, 49, 64, 500])
def test_an_stft_has_waveforms_of_any_length_that_fits_and_no_longer_ones(length):
    (spectra,) = STFT_64(noise(1, length))
    hop, random = 16, torch.randn_like(spectra)
    longest = (spectra.shape[-1] - 1) * hop
    assert longest >= length
    assert STFT_64.inverse([random], longest).abs().max() < 4
    with pytest.raises(ValueError, match=f"length = {longest + 1} is more than"):
        STFT_64.inverse([random], longest + 1)


def test_an_stft_of_no_frames_has_no_waveform():
    with pytest.raises(ValueError, match="length = 1 is more than 0 STFT frames"):
        STFT_64.inverse([torch.zeros(1, 33, 0, dtype=torch.complex64)], 1)
