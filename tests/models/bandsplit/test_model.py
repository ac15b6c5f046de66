"""Facts about band-split models: the contract of every model, and what is their own."""

import copy
import itertools
import math
from functools import partial

import pytest
import torch
from asteroid.models import BaseModel
from einops import rearrange
from torch.nn import functional as F

import asteroid_slicq
from asteroid_slicq import BandSplit
from asteroid_slicq.models.bandsplit import PRESETS
from asteroid_slicq.models.bandsplit.network import _cut
from tests import helpers
from tests.models.bandsplit.helpers import RATE, tiny

noise = partial(helpers.noise, scale=0.1)
KINDS = {
    "slicqt": {},
    "stft": {"transform": "stft"},
    "lstm": {"time_mixer": "lstm", "band_mixer": "lstm"},
    "magnitudes": {"complex_input": False, "complex_masks": False},
    "consistent": {"mixture_consistency": True},
    "apart": {"band_mixer": "none"},
    "near": {"attention_reach_s": 0.05},
}


@pytest.fixture(params=KINDS)
def model(request):
    return tiny(**KINDS[request.param])


@pytest.mark.parametrize(
    ("preset", "millions"),
    [
        ("bandsplit", 3.5),
        ("bandsplit-small", 1.1),
        ("bandsplit-large", 11.7),
        ("bandsplit-realtime", 2.2),
    ],
)
def test_presets_have_the_sizes_that_are_told(preset, millions):
    n_parameters = sum(p.numel() for p in BandSplit.from_preset(preset).parameters())
    assert round(n_parameters / 1e6, 1) == millions


def test_it_is_exported_and_registered():
    assert asteroid_slicq.BandSplit is BandSplit
    assert "bandsplit" in PRESETS


@pytest.mark.parametrize("kind", KINDS)
def test_serialises_in_plain_types(kind, tmp_path):
    model = tiny(**KINDS[kind])
    model.scale_input([noise(2, 2, 3000)])
    torch.save(model.serialize(), tmp_path / "model.pth")
    torch.load(tmp_path / "model.pth", weights_only=True)
    again = BaseModel.from_pretrained(str(tmp_path / "model.pth")).eval()
    assert isinstance(again, BandSplit)
    assert again.get_model_args() == model.get_model_args()
    mix = noise(1, 2, 2000)
    with torch.inference_mode():
        assert torch.equal(again(mix), model(mix))


@pytest.mark.parametrize("shape", [(), (2,), (3, 2)])
@pytest.mark.parametrize("transform", ["slicqt", "stft"])
def test_shapes(shape, transform):
    model = tiny(n_channels=shape[-1] if shape else 1, transform=transform)
    for length in (1, 57, 511, 512, 513, 3001):
        with torch.inference_mode():
            out = model(noise(*shape, length))
        expected = {0: (4, length), 1: (4, 2, length), 2: (3, 4, 2, length)}[len(shape)]
        assert out.shape == expected
        assert out.isfinite().all()


@pytest.mark.parametrize("n_sources", [1, 3])
@pytest.mark.parametrize("n_channels", [1, 5])
def test_any_number_of_sources_and_channels(n_sources, n_channels):
    names = [f"s{i}" for i in range(n_sources)]
    for masks in (True, False):
        model = tiny(sources=names, n_channels=n_channels, complex_masks=masks)
        with torch.inference_mode():
            assert model(noise(1, n_channels, 900)).shape == (1, n_sources, n_channels, 900)


def test_silence_stays_silent_and_its_gradient_finite(model):
    mix = torch.zeros(1, 2, 2000, requires_grad=True)
    sources = model.train()(mix)
    assert not sources.any()
    sources.square().sum().backward()
    sources = model(mix)
    sources.sum().backward()
    assert mix.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_every_parameter_has_a_gradient(model):
    model.train()(noise(2, 2, 3000)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("gain", [4.0, 0.25, 3.1, 1e-4, 1e3])
def test_a_louder_mix_gives_the_same_stems_louder(model, gain):
    mix = noise(1, 2, 2000).double()
    with torch.inference_mode():
        expected, louder = model.double()(mix), model(gain * mix)
    torch.testing.assert_close(louder / gain, expected, atol=1e-9, rtol=0)


def test_items_of_a_batch_are_separated_on_their_own(model):
    mix = noise(3, 2, 2000) * torch.tensor([1.0, 0.01, 30.0])[:, None, None]
    with torch.inference_mode():
        together = model(mix)
        for item, gain in enumerate([1.0, 0.01, 30.0]):
            torch.testing.assert_close(
                together[item] / gain, model(mix[item]) / gain, atol=1e-5, rtol=0
            )


def test_estimate_is_what_forward_returns(model):
    mix = noise(2, 2, 2500)
    with torch.inference_mode():
        waveforms, coefficients, masks = model.estimate(mix)
        blocks = model.transform(mix)
        again = model.estimate_from_coefficients(blocks, 2500)
        assert torch.equal(waveforms, model(mix))
        assert torch.equal(waveforms, again.waveforms)
        assert torch.equal(waveforms, model.synthesise(coefficients, 2500))
        for mask, c, block in zip(masks, coefficients, blocks, strict=True):
            assert mask.shape == c.shape == (2, 4, *block.shape[1:])
            torch.testing.assert_close(mask * block[:, None], c)


def test_each_source_has_masks_of_its_own(model):
    masks = model.estimate(noise(1, 2, 2000)).masks
    for mask in masks:
        for a, b in itertools.combinations(mask.unbind(1), 2):
            assert (a - b).abs().max() > 1e-3
        if model.get_model_args()["complex_masks"]:
            assert mask.imag.abs().max() > 1e-3
        else:
            assert not mask.is_complex()
            assert 0 < mask.min() < mask.max() < 1


def test_masks_start_at_one_over_the_number_of_sources():
    for complex_masks, transform in itertools.product([True, False], ["slicqt", "stft"]):
        model = tiny(complex_masks=complex_masks, transform=transform)
        fresh = type(model)(**model.get_model_args())
        for head in fresh.network.heads_out:
            torch.nn.init.zeros_(head.weight)
        for mask in fresh.estimate(noise(1, 2, 1000)).masks:
            torch.testing.assert_close(mask, torch.full_like(mask, 0.25))


@pytest.mark.parametrize("kind", ["slicqt", "stft", "lstm", "magnitudes"])
def test_consistent_sources_sum_to_the_mix(kind):
    model = tiny(mixture_consistency=True, **KINDS[kind])
    mix = noise(2, 2, 3000)
    with torch.inference_mode():
        estimate = model.estimate(mix)
        for mask in estimate.masks:
            torch.testing.assert_close(mask.sum(1), torch.ones_like(mask[:, 0]), atol=1e-5, rtol=0)
        error = (estimate.waveforms.sum(1) - mix).square().sum() / mix.square().sum()
        rough = tiny(**KINDS[kind])(mix).sum(1) - mix
    assert 10 * math.log10(error) < -40  # what one pass of the synthesis reaches
    assert rough.square().sum() / mix.square().sum() > 1e-3


def test_bands_hear_each_other_and_steps_too():
    """A change in one band, at one time, changes masks of the lowest band elsewhere."""
    for kind in ("slicqt", "lstm", "stft"):
        model = tiny(**KINDS[kind]).double()
        blocks = model.transform(noise(1, 2, 4000).double())
        before = model.estimate_from_coefficients(blocks, 4000).masks
        changed = [block.clone() for block in blocks]
        changed[-1][..., -1, changed[-1].shape[-1] // 2] *= 3
        after = model.estimate_from_coefficients(changed, 4000).masks
        assert (after[0][..., 0, 0] - before[0][..., 0, 0]).abs().max() > 1e-12


def test_dropout_acts_in_training_alone():
    mix = noise(2, 2, 1500)
    for name in ("band_dropout", "layer_dropout"):
        model, plain = tiny(**{name: 0.5}), tiny()
        with torch.no_grad():
            assert torch.equal(model(mix), plain(mix))
            model.train()
            torch.manual_seed(1)
            first = model(mix)
            torch.manual_seed(1)
            again = model(mix)
            other = model(mix)
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_a_band_that_drops_out_is_not_heard():
    """Where all bands but one drop out, the others' input changes nothing."""
    model = tiny(band_dropout=0.9).train()
    blocks = model.transform(noise(1, 2, 1500))
    relative = model._relative(blocks)
    heard = 0
    changed = [block.clone() for block in relative]
    changed[0][:, :, :1] *= 3  # of the first band
    for seed in range(10):
        masks = []
        for x in (relative, changed):
            torch.manual_seed(seed)
            with torch.no_grad():
                masks.append(model.network(x)[-1])
        heard += not torch.equal(*masks)
    assert 0 < heard < 6


def test_input_statistics_are_those_of_the_features():
    model = tiny()
    mixes = [noise(4, 2, 2000, seed=s) for s in range(3)]
    model.scale_input(mixes)
    blocks = model._relative(model.transform(torch.cat(mixes)))
    features = model.network._features(blocks)
    for block in features:
        magnitude, real, imaginary = (x.transpose(0, 2).flatten(1) for x in block)
        mean, std = magnitude.mean(1), magnitude.std(1, correction=0)
        torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-3, rtol=0)
        torch.testing.assert_close(std, torch.ones_like(std), atol=1e-2, rtol=0)
        power = (real.square() + imaginary.square()).mean(1) / 2
        torch.testing.assert_close(power, torch.ones_like(power), atol=1e-2, rtol=0)
    with pytest.raises(ValueError, match="at least one batch"):
        model.scale_input([])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["slicqt", "lstm", "magnitudes"])
def test_it_learns_to_tell_tones_from_noise(kind):
    """By the losses of waveforms and coefficients together, in mixed precision."""
    arguments = {"sources": ["tone", "noise"], "width": 32, "head_width": 8, "band_dropout": 0.1}
    model = tiny(**arguments, **KINDS[kind])

    def stems(seed):
        time = torch.arange(RATE // 2) / RATE
        generator = torch.Generator().manual_seed(seed)
        f_hz = 150 + 800 * torch.rand(8, 2, 1, generator=generator)
        tones = 0.1 * torch.sin(2 * math.pi * f_hz * time)
        return torch.stack([tones, noise(8, 2, len(time), seed=seed, scale=0.05)], 1)

    def sdr(stems):
        with torch.inference_mode():
            error = model.eval()(stems.sum(1)) - stems
        return 10 * torch.log10(stems.square().sum() / error.square().sum())

    model.scale_input([stems(0).sum(1)])
    before = sdr(stems(99))
    optimizer = torch.optim.AdamW(model.train().parameters(), 3e-3)
    for step in range(40):
        batch = stems(step)
        with torch.autocast("cpu", torch.bfloat16):
            estimate = model.train().estimate(batch.sum(1))
        targets = model.transform(batch)
        loss = (estimate.waveforms - batch).abs().mean()
        for ours, theirs in zip(estimate.coefficients, targets, strict=True):
            loss = loss + 0.01 * torch.view_as_real(ours - theirs).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert sdr(stems(99)) > before + 3


def test_input_and_repetition():
    model, mix = tiny(), noise(1, 2, 2000)
    before = mix.clone()
    with torch.inference_mode():
        assert torch.equal(model(mix), model(mix))
    assert torch.equal(mix, before)


def test_double_precision_equals_single(model):
    mix = noise(1, 2, 2000)
    with torch.inference_mode():
        single, double = model(mix), copy.deepcopy(model).double()(mix.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["slicqt", "magnitudes", "lstm"])
def test_bf16(kind):
    model, mix = tiny(**KINDS[kind]).train(), noise(1, 2, 2000)
    single = model(mix)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(mix)
    mixed.square().sum().backward()
    assert mixed.dtype == torch.float32
    assert (mixed - single).abs().max() < 0.05 * single.abs().max()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    with torch.no_grad():
        assert copy.deepcopy(model).bfloat16()(mix).isfinite().all()


def test_weights_meet_the_parts_of_a_coefficient_as_neighbours():
    """As in checkpoints: channels, bins and steps of a band, and last the parts."""
    model = tiny()
    network, batch = model.network, 2
    blocks = model._relative(model.transform(noise(batch, 2, 1500)))
    features = network._features(blocks)
    for i, group in enumerate(network.bands.groups):
        cut = slice(group.start, group.stop)
        x = torch.stack(features[group.block], -1)[:, :, cut]
        x = F.pad(x, (0, 0, 0, 0, 0, group.stop - group.start - x.shape[2]))
        pattern = "b c (n f) (t r) k -> n (b t) (c f r k)"
        x = rearrange(x, pattern, n=group.n_bands, r=group.rate)
        embed, head = network.embed[i], network.heads_out[i]
        found = embed(_cut(features[group.block], group), 3)
        torch.testing.assert_close(found, embed.bias + x @ embed.weight)
        y = torch.randn(group.n_bands * 4, found.shape[1], head.weight.shape[1])
        pattern = "(n j) (b t) (c f r k) -> b j c (n f) (t r) k"
        sizes = {"j": 4, "b": batch, "c": 2, "f": group.n_bins, "r": group.rate, "k": 3}
        expected = rearrange(head.bias + y @ head.weight, pattern, **sizes)
        expected = expected[..., :2] * expected[..., 2:].sigmoid()
        torch.testing.assert_close(network._mask(head(y, 1, 3), group, batch), expected)


def test_conjugated_coefficients():
    model = tiny()
    mix = [c.conj() for c in model.transform(noise(1, 2, 1500))]
    found, expected = model.masked(mix)[0], model.masked([c.resolve_conj() for c in mix])[0]
    assert all(map(torch.equal, found, expected))


def test_nothing_waits_for_values():
    """No data-dependent shape and no number taken from a tensor: CUDA graphs can hold it."""
    model = tiny(band_dropout=0.1, layer_dropout=0.1).train().to("meta")
    out = model.network(
        [
            torch.zeros(1, 2, n, 24 * r, 2, device="meta")
            for n, r in zip(model.bands.bins_per_block, model.bands.rates, strict=True)
        ]
    )
    assert out[0].device.type == "meta"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sources": "vocals"}, "sources must be distinct"),
        ({"n_channels": 0}, "n_channels must be at least 1"),
        ({"width": 33}, "width must be even .* got 33; nearest that works: 32"),
        ({"width": 70}, "width .* got 70; nearest that works: 64"),
        ({"transform": "cqt"}, "transform must be one of slicqt, stft"),
        ({"time_mixer": "gru"}, "time_mixer must be one of attention, lstm"),
        ({"band_dropout": 1.0}, "band_dropout must lie in"),
        ({"layer_dropout": -0.1}, "layer_dropout must lie in"),
        ({"steps_per_s": 0.0}, "steps_per_s must lie in"),
        ({"transform_arguments": {"sample_rate": 8000}}, "must not hold sample_rate"),
        ({"transform_arguments": {"rasterize": "none"}}, "must not hold rasterize"),
        ({"causal": True, "transform": "stft"}, "causal must go with"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(**arguments)


def test_wrong_preset_and_wrong_mix_are_named():
    with pytest.raises(ValueError, match="nearest that works: 'bandsplit-small'"):
        BandSplit.from_preset("bandsplit-smal")
    with pytest.raises(ValueError, match="mix must be"):
        tiny()(torch.zeros(1, 3, 1000))
    assert tiny().latency_s == math.inf
    assert tiny().sample_rate == RATE


@pytest.mark.parametrize(("band_mixer", "heard"), [("none", False), ("lstm", True)])
def test_whether_bands_hear_each_other(band_mixer, heard):
    model = tiny(band_mixer=band_mixer).eval()
    group = model.bands.groups[0]
    blocks = [
        torch.zeros(1, 2, n, 16 * r, 2)
        for n, r in zip(model.bands.bins_per_block, model.bands.rates, strict=True)
    ]
    louder = [block.clone() for block in blocks]
    louder[-1] += 1.0  # the last block; the first band of the first one is another
    with torch.no_grad():
        a, b = (
            model.network(each)[group.block][..., : group.n_bins, :, :] for each in (blocks, louder)
        )
    assert torch.equal(a, b) != heard
