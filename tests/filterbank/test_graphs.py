"""Models with the filterbank as CUDA graphs: losses and gradients are those of launched kernels."""

import copy

import pytest
import torch
from asteroid_filterbanks import make_enc_dec
from torch import nn

import asteroid_slicq  # noqa: F401  (registers the filterbank)
from tests.helpers import noise


class Masking(nn.Module):
    """The shortest model that Asteroid's are built like."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        arguments = {"n_filters": 64, "kernel_size": 16, "stride": 8, "sample_rate": 8000}
        self.encoder, self.decoder = make_enc_dec("slicqt", **arguments)
        self.mask = nn.Conv1d(64, 64, 3, padding=1)

    def forward(self, waveform):
        coefficients = self.encoder(waveform)
        masked = coefficients * self.mask(coefficients).sigmoid()
        return self.decoder(masked, length=waveform.shape[-1])


def gradients(model, call, waveform):
    model.zero_grad()
    estimate = call(waveform)
    estimate.square().mean().backward()
    return [estimate.detach(), *(p.grad.clone() for p in model.parameters() if p.requires_grad)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
# Of PyTorch 2.11's own rehearsals on another stream.
@pytest.mark.filterwarnings("ignore:The AccumulateGrad node's stream")
def test_a_model_with_the_filterbank_on_cuda():
    model = Masking().cuda()
    waveforms = [noise(2, 1, 8000, seed=seed).cuda() for seed in range(3)]
    expected = [gradients(model, model, waveform) for waveform in waveforms]
    captured = copy.deepcopy(model)
    call = torch.cuda.make_graphed_callables(captured, (waveforms[0].clone(),))
    for waveform, one in zip(waveforms, expected, strict=True):
        for tensor, other in zip(one, gradients(captured, call, waveform), strict=True):
            torch.testing.assert_close(other, tensor, rtol=1e-3, atol=1e-6)


def test_gradients_reach_the_mask_through_both_directions():
    found = gradients(model := Masking(), model, noise(2, 1, 8000))
    assert all(tensor.isfinite().all() and tensor.any() for tensor in found)
