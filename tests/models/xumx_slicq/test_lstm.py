import pytest
import torch
from torch import nn

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.models.xumx_slicq.lstm import GroupedLSTM, RecurrentBlockNetwork
from asteroid_slicq.transform import overlap_add
from tests.helpers import with_slow

TINY = {"transform": {"n_bins": 14, "f_min_hz": 150.0}}


def random(network: nn.Module) -> nn.Module:
    """Weights and statistics far from their start, in double precision."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                tensor.uniform_(0.2, 0.8, generator=generator)
    for p in network.parameters():
        p.data -= 0.5
    return network.double().eval()


def cell_by_cell(lstm: nn.LSTM, x: torch.Tensor) -> torch.Tensor:
    """A bidirectional LSTM, one gate equation at a time. Shape: ``(step, feature)``."""
    for layer in range(lstm.num_layers):
        directions = []
        for suffix, order in (("", 1), ("_reverse", -1)):
            w, u, b, c = (
                getattr(lstm, f"{name}_l{layer}{suffix}")
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            hidden = cell = torch.zeros(lstm.hidden_size, dtype=x.dtype)
            outputs = []
            for step in x[::order] if order == 1 else x.flip(0):
                i, f, g, o = (w @ step + b + u @ hidden + c).chunk(4)
                cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
                hidden = o.sigmoid() * cell.tanh()
                outputs.append(hidden)
            directions.append(torch.stack(outputs[::order]))
        x = torch.cat(directions, dim=1)
    return x


def test_groups_run_as_if_each_were_alone():
    lstm = random(GroupedLSTM(3, 2, 4))
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    y = lstm(x)
    assert y.shape == (2, 4, 4, 5)
    for j, group in enumerate(lstm.groups):
        alone, _ = group(x[:, j].movedim(-1, 0))
        assert torch.allclose(y[:, j], alone.movedim(0, -1), atol=1e-12)


@pytest.mark.parametrize(("n_bins", "hidden"), [(3, None), (12, None), (11, None), (3, (5, 2))])
@pytest.mark.parametrize("overlap_added", [False, True])
def test_equals_a_plain_computation_step_by_step(n_bins, hidden, overlap_added):
    """One item and target at a time, a frame of all bins and channels a step."""
    width, n_slices = 4, 3
    network = random(RecurrentBlockNetwork(n_bins, width, 3, 2, hidden, overlap_added))
    x = torch.rand(2, 2, n_bins, n_slices, width, dtype=torch.float64)
    masks = network(x)
    assert masks.shape == (2, 3, 2, n_bins, n_slices, width)
    assert (network.encode is None) == (n_bins == 3 and hidden is None)

    def normed(rows, layer, j):
        part = slice(j * rows.shape[1], (j + 1) * rows.shape[1])
        mean, var = layer.running_mean[part], layer.running_var[part]
        return (rows - mean) / (var + layer.eps).sqrt() * layer.weight[part] + layer.bias[part]

    for b in range(2):
        stream = overlap_add(x[b]) if overlap_added else x[b].flatten(-2)
        stream = (stream + network.shift[:, None]) * network.scale[:, None]
        # Each row is one time: what both channels hold in all bins there.
        frames = torch.stack([stream[..., n].flatten() for n in range(stream.shape[-1])])
        for j in range(3):
            rows = frames
            if network.encode is not None:
                rows = rows @ network.encode.weight[..., 0].chunk(3)[j].T
                rows = normed(rows, network.norm_encode, j).tanh()
            rows = torch.cat([rows, cell_by_cell(network.lstm.groups[j], rows)], dim=1)
            rows = rows @ network.decode_inner.weight[..., 0].chunk(3)[j].T
            rows = normed(rows, network.norm_decode, j).relu()
            weight, bias = network.decode_outer.weight[..., 0], network.decode_outer.bias
            rows = (rows @ weight.chunk(3)[j].T + bias.chunk(3)[j]).sigmoid()
            for s in range(n_slices):
                first = s * (width // 2 if overlap_added else width)
                for t in range(width):
                    expected = rows[first + t].unflatten(0, (2, n_bins))
                    assert torch.allclose(masks[b, j, :, :, s, t], expected, atol=1e-10)


def test_permuted_bins_are_permuted_features_and_nothing_else():
    """Bins in another order, with the weights that belong to them: the same masks."""
    n_bins = 12
    network = random(RecurrentBlockNetwork(n_bins, 4, 2, 2))
    x = torch.rand(1, 2, n_bins, 3, 4, dtype=torch.float64)
    masks = network(x)
    order = torch.randperm(n_bins, generator=torch.Generator().manual_seed(0))
    features = (torch.arange(2)[:, None] * n_bins + order).flatten()
    outputs = (torch.arange(2)[:, None] * 2 * n_bins + features).flatten()
    with torch.no_grad():
        for p in (network.shift, network.scale):
            p.copy_(p[order].clone())
        network.encode.weight.copy_(network.encode.weight[:, features].clone())
        for p in network.decode_outer.parameters():
            p.copy_(p[outputs].clone())
    assert torch.allclose(network(x[:, :, order]), masks[:, :, :, order], atol=1e-12)


def test_reversed_time_with_exchanged_directions_is_reversed():
    """Sequences run over time: that is what the two directions of the LSTM are about."""
    network = random(RecurrentBlockNetwork(3, 4, 2, 2))
    x = torch.rand(1, 2, 3, 5, 4, dtype=torch.float64)
    masks = network(x)
    state = network.state_dict()
    n_hidden = network.lstm.groups[0].hidden_size
    for name in [n for n in state if ".groups." in n and not n.endswith("_reverse")]:
        forward, backward = state[name].clone(), state[f"{name}_reverse"].clone()
        if "weight_ih" in name and "_l0" not in name:  # reads what both directions gave
            forward, backward = (w.roll(n_hidden, dims=1) for w in (forward, backward))
        state[name], state[f"{name}_reverse"] = backward, forward
    width = network.decode_inner.in_channels // 2
    inner = state["decode_inner.weight"]
    ends = inner[:, width - 2 * n_hidden :].roll(n_hidden, dims=1)
    state["decode_inner.weight"] = torch.cat([inner[:, : width - 2 * n_hidden], ends], dim=1)
    network.load_state_dict(state)
    mirrored = network(x.flatten(-2).flip(-1).unflatten(-1, (5, 4)))
    expected = masks.flatten(-2).flip(-1).unflatten(-1, (5, 4))
    assert torch.allclose(mirrored, expected, atol=1e-12)


@pytest.mark.parametrize("preset", with_slow(["v1-lstm", "v2-lstm"], "v1-lstm"))
def test_presets_train_serialise_and_load(preset, tmp_path):
    torch.manual_seed(0)
    model = XUMXSliCQ.from_preset(preset, **TINY)
    mix = 0.1 * torch.randn(2, 2, 2000)
    model(mix).square().sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name
    model.eval()
    torch.save(model.serialize(), tmp_path / "model.pth")
    loaded = XUMXSliCQ.from_pretrained(str(tmp_path / "model.pth")).eval()
    assert loaded.get_model_args() == model.get_model_args()
    with torch.inference_mode():
        assert torch.equal(loaded(mix), model(mix))


def test_masks_of_overlapping_slices_are_shared():
    network = random(RecurrentBlockNetwork(2, 6, overlap_added=True))
    masks = network(torch.rand(1, 2, 2, 4, 6, dtype=torch.float64))
    assert torch.equal(masks[..., :-1, 3:], masks[..., 1:, :3])
