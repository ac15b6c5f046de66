"""Callbacks: averaged weights are the mean that is promised, and leave constants alone."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from tests.helpers import ROOT


def test_averages_fade_and_keep_what_never_changes(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes/musdb18hq"))
    from common.callbacks import AveragedWeights

    model = nn.BatchNorm1d(3)
    window = torch.rand(7)
    model.register_buffer("window", window.clone())
    averaged = AveragedModel(model, use_buffers=True, **AveragedWeights(0.9)._kwargs)
    expected = model.weight.detach().clone()
    for n in range(40):
        with torch.no_grad():
            model.weight.copy_(torch.full((3,), float(n)))
            model.num_batches_tracked.fill_(n)
        averaged.update_parameters(model)
        keep = 0.0 if n == 0 else min(0.9, (1 + n) / (10 + n))
        expected = keep * expected + (1 - keep) * n
    torch.testing.assert_close(averaged.module.weight.detach(), expected)
    assert torch.equal(averaged.module.window, window)
    assert averaged.module.num_batches_tracked.item() == 39
