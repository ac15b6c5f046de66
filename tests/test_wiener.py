import pytest
import torch

from asteroid_slicq.wiener import apply_mix_phase, wiener_em


def complex_noise(*shape: int, seed: int = 0, dtype=torch.complex64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


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


@pytest.mark.parametrize(("named", "value"), [("iterations", -1), ("window_frames", 0)])
def test_wrong_arguments_are_named(named, value):
    mix = complex_noise(1, 2, 2, 10)
    with pytest.raises(ValueError, match=named):
        wiener_em(estimates_of(mix), mix, **{named: value})
