"""The loss in several resolutions: zero at the target, equal to its definition, in every unit."""

import math
from itertools import combinations

import auraloss
import pytest
import torch

from asteroid_slicq.losses import MultiResolutionLoss
from asteroid_slicq.losses.absolute import membership
from asteroid_slicq.losses.combinations import resolve_subsets
from asteroid_slicq.losses.spectral_modulus import MeanSpectralModulus

WHITE = {"n_ffts": [256, 64], "relative": False}


def noise(*shape, seed=0, scale=0.1):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_it_is_zero_at_the_target_alone():
    stems, blocks = noise(2, 4, 2, 3000), [noise(2, 4, 2, 3, 8, 2), noise(2, 4, 2, 2, 4, 2, seed=1)]
    blocks = [torch.view_as_complex(block) for block in blocks]
    for spectrum in ("complex", "magnitude", "log-magnitude"):
        loss = MultiResolutionLoss(coefficient_weight=1.0, n_ffts=[256], spectrum=spectrum)
        parts = loss(stems, stems, blocks, blocks)
        assert [float(part) for part in parts] == [0, 0, 0, 0, 0]
        parts = loss(0.9 * stems, stems, [0.9 * block for block in blocks], blocks)
        assert all(part > 0.01 for part in parts[:-1])
        assert parts.time == 0  # no further loss was named


def test_terms_are_mean_moduli_over_all_that_there_is():
    estimates, targets = noise(2, 3, 2, 500), noise(2, 3, 2, 500, seed=1)
    blocks = [torch.view_as_complex(noise(2, 3, 2, n, 7, 2, seed=n)) for n in (1, 5)]
    loss = MultiResolutionLoss(1.0, 0.5, 2.0, n_ffts=[64, 16], relative=False)
    parts = loss(estimates, targets, blocks, [0 * block for block in blocks])
    error = estimates - targets
    torch.testing.assert_close(parts.waveform, error.abs().mean())
    spectra = []
    for n in (64, 16):
        window = torch.hann_window(n)
        options = {"return_complex": True, "pad_mode": "constant"}
        x = torch.stft(error.flatten(0, 2), n, n // 4, window=window, **options)
        spectra.append(x.abs().mean() / window.square().sum().sqrt())
    torch.testing.assert_close(parts.stft, sum(spectra) / 2)
    torch.testing.assert_close(
        parts.coefficient, torch.cat([b.abs().flatten() for b in blocks]).mean()
    )
    total = parts.waveform + 0.5 * parts.stft + 2 * parts.coefficient
    torch.testing.assert_close(parts.total, total)


def test_combinations_compare_sums_of_sources():
    estimates, targets = noise(2, 3, 1, 500), noise(2, 3, 1, 500, seed=1)
    subsets = [c for size in (1, 2) for c in combinations(range(3), size)]
    for spectrum in ("complex", "magnitude"):
        options = {**WHITE, "spectrum": spectrum}
        parts = MultiResolutionLoss(subsets="all", **options)(estimates, targets)
        single = MultiResolutionLoss(subsets="single", **options)
        sums = [
            single(*(x[:, list(c)].sum(1, keepdim=True) for x in (estimates, targets)))
            for c in subsets
        ]
        torch.testing.assert_close(parts.waveform, torch.stack([s.waveform for s in sums]).mean())
        torch.testing.assert_close(parts.stft, torch.stack([s.stft for s in sums]).mean())


def test_white_noise_counts_alike_in_every_resolution():
    """The mean modulus of a Rayleigh distribution: every STFT keeps the power."""
    error = noise(1, 2, 1, 100_000, scale=1.0)
    for n in (64, 1024):
        parts = MultiResolutionLoss(n_ffts=[n], relative=False)(error, 0 * error)
        assert float(parts.stft) == pytest.approx(math.sqrt(math.pi) / 2, rel=0.03)
        assert float(parts.waveform) == pytest.approx(math.sqrt(2 / math.pi), rel=0.02)


def test_magnitudes_are_those_of_auraloss():
    estimates, targets = noise(2, 3, 2, 2000), noise(2, 3, 2, 2000, seed=1)
    theirs = auraloss.freq.STFTLoss(256, 64, 256, w_sc=0, w_log_mag=0, w_lin_mag=1, eps=1e-12)
    expected = torch.stack(
        [theirs(estimates[:, j].clone(), targets[:, j].clone()) for j in range(3)]
    ).mean()
    loss = MultiResolutionLoss(n_ffts=[256], spectrum="magnitude", relative=False)
    norm = torch.hann_window(256).norm()
    torch.testing.assert_close(loss(estimates, targets).stft, expected / norm, rtol=1e-3, atol=0)


def test_relative_errors_do_not_depend_on_the_level_of_the_mix():
    loss = MultiResolutionLoss(n_ffts=[256])
    estimates, targets = noise(2, 4, 2, 2000), noise(2, 4, 2, 2000, seed=1)
    loud = [float(part) for part in loss(7 * estimates, 7 * targets)]
    assert loud == pytest.approx([float(part) for part in loss(estimates, targets)], rel=1e-5)
    # But silence is not amplified without bound.
    assert float(loss(1e-5 * estimates, 0 * targets).total) < 1e-3


@pytest.mark.parametrize("subsets", ["single", "all"])
@pytest.mark.parametrize("length", [5, 64, 701])
def test_gradients_are_those_of_the_definition(subsets, length, monkeypatch):
    """In chunks, too."""
    errors = noise(3, 3, 2, length).double().requires_grad_()
    chosen = resolve_subsets(subsets, 3)
    window = torch.hann_window(64, dtype=torch.float64)
    options = {"window": window, "return_complex": True, "pad_mode": "constant"}
    moduli = [
        torch.stft(errors[:, list(c)].sum(1).flatten(0, 1), 64, 16, **options).abs().mean()
        for c in chosen
    ]
    expected = torch.stack(moduli).mean()
    (gradient,) = torch.autograd.grad(expected, errors)
    members = membership(chosen, 3, errors) if subsets == "all" else None
    for chunk in (1, 2**20):
        monkeypatch.setattr("asteroid_slicq.losses.spectral_modulus._CHUNK", chunk)
        value = MeanSpectralModulus.apply(errors, members, window)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(torch.autograd.grad(3 * value, errors)[0], 3 * gradient)


@pytest.mark.parametrize("spectrum", ["complex", "magnitude", "log-magnitude"])
def test_gradients_are_finite_at_silence(spectrum):
    loss = MultiResolutionLoss(n_ffts=[256], spectrum=spectrum)
    estimates = torch.zeros(1, 4, 2, 1000, requires_grad=True)
    loss(estimates, torch.zeros(1, 4, 2, 1000)).total.backward()
    assert estimates.grad.isfinite().all()


def test_terms_without_weight_are_left_out():
    estimates, targets = noise(1, 2, 1, 300), noise(1, 2, 1, 300, seed=1)
    parts = MultiResolutionLoss(1.0, 0.0)(estimates, targets)
    assert (parts.stft, parts.coefficient) == (0, 0)
    assert parts.total == parts.waveform


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stft_weight": -1.0}, "stft_weight must not be negative"),
        ({"waveform_weight": 0, "stft_weight": 0}, "one of the weights of the loss"),
        ({"n_ffts": [6]}, "n_ffts must hold multiples of 4"),
        ({"n_ffts": []}, "n_ffts must hold multiples of 4"),
        ({"spectrum": "phase"}, "spectrum must be one of"),
        ({"subsets": "some"}, "subsets must be 'all', 'single'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MultiResolutionLoss(**arguments)


def test_what_is_missing_is_named():
    stems = noise(1, 2, 1, 100)
    with pytest.raises(ValueError, match="coefficients and target_coefficients must be given"):
        MultiResolutionLoss(coefficient_weight=1.0)(stems, stems)
    with pytest.raises(ValueError, match="must be longer than half of n_ffts, 2048 samples"):
        MultiResolutionLoss(spectrum="magnitude")(stems, stems)
    with pytest.raises(ValueError, match="targets must have the shape"):
        MultiResolutionLoss()(stems, stems[:, :1])


def test_waveforms_of_16_bits_and_of_silence():
    stems, loss = noise(1, 4, 2, 3000), MultiResolutionLoss(n_ffts=[256], subsets="all")
    estimates = (0.5 * stems).bfloat16()
    expected = loss(estimates.float(), stems.bfloat16().float()).total
    assert torch.equal(loss(estimates, stems.bfloat16()).total, expected)
    silence = [torch.zeros(1, 4, 2, 3000, requires_grad=True) for _ in range(2)]
    gradients = torch.autograd.grad(loss(*silence).total, silence)
    assert all(gradient.isfinite().all() for gradient in gradients)
    with pytest.raises(ValueError, match=r"must be \(batch, source, channel, time\), got \(4, 2"):
        loss(stems[0], stems[0])
