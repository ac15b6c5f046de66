"""Mix phase, soft mask and Wiener-EM: the equations, norbert, silence, precision, any layout."""

import pytest
import torch

from asteroid_slicq import SliCQT
from asteroid_slicq.wiener import (
    apply_mix_phase,
    filter_masked,
    impose_mix_phase,
    softmask,
    wiener,
    wiener_em,
)
from tests.helpers import complex_noise


def magnitudes_of(mix: torch.Tensor, n_sources: int = 4, n_channels: int | None = None):
    """Rough guesses of each source's magnitudes."""
    shape = (len(mix), n_sources, n_channels or mix.shape[1], *mix.shape[2:])
    shares = torch.rand(shape, generator=torch.Generator().manual_seed(9), dtype=mix.real.dtype)
    return shares * mix.abs().unsqueeze(1)[:, :, : shape[2]]


def estimates_of(mix: torch.Tensor, n_sources: int = 4) -> torch.Tensor:
    masks = torch.rand(mix.shape[0], n_sources, *mix.shape[1:], generator=torch.Generator())
    return apply_mix_phase(masks / masks.sum(1, keepdim=True), mix)


def brute_force(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """One EM iteration of one item, bin by bin and frame by frame, as the equations stand."""
    eps = torch.finfo(torch.float32).eps
    scale = max(1.0, float(x.abs().max()) / 10)
    y, x = y / scale, x / scale
    n_sources, n_channels, n_bins, n_frames = y.shape
    out = torch.empty_like(y)
    for f in range(n_bins):
        power = y[:, :, f].abs().square().mean(1)
        spatial = []
        for j in range(n_sources):
            outer = sum(torch.outer(y[j, :, f, t], y[j, :, f, t].conj()) for t in range(n_frames))
            spatial.append(outer / (eps + power[j].sum()))
        for t in range(n_frames):
            total = sum(power[j, t] * spatial[j] for j in range(n_sources))
            total = total + eps**0.5 * torch.eye(n_channels, dtype=x.dtype)
            whitened = torch.linalg.solve(total, x[:, f, t])
            for j in range(n_sources):
                out[j, :, f, t] = power[j, t] * spatial[j] @ whitened
    return out * scale


@pytest.mark.parametrize("n_channels", [1, 2, 3])
@pytest.mark.parametrize("gain", [0.1, 100.0])
def test_one_iteration_equals_the_equations(n_channels, gain):
    mix = gain * complex_noise(1, n_channels, 3, 20, dtype=torch.complex128)
    y = estimates_of(mix)
    expected = brute_force(y[0], mix[0])
    assert torch.allclose(wiener_em(y, mix)[0], expected, rtol=1e-9, atol=1e-9 * gain)


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("gain", [0.05, 20.0])
@pytest.mark.parametrize("use_softmask", [True, False])
@pytest.mark.parametrize("iterations", [0, 1, 2, 3])
def test_equals_norbert(iterations, use_softmask, gain, n_channels):
    norbert = pytest.importorskip("norbert")
    mix = gain * complex_noise(2, n_channels, 6, 25, dtype=torch.complex128)
    magnitudes = magnitudes_of(mix)
    ours = wiener(magnitudes, mix, iterations, use_softmask)
    for item in range(2):
        theirs = norbert.wiener(
            magnitudes[item].permute(3, 2, 1, 0).numpy(),  # frame, bin, channel, source
            mix[item].permute(2, 1, 0).numpy().copy(),  # norbert changes it
            iterations,
            use_softmask,
        )
        expected = torch.from_numpy(theirs).permute(3, 2, 1, 0)
        torch.testing.assert_close(ours[item], expected, rtol=1e-6, atol=1e-7 * gain)


@pytest.mark.parametrize("use_softmask", [True, False])
def test_one_channel_of_magnitudes_serves_all_of_the_mix(use_softmask):
    mix = complex_noise(1, 2, 3, 20)
    magnitudes = magnitudes_of(mix, n_channels=1)
    once = wiener(magnitudes, mix, use_softmask=use_softmask)
    twice = wiener(magnitudes.expand(-1, -1, 2, -1, -1), mix, use_softmask=use_softmask)
    assert once.shape == (1, 4, 2, 3, 20)
    assert torch.equal(once, twice)


def test_first_estimates():
    mix = complex_noise(1, 2, 3, 20)
    magnitudes = magnitudes_of(mix)
    phased, masked = impose_mix_phase(magnitudes, mix), softmask(magnitudes, mix)
    torch.testing.assert_close(phased.abs(), magnitudes)
    torch.testing.assert_close(phased, magnitudes * torch.exp(1j * mix.angle()).unsqueeze(1))
    torch.testing.assert_close(masked.sum(1), mix)
    torch.testing.assert_close(apply_mix_phase(magnitudes / mix.abs().unsqueeze(1), mix), phased)
    silent = torch.zeros_like(mix)
    assert torch.equal(impose_mix_phase(magnitudes, silent), magnitudes.to(mix.dtype))
    assert not softmask(0 * magnitudes, silent).any()


LAYOUTS = {
    "sliced": {},
    "overlap-added": {"overlap_added": True},
    "piecewise": {"rasterize": "piecewise", "overlap_added": True},
    "matrix": {"rasterize": "full", "overlap_added": True},
    "sliced matrix": {"rasterize": "full"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout(layout):
    """Every block is filtered by itself, its slices laid end to end, and keeps its shape."""
    slicqt = SliCQT(n_bins=12, f_min_hz=200.0, sample_rate=8000, **LAYOUTS[layout])
    waveforms = torch.randn(2, 3, 2, 3000, generator=torch.Generator().manual_seed(0))
    mix, sources = slicqt(waveforms.sum(1)), slicqt(waveforms)
    refined = wiener_em(sources, mix)
    if isinstance(mix, torch.Tensor):
        mix, sources, refined = (mix,), (sources,), (refined,)
    assert isinstance(refined, tuple)
    assert len(refined) == len(mix)
    for block, out, x in zip(sources, refined, mix, strict=True):
        assert out.shape == block.shape
        assert (out.sum(1) - x).abs().max() < 0.02 * x.abs().max()
        expected = wiener_em(block.flatten(4), x.flatten(3)).view(block.shape)
        assert torch.equal(out, expected)


def test_an_stft_and_magnitudes_in_blocks():
    waveforms = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
    spectrum = torch.stft(waveforms, 256, window=torch.hann_window(256), return_complex=True)[None]
    whole = wiener(magnitudes_of(spectrum), spectrum)
    assert (whole.sum(1) - spectrum).abs().max() < 1e-3 * spectrum.abs().max()
    (block,) = wiener([magnitudes_of(spectrum)], [spectrum])
    assert torch.equal(block, whole)


def close_mixes() -> dict[str, torch.Tensor]:
    """Mixes whose covariances are all but singular, or far from one."""
    stereo = complex_noise(2, 2, 5, 60, dtype=torch.complex128)
    mono = stereo[:, :1].expand(-1, 2, -1, -1)
    gap = torch.ones(60)
    gap[20:40] = 0
    return {
        "stereo": stereo,
        "mono": mono,
        "all but mono": mono + 1e-4 * stereo,
        "quiet": 1e-4 * stereo,
        "loud": 1e4 * stereo,
        "loud mono": 1e4 * mono,
        "with a gap": stereo * gap,
        "one side": stereo * torch.tensor([1.0, 0.0])[:, None, None],
    }


@pytest.mark.parametrize("kind", close_mixes())
@pytest.mark.parametrize("sources", ["different", "identical", "one silent", "all but one silent"])
def test_single_precision_is_that_of_double(kind, sources):
    """Within 1e-4 of the peak, for the gradient too; all of it finite, and summing to the mix."""
    mix = close_mixes()[kind]
    shares = torch.rand(2, 4, 1, 5, 60, generator=torch.Generator().manual_seed(1)).double()
    if sources == "identical":
        shares = torch.ones_like(shares)
    elif sources == "one silent":
        shares[:, 1] = 0
    elif sources == "all but one silent":
        shares[:, 1:] = 0
    shares = shares / shares.sum(1, keepdim=True)
    results = []
    for dtype in (torch.complex64, torch.complex128):
        # the same numbers in both, and the same ε
        x, v = mix.to(torch.complex64).to(dtype), shares.float().to(dtype.to_real())
        v.requires_grad_()
        out = wiener_em(apply_mix_phase(v, x), x, iterations=2)
        weights = complex_noise(*out.shape, seed=3, dtype=torch.complex128).to(dtype)
        (gradient,) = torch.autograd.grad((out * weights.conj()).real.sum(), v)
        assert out.isfinite().all()
        assert gradient.isfinite().all()
        results.append((out.detach(), gradient))
    peak = mix.abs().max()
    for single, double in zip(*results, strict=True):
        assert (single - double).abs().max() < 1e-4 * max(peak, double.abs().max())
    if sources == "identical":
        out = results[0][0]
        assert (out - out[:, :1]).abs().max() < 1e-6 * peak


def test_nothing_but_the_inputs_is_kept_for_the_gradient():
    mix = complex_noise(2, 2, 8, 500)
    y = estimates_of(mix).requires_grad_()
    inputs = {x.untyped_storage().data_ptr() for x in (y, mix)}
    kept = []

    def pack(x: torch.Tensor) -> torch.Tensor:
        kept.append(x)
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        out = wiener_em(y, mix, 2)
    assert out.requires_grad
    assert kept
    storages = {x.untyped_storage().data_ptr(): x.untyped_storage() for x in kept}
    others = [x.nbytes() for pointer, x in storages.items() if pointer not in inputs]
    assert sum(others) <= 4 * 8  # ε and √ε of each item


@pytest.mark.parametrize("n_channels", [1, 2, 3])
@pytest.mark.parametrize("iterations", [0, 1, 3])
@pytest.mark.parametrize("gain", [0.1, 100.0])
def test_masks_are_filtered_as_what_they_leave_of_the_mix(n_channels, iterations, gain):
    mix = gain * complex_noise(2, n_channels, 3, 6, 7, dtype=torch.complex128)
    masks = torch.rand(2, 4, n_channels, 3, 6, 7, dtype=torch.float64)
    masks[:, 1] = 0.0
    expected = wiener_em(apply_mix_phase(masks, mix), mix, iterations, window_frames=20)
    for asks in (False, True):
        filtered = filter_masked(masks.requires_grad_(asks), mix, iterations, window_frames=20)
        torch.testing.assert_close(filtered.detach(), expected, rtol=1e-9, atol=1e-9 * gain)
    assert filter_masked(masks[..., :0], mix[..., :0], iterations).dtype == mix.dtype
    with pytest.raises(ValueError, match="window_frames"):
        filter_masked(masks, mix, 1, window_frames=0)
    with pytest.raises(ValueError, match="masks must be real, got"):
        filter_masked(masks + 0j, mix)
    with pytest.raises(ValueError, match=r"masks must be \(batch, source, channel"):
        filter_masked(masks[..., :5], mix)


def test_the_result_has_the_precision_of_the_estimates():
    mix = complex_noise(1, 2, 2, 10)
    y = estimates_of(mix)
    for asks in (False, True):
        refined = wiener_em(y.clone().requires_grad_(asks), mix.to(torch.complex128))
        assert refined.dtype == torch.complex64


def test_sources_sum_to_the_mix():
    mix = complex_noise(2, 2, 4, 50)
    sources = wiener_em(estimates_of(mix), mix)
    assert (sources.sum(1) - mix).abs().max() < 0.02


def test_windows_are_independent():
    mix = complex_noise(1, 2, 2, 30)
    y = estimates_of(mix)
    parts = [wiener_em(y[..., a:b], mix[..., a:b]) for a, b in ((0, 12), (12, 24), (24, 30))]
    assert torch.allclose(wiener_em(y, mix, window_frames=12), torch.cat(parts, -1))


def test_batch_items_are_independent():
    mix = complex_noise(2, 2, 2, 30) * torch.tensor([1.0, 500.0])[:, None, None, None]
    y = estimates_of(mix)
    assert torch.allclose(wiener_em(y, mix)[:1], wiener_em(y[:1], mix[:1]))


def test_silence_stays_finite_with_its_gradient():
    mix = torch.zeros(1, 2, 3, 10, dtype=torch.complex64)
    y = torch.zeros(1, 4, 2, 3, 10, dtype=torch.complex64, requires_grad=True)
    out = wiener_em(y, mix)
    assert not out.any()
    out.abs().sum().backward()
    assert y.grad is not None
    assert y.grad.isfinite().all()


def test_mono_as_stereo_is_stable():
    mono = complex_noise(1, 1, 3, 40)
    mix = mono.expand(-1, 2, -1, -1)
    out = wiener_em(estimates_of(mix), mix)
    assert out.isfinite().all()
    assert (out.sum(1) - mix).abs().max() < 0.02


@pytest.mark.parametrize("use_softmask", [True, False])
def test_gradcheck_from_magnitudes(use_softmask):
    mix = complex_noise(1, 2, 2, 3, dtype=torch.complex128).requires_grad_()
    v = (magnitudes_of(mix.detach(), 2) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda v, x: wiener(v, x, 1, use_softmask), (v, mix), atol=1e-4)


def test_gradcheck():
    mix = complex_noise(1, 2, 2, 4, dtype=torch.complex128)
    y = complex_noise(1, 2, 2, 2, 4, dtype=torch.complex128, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda y: wiener_em(y, mix, 2), y)


def test_inputs_are_not_changed_and_no_iteration_is_the_identity():
    mix = complex_noise(1, 2, 2, 10)
    y = estimates_of(mix)
    before = y.clone(), mix.clone()
    assert wiener_em(y, mix, 0) is y
    wiener_em(y, mix, 3)
    assert torch.equal(y, before[0])
    assert torch.equal(mix, before[1])


@pytest.mark.parametrize(
    ("named", "value"),
    [("iterations", -1), ("window_frames", 0), ("eps", 0.0), ("eps", float("nan"))],
)
def test_wrong_arguments_are_named(named, value):
    mix = complex_noise(1, 2, 2, 10)
    with pytest.raises(ValueError, match=named):
        wiener_em(estimates_of(mix), mix, **{named: value})


@pytest.mark.parametrize("named", ["iterations", "window_frames", "eps"])
@pytest.mark.parametrize("value", [True, "1", 1.5, [1]])
def test_arguments_of_wrong_types_are_named(named, value):
    if (named, value) == ("eps", 1.5):
        value = 1j
    mix = complex_noise(1, 2, 2, 10)
    with pytest.raises(TypeError, match=f"^{named} must be an? (integer|number), got"):
        wiener_em(estimates_of(mix), mix, **{named: value})


def test_blocks_from_iterators_are_as_good_as_lists():
    mix = [complex_noise(1, 2, 2, n) for n in (10, 12)]
    estimates = [estimates_of(block) for block in mix]
    torch.testing.assert_close(wiener_em(iter(estimates), iter(mix)), wiener_em(estimates, mix))
    magnitudes = [block.abs() for block in estimates]
    torch.testing.assert_close(wiener(iter(magnitudes), iter(mix)), wiener(magnitudes, mix))


def test_shapes_that_do_not_fit_are_named():
    mix = complex_noise(1, 2, 2, 10)
    y = estimates_of(mix)
    with pytest.raises(ValueError, match=r"estimates must be complex, got torch\.float32"):
        wiener_em(y.abs(), mix)
    for estimates, x in ((y, mix[..., :9]), (y[0], mix[0]), (y[:, :, :1], mix)):
        with pytest.raises(ValueError, match=r"estimates must be \(batch, source, channel"):
            wiener_em(estimates, x)
    for estimates, x in ((y, [mix]), ([y, y], [mix])):
        with pytest.raises(ValueError, match="estimates and mix must both be tensors or"):
            wiener_em(estimates, x)
        with pytest.raises(ValueError, match="magnitudes and mix must both be tensors or"):
            wiener(estimates, x)


def test_nothing_of_no_length():
    mix = complex_noise(1, 2, 3, 0)
    assert wiener_em(estimates_of(mix), mix).shape == (1, 4, 2, 3, 0)
