"""Small band-split models, the heads of which do something."""

import torch

from asteroid_slicq import BandSplit

RATE = 8000
TINY = {
    "sample_rate": RATE,
    "transform_arguments": {"n_bins": 20, "f_min_hz": 100.0, "min_width": 8, "slice_length": 1024},
    "min_band_hz": 100.0,
    "width": 16,
    "n_layers": 1,
    "head_width": 3,
}
TINY_STFT = {**TINY, "transform": "stft", "transform_arguments": {"n_fft": 256, "hop": 100}}


def tiny(seed=0, **arguments) -> BandSplit:
    """A model with random weights, in the mode of evaluation, whose masks differ."""
    torch.manual_seed(seed)
    base = TINY_STFT if arguments.get("transform") == "stft" else TINY
    model = BandSplit(**{**base, **arguments}).eval()
    for head in model.network.heads_out:
        torch.nn.init.normal_(head.bias, std=0.5)
    return model
