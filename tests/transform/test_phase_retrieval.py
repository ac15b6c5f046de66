"""Facts about phases for magnitudes: the projections, convergence, gradients, silence."""

import itertools

import pytest
import torch

from asteroid_slicq import NSGT, SliCQT
from asteroid_slicq.transform import STFT, griffin_lim, phase_factors, spectral_convergence
from tests.helpers import complex_noise, double_noise, listed, noise

LENGTH = 3000
SMALL = {"n_bins": 14, "f_min_hz": 150.0, "window": "hann", "min_width": 32}
TRANSFORMS = {
    "sliced": SliCQT(**SMALL),
    "sliced matrix": SliCQT(**SMALL, rasterize="full"),
    "overlap-added": SliCQT(**SMALL, overlap_added=True),
    "piecewise": SliCQT(**SMALL, overlap_added=True, rasterize="piecewise"),
    "matrix": SliCQT(**SMALL, overlap_added=True, rasterize="full"),
    "global phase": SliCQT(**SMALL, phase="global"),
    "NSGT": NSGT(n_bins=14, f_min_hz=150.0, length=LENGTH),
    "STFT": STFT(256, 64),
}
each_transform = pytest.mark.parametrize("name", TRANSFORMS)


def magnitudes_of(transform, waveform):
    coefficients = transform(waveform)
    if isinstance(coefficients, torch.Tensor):
        return coefficients.abs()
    return [block.abs() for block in coefficients]


@each_transform
def test_the_true_phase_is_a_fixed_point(name):
    transform, x = TRANSFORMS[name], noise(2, 1, LENGTH)
    magnitudes = magnitudes_of(transform, x)
    found = griffin_lim(magnitudes, transform, LENGTH, phase=transform(x), iterations=4)
    assert (found - x).norm() < 3e-3 * x.norm()
    assert spectral_convergence(x, magnitudes_of(transform, x), transform) < 1e-6


@each_transform
def test_it_converges_and_the_fast_variant_faster(name):
    transform, x = TRANSFORMS[name], noise(1, LENGTH)
    magnitudes, reached = magnitudes_of(transform, x), {}
    for momentum in (0.0, 0.99):
        errors = []
        griffin_lim(
            magnitudes,
            transform,
            LENGTH,
            iterations=16,
            momentum=momentum,
            watch=lambda n, y, to=errors: to.append(
                float(spectral_convergence(y, magnitudes, transform))
            ),
        )
        assert len(errors) == 17
        reached[momentum] = errors
    assert reached[0.0][-1] < 0.6 * reached[0.0][0]
    assert reached[0.99][-1] < reached[0.0][-1]


def test_the_error_of_griffin_lim_never_grows():
    stft, x, errors = STFT(256, 64), double_noise(1, LENGTH), []
    magnitudes = magnitudes_of(stft, x)
    start, padded = 128, LENGTH - 256  # inside, where the synthesis is an orthogonal projection
    x[..., :start] = x[..., start + padded :] = 0
    magnitudes = magnitudes_of(stft, x)
    griffin_lim(
        magnitudes,
        stft,
        LENGTH,
        momentum=0,
        watch=lambda n, y: errors.append(float(spectral_convergence(y, magnitudes, stft))),
    )
    assert all(b <= a for a, b in itertools.pairwise(errors))


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_it_is_what_the_papers_say(momentum):
    slicqt = SliCQT(**SMALL)
    magnitudes = [block.abs() for block in slicqt(double_noise(1, LENGTH))]
    start = [complex_noise(*s.shape).to(torch.complex128) for s in magnitudes]

    def project(t):
        turned = [s * torch.exp(1j * c.angle()) for s, c in zip(magnitudes, t, strict=True)]
        return slicqt(slicqt.inverse(turned, LENGTH))

    c = project(start)
    t = c
    for _ in range(3):
        before, c = c, project(t)
        t = [a + momentum * (a - b) for a, b in zip(c, before, strict=True)]
    turned = [s * torch.exp(1j * u.angle()) for s, u in zip(magnitudes, t, strict=True)]
    found = griffin_lim(magnitudes, slicqt, LENGTH, phase=start, iterations=4, momentum=momentum)
    torch.testing.assert_close(found, slicqt.inverse(turned, LENGTH))


def test_sources_sum_to_the_mix_and_are_found_by_it():
    slicqt = SliCQT(**SMALL, overlap_added=True)
    sources = noise(2, 3, 1, LENGTH)  # batch, source
    mix = sources.sum(1)
    magnitudes = magnitudes_of(slicqt, sources)
    start = [block.unsqueeze(1) for block in slicqt(mix)]

    def error(**arguments):
        found = griffin_lim(magnitudes, slicqt, LENGTH, phase=start, iterations=20, **arguments)
        return found, float((found - sources).norm() / sources.norm())

    found, with_mix = error(mix=mix)
    torch.testing.assert_close(found.sum(1), mix, atol=1e-4, rtol=0)
    assert with_mix < 0.7 * error()[1]


def test_starts_differ_and_repeat():
    slicqt, x = SliCQT(**SMALL, rasterize="full"), noise(1, LENGTH)
    magnitudes = slicqt(x).abs()

    def found(phase, seed=0):
        generator = torch.Generator().manual_seed(seed)
        return griffin_lim(
            magnitudes, slicqt, LENGTH, phase=phase, iterations=0, generator=generator
        )

    torch.testing.assert_close(found("zero"), slicqt.inverse(magnitudes + 0j, LENGTH))
    torch.testing.assert_close(found("random"), found("random"))
    assert not torch.allclose(found("random"), found("random", seed=1))
    assert not torch.allclose(found("random"), found("zero"))


def test_gradients_through_phases_are_exact():
    stft = STFT(8, 4).double()
    magnitudes = (double_noise(1, 5, 4).abs() + 0.5).requires_grad_()
    start = complex_noise(1, 5, 4).to(torch.complex128)

    def found(s):
        return griffin_lim([s], stft, 11, phase=[start], iterations=3, momentum=0.5, unrolled=True)

    assert torch.autograd.gradcheck(found, magnitudes)


def test_gradients_with_constant_phases_are_those_of_one_synthesis():
    slicqt = SliCQT(**SMALL)
    magnitudes = [s.requires_grad_() for s in magnitudes_of(slicqt, double_noise(1, LENGTH))]
    weights, last = double_noise(1, LENGTH, seed=2), []
    found = griffin_lim(magnitudes, slicqt, LENGTH, iterations=3, watch=lambda _, y: last.append(y))
    gradients = torch.autograd.grad((found * weights).sum(), magnitudes)
    # Linear in the magnitudes: ⟨gradient, magnitudes⟩ is the value itself.
    value = sum((g * s).sum() for g, s in zip(gradients, magnitudes, strict=True))
    torch.testing.assert_close(value, (last[-1] * weights).sum())
    assert not last[0].requires_grad


def test_silence_stays_silent_and_its_gradient_finite():
    slicqt = SliCQT(**SMALL, overlap_added=True)
    magnitudes = [s.requires_grad_() for s in magnitudes_of(slicqt, torch.zeros(1, LENGTH))]
    for unrolled in (False, True):
        found = griffin_lim(magnitudes, slicqt, LENGTH, iterations=2, unrolled=unrolled)
        assert not found.any()
        gradients = torch.autograd.grad(found.sum(), magnitudes)
        assert all(g.isfinite().all() for g in gradients)
    assert (phase_factors(torch.zeros(3, dtype=torch.complex64)) == 1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"phase": "mix"}, "phase must be one of zero, random, got 'mix'"),
        ({"phase": [torch.zeros(1, dtype=torch.complex64)] * 2}, "phase must have"),
        ({"iterations": -1}, "iterations must be at least 0, got -1"),
        ({"momentum": -0.1}, "momentum must be at least 0, got -0.1"),
        ({"momentum": float("inf")}, "momentum must be finite, got inf"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    slicqt = SliCQT(**SMALL)
    magnitudes = magnitudes_of(slicqt, noise(1, LENGTH))
    with pytest.raises(ValueError, match=message):
        griffin_lim(magnitudes, slicqt, LENGTH, **arguments)


def test_types_that_are_mistaken_are_refused():
    slicqt = SliCQT(**SMALL)
    coefficients = listed(slicqt(noise(1, LENGTH)))
    with pytest.raises(TypeError, match="magnitudes must be real, got complex ones"):
        griffin_lim(coefficients, slicqt, LENGTH)
    magnitudes = [block.abs() for block in coefficients]
    with pytest.raises(TypeError, match="phase must be zero, random or complex coefficients"):
        griffin_lim(magnitudes, slicqt, LENGTH, phase=magnitudes)


def test_gradients_of_the_convergence_at_its_end():
    stft = STFT(256, 64)
    x = noise(1, 2000).requires_grad_()
    for wanted in (stft(x)[0].abs().detach(), 0.9 * stft(x)[0].abs().detach()):
        value = spectral_convergence(x, [wanted], stft)
        assert torch.autograd.grad(value, x)[0].isfinite().all()
    assert spectral_convergence(x, [stft(x)[0].abs()], stft) == 0
