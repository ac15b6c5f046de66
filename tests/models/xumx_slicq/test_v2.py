import copy

import pytest
import torch
from torch.nn import functional as F

from asteroid_slicq.models.xumx_slicq.layers import PassThrough, frequency_kernel
from asteroid_slicq.models.xumx_slicq.v2 import BlockNetwork, _laid_out, fixed_weights


@pytest.mark.parametrize(("n_bins", "kernel"), [(1, 1), (9, 1), (10, 3), (19, 3), (20, 5)])
def test_frequency_kernel(n_bins, kernel):
    assert frequency_kernel(n_bins) == kernel


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("n_bins", "width", "n_slices"), [(3, 16, 7), (12, 20, 5), (22, 8, 4)])
def test_equals_strided_convolutions_for_each_target(n_bins, width, n_slices, causal):
    """The grouped, reshaped network against plain layers with one target at a time."""
    torch.manual_seed(0)
    network = BlockNetwork(n_bins, width, 3, 2, (5, 6), causal).double()
    with torch.no_grad():
        for p in network.parameters():
            p.normal_()
        for norm in (network.norm_encode_outer, network.norm_encode_inner):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    network.eval()
    x = torch.rand(2, 2, n_bins, n_slices, width, dtype=torch.float64)
    masks = network(x)
    assert masks.shape == (2, 3, 2, n_bins, n_slices, width)
    with torch.no_grad(), fixed_weights(network):  # as matrices, where the kernel covers one bin
        torch.testing.assert_close(network(x), masks, rtol=0, atol=1e-10)

    def norm(h, layer, j):
        n = layer.num_features // 3
        part = slice(j * n, (j + 1) * n)
        args = (layer.running_mean, layer.running_var, layer.weight, layer.bias)
        return F.relu(F.batch_norm(h, *(a[part] for a in args)))

    for j in range(3):
        h = ((x + network.shift[:, None, None]) * network.scale[:, None, None]).flatten(-2)
        h = F.pad(h, (width - 1 if causal else 0, 0))
        stride = (1, width // 2)
        h = F.conv2d(h, network.encode_outer.weight.chunk(3)[j], stride=stride)
        h = norm(h, network.norm_encode_outer, j)
        h = norm(F.conv2d(h, network.encode_inner.weight.chunk(3)[j]), network.norm_encode_inner, j)
        h = F.conv_transpose2d(h, network.decode_inner.weight.chunk(3)[j])
        h = norm(h, network.norm_decode_inner, j)
        bias = network.decode_outer.bias.chunk(3)[j]
        h = F.conv_transpose2d(h, network.decode_outer.weight.chunk(3)[j], bias, stride=stride)
        expected = torch.sigmoid(h[..., : n_slices * width]).unflatten(-1, (n_slices, width))
        assert torch.allclose(masks[:, j], expected, atol=1e-10)


def test_realtime_looks_ahead_by_one_and_a_half_slices_and_no_more():
    torch.manual_seed(0)
    width, n_slices, changed = 16, 12, 7
    network = BlockNetwork(3, width, causal=True).eval()
    x = torch.rand(1, 2, 3, n_slices, width)
    y = x.clone()
    y[..., changed:, :] += 1
    difference = (network(x) - network(y)).abs().amax(dim=(0, 1, 2, 3)).flatten()
    first = int(difference.nonzero()[0])
    assert first == changed * width - 3 * width // 2


def test_half_precision_computes_in_the_dtype_of_its_weights():
    network = BlockNetwork(2, 8).bfloat16().eval()
    assert network(torch.rand(1, 2, 2, 5, 8)).dtype == torch.float32


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("n_slices", [1, 2, 3])
def test_short_inputs_are_padded(n_slices, causal):
    network, x = BlockNetwork(2, 8, causal=causal).eval(), torch.rand(1, 2, 2, n_slices, 8)
    masks = network(x)
    assert masks.shape == (1, 4, 2, 2, n_slices, 8)
    assert ((masks > 0) & (masks < 1)).all()
    with torch.no_grad(), fixed_weights(network):
        torch.testing.assert_close(network(x), masks)


def test_fixed_weights_are_laid_out_once_and_let_go():
    blocks = [BlockNetwork(2, 8), BlockNetwork(1, 12), BlockNetwork(10, 8), PassThrough(4)]
    model = torch.nn.ModuleList(blocks).eval()
    inputs = [torch.rand(1, 2, 2, 3, 8), torch.rand(1, 2, 1, 3, 12)]
    expected = [block(x) for block, x in zip(blocks[:2], inputs, strict=True)]

    def laid_out():
        return [_laid_out.matrices.get(block) for block in blocks[:3]]

    with torch.no_grad():
        with fixed_weights(model):
            first = laid_out()
            assert [matrices is None for matrices in first] == [False, False, True]
            for _ in range(3):
                with fixed_weights(model):
                    for block, x, masks in zip(blocks[:2], inputs, expected, strict=True):
                        torch.testing.assert_close(block(x), masks)
            assert all(m is same for m, same in zip(laid_out(), first, strict=True))
        assert laid_out() == [None] * 3
        with pytest.raises(KeyError), fixed_weights(model):
            raise KeyError
        assert laid_out() == [None] * 3
        blocks[0].decode_outer.bias.fill_(9.0)
        assert blocks[0](inputs[0]).min() > 0.9
        blocks[1].norm_encode_inner.train()
        blocks[0].train()
        with fixed_weights(model):  # nothing is laid out for training
            assert laid_out() == [None] * 3


def test_a_copy_of_fixed_weights_may_change():
    network, x = BlockNetwork(2, 8).eval(), torch.rand(1, 2, 2, 3, 8)
    with fixed_weights(network):
        copied = copy.deepcopy(network)
    with torch.no_grad():
        copied.decode_outer.bias.fill_(9.0)
        assert copied(x).min() > 0.9


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:FutureWarning")  # what torch itself calls
def test_fixed_weights_know_gradients_vmap_and_jvp():
    torch.manual_seed(0)
    network, x = BlockNetwork(2, 8).eval().requires_grad_(False), torch.rand(3, 2, 2, 4, 8)
    expected, tangent = network(x), torch.rand(3, 2, 2, 4, 8)
    _, derivative = torch.func.jvp(network, (x,), (tangent,))
    with fixed_weights(network):
        mapped = torch.func.vmap(lambda x: network(x[None])[0])(x)
        masks, same = torch.func.jvp(network, (x,), (tangent,))
        leaf = x.clone().requires_grad_()
        assert network(leaf).sum().backward() is None
    torch.testing.assert_close(mapped, expected)
    torch.testing.assert_close(masks, expected)
    torch.testing.assert_close(same, derivative)
    assert leaf.grad.abs().max() > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:FutureWarning")  # what torch itself calls
@pytest.mark.parametrize("n_bins", [1, 12])
def test_compiled_network_computes_the_same(n_bins):
    torch.manual_seed(0)
    network = BlockNetwork(n_bins, 20, 3, 2, (5, 6), causal=True).eval()
    x = torch.rand(1, 2, n_bins, 6, 20)
    with torch.no_grad():
        compiled = torch.compile(network, backend="aot_eager", dynamic=False)(x)
        torch.testing.assert_close(compiled, network(x))
