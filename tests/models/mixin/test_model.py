"""Facts about MiXiN: its networks against a naive twin, its chunks, masks and modes."""

import copy
import json
import math
from functools import partial

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F
from asteroid.models import BaseModel

from asteroid_slicq.cli import main
from asteroid_slicq.models.mixin.model import MiXiN, soft_masks
from asteroid_slicq.models.mixin.network import DenoisingAutoencoder, run_together
from asteroid_slicq.separation import Separator, crossfade
from tests import helpers

RATE = 8000
LENGTH = 2048
SMALL = {"sample_rate": RATE, "transform": {"n_bins": 14, "length": LENGTH}}
noise = partial(helpers.noise, scale=0.1)


def small(seed=0, **arguments):
    torch.manual_seed(seed)
    return MiXiN(**SMALL, **arguments).eval()


def as_drawn(network: DenoisingAutoencoder, magnitudes: torch.Tensor) -> torch.Tensor:
    """The layers in the order of the publication, with explicit padding and repetition."""

    def pool(x, size):
        missing = [math.ceil(n / k) * k - n for n, k in zip(x.shape[-2:], size, strict=True)]
        f, t = missing
        padded = F.pad(x, (t // 2, t - t // 2, f // 2, f - f // 2), value=-math.inf)
        return padded.unfold(-2, size[0], size[0]).unfold(-2, size[1], size[1]).amax((-1, -2))

    layers = network.layers
    x = pool(layers[0](magnitudes[:, None]).relu(), (3, 5))
    x = pool(layers[1](x).relu(), (1, 5))
    for layer in layers[2:6]:
        x = layer(x).relu()
    x = layers[6](x.repeat_interleave(5, -1)).relu()
    x = layers[7](x.repeat_interleave(3, -2).repeat_interleave(5, -1)).relu()
    return x[:, 0, : magnitudes.shape[-2], : magnitudes.shape[-1]]


def test_published_sizes():
    model = MiXiN()
    assert model.sources == ["harmonic", "percussive", "vocals"]
    assert model.transform.frame.blocks == ((96, 1948),)
    assert model.transform.frame.length == 44032
    for network in model.networks:
        assert sum(p.numel() for p in network.parameters()) == 37_005


@pytest.mark.parametrize("shape", [(96, 1948), (14, 101), (15, 25), (13, 7), (1, 1), (4, 28)])
def test_networks_equal_the_layers_as_they_are_drawn(shape):
    torch.manual_seed(1)
    network = DenoisingAutoencoder().double()
    for layer in network.layers:
        torch.nn.init.uniform_(layer.bias, -0.1, 0.1)
    magnitudes = noise(2, *shape).abs().double()
    ours = network(magnitudes)
    assert ours.shape == magnitudes.shape
    torch.testing.assert_close(ours, as_drawn(network, magnitudes), atol=1e-14, rtol=1e-12)


def test_networks_together_equal_each_alone():
    networks = [DenoisingAutoencoder() for _ in range(3)]
    magnitudes = noise(3, 12, 50).abs()
    together = run_together(networks, magnitudes)
    for index, network in enumerate(networks):
        alone = run_together([network], magnitudes)
        torch.testing.assert_close(together[:, index], alone[:, 0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_every_fresh_weight_has_a_gradient(seed):
    model = small(seed).train()
    model.estimate(noise(2, 1, LENGTH)).magnitudes.mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


HOP = LENGTH - LENGTH // 8
LENGTHS = [1, 100, LENGTH, LENGTH + 1, LENGTH + HOP, LENGTH + HOP + 1, 5 * LENGTH + 77]


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_sources_sum_to_the_mix_at_any_length(n_samples):
    mix = noise(2, 2, n_samples, scale=0.3)
    with torch.no_grad():
        sources = small()(mix)
    assert sources.shape == (2, 3, 2, n_samples)
    torch.testing.assert_close(sources.sum(1), mix, atol=1e-5, rtol=0)


def test_the_published_model_sums_to_the_mix():
    mix = noise(1, 2, 60_000, scale=0.3)
    with torch.no_grad():
        sources = MiXiN().eval()(mix)
    torch.testing.assert_close(sources.sum(1), mix, atol=1e-5, rtol=0)


@pytest.mark.parametrize("overlap", [None, 0, 1, 4, LENGTH // 2])
@pytest.mark.parametrize("n_samples", [LENGTH // 2, 3 * LENGTH + 5])
def test_synthesis_inverts_the_analysis(overlap, n_samples):
    model = small(overlap_samples=overlap)
    waveform = noise(2, n_samples)
    again = model.synthesise(model.analyse(waveform), n_samples)
    torch.testing.assert_close(again, waveform, atol=1e-5, rtol=0)


def test_chunk_edges_are_cross_faded_and_the_last_chunk_counts():
    model = small()
    overlap = LENGTH // 8
    ones = model.analyse(torch.ones(1, LENGTH + HOP))
    n_chunks = ones.shape[-2]
    assert n_chunks == 2
    first = ones * torch.tensor([1.0, 0.0])[:, None]
    expected = torch.ones(LENGTH + HOP)
    expected[HOP:LENGTH] = 1 - torch.from_numpy(crossfade(overlap))
    expected[LENGTH:] = 0
    faded = model.synthesise(first, LENGTH + HOP)[0]
    torch.testing.assert_close(faded, expected, atol=1e-5, rtol=0)
    last = model.synthesise(ones - first, LENGTH + HOP)[0]
    torch.testing.assert_close(last, 1 - expected, atol=1e-5, rtol=0)


def test_channels_and_items_are_separated_on_their_own():
    model = small()
    mix = noise(2, 2, 3 * LENGTH)
    with torch.no_grad():
        together = model(mix)
        for item in range(2):
            for channel in range(2):
                alone = model(mix[item, channel])
                assert alone.shape == (3, 3 * LENGTH)
                torch.testing.assert_close(together[item, :, channel], alone, atol=1e-6, rtol=0)
        torch.testing.assert_close(model(mix[0]), together[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("single_model", [False, True])
def test_silence_stays_silent_and_its_gradient_finite(single_model):
    model = small(single_model=single_model)
    for network in model.networks:  # magnitudes come from biases alone
        torch.nn.init.constant_(network.decode_outer.bias, 0.1)
    mix = torch.zeros(1, 1, LENGTH + 9, requires_grad=True)
    sources = model(mix)
    assert not sources.any()
    sources.sum().backward()
    assert mix.grad is not None
    assert mix.grad.isfinite().all()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_input_is_left_alone():
    mix = noise(1, 1, LENGTH + 100)
    before = mix.clone()
    with torch.no_grad():
        small()(mix)
    assert torch.equal(mix, before)


def test_soft_masks_are_shares_of_the_power():
    magnitudes = torch.tensor([[3.0, 0.0, 0.0], [4.0, 2.0, 0.0]])
    masks = soft_masks(magnitudes, sources_dim=0)
    expected = torch.tensor([[0.36, 0.0, 0.5], [0.64, 1.0, 0.5]])
    torch.testing.assert_close(masks, expected, atol=1e-6, rtol=0)


def test_estimate_holds_what_the_waveforms_are_made_of():
    model = small()
    mix = noise(1, 2, 2 * LENGTH)
    with torch.no_grad():
        estimate = model.estimate(mix)
        coefficients = model.analyse(mix)
        assert estimate.masks is not None
        assert estimate.coefficients.shape == (1, 3, *coefficients.shape[1:])
        torch.testing.assert_close(estimate.masks, soft_masks(estimate.magnitudes))
        torch.testing.assert_close(
            estimate.coefficients, estimate.masks * coefficients.unsqueeze(1)
        )
        matrices = coefficients.abs().transpose(-3, -2).flatten(0, 2)
        for index, network in enumerate(model.networks):
            expected = network(matrices).unflatten(0, (1, 2, -1)).transpose(-3, -2)
            torch.testing.assert_close(estimate.magnitudes[:, index], expected)
        waveforms = model.synthesise(estimate.coefficients, mix.shape[-1])
        torch.testing.assert_close(waveforms, model(mix), atol=1e-6, rtol=0)


def test_single_model_takes_the_magnitudes_of_each_network_and_the_phase_of_the_mix():
    model = small(single_model=True)
    mix = noise(1, 1, LENGTH)
    with torch.no_grad():
        estimate = model.estimate(mix)
        coefficients = model.analyse(mix).unsqueeze(1)
    assert estimate.masks is None
    torch.testing.assert_close(estimate.coefficients.abs(), estimate.magnitudes)
    product = estimate.coefficients * coefficients.conj()
    torch.testing.assert_close(product.real, estimate.magnitudes * coefficients.abs())
    assert product.imag.abs().max() < 1e-6


def test_a_single_network_serves_a_single_source():
    model = MiXiN(sources=["vocals"], single_model=True, **SMALL).eval()
    three = small(single_model=True)
    state = three.networks[2].state_dict()
    model.networks[0].load_state_dict(state)
    mix = noise(1, 1, LENGTH)
    with torch.no_grad():
        torch.testing.assert_close(model(mix)[:, 0], three(mix)[:, 2])


def test_instrumental_leaves_the_voice_out():
    model = small()
    mix = noise(1, 1, LENGTH)
    with torch.no_grad():
        with_voice = model.estimate(mix)
        model.instrumental = True
        without = model.estimate(mix)
        sources = model(mix)
    assert model.sources == ["harmonic", "percussive"]
    assert torch.equal(without.magnitudes, with_voice.magnitudes[:, :2])
    assert without.masks is not None
    torch.testing.assert_close(without.masks, soft_masks(with_voice.magnitudes[:, :2]))
    torch.testing.assert_close(sources.sum(1), mix, atol=1e-5, rtol=0)


@pytest.mark.parametrize("modes", [{}, {"instrumental": True, "single_model": True}])
def test_serialises_in_plain_types(modes, tmp_path):
    model = small(overlap_samples=100)
    for name, value in modes.items():
        setattr(model, name, value)
    torch.save(model.serialize(), tmp_path / "mixin.pth")
    assert torch.load(tmp_path / "mixin.pth", weights_only=True)["model_name"] == "MiXiN"
    again = BaseModel.from_pretrained(str(tmp_path / "mixin.pth")).eval()
    assert isinstance(again, MiXiN)
    assert (again.sources, again.overlap_samples) == (model.sources, 100)
    assert again.get_model_args() == model.get_model_args()
    mix = noise(1, 2, 5000)
    with torch.no_grad():
        assert torch.equal(again(mix), model(mix))


def test_separate_keeps_stereo_and_segments_fall_on_chunks():
    model = small()
    song = noise(2, 40_000).numpy()
    with torch.no_grad():
        whole = model(torch.from_numpy(song)).numpy()
    separated = model.separate(song, segment_s=2.0, overlap_s=0.5)
    assert isinstance(separated, np.ndarray)
    assert separated.shape == (3, 2, 40_000)
    np.testing.assert_allclose(separated, whole, atol=2e-3)
    np.testing.assert_allclose(separated.sum(0), song, atol=1e-5)


def test_the_command_line_serves_a_model_file(tmp_path):
    torch.save(small().serialize(), tmp_path / "mixin.pth")
    song = noise(9000, 2).numpy()
    soundfile.write(tmp_path / "song.wav", song, RATE, subtype="FLOAT")
    arguments = ["--model", str(tmp_path / "mixin.pth"), "--quiet"]
    arguments += ["-o", str(tmp_path / "out")]
    assert main(["separate", str(tmp_path / "song.wav"), *arguments]) == 0
    stems = [
        soundfile.read(tmp_path / "out" / "song" / f"{name}.wav")[0] for name in small().sources
    ]
    np.testing.assert_allclose(sum(stems), song, atol=1e-5)
    paths = small().file_separate(str(tmp_path / "song.wav"), str(tmp_path / "again"))
    assert list(paths) == small().sources


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    model = small()
    mix = torch.stack([0.1 * noise(1, LENGTH), torch.zeros(1, LENGTH)])
    with torch.no_grad(), torch.autocast("cpu", dtype):
        sources = model(mix)
    assert sources[0].isfinite().all()
    assert (sources[1] == 0).all()
    torch.testing.assert_close(sources.sum(1), mix, atol=1e-5, rtol=0)
    with torch.no_grad():
        assert copy.deepcopy(model).bfloat16()(mix).isfinite().all()


def test_double_precision():
    model = small().double()
    mix = noise(1, 1, 3 * LENGTH).double()
    with torch.no_grad():
        sources = model(mix)
    torch.testing.assert_close(sources.sum(1), mix, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sources": "vocals"}, "sources must be distinct names"),
        ({"sources": ["drums", "drums"]}, "sources must be distinct names"),
        ({"sources": ["a", "b"], "instrumental": True}, "instrumental leaves out .*'vocals'"),
        ({"sources": ["vocals"], "instrumental": True}, "instrumental leaves out"),
        ({"overlap_samples": 1025}, "0 … 1024, .* got 1025; nearest that works: 1024"),
        ({"overlap_samples": -1}, "got -1; nearest that works: 0"),
        ({"transform": {"sample_rate": 8000}}, "transform must not hold sample_rate"),
        ({"transform": {"rasterize": "none"}}, "transform must not hold rasterize"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MiXiN(**{**SMALL, **arguments})


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        ("overlap_samples", True),
        ("overlap_samples", 8.0),
        ("instrumental", "no"),
        ("single_model", 1),
        ("sample_rate", "44100"),
        ("transform", [96]),
    ],
)
def test_arguments_of_wrong_types_are_named(argument, wrong):
    with pytest.raises(TypeError, match=f"^{argument} must be "):
        MiXiN(**{**SMALL, argument: wrong})


def test_arguments_of_any_library_build_a_model_that_is_plain():
    transform = {name: np.int64(value) for name, value in SMALL["transform"].items()}
    model = MiXiN(iter(("a", "b")), overlap_samples=np.int64(64), transform=transform)
    assert model.sources == ["a", "b"]
    assert len(model.networks) == 2
    assert json.loads(json.dumps(model.get_model_args())) == model.get_model_args()


def test_a_separator_follows_a_model_whose_voice_is_left_out():
    model = small()
    separator, mix = Separator(model, segment_s=0.2), noise(1, LENGTH)
    n_sources = [separator.separate_waveform(mix).shape[0]]
    for instrumental in (True, False):
        model.instrumental = instrumental
        assert separator.sources == model.sources
        n_sources.append(separator.separate_waveform(mix).shape[0])
    assert n_sources == [3, 2, 3]


@pytest.mark.parametrize("shape", [(), (1, 1, 1, 100), (1, 1, 0)])
def test_wrong_mixes_are_named(shape):
    with pytest.raises(ValueError, match=r"must be|no samples"):
        small()(torch.zeros(shape))
