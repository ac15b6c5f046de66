import copy
import importlib
import logging
import pickle
import re

import asteroid_filterbanks as afb
import numpy as np
import pytest
import torch
from asteroid_filterbanks import Decoder, Encoder, make_enc_dec, transforms
from torch.nn import functional as F

import asteroid_slicq
from asteroid_slicq import SliCQT, SliCQTFB, registration
from asteroid_slicq.transform import contraction
from asteroid_slicq.transform.scales import design_scale
from tests.filterbank.helpers import SMALL, error_db, traces
from tests.helpers import noise

# ---------------------------------------------------------------------------- round trip, layout


@pytest.mark.parametrize("who_is_pinv", [None, "encoder", "decoder"])
def test_round_trip(who_is_pinv):
    encoder, decoder = make_enc_dec("slicqt", who_is_pinv=who_is_pinv, **SMALL)
    frame = encoder.filterbank.slicqt.frame
    shapes = [(*leading, 149) for leading in ((), (1, 1), (2, 3), (2, 1, 3))]
    shapes += [(2, 1, length) for length in (1, 2, 3, 147, 148, 149, 2001)]
    for *leading, length in shapes:
        x = noise(*leading, length)
        before = x.clone()
        spec = encoder(x)
        frames = (frame.n_slices(length) + 1) * (frame.slice_length // 4 // 2)
        rows = leading[:-1] if leading[-1:] == [1] and len(leading) == 2 else leading
        assert spec.shape == (*rows, 32, frames)
        assert decoder(spec).shape[-1] >= length
        assert error_db(decoder(spec, length=length), x) <= -100
        assert torch.equal(x, before)


def test_layout_is_that_of_the_matrix():
    encoder = Encoder(SliCQTFB(**SMALL), as_conv1d=False)
    x = noise(2, 1, 1500)
    c = encoder.filterbank.slicqt(x)
    torch.testing.assert_close(encoder(x), torch.cat([c.real, c.imag], dim=-2))
    with pytest.warns(UserWarning, match="2D"):
        assert torch.equal(encoder(x[:, 0]), encoder(x)[:, 0])


def test_amplitude():
    encoder = Encoder(SliCQTFB(**SMALL))
    frame = encoder.filterbank.slicqt.frame
    f_hz = frame.positions[9] * frame.sample_rate / frame.slice_length
    x = 0.5 * torch.cos(2 * torch.pi * f_hz / 8000 * torch.arange(4000))
    magnitude = transforms.mag(encoder(x))[9, 200:-200]
    torch.testing.assert_close(
        magnitude, torch.full_like(magnitude, 0.5 * 4 / 2), rtol=0.02, atol=0
    )


def test_not_convolutional_tricks():
    """A non-contiguous waveform, and a decoder's leading axes, are what the host allows."""
    encoder, decoder = make_enc_dec("slicqt", **SMALL)
    x = noise(3, 2, 900).transpose(0, 1)
    assert error_db(decoder(encoder(x), length=900), x) <= -100


@pytest.mark.parametrize("kernel_size", [9, 16, 21])
def test_paddings_act_on_the_waveform(kernel_size):
    """As SuDORMRF asks for them."""
    stride = kernel_size // 2
    encoder, decoder = make_enc_dec(
        "slicqt", 64, kernel_size, stride, padding=stride, output_padding=stride - 1
    )
    x = noise(2, 1, 50 * stride)
    assert error_db(decoder(encoder(x), length=x.shape[-1]), x) <= -100


def test_frames_that_fill_no_half_slice():
    encoder, decoder = make_enc_dec("slicqt", **SMALL)
    spec = encoder(noise(2, 1, 1000))
    assert torch.equal(decoder(spec[..., :-5]), decoder(F.pad(spec[..., :-5], (0, 5))))
    assert decoder(spec[..., :1]).shape[-1] > 0
    with pytest.raises(ValueError, match=r"n_filters = 32.*\(2, 30, "):
        decoder(spec[:, :30])


# ---------------------------------------------------------------------------- numbers of the host


@pytest.mark.parametrize(
    ("n_filters", "kernel_size", "stride", "sample_rate"),
    [
        (512, 16, 8, 8000),  # ConvTasNet
        (64, 16, 8, 8000),  # DPRNNTasNet, DPTNet, LSTMTasNet
        (512, 21, 10, 8000),  # SuDORMRF
        (512, 512, 64, 16000),  # DeMask, but for the stride
        (64, 16, None, 8000),
        (64, 2, None, 8000),  # stride 1
        (64, 16, 8, 16000),
    ],
)
def test_numbers_are_honoured(n_filters, kernel_size, stride, sample_rate):
    fb = SliCQTFB(n_filters, kernel_size, stride, sample_rate=sample_rate)
    hop, frame = stride or kernel_size // 2, fb.slicqt.frame
    assert fb.n_feats_out == fb.n_filters == n_filters == 2 * frame.n_bins
    assert frame.hop_per_block.tolist() == [hop]
    assert frame.slice_length % (4 * hop) == 0
    assert frame.frequencies_hz[[0, -1]].tolist() == [0, sample_rate / 2]
    assert frame.frequencies_hz[1] == pytest.approx(32.9)
    assert fb.passes == 2
    x = noise(1, 1, frame.slice_length + 17)
    spec = Encoder(fb)(x)
    assert error_db(Decoder(fb)(spec, length=x.shape[-1]), x) <= -100
    fb.passes = 1
    assert error_db(Decoder(fb)(spec, length=x.shape[-1]), x) <= -80


@pytest.mark.parametrize(
    "frame",
    [
        {"scale": "mel"},
        {"scale": "erb", "f_max_hz": 4000},
        {"scale": "log", "f_min_hz": 200.0, "f_max_hz": 3900.0},
        {"scale": "vqlog", "f_min_hz": 100.0, "gamma_hz": 60.0, "n_filters": 64},
        {"scale": "linear", "f_min_hz": 0, "stride": 8},
        {"scale": design_scale("bark", 14, 50.0, 3800.0)},
        {"scale": lambda: design_scale("mel", 14, 50.0, 3800.0)},
        {"slice_length": 500},
        {"min_bandwidth_hz": 100.0, "bandwidth_factor": 1.2, "window": "sine", "min_width": 40},
        {"phase": "local", "transition_length": 60, "passes": 3},
        {"sample_rate": None},
        {"n_filters": np.int64(32), "stride": np.int64(4), "f_min_hz": np.float32(50)},
    ],
    ids=lambda frame: " ".join(frame),
)
def test_configuration_round_trip(frame):
    given = {**SMALL, **frame}
    fb = SliCQTFB(**given)
    assert 2 * fb.slicqt.frame.n_bins == given["n_filters"]
    config = fb.get_config()
    assert plain(config)
    assert config["fb_name"] == "SliCQTFB"
    assert (config["kernel_size"], config["stride"]) == (given["kernel_size"], given["stride"])
    again = afb.get(config.pop("fb_name"))(**config)
    assert again.get_config() == fb.get_config()
    x = noise(2, 1, 999)
    spec = Encoder(fb)(x)
    assert torch.equal(Encoder(again)(x), spec)
    assert error_db(Decoder(again)(spec, length=999), x) <= -100


def plain(value) -> bool:
    if isinstance(value, dict | list | tuple):
        return all(map(plain, value.values() if isinstance(value, dict) else value))
    return type(value) in (int, float, str, type(None))


def test_slice_length_is_rounded_up():
    assert SliCQTFB(**SMALL, slice_length=500).slicqt.frame.slice_length == 512
    assert SliCQTFB(**SMALL, slice_length=512).slicqt.frame.slice_length == 512
    assert SliCQTFB(**SMALL).slicqt.frame.slice_length == 304  # 296 suggested


@pytest.mark.parametrize(
    ("arguments", "error", "message", "works"),
    [
        ({"n_filters": 31}, ValueError, "even.*got 31; the nearest is 32", {"n_filters": 32}),
        ({"n_filters": 2, "stride": 2}, ValueError, "works: n_filters = 12", {"n_filters": 12}),
        ({"n_filters": 10, "stride": 2}, ValueError, "works: n_filters = 12", {"n_filters": 12}),
        ({"stride": -2}, ValueError, "stride must be at least 1", None),
        ({"stride": 2.0}, TypeError, "stride must be an integer, got 2.0", None),
        ({"n_filters": 32.0}, TypeError, "n_filters must be an integer", None),
        ({"passes": 0}, ValueError, "passes must be at least 1, got 0", {"passes": 1}),
        (
            {"slice_length": 100},
            ValueError,
            "the shortest that works is 296",
            {"slice_length": 296},
        ),
        ({"scale": "octave", "stride": 2}, ValueError, "'log' is the same", {"scale": "log"}),
        ({"scale": ([1e3, 2e3, 3e3], [2, 4, 6])}, ValueError, "n_filters.*10 here, got 32", None),
        ({"scale": "barq"}, ValueError, "'bark'", {"scale": "bark"}),
        ({"f_max_hz": 5000}, ValueError, "f_max_hz must be at most.*4000", {"f_max_hz": 4000}),
    ],
)
def test_wrong_arguments(arguments, error, message, works):
    with pytest.raises(error, match=message):
        SliCQTFB(**{**SMALL, **arguments})
    if works:
        SliCQTFB(**{**SMALL, **arguments, **works})


@pytest.mark.parametrize(
    "arguments",
    [
        {"stride": 8},
        {"stride": 200},
        {"n_filters": 64, "stride": 40, "scale": "mel"},
        {"n_filters": 128, "stride": 128, "sample_rate": 16000, "slice_length": 4000},
    ],
)
def test_the_longest_stride_is_named(arguments):
    """It works, and one sample more does not."""
    with pytest.raises(ValueError, match=f"stride = {arguments['stride']}") as told:
        SliCQTFB(**{**SMALL, **arguments})
    longest = int(re.search(r"nearest that works is (\d+)", str(told.value))[1])
    fb = SliCQTFB(**{**SMALL, **arguments, "stride": longest})
    assert fb.slicqt.frame.hop_per_block.tolist() == [longest]
    with pytest.raises(ValueError, match=f"nearest that works is {longest}"):
        SliCQTFB(**{**SMALL, **arguments, "stride": longest + 1})


def test_other_arguments_are_ignored_aloud(caplog):
    with caplog.at_level(logging.WARNING):
        SliCQTFB(**SMALL, f_min=50, encoder_activation=None)
    assert [record.getMessage() for record in caplog.records] == ["SliCQTFB ignores f_min"]


def test_passes_follow_from_the_worst_signal():
    """The filterbank asks for the contraction of the ragged frame, which is that of the matrix."""
    fb = SliCQTFB(**SMALL)
    norm = {}
    for rasterize in ("none", "full"):
        layout = {"rasterize": rasterize, "n_coefficients": None}
        if rasterize == "full":
            layout["n_coefficients"] = fb.slicqt.config["n_coefficients"]
        norm[rasterize] = contraction(SliCQT(**{**fb.slicqt.config, **layout}).maps(torch.float64))
    assert abs(20 * np.log10(norm["none"] / norm["full"])) < 3
    assert norm["full"] ** fb.passes <= 1e-5


@pytest.mark.parametrize("passes", [None, 2])
@pytest.mark.parametrize("min_width", [4, 8])
def test_frames_whose_passes_diverge_are_refused(min_width, passes):
    """As SliCQT.inverse refuses them; with the value that is named the round trip is precise."""
    given = {"n_filters": 64, "kernel_size": 16, "stride": 8, "window": "blackman-harris"}
    with pytest.raises(ValueError, match=r"multiplies the error by 2.* works$") as told:
        SliCQTFB(**given, min_width=min_width, passes=passes)
    name, value = re.search(r"(\w+) = (\d+) works", str(told.value)).groups()
    encoder, decoder = make_enc_dec("slicqt", **{**given, name: int(value)})
    x = noise(1, 1, 2000)
    assert error_db(decoder(encoder(x), length=2000), x) <= -100
    assert SliCQTFB(**given, min_width=min_width, passes=1).passes == 1  # a synthesis alone


# ---------------------------------------------------------------------------- registration, module


def test_registration():
    assert afb.get("slicqt") is afb.get("SliCQTFB") is SliCQTFB is asteroid_slicq.SliCQTFB
    registration.register_filterbank(SliCQTFB, "slicqt")
    importlib.reload(asteroid_slicq)
    assert afb.get("slicqt") is SliCQTFB
    with pytest.raises(ValueError, match="'stft'"):
        registration.register_filterbank(SliCQTFB, "stft")


def test_precisions():
    fb, x = SliCQTFB(**SMALL), noise(2, 1, 1000, dtype=torch.float64)
    single = Encoder(fb)(x.float())
    assert single.dtype == torch.float32
    fb.double()
    double = Encoder(fb)(x)
    assert double.dtype == torch.float64
    assert error_db(single.double(), double) <= -120
    fb.passes = 4
    assert error_db(Decoder(fb)(double, length=1000), x) <= -220
    fb.float()
    assert torch.equal(Encoder(fb)(x.float()), single)


def test_autocast_leaves_the_waveform_alone():
    encoder, decoder = make_enc_dec("slicqt", **SMALL)
    x = noise(2, 1, 1000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert error_db(decoder(encoder(x), length=1000), x) <= -100


def test_copies_and_state():
    encoder, _ = make_enc_dec("slicqt", **SMALL)
    assert encoder.state_dict() == {}
    assert list(encoder.parameters()) == []
    x = noise(2, 1, 500)
    for again in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert torch.equal(again(x), encoder(x))


def test_gradients():
    fb = SliCQTFB(12, 4, 2, f_min_hz=600.0, passes=2).double()
    encoder, decoder = Encoder(fb), Decoder(fb)
    x = noise(1, 1, 20, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(encoder, (x,), fast_mode=True)
    short = noise(12, 3, dtype=torch.float64, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: decoder(c)[..., :10], (short,), fast_mode=True)


# ---------------------------------------------------------------------------- transforms


def test_transforms():
    encoder, decoder = make_enc_dec("slicqt", **SMALL)
    x = noise(2, 1, 1000)
    spec, c = encoder(x), encoder.filterbank.slicqt(x)[:, 0]
    assert torch.equal(transforms.to_torch_complex(spec), c)
    assert torch.equal(transforms.from_torch_complex(c), spec)
    torch.testing.assert_close(transforms.mag(spec, EPS=0.0), c.abs())
    torch.testing.assert_close(transforms.angle(spec), c.angle())
    assert transforms.magreim(spec).shape == (2, 48, spec.shape[-1])
    real, imaginary = transforms.reim(spec)
    assert torch.equal(real, c.real)
    assert torch.equal(imaginary, c.imag)
    ones = torch.ones_like(real)
    for masked in (
        transforms.apply_real_mask(spec, torch.ones_like(spec)),
        transforms.apply_mag_mask(spec, ones),
        transforms.apply_complex_mask(spec, torch.cat([ones, 0 * ones], dim=-2)),
        transforms.from_torchaudio(transforms.to_torchaudio(spec)[..., None, :, :].squeeze(-3)),
        transforms.from_numpy(transforms.to_numpy(spec)),
    ):
        assert error_db(decoder(masked, length=1000), x) <= -100
    polar = transforms.from_magphase(*transforms.magphase(spec))
    assert error_db(decoder(polar, length=1000), x) <= -60  # the host adds 1e-8 to the power


def test_phase_reconstruction():
    """Griffin and Lim's algorithm of the host, with this decoder."""
    encoder, decoder = make_enc_dec("slicqt", **SMALL)
    magnitude = transforms.mag(encoder(noise(1, 1, 1500)))
    start = 6 * noise(*magnitude.shape, seed=1)

    def inconsistency(n_iter):
        y = afb.griffin_lim(magnitude, encoder, angles=start, istft_dec=decoder, n_iter=n_iter)
        return error_db(transforms.mag(encoder(y)), magnitude)

    assert inconsistency(16) < inconsistency(0) - 3


# ---------------------------------------------------------------------------- tracing


@traces
@pytest.mark.parametrize(
    ("leading", "dtype"),
    [
        ((), torch.float32),
        ((2, 1), torch.float64),
        ((2, 3), torch.float32),
        ((2, 1, 3), torch.float64),
    ],
)
def test_traced_equals_eager(leading, dtype):
    encoder, decoder = (module.to(dtype) for module in make_enc_dec("slicqt", **SMALL))
    x = noise(*leading, 700, dtype=dtype)
    traced_encoder = torch.jit.trace(encoder, x)
    traced_decoder = torch.jit.trace(decoder, encoder(x))
    more = (5, *leading[1:]) if leading else ()
    for length in (1, 151, 152, 153, 1001):
        x = noise(*more, length, dtype=dtype, seed=1)
        spec = encoder(x)
        assert error_db(traced_encoder(x), spec) <= -115
        assert error_db(traced_decoder(spec), decoder(spec)) <= -115
        cut = spec[..., :-1]
        assert error_db(traced_decoder(cut), decoder(cut)) <= -115


@traces
def test_traced_gradient_equals_eager():
    encoder, decoder = make_enc_dec("slicqt", **SMALL)
    both, x = torch.nn.Sequential(encoder, torch.nn.Tanh(), decoder), noise(1, 1, 900)
    traced, gradients = torch.jit.trace(both, noise(1, 1, 500)), []
    for module in (both, traced):
        leaf = x.clone().requires_grad_()
        module(leaf).pow(3).sum().backward()
        gradients.append(leaf.grad)
    assert error_db(*gradients) <= -115


def test_delayed_waveform_has_delayed_coefficients():
    """As with a convolution, but for the wrap-around of slices; local phase turns with time."""
    waveform = torch.zeros(1, 1, 16000)
    waveform[..., 4000:12000] = torch.randn(8000, generator=torch.Generator().manual_seed(0))
    frames = 50
    for phase, delayed in (("global", True), ("local", False)):
        encoder, _ = make_enc_dec("slicqt", 64, 16, 8, phase=phase)
        early, late = encoder(waveform), encoder(waveform.roll(8 * frames, -1))
        error = (late[..., frames:] - early[..., :-frames]).norm() / early.norm()
        assert (error < 1e-3) == delayed
