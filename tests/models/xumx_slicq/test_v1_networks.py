import pytest
import torch
from torch.nn import functional as F

from asteroid_slicq.models.xumx_slicq.v1 import DilatedBlockNetwork, time_kernel
from asteroid_slicq.transform import overlap_add


def random(network: DilatedBlockNetwork) -> DilatedBlockNetwork:
    torch.manual_seed(0)
    with torch.no_grad():
        for p in network.parameters():
            p.normal_()
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
    return network.double()


@pytest.mark.parametrize(("n_coefficients", "kernel"), [(16, 7), (100, 7), (104, 13), (292, 13)])
def test_time_kernel(n_coefficients, kernel):
    assert time_kernel(n_coefficients) == kernel


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("n_bins", "width", "n_slices"), [(3, 16, 9), (12, 20, 7), (22, 8, 12), (2, 104, 2)]
)
def test_equals_plain_layers_for_each_target(n_bins, width, n_slices, training):
    """One target at a time, every layer and batch norm by itself."""
    network = random(DilatedBlockNetwork(n_bins, width, 3, 2, (5, 6))).train(training)
    x = torch.rand(2, 2, n_bins, n_slices, width, dtype=torch.float64)
    statistics = {k: v.clone() for k, v in network.state_dict().items()}
    masks = network(x)
    assert masks.shape == (2, 3, 2, n_bins, n_slices, width)

    def norm(h, name, j):
        part = slice(j * h.shape[1], (j + 1) * h.shape[1])
        names = ("running_mean", "running_var", "weight", "bias")
        mean, var, weight, bias = (statistics[f"{name}.{n}"][part].clone() for n in names)
        return F.relu(F.batch_norm(h, mean, var, weight, bias, training=training))

    for j in range(3):
        h = overlap_add(x) + network.shift[j, :, None]
        h = h * network.scale[j, :, None]
        for name, convolve in (
            ("encode_outer", F.conv2d),
            ("encode_inner", F.conv2d),
            ("decode_inner", F.conv_transpose2d),
            ("decode_outer", F.conv_transpose2d),
        ):
            weight = getattr(network, name).weight.chunk(3)[j]
            h = norm(convolve(h, weight, dilation=(1, 2)), f"norm_{name}", j)
        weight, bias = network.upsample.weight.chunk(3)[j], network.upsample.bias.chunk(3)[j]
        h = torch.sigmoid(F.conv_transpose2d(h, weight, bias, stride=(1, 2)))
        expected = h[..., : n_slices * width].unflatten(-1, (n_slices, width))
        assert torch.allclose(masks[:, j], expected, atol=1e-10)


def test_training_updates_the_statistics_that_evaluation_uses():
    network = random(DilatedBlockNetwork(3, 16))
    x = torch.rand(2, 2, 3, 6, 16, dtype=torch.float64)
    before = network.eval()(x)
    assert torch.equal(before, network(x))
    network.train()(x)
    assert not torch.allclose(before, network.eval()(x))


@pytest.mark.parametrize("width", [8, 104])
@pytest.mark.parametrize("n_slices", [1, 2, 3])
def test_short_inputs_are_padded(n_slices, width):
    masks = DilatedBlockNetwork(2, width).eval()(torch.rand(1, 2, 2, n_slices, width))
    assert masks.shape == (1, 4, 2, 2, n_slices, width)
    assert ((masks > 0) & (masks < 1)).all()


def test_input_is_not_changed_and_half_precision_computes_in_the_dtype_of_its_weights():
    network = DilatedBlockNetwork(2, 8).bfloat16().eval()
    x = torch.rand(1, 2, 2, 5, 8)
    before = x.clone()
    assert network(x).dtype == torch.float32
    assert torch.equal(x, before)
