import io
import itertools
import json
import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from asteroid.models import BaseModel
from torch.utils.flop_counter import FlopCounterMode

import asteroid_slicq
from asteroid_slicq import SliCQT, XUMXSliCQ
from asteroid_slicq.hub import convert_v2_state
from tests.helpers import golden, with_slow
from tests.reference_inverse import reference_inverse

TINY = {"hidden_channels": (3, 4), "transform": {"n_bins": 14, "f_min_hz": 150.0}}


def tiny(**arguments) -> XUMXSliCQ:
    torch.manual_seed(0)
    return XUMXSliCQ(**{**TINY, **arguments})


@pytest.mark.parametrize(
    ("preset", "n_parameters"),
    with_slow(
        [
            *(("v1", 6_671_856), ("v2", 15_010_446), ("v2-realtime", 15_010_446)),
            *(("v1-lstm", 964_466), ("v2-lstm", 976_218)),
            *(("large", 10_747_198), ("medium", 4_860_926), ("small", 1_708_094)),
        ],
        ("v1-lstm", 964_466),
    ),
)
def test_presets_have_the_sizes_that_are_told(preset, n_parameters):
    model = XUMXSliCQ.from_preset(preset)
    assert sum(p.numel() for p in model.parameters()) == n_parameters


@pytest.mark.parametrize(("variant", "preset"), [("offline", "v2"), ("realtime", "v2-realtime")])
def test_equals_the_reference_with_converted_weights(variant, preset):
    reference = np.load(golden(f"xumx_v2_{variant}_bark14.npz"))
    state = torch.load(golden(f"xumx_v2_{variant}_bark14_state.pth"), weights_only=True)
    model = XUMXSliCQ.from_preset(preset, transform=TINY["transform"]).eval()
    model.load_state_dict(convert_v2_state(state))
    mix = torch.from_numpy(reference["x"])
    with torch.inference_mode():
        coefficients, masks = model.estimate(mix)
        waveforms = model(mix)
    for b, mask in enumerate(masks):
        expected = torch.from_numpy(reference[f"mask{b:02d}"]).movedim(0, 1)
        assert mask.shape == expected.shape
        assert (mask - expected).abs().max() < 1e-6
    expected = torch.from_numpy(reference["y"]).movedim(0, 1)
    peak = expected.abs().max()
    # The reference misplaces the mirror image of a bin that crosses DC, ours does not …
    assert (waveforms - expected).abs().max() < 1.5e-3 * peak
    # … and that is all that differs.
    coefficients = [block.numpy() for block in coefficients]
    theirs = reference_inverse(model.transform.frame, coefficients, mix.shape[-1], "v2")
    assert np.abs(theirs - expected.numpy()).max() < 1e-6 * peak


def test_published_frame_is_not_concerned():
    """On the default frame all inverses agree on masked coefficients: no bin crosses DC."""
    slicqt = SliCQT().double()
    blocks = slicqt(torch.randn(1, 30000, dtype=torch.float64))
    masked = [block * torch.rand(block.shape, dtype=torch.float64) for block in blocks]
    ours = slicqt.inverse(masked, 30000).numpy()
    for mirror in ("v1", "v2", "exact"):
        theirs = reference_inverse(slicqt.frame, [b.numpy() for b in masked], 30000, mirror)
        assert np.abs(theirs - ours).max() < 1e-12


@pytest.mark.parametrize("transition", [None, 40])
def test_a_future_sample_changes_nothing_before_the_latency_and_something_at_it(transition):
    transform = {**TINY["transform"], "transition_length": transition}
    model = tiny(causal=True, wiener_iterations=0, transform=transform).double().eval()
    frame = model.transform.frame
    latency = round(model.latency_s * 44100)
    assert latency == 7 * frame.slice_length // 4 + frame.transition_length // 2 - 1
    mix = torch.randn(1, 2, 6 * frame.slice_length, dtype=torch.float64)
    first = {}
    with torch.inference_mode():
        before = model(mix)
        # One hop of samples, in steps: the last one of a slice's window reaches back furthest.
        edge = 3 * frame.slice_length // 4 + frame.transition_length // 2 - 1
        start = 7 * frame.slice_hop + edge - frame.slice_hop
        for t in (start + 1, start + 57, start + 200, start + frame.slice_hop):
            changed = mix.clone()
            changed[..., t:] += 1e3 * torch.randn(mix[..., t:].shape, dtype=torch.float64)
            difference = (model(changed) - before).abs().amax(dim=(0, 1, 2))
            first[t] = t - int(difference.nonzero()[0])
    assert max(first.values()) <= latency
    assert first[start + frame.slice_hop] > latency - 16
    assert min(first.values()) < latency - frame.slice_hop // 2


def test_latency_of_the_published_models():
    assert round(XUMXSliCQ.from_preset("v2-realtime").latency_s, 3) == 0.768
    assert tiny().latency_s == tiny(wiener_iterations=0).latency_s == math.inf
    assert tiny(causal=True).latency_s == math.inf
    assert tiny(causal=True, wiener=None).latency_s < 0.04


@pytest.mark.parametrize("iterations", [0, 1])
def test_serialises_and_loads_under_weights_only(tmp_path, iterations):
    model = tiny(wiener_iterations=iterations).eval()
    path = tmp_path / "model.pth"
    torch.save(model.serialize(), path)
    torch.load(path, weights_only=True)
    loaded = BaseModel.from_pretrained(str(path)).eval()
    assert isinstance(loaded, XUMXSliCQ)
    mix = torch.randn(1, 2, 3000)
    with torch.inference_mode():
        assert torch.equal(loaded(mix), model(mix))
    assert loaded.get_model_args() == model.get_model_args()


def test_asteroid_checkpoints_load_too(tmp_path):
    from asteroid.models import ConvTasNet

    model = ConvTasNet(n_src=2, n_filters=16, n_blocks=1, n_repeats=1, bn_chan=8, hid_chan=8)
    torch.save(model.serialize(), tmp_path / "model.pth")
    loaded = BaseModel.from_pretrained(str(tmp_path / "model.pth"))
    assert isinstance(loaded, ConvTasNet)


@pytest.mark.parametrize("length", [1, 57, 458, 3001])
@pytest.mark.parametrize("shape", [(), (2,), (3, 2)])
def test_shapes(shape, length):
    model = tiny(n_channels=shape[-1] if shape else 1).eval()
    with torch.inference_mode():
        out = model(torch.randn(*shape, length))
    expected = {0: (4, length), 1: (4, 2, length), 2: (3, 4, 2, length)}[len(shape)]
    assert out.shape == expected


def test_silence_stays_silent():
    with torch.inference_mode():
        out = tiny().eval()(torch.zeros(1, 2, 2000))
    assert not out.any()


def test_every_parameter_has_a_finite_gradient():
    model = tiny()
    model(torch.randn(2, 2, 3000)).square().sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name
    model.zero_grad()
    model(torch.zeros(1, 2, 3000)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_estimate_is_what_forward_transforms_back():
    model = tiny().eval()
    mix = torch.randn(1, 2, 2500)
    with torch.inference_mode():
        estimate = model.estimate(mix)
        waveforms = model.transform.inverse(estimate.coefficients, 2500)
        assert torch.equal(waveforms, model(mix))
    assert len(estimate.masks) == len(model.transform.frame.blocks)


def test_input_is_not_changed():
    mix = torch.randn(1, 2, 2000)
    before = mix.clone()
    tiny()(mix)
    assert torch.equal(mix, before)


def test_input_statistics_scale_every_bin():
    model = tiny()
    n_bins = model.transform.frame.n_bins
    model.set_input_statistics(torch.arange(n_bins) + 1.0, torch.arange(n_bins) + 2.0)
    shift = torch.cat([block.shift for block in model.blocks])
    scale = torch.cat([block.scale for block in model.blocks])
    assert torch.equal(shift, -(torch.arange(n_bins) + 1.0))
    assert torch.allclose(scale, 1 / (torch.arange(n_bins) + 2.0))
    with pytest.raises(ValueError, match="mean and std"):
        model.set_input_statistics(torch.ones(3), torch.ones(3))
    with pytest.raises(ValueError, match="mean and std must be finite"):
        model.set_input_statistics(torch.ones(n_bins), torch.full((n_bins,), torch.nan))


def test_mixes_scale_every_bin_by_what_the_networks_see_of_them():
    model = tiny()
    mixes = [0.1 * torch.randn(2, 2, 4000), 0.3 * torch.randn(1, 2, 4000)]
    seen = [
        torch.cat([b.abs() for b in blocks])
        for blocks in zip(*map(model.transform, mixes), strict=True)
    ]
    # Batch, channel, slice and time are averaged.
    mean = torch.cat([block.mean((0, 1, 3, 4)) for block in seen])
    std = torch.cat([block.var((0, 1, 3, 4), correction=0).sqrt() for block in seen])
    model.scale_input(mixes)
    shift = torch.cat([block.shift for block in model.blocks])
    scale = torch.cat([block.scale for block in model.blocks])
    torch.testing.assert_close(shift, -mean)
    torch.testing.assert_close(scale, 1 / std)
    with pytest.raises(ValueError, match="at least one batch"):
        model.scale_input([])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"sources": []}, "sources"),
        ({"sources": ["a", "a"]}, "sources"),
        ({"sources": "vocals"}, "sources"),
        ({"hidden_channels": 3}, "hidden_channels"),
        ({"transform": {"sample_rate": 8000}}, "sample_rate"),
        ({"n_channels": 0}, "n_channels"),
        ({"hidden_channels": (0, 4)}, "hidden_channels"),
        ({"wiener_iterations": -1}, "wiener_iterations"),
    ],
)
def test_wrong_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        tiny(**arguments)


@pytest.mark.parametrize("layout", [{"rasterize": "full"}, {"overlap_added": True}])
def test_a_transform_that_the_networks_do_not_take_is_refused_at_once(layout):
    with pytest.raises(ValueError, match=f"^transform must .*{next(iter(layout))}="):
        tiny(transform=layout)


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        *itertools.product(("n_channels", "wiener_iterations"), (True, 2.0, "2", None)),
        ("hidden_channels", (2.0, 3)),
        ("hidden_channels", (True, 3)),
        *itertools.product(("causal",), ("no", 1, None)),
        *itertools.product(("sample_rate", "bandwidth_hz"), (True, "8000")),
        ("transform", [1]),
        ("transform", "bark"),
    ],
)
def test_arguments_of_wrong_types_are_named(argument, wrong):
    with pytest.raises(TypeError, match=f"^{argument} must be "):
        tiny(**{argument: wrong})


def test_arguments_of_any_library_and_iterators_build_a_model_that_is_plain():
    scale = np.geomspace(300.0, 3000.0, 12), np.full(12, 4.0)
    numpy_model = XUMXSliCQ(
        sources=iter(("a", "b")),
        n_channels=np.int64(2),
        hidden_channels=np.array([2, 3]),
        causal=np.False_,
        wiener_iterations=np.int32(1),
        sample_rate=np.float64(8000),
        transform={"scale": lambda: scale, "min_width": np.int64(16)},
        bandwidth_hz=np.float32(2000),
    )
    plain = json.loads(json.dumps(numpy_model.get_model_args()))
    assert plain["sources"] == numpy_model.sources == ["a", "b"]
    assert plain["hidden_channels"] == [2, 3]
    torch.save(numpy_model.serialize(), file := io.BytesIO())
    file.seek(0)
    again = XUMXSliCQ(**torch.load(file, weights_only=True)["model_args"])
    assert again.get_model_args() == numpy_model.get_model_args()
    assert XUMXSliCQ(**plain).transform.frame.blocks == numpy_model.transform.frame.blocks


def test_wrong_preset_and_wrong_mix_are_named():
    with pytest.raises(ValueError, match="name must be one of v2"):
        XUMXSliCQ.from_preset("v7")
    with pytest.raises(ValueError, match="mix"):
        tiny()(torch.zeros(1, 3, 1000))


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "giga"), [("v1", 4.95), ("v2", 0.67), ("v2-realtime", 0.67)])
def test_multiply_adds_of_a_second(preset, giga):
    """As many as its layers need, whichever way they are computed; counted on shapes alone."""
    model = XUMXSliCQ.from_preset(preset).eval()
    seconds = 5
    n_slices = model.transform.frame.n_slices(seconds * model.sample_rate)
    model.to("meta")
    for weights in (nullcontext(), model.fixed_weights()):
        counter = FlopCounterMode(display=False)
        with torch.no_grad(), weights, counter:
            for network, (n, m) in zip(model.blocks, model.transform.frame.blocks, strict=True):
                network(torch.zeros(1, 2, n, n_slices, m, device="meta"))
        assert counter.get_total_flops() / 2e9 / seconds == pytest.approx(giga, rel=0.07)


def test_package_exports_exist():
    assert all(hasattr(asteroid_slicq, name) for name in asteroid_slicq.__all__)


@pytest.mark.slow
@pytest.mark.filterwarnings(  # what torch says of itself while it compiles
    "ignore:.*torch.jit.script.*:FutureWarning",
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning",
)
@pytest.mark.parametrize("arguments", [{}, {"causal": True, "wiener_iterations": 0}])
def test_compiled_equals_eager_with_its_gradient(arguments):
    """By the eager backend of AOTAutograd: inductor needs a compiler, and a minute."""
    mix = 0.1 * torch.randn(1, 2, 9000, generator=torch.Generator().manual_seed(0))
    results = []
    torch.compiler.reset()
    for compiled in (False, True):
        # A block less is seconds less.
        model = tiny(**arguments, transform={"n_bins": 4, "f_min_hz": 3000.0}).eval()
        run = torch.compile(model, backend="aot_eager") if compiled else model
        sources = run(mix)
        sources.square().sum().backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        results.append([sources.detach(), *gradients])
    torch.compiler.reset()
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("causal", [False, True])
def test_nothing_is_heard_from_beyond_the_reach(causal):
    model = tiny(causal=causal, wiener_iterations=0).double().eval()
    frame, reach = model.transform.frame, round(model.reach_s * 44100)
    mix = 0.1 * torch.randn(1, 2, 8 * frame.slice_length, dtype=torch.float64)
    found = []
    with torch.inference_mode():
        before = model(mix)
        for part in (0.01, 0.3, 0.55, 0.8, 0.97):  # of a hop: what reaches how far depends on it
            place = round((8 + part) * frame.slice_hop)
            other = mix.clone()
            other[..., place] += 1
            changed = ((model(other) - before).abs().amax((0, 1, 2)) > 1e-11).nonzero()[:, 0]
            found += [place - int(changed[0]), int(changed[-1]) - place]
    assert 0.9 * reach < max(found) <= reach


def test_functions_of_torch_func_pass_wiener_em():
    model = tiny().eval()
    mix = 0.1 * torch.randn(2, 2, 3000)
    with torch.no_grad():
        torch.testing.assert_close(torch.func.vmap(model)(mix), model(mix))
    weights = dict(model.named_parameters())

    def energy(weights):
        return torch.func.functional_call(model, weights, (mix,)).square().sum()

    gradients = torch.func.grad(energy)(weights)
    expected = torch.autograd.grad(energy(weights), list(weights.values()))
    torch.testing.assert_close(list(gradients.values()), list(expected))
