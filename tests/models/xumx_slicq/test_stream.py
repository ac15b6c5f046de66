"""Facts about the realtime separator: equal to offline, on time, bounded, and what it refuses."""

import pytest
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.models.xumx_slicq import SeparatorStream
from tests.helpers import noise, stored_bytes
from tests.models.xumx_slicq.helpers import SMALL, WIDE, causal_model, offline, pieces, streamed


@pytest.fixture(scope="module")
def model():
    return causal_model()


@pytest.mark.parametrize(("transform", "kernels"), [(SMALL, {1, 3}), (WIDE, {1, 5})])
def test_all_kernels_are_tested(transform, kernels):
    blocks = causal_model(transform=transform).blocks
    assert {block.encode_outer.kernel_size[0] for block in blocks} == kernels


@pytest.mark.parametrize("how", ["random", "odd", "whole"])
@pytest.mark.parametrize("shape", [(2, 6001), (3, 2, 2000)])
def test_a_stream_equals_offline(model, shape, how):
    mix = noise(*shape)
    out, wanted = streamed(SeparatorStream(model), mix, how), offline(model, mix)
    assert out.shape == wanted.shape
    assert out.dtype == wanted.dtype
    assert (out - wanted).abs().max() < 1e-5
    assert wanted.abs().max() > 0.1


@pytest.mark.parametrize("n_hops", [0.01, 0.5, 1, 2, 3, 4, 5, 6, 7, 7.99])
def test_short_streams_equal_offline(model, n_hops):
    hop = model.transform.frame.slice_hop
    mix = noise(2, max(1, round(n_hops * hop)))
    out = streamed(SeparatorStream(model), mix, "random")
    torch.testing.assert_close(out, offline(model, mix), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "options",
    [
        {"n_channels": 1},
        {"sources": ["a", "b"]},
        {"bandwidth_hz": 2000.0},
        {"transform": WIDE},
        {"transform": {**SMALL, "rasterize": "piecewise"}},
        {"transform": {**SMALL, "phase": "global"}},
        {"wiener": None, "wiener_iterations": 1},
    ],
    ids=str,
)
def test_every_causal_model_streams(options):
    model = causal_model(**options)
    mix = noise(model.n_channels, 3000)
    out = streamed(SeparatorStream(model), mix, "random")
    torch.testing.assert_close(out, offline(model, mix), atol=1e-5, rtol=0)


def test_double_precision_is_kept():
    model = causal_model().double()
    mix = noise(2, 2500, dtype=torch.float64)
    out = streamed(SeparatorStream(model), mix, "random")
    torch.testing.assert_close(out, offline(model, mix), atol=1e-12, rtol=0)


def test_a_model_in_training_streams_as_in_evaluation(model):
    mix = noise(2, 2500)
    wanted = offline(model, mix)
    model.train()
    try:
        out = streamed(SeparatorStream(model), mix, "random")
        assert model.training
    finally:
        model.eval()
    torch.testing.assert_close(out, wanted, atol=1e-5, rtol=0)


def test_some_sources_in_their_order(model):
    mix = noise(2, 2500)
    separator = SeparatorStream(model, ["drums", "bass"])
    assert separator.sources == ["drums", "bass"]
    wanted = offline(model, mix)[[model.sources.index(name) for name in separator.sources]]
    torch.testing.assert_close(streamed(separator, mix, "odd"), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("how", ["one", "random"])
def test_output_is_out_after_the_latency_and_not_before(model, how):
    separator = SeparatorStream(model)
    mix, n_in, n_out, behind = noise(2, 2000), 0, 0, []
    for block in mix.split(pieces(2000, how), dim=-1):
        n_in += block.shape[-1]
        n_out += separator.push(block).shape[-1]
        behind.append(n_in - n_out)
        assert behind[-1] <= separator.latency_samples
    if how == "one":
        assert max(behind) == separator.latency_samples
    assert n_out + separator.flush().shape[-1] == 2000


def test_a_later_change_changes_nothing_that_is_out(model):
    mix = noise(2, 3000)
    changed = mix.clone()
    changed[:, 1700:] = noise(2, 1300, seed=1)
    separator = SeparatorStream(model)
    ready = separator.push(mix[:, :1700])
    n = ready.shape[-1]
    assert n >= 1700 - separator.latency_samples > 0
    torch.testing.assert_close(ready, offline(model, changed)[..., :n], atol=1e-5, rtol=0)


def test_the_published_model_is_768_ms_behind():
    separator = SeparatorStream(XUMXSliCQ.from_preset("v2-realtime", hidden_channels=(1, 1)))
    assert separator.latency_samples == 33862
    assert separator.latency_s == 33862 / 44100


def test_the_state_stays_as_small(model):
    separator = SeparatorStream(model)
    hop, sizes = model.transform.frame.slice_hop, []
    for seed in range(40):
        separator.push(noise(2, 3 * hop if seed % 2 else hop, seed=seed))
        sizes.append(stored_bytes(separator))
    assert max(sizes[6:]) <= max(sizes[:6])


def test_nothing_lingers(model):
    """NaN leaves no trace beyond the reach of transform and network."""
    separator, hop = SeparatorStream(model), model.transform.frame.slice_hop
    mix = noise(2, 40 * hop)
    broken = mix.clone()
    broken[:, 10 * hop] = torch.nan
    out = streamed(separator, broken, "odd")
    wanted = offline(model, mix)
    assert out.isnan().any()
    torch.testing.assert_close(out[..., 18 * hop :], wanted[..., 18 * hop :], atol=1e-5, rtol=0)
    torch.testing.assert_close(out[..., : 6 * hop], wanted[..., : 6 * hop], atol=1e-5, rtol=0)


def test_reset_begins_anew_with_the_weights_of_then(model):
    mix = noise(2, 2500)
    separator = SeparatorStream(model)
    separator.push(noise(3, 2, 999, seed=1))
    separator.reset()
    torch.testing.assert_close(
        streamed(separator, mix, "odd"), offline(model, mix), atol=1e-5, rtol=0
    )
    other = causal_model(seed=1)
    separator = SeparatorStream(other)
    other.load_state_dict(model.state_dict())
    separator.reset()
    torch.testing.assert_close(
        streamed(separator, mix, "odd"), offline(model, mix), atol=1e-5, rtol=0
    )


def test_input_is_left_alone_and_gradients_do_not_run(model):
    mix = noise(2, 2000)
    before = mix.clone()
    out = streamed(SeparatorStream(model), mix, "whole")
    assert torch.equal(mix, before)
    assert not out.requires_grad


def test_an_empty_stream_has_an_empty_output(model):
    separator = SeparatorStream(model)
    assert separator.push(torch.zeros(2, 0)).shape == (4, 2, 0)
    assert separator.flush().shape == (4, 2, 0)


def test_many_slices_run_in_parts(model):
    """More slices than run at a time give the same."""
    mix = model.transform(noise(1, 2, 40 * model.transform.frame.slice_hop))
    magnitudes = [block.abs() for block in mix]
    stream = model.networks.stream()
    with torch.no_grad():
        for network, masks, x in zip(
            model.blocks, stream.push(magnitudes, last=True), magnitudes, strict=True
        ):
            torch.testing.assert_close(masks, network(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"causal": False}, "must be causal"),
        ({"wiener_iterations": 1}, "without Wiener-EM .* got wiener_iterations=1"),
    ],
)
def test_models_that_cannot_stream(options, words):
    with pytest.raises(ValueError, match=words):
        SeparatorStream(causal_model(**options))


def test_arguments_that_cannot_be(model):
    with pytest.raises(
        TypeError, match="model must be an XUMXSliCQ or an OnnxSeparator, got Linear"
    ):
        SeparatorStream(torch.nn.Linear(1, 1))
    for sources in (["voice"], [], ["bass", "bass"]):
        with pytest.raises(ValueError, match="sources must be different names out of bass, "):
            SeparatorStream(model, sources)
    separator = SeparatorStream(model)
    for shape in ((1, 100), (100,), (1, 1, 2, 100), (2, 3, 100)):
        with pytest.raises(ValueError, match=r"mix must be \(2 channels, time\) or .*, got"):
            separator.push(torch.zeros(shape))
    with pytest.raises(TypeError, match="mix must be a tensor, got list"):
        separator.push([0.0])
    separator.push(torch.zeros(2, 500))
    with pytest.raises(ValueError, match="as this stream began"):
        separator.push(torch.zeros(1, 2, 500))
    separator.flush()
    with pytest.raises(ValueError, match=r"after flush\(\); reset\(\) begins a new stream"):
        separator.push(torch.zeros(2, 500))
    with pytest.raises(ValueError, match="once a stream"):
        separator.flush()


def test_buffers_of_no_samples_keep_the_batch():
    separator = SeparatorStream(causal_model())
    assert separator.push(torch.zeros(3, 2, 0)).shape == (3, 4, 2, 0)
    assert separator.flush().shape == (3, 4, 2, 0)


def test_sources_from_an_iterator():
    assert SeparatorStream(causal_model(), iter(["drums"])).sources == ["drums"]
    with pytest.raises(ValueError, match=r"sources must be different names .* got 'drums'"):
        SeparatorStream(causal_model(), "drums")
