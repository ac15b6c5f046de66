"""The index: its value at the reference, in a batch, at silence, and its gradient."""

import pytest
import torch

from asteroid_slicq.hearing import HAAQI

RATE = 24000


def music(seed=0, seconds=0.2, rate=RATE, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(round(rate * seconds), dtype=dtype) / rate
    tones = sum(torch.sin(2 * torch.pi * 220 * k * time) / k for k in range(1, 20))
    hiss = 0.05 * torch.randn(len(time), generator=generator, dtype=dtype)
    return 0.1 * (1 + torch.sin(2 * torch.pi * 30 * time)) * (tones + hiss)


def noise_like(x, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(x.shape, generator=generator, dtype=x.dtype) * x.std()


@pytest.mark.slow
def test_the_reference_itself_is_best_for_every_listener():
    x = music()
    for audiogram in ("normal", [30, 30, 40, 60, 70, 80]):
        index = HAAQI(RATE, audiogram, align=False)
        others = torch.stack([x, x + 0.3 * noise_like(x), noise_like(x)])
        itself, noisy, noise = index(others, x.expand(3, -1)).index
        assert itself > 0.99 > noisy > noise > 0


@pytest.mark.slow
def test_polarity_is_not_heard():
    x = music()
    y = x + 0.2 * noise_like(x)
    index = HAAQI(RATE)
    torch.testing.assert_close(index(-y, x).index, index(y, x).index, atol=6e-3, rtol=0)


@pytest.mark.slow
def test_items_of_a_batch_do_not_change_one_another():
    x = music(seconds=0.25)
    later = torch.cat([torch.zeros(1000), x[:-1000]])
    references = torch.stack([x, later, x * 0.01])
    estimates = references + 0.1 * torch.stack([noise_like(x, k) for k in range(3)]) * x.std()
    index = HAAQI(RATE)
    together = index(estimates, references).index
    alone = [index(e, r).index for e, r in zip(estimates, references, strict=True)]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-4, rtol=0)
    shaped = index(estimates.view(3, 1, -1), references.view(3, 1, -1)).index
    torch.testing.assert_close(shaped, together[:, None], atol=1e-6, rtol=0)


def test_a_silent_estimate_has_a_finite_gradient_towards_the_reference():
    x = music()
    silence = torch.zeros_like(x, requires_grad=True)
    index = HAAQI(RATE, align=False)
    value = index(silence, x).index
    value.backward()
    gradient = silence.grad
    assert gradient.isfinite().all()
    assert torch.nn.functional.cosine_similarity(gradient, x, 0) > 0.2
    with torch.no_grad():
        step = gradient * x.norm() / gradient.norm()
        assert index(step, x).index > value + 0.1
    # A sound that is silent for a while is as finite.
    half = (x * (torch.arange(len(x)) < 2400)).requires_grad_()
    index(half, x).index.backward()
    assert half.grad.isfinite().all()
    assert half.grad[2900:].norm() > 0


def test_a_silent_reference_has_no_index_and_no_gradient():
    x = torch.stack([music(), torch.zeros(4800)])
    y = noise_like(x[0]).repeat(2, 1).requires_grad_()
    value = HAAQI(RATE)(y, x).index
    assert value.isnan().tolist() == [False, True]
    value.nansum().backward()
    assert y.grad.isfinite().all()
    assert not y.grad[1].any()


@pytest.mark.slow
def test_the_gradient_is_that_of_the_value():
    x = music(dtype=torch.float64)
    y = (x + 0.3 * noise_like(x)).requires_grad_()
    index = HAAQI(RATE, align=False)
    index(y, x).index.backward()
    direction = (x - y).detach()
    with torch.no_grad():
        up, down = (index(y + step * direction, x).index for step in (1e-5, -1e-5))
    slope = ((up - down) / 2e-5).item()
    assert (y.grad @ direction).item() == pytest.approx(slope, rel=0.03)


@pytest.mark.slow
def test_parts_of_the_bands_are_computed_anew_for_the_gradient(monkeypatch):
    x = music()
    gradients = []
    for chunk in (2**22, 10 * len(x)):
        monkeypatch.setattr("asteroid_slicq.hearing.haaqi._CHUNK", chunk)
        y = (x + 0.2 * noise_like(x)).requires_grad_()
        HAAQI(RATE, align=False)(y, x).index.backward()
        gradients.append(y.grad)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-6)


def test_nothing_to_store_and_inputs_stay():
    index = HAAQI(44100)
    assert not index.state_dict()
    x = music(rate=44100)
    y = x.clone()
    index(y, x)
    assert torch.equal(x, y)
    assert "audiogram='normal'" in repr(index)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: HAAQI(4000), "sample_rate must be at least 8000"),
        (lambda: HAAQI(RATE, "deaf"), "audiogram must be one of"),
        (lambda: HAAQI(RATE)(torch.zeros(2, 9000), torch.zeros(9000)), "of one shape"),
        (lambda: HAAQI(RATE)(torch.zeros(100), torch.zeros(100)), "at least 0.1 s long"),
    ],
)
def test_wrong_arguments(call, said):
    with pytest.raises(ValueError, match=said):
        call()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same():
    x = music(rate=44100)
    y = x + 0.2 * noise_like(x)
    index = HAAQI(44100)
    there = index.to("cuda")(y.cuda(), x.cuda()).index.cpu()
    torch.testing.assert_close(there, HAAQI(44100)(y, x).index, atol=5e-3, rtol=0)
