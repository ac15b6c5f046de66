"""Small realtime models and what streams and ONNX are compared with."""

import random

import torch

from asteroid_slicq import XUMXSliCQ

SMALL = {"n_bins": 36, "f_min_hz": 300.0, "window": "hann"}
"""Blocks whose networks have kernels over 1 and 3 bins."""
WIDE = {**SMALL, "n_bins": 48}
"""The same, over 1 and 5 bins."""


def causal_model(seed=0, **options):
    """A realtime model, the batch norms and the shift and scale of which do something."""
    torch.manual_seed(seed)
    model = XUMXSliCQ.from_preset(
        "v2-realtime",
        **{"hidden_channels": (3, 2), "sample_rate": 8000, "transform": SMALL, **options},
    )
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
    for block in model.blocks:
        if hasattr(block, "shift"):
            torch.nn.init.normal_(block.shift)
            torch.nn.init.uniform_(block.scale, 0.5, 2.0)
    return model.eval()


def pieces(length, how, seed=0):
    """Sizes of blocks."""
    draw, sizes = random.Random(seed), []
    some = {"random": [0, 1, 7, 64, 150, 431, 1500], "one": [1], "whole": [length], "odd": [97]}
    while sum(sizes) < length:
        sizes.append(min(draw.choice(some[how]), length - sum(sizes)))
    return sizes


def streamed(separator, mix, how, seed=0):
    out = [separator.push(block) for block in mix.split(pieces(mix.shape[-1], how, seed), dim=-1)]
    return torch.cat([*out, separator.flush()], dim=-1)


def offline(model, mix):
    with torch.no_grad():
        return model(mix)
