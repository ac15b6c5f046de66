"""Facts about separators with a transform for each target."""

import math
from functools import partial

import pytest
import torch
from asteroid.models import BaseModel

from asteroid_slicq import BandSplit, XUMXSliCQ
from asteroid_slicq.losses import MultiResolutionLoss, XUMXLoss
from asteroid_slicq.models import PerTarget
from asteroid_slicq.models.input_statistics import average
from asteroid_slicq.wiener import wiener_on_stft
from tests import helpers
from tests.models.bandsplit.helpers import TINY

noise = partial(helpers.noise, scale=0.1)
RATE = 8000
FRAMES = {
    "vocals": {"n_bins": 14, "f_min_hz": 150.0},
    "drums": {"scale": "mel", "n_bins": 9, "f_min_hz": 200.0},
}
BAND_FRAMES = {
    "vocals": {"n_bins": 20, "f_min_hz": 100.0, "min_width": 8, "slice_length": 1024},
    "drums": {"n_bins": 12, "f_min_hz": 150.0, "min_width": 8, "slice_length": 768},
}


def tiny(family=XUMXSliCQ, seed=0, **arguments) -> PerTarget:
    torch.manual_seed(seed)
    ours = {"sources": ["vocals", "drums", "other"], "sample_rate": RATE}
    if family is XUMXSliCQ:
        shared = {"hidden_channels": (3, 4), "transform": {"n_bins": 12, "f_min_hz": 300.0}}
        shared["wiener_iterations"] = 0
        frames = FRAMES
    else:
        shared = {k: v for k, v in TINY.items() if k != "sample_rate"}
        frames = BAND_FRAMES
    return family.per_target(frames, **{**ours, **shared, **arguments}).eval()


@pytest.fixture(params=[XUMXSliCQ, BandSplit])
def family(request):
    return request.param


def test_each_source_has_its_frame_and_others_that_of_all():
    frames = {name: each.transform.frame for name, each in tiny().networks.items()}
    assert [frame.n_bins for frame in frames.values()] == [15, 10, 13]  # with DC
    assert frames["drums"].frequency_hz()[0][1] == pytest.approx(200.0)
    model = tiny(BandSplit)
    assert [each.segment_step_samples for each in model.networks.values()] == [512, 384, 512]
    assert model.segment_step_samples == 1  # slices of different lengths start together nowhere
    same = tiny(BandSplit, transform_arguments=BAND_FRAMES["vocals"])
    same = PerTarget(
        ["a", "b"], "BandSplit", same.get_model_args()["targets"]["other"], sample_rate=RATE
    )
    assert same.segment_step_samples == 512


def test_it_is_models_of_one_source_each(family):
    model, mix = tiny(family), noise(2, 2, 3000)
    arguments = model.get_model_args()
    with torch.inference_mode():
        together = model(mix)
        for j, name in enumerate(model.sources):
            options = {"wiener_iterations": 0} if family is XUMXSliCQ else {}
            own = {**arguments["targets"][name], **options, "sample_rate": RATE}
            alone = family(sources=[name], **own).eval()
            alone.load_state_dict(model.networks[name].state_dict())
            torch.testing.assert_close(together[:, j : j + 1], alone(mix))


def test_serialises_in_plain_types(family, tmp_path):
    model = tiny(family, mixture_consistency=True)
    model.scale_input([noise(2, 2, 3000)])
    torch.save(model.serialize(), tmp_path / "model.pth")
    torch.load(tmp_path / "model.pth", weights_only=True)
    again = BaseModel.from_pretrained(str(tmp_path / "model.pth")).eval()
    assert isinstance(again, PerTarget)
    assert again.get_model_args() == model.get_model_args()
    mix = noise(1, 2, 2000)
    with torch.inference_mode():
        assert torch.equal(again(mix), model(mix))
    model.save_pretrained(tmp_path / "folder")
    with torch.inference_mode():
        assert torch.equal(PerTarget.from_pretrained(tmp_path / "folder")(mix), model(mix))


@pytest.mark.parametrize("shape", [(), (2,), pytest.param((3, 2), marks=pytest.mark.slow)])
def test_shapes_and_silence(family, shape):
    model = tiny(family, n_channels=shape[-1] if shape else 1)
    for length in (1, 511, 3001):
        with torch.inference_mode():
            out = model(noise(*shape, length))
            assert not model(torch.zeros(*shape, length)).any()
        expected = {0: (3, length), 1: (3, 2, length), 2: (3, 3, 2, length)}[len(shape)]
        assert out.shape == expected
        assert out.isfinite().all()


def test_what_needs_all_sources_happens_in_a_common_domain(family):
    mix = noise(2, 2, 6000)
    with torch.inference_mode():
        plain = tiny(family)(mix)
        filtered = tiny(family, wiener_iterations=1)(mix)
        torch.testing.assert_close(filtered, wiener_on_stft(plain, mix, 1))
        consistent = tiny(family, mixture_consistency=True)(mix)
        torch.testing.assert_close(consistent.sum(1), mix, atol=1e-6, rtol=0)
        torch.testing.assert_close(
            consistent - plain, (mix - plain.sum(1))[:, None].expand_as(plain) / 3
        )
    assert tiny(family, wiener_iterations=1).latency_s == math.inf


def test_wiener_of_a_preset_goes_to_the_stft():
    frames = {"bass": {"n_bins": 20}}
    size = {"hidden_channels": (2, 3), "transform": {"n_bins": 14, "f_min_hz": 150.0}}
    assert XUMXSliCQ.per_target(frames, **size).wiener_iterations == 1
    assert XUMXSliCQ.per_target(frames, wiener=None, **size).wiener_iterations == 0
    realtime = XUMXSliCQ.per_target(frames, "v2-realtime", **size)
    assert realtime.wiener_iterations == 0
    slowest = max(each.latency_s for each in realtime.networks.values())
    assert realtime.latency_s == slowest < math.inf


def test_losses_compare_waveforms_and_a_common_stft(family):
    # In training, batch normalisation leaves rounding alone of some gradients.
    model, stems = tiny(family).eval(), noise(2, 3, 2, 5000)
    estimate = model.estimate(stems.sum(1))
    (block,) = model.transform(estimate.waveforms)
    assert torch.equal(block, estimate.coefficients[0])
    targets = model.transform(stems)
    parts = XUMXLoss(mask_sum_weight=0.0)(estimate, targets)
    waveforms = MultiResolutionLoss(n_ffts=[256], subsets="all")(estimate.waveforms, stems)
    assert torch.equal(parts.total, parts.combination)
    (parts.total + waveforms.total).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 1e-6, name
    with pytest.raises(ValueError, match=r"mask_sum_weight must be 0 where .*, got 1\.0"):
        XUMXLoss()(estimate, targets)


def test_input_is_scaled_by_what_each_network_sees(family):
    model, mixes = tiny(family), [noise(2, 2, 3000, seed=s) for s in range(2)]
    model.scale_input(iter(mixes))
    for each in model.networks.values():
        expected = average(each, mixes)
        if family is XUMXSliCQ:
            shift = torch.cat([network.shift for network in each.networks])
            torch.testing.assert_close(shift, -expected.mean)
        else:
            torch.testing.assert_close(each.network.mean, expected.mean)
    with pytest.raises(ValueError, match="at least one batch"):
        model.scale_input([])


def test_separate_in_segments_keeps_stereo(family):
    model, song = tiny(family), noise(2, 20000).numpy()
    separated = model.separate(song, segment_s=1.0, overlap_s=0.25)
    assert separated.shape == (3, 2, 20000)
    assert model.separate(song[:1]).shape == (3, 1, 20000)


@pytest.mark.slow
def test_segments_do_not_show_where_slices_start_together():
    """Wiener-EM has the covariances of the whole song, in two passes."""
    frames = {"vocals": {"n_bins": 14, "f_min_hz": 300.0, "slice_length": 512}, "drums": None}
    frames["drums"] = {**frames["vocals"], "n_bins": 9}
    torch.manual_seed(0)
    model = XUMXSliCQ.per_target(
        frames, hidden_channels=(3, 4), sample_rate=RATE, sources=["vocals", "drums"]
    )
    model.eval()
    grown = noise(2, 12 * RATE) * torch.linspace(0.01, 1, 12 * RATE) ** 2
    with torch.inference_mode():
        expected = model(grown)
    error = model.separate(grown, segment_s=4.0, overlap_s=2.0) - expected
    assert error.square().sum() < 1e-9 * expected.square().sum()
    error = model.separate(grown, segment_s=4.0, overlap_s=2.0, two_passes=False) - expected
    assert error.square().sum() > 1e-7 * expected.square().sum()
    assert tiny(mixture_consistency=True, wiener_iterations=1).song_statistics() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"wiener": "slicqt"}, "wiener must be stft or None: Wiener-EM needs all sources in one"),
        ({"preset": "v3"}, "preset must be one of v2"),
        ({"sources": ["a", "b"]}, "targets must be of the sources a, b, got 'vocals'"),
        ({"wiener_iterations": -1}, "wiener_iterations must be at least 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        XUMXSliCQ.per_target(FRAMES, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "MiXiN"}, "model must be one of XUMXSliCQ, BandSplit"),
        ({"arguments": {"sample_rate": 8000}}, "arguments must not hold sample_rate: it is that"),
        ({"targets": {"a": {"sources": ["b"]}}}, r"targets\['a'\] must not hold sources"),
        ({"targets": {"a": {"wiener_iterations": 1}}}, "give PerTarget its own wiener_iterations"),
        (
            {"model": "BandSplit", "arguments": {"mixture_consistency": True}},
            "must not hold mixture_consistency, which needs all sources in one transform",
        ),
    ],
)
def test_what_is_not_of_one_target_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PerTarget(["a", "b"], **arguments)
    with pytest.raises(TypeError, match="transforms must be a dictionary of sources"):
        XUMXSliCQ.per_target([])


def test_names_that_pytorch_has_taken(family, tmp_path):
    names = ["keys", "a.b", "vocals", "drums", "[0]"]
    model = tiny(family, sources=names)
    assert model.sources == names
    torch.save(model.serialize(), tmp_path / "model.pth")
    again = BaseModel.from_pretrained(str(tmp_path / "model.pth")).eval()
    assert again.get_model_args() == model.get_model_args()
    mix = noise(1, 2, 2000)
    with torch.inference_mode():
        assert torch.equal(again(mix), model(mix))
    assert list(tiny(family).networks) == ["vocals", "drums", "other"]  # as files have them


def test_a_source_has_a_name(family):
    with pytest.raises(ValueError, match="sources must be distinct names"):
        tiny(family, sources=["vocals", "drums", ""])
