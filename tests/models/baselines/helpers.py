"""Small baselines with random weights, in the mode of evaluation."""

from functools import partial

import torch

from asteroid_slicq.models import NMF, UNet, WaveUNet

RATE = 8000
_SLICQT = {"n_bins": 20, "f_min_hz": 100.0, "min_width": 8, "slice_length": 1024}
_ON_SLICQT = {"transform": "slicqt", "transform_arguments": _SLICQT}
_STFT = {"transform_arguments": {"n_fft": 256}}
_UNET = partial(UNet, sample_rate=RATE, hidden_channels=(4, 6))
_NMF = partial(NMF, sample_rate=RATE, n_components=3, n_iterations=10)
_WAVE = partial(WaveUNet, sample_rate=RATE, n_layers=3, n_features=4)
KINDS = {
    "nmf": partial(_NMF, **_STFT),
    "nmf-slicqt": partial(_NMF, **_ON_SLICQT),
    "nmf-kl": partial(_NMF, divergence="kullback-leibler", **_STFT),
    "unet": partial(_UNET, **_STFT),
    "unet-slicqt": partial(_UNET, **_ON_SLICQT),
    "wave-unet": _WAVE,
    "wave-unet-learned": partial(_WAVE, upsampling="learned", output="direct"),
}


def tiny(kind: str, seed: int = 0, **arguments):
    torch.manual_seed(seed)
    return KINDS[kind](**arguments).eval()


def channels(kind: str, n: int) -> dict[str, int]:
    """The argument for a number of channels, which NMF has not: it takes any."""
    return {} if kind.startswith("nmf") else {"n_channels": n}
