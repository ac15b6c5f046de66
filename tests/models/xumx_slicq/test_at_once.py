"""All blocks at once, as a GPU runs them, are all blocks one after the other."""

import copy
import importlib
import pickle

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.models.xumx_slicq.stacked import alike
from tests.helpers import ROOT, noise
from tests.models.xumx_slicq.helpers import causal_model

FRAME = {"n_bins": 30, "f_min_hz": 300.0, "window": "hann"}  # kernels over 1 and 3 bins
LENGTHS = [1, 700, 5000]  # one slice, two, and many


def made(**arguments):
    """A model whose batch norms, shift and scale do something, and the same with all at once."""
    shared = {"causal": False, "wiener_iterations": 1, "transform": FRAME}
    model = causal_model(**{**shared, **arguments}).double()
    together = copy.deepcopy(model)
    together.at_once = True
    return model, together


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.fixture(params=["offline", "realtime", "passing", "v1"])
def pair(request):
    realtime = {"causal": True, "wiener_iterations": 0}
    passing = {"bandwidth_hz": 2000.0, "n_channels": 1, "sources": ["a", "b"]}
    v1 = {"network": "v1", "bandwidth_hz": 2500.0, "wiener": None}
    arguments = {"offline": {}, "realtime": realtime, "passing": passing, "v1": v1}
    return made(**arguments[request.param])


@pytest.mark.parametrize("length", LENGTHS)
def test_evaluation(pair, length):
    one, all_ = pair
    mix = noise(2, one.n_channels, length, dtype=torch.float64)
    with torch.inference_mode():
        close(all_(mix), one(mix))
        close(all_.estimate(mix), one.estimate(mix))


def test_training(pair):
    """The same estimate, gradients, of the mix too, and running statistics."""
    one, all_ = (model.train() for model in pair)
    mix = noise(2, one.n_channels, 5000, dtype=torch.float64).requires_grad_()
    gradients, estimates = [], []
    for model in pair:
        estimate = model.estimate(mix)
        loss = sum(block.abs().square().sum() for block in estimate.coefficients)
        loss = loss + sum(block.square().sum() for block in estimate.masks)
        gradients.append(torch.autograd.grad(loss, [mix, *model.parameters()]))
        estimates.append(estimate)
    close(estimates[1], estimates[0])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-8, atol=1e-8)
    close(dict(all_.named_buffers()), dict(one.named_buffers()))


def test_blocks_of_as_many_bins_run_as_one():
    model, _ = made()
    blocks = model.transform.frame.blocks
    groups = alike(list(model.networks), blocks)
    own = [i for group in groups for i in group]
    assert len(own) == len(set(own)) > len(groups) > 1
    for group in groups:
        assert len({blocks[i][0] for i in group}) == 1
        lengths = [blocks[i][1] for i in group]
        assert max(lengths) * len(lengths) <= 5 / 3 * sum(lengths)
    assert model.networks[1].encode_outer.kernel_size[0] > 1


def test_networks_that_were_changed_run_by_themselves():
    """Hooks are called, and batch norms that are frozen, or of another kind, keep their ways."""
    one, all_ = made()
    groups = alike(list(all_.networks), all_.transform.frame.blocks)
    (i, k, *_), (j, *_) = groups[0], groups[-1]
    for model in (one, all_):
        model.train()
        model.networks[j].norm_encode_inner.eval()
        model.networks[i].register_forward_hook(lambda _, __, masks: 1 - masks)
        model.networks[k].encode_inner.register_forward_pre_hook(lambda _, x: (2 * x[0],))
    mix = noise(1, 2, 5000, dtype=torch.float64)
    close(all_.estimate(mix), one.estimate(mix))
    close(dict(all_.named_buffers()), dict(one.named_buffers()))
    left = alike(list(all_.networks), all_.transform.frame.blocks)
    assert not {i, j, k} & {n for group in left for n in group}


def test_stacks_of_the_first_version_are_bounded():
    """A minute of its activations in all blocks would be gigabytes."""
    model, _ = made(network="v1")
    networks, blocks = list(model.networks), model.transform.frame.blocks
    assert len(alike(networks, blocks, 10)) > 0
    assert alike(networks, blocks, 10**6) == []


def test_all_blocks_may_pass_through():
    one, all_ = made(bandwidth_hz=1.0)
    mix = noise(1, 2, 2000, dtype=torch.float64)
    close(all_.estimate(mix), one.estimate(mix))


def test_weights_are_those_of_now_and_copies_are_their_own():
    _, model = made()
    mix = noise(1, 2, 3000, dtype=torch.float64)
    with torch.no_grad():
        before = model(mix)
        copied = pickle.loads(pickle.dumps(copy.deepcopy(model)))
        for network in model.networks:
            network.decode_outer.bias.add_(1.0)
        assert (model(mix) - before).abs().max() > 1e-3
        assert torch.equal(copied(mix), before)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:FutureWarning")  # what torch itself calls
@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")  # vmap of index_copy_
def test_transforms_of_functions():
    """torch.func knows the networks, as it does one by one."""
    one, all_ = made(wiener_iterations=0)
    mix = noise(2, 1, 2, 1000, dtype=torch.float64)
    parameters = {name: p.detach() for name, p in one.named_parameters()}

    def loss(model, parameters, x):
        return torch.func.functional_call(model, parameters, (x,)).square().sum()

    expected, found = (
        torch.func.vmap(torch.func.grad(lambda x, m=m: loss(m, parameters, x)))(mix)
        for m in (one, all_)
    )
    close(found, expected)
    expected, found = (
        torch.func.jvp(lambda p, m=m: loss(m, p, mix[0]), (parameters,), (parameters,))[1]
        for m in (one, all_)
    )
    close(found, expected)


def test_autocast_and_half_precision():
    one, all_ = made(wiener_iterations=0)
    one, all_, mix = one.float(), all_.float(), noise(1, 2, 5000)
    with torch.inference_mode():
        exact = one(mix)
        with torch.autocast("cpu", torch.bfloat16):
            assert (all_(mix) - exact).abs().max() < 0.03 * exact.abs().max()
        halved = [model.bfloat16().estimate(mix) for model in (one, all_)]
    for masks in zip(*(estimate.masks for estimate in halved), strict=True):
        assert masks[1].dtype == torch.float32
        torch.testing.assert_close(*masks, rtol=0, atol=0.05)


def test_exports_and_recurrent_networks_run_as_before():
    mix = noise(1, 2, 3000)
    model = XUMXSliCQ(network="v2-lstm", sample_rate=8000, transform=FRAME).eval()
    with torch.inference_mode():
        expected = model(mix)
        model.at_once = True
        torch.testing.assert_close(model(mix), expected)


def test_operators_are_few():
    """Of ten blocks: another one would add none to most stacks; one by one they are 7 500."""
    _, model = made()
    blocks = model.transform(noise(1, 2, 2000, dtype=torch.float64))
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        model.estimate_from_coefficients(blocks)
    assert 500 < len(seen.events()) < 2000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_operator_calls_of_the_published_models(monkeypatch):
    """Of a second, a quarter of what the benchmark takes."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    launches = importlib.import_module("launches")
    monkeypatch.setattr(launches, "LENGTH", 44100)
    cases = {name: case for name, case in launches.CASES.items() if name.startswith("xumx")}
    assert len(cases) == 5
    for name, (make, most) in cases.items():
        assert 1000 < launches.operator_calls(make()) <= most, name
