"""The separators that are compared: how each is made, and the loss of its authors.

A new one is a row of :data:`RIVALS`; one with other arguments is named with them, see
:func:`rival_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import frames
import torch
import yaml
from system import XUMXSystem, waveforms_of  # of ../musdb18hq/xumx_slicq
from torch import Tensor, nn
from xumx_stft import XUMXOnSTFT

from asteroid_slicq import BandSplit, XUMXSliCQ
from asteroid_slicq.losses import MagnitudeL1Loss, MultiResolutionLoss, XUMXLoss
from asteroid_slicq.models import NMF, UNet, WaveUNet
from asteroid_slicq.vocabulary import STEMS

OPTIMIZERS = ("adam", "muon")
Losses = Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Rival:
    """A separator in the comparison.

    Attributes:
        title: in tables.
        make: a model with random weights.
        make_tiny: the same, of next to no parameters, for a quick run.
        own_loss: the loss of its authors; the one that all may share where it is that.
        peak_rate: of learning.
        optimizer: ``adam`` or ``muon``.
        package: that has to be installed, with what installs it.
        fit: what finds a model on batches of stems where no gradient does, in so many seconds.
        by_default: whether it is compared where none is named.
    """

    title: str
    make: Callable[[], Any]
    make_tiny: Callable[[], Any]
    own_loss: Callable[[], nn.Module]
    peak_rate: float
    package: tuple[str, str] | None = None
    fit: Callable[[Any, Iterable[Tensor], float], Any] | None = None
    by_default: bool = True
    optimizer: str = "adam"

    @property
    def is_there(self) -> bool:
        """Whether the package that it comes from is installed."""
        return self.package is None or find_spec(self.package[0]) is not None


def common_loss(tiny: bool = False) -> MultiResolutionLoss:
    """Waveforms and their STFTs: what all rivals are trained with unless told otherwise."""
    return MultiResolutionLoss(stft_weight=2.0, n_ffts=[512] if tiny else [4096, 1024, 256])


def _xumx(preset: str, **arguments: Any) -> XUMXSliCQ:
    # The phase of the mix: Wiener-EM is no part of a network.
    return XUMXSliCQ.from_preset(preset, sources=STEMS, wiener_iterations=0, **arguments)


def _htdemucs(**arguments: Any) -> nn.Module:
    from demucs.htdemucs import HTDemucs

    class Demucs(HTDemucs):
        """Of any length; padded by itself to that of a segment, which waveforms here are not."""

        def __init__(self, **arguments: Any) -> None:
            super().__init__(list(STEMS), use_train_segment=False, **arguments)
            self.sample_rate = self.samplerate

    return Demucs(**arguments)


_TINY_SLICQT = {"n_bins": 24, "f_min_hz": 200.0}
_TINY_BANDS = {"width": 16, "n_layers": 1, "head_width": 3, "bands_per_octave": 2.0}
_v2_loss = XUMXLoss
_v1_loss = partial(XUMXLoss.from_preset, "v1")
# 10 is the paper's weight of the weighted SDR.
_xumx_loss = partial(XUMXLoss, 0.0, None, "magnitude", "all", "wsdr", 10.0)


_sums_loss = partial(MultiResolutionLoss, stft_weight=2.0, n_ffts=[4096, 1024], subsets="all")


def _fit_dictionaries(model: NMF, stems: Iterable[Tensor], max_s: float) -> None:
    model.fit(stems, max_s=max_s)


def _nmf(title: str, **arguments: Any) -> Rival:
    tiny = partial(NMF, n_components=2, n_iterations=3, **arguments)
    return Rival(
        title, partial(NMF, **arguments), tiny, MagnitudeL1Loss, 1e-3, fit=_fit_dictionaries
    )


def _unet(title: str, **arguments: Any) -> Rival:
    tiny = partial(UNet, hidden_channels=(2, 3), **arguments)
    return Rival(title, partial(UNet, **arguments), tiny, MagnitudeL1Loss, 1e-3)


def _wave_unet(title: str, **arguments: Any) -> Rival:
    tiny = partial(WaveUNet, n_layers=3, n_features=2, **arguments)
    return Rival(title, partial(WaveUNet, **arguments), tiny, nn.MSELoss, 1e-3)


def _in_frames(title: str, make: Callable[..., Any]) -> Rival:
    tiny = partial(make, hidden_channels=(2, 3))
    return Rival(title, make, tiny, _sums_loss, 2e-3, by_default=False)


def _band_split(title: str, preset: str, **arguments: str) -> Rival:
    return Rival(
        title,
        partial(BandSplit.from_preset, preset, **arguments),
        partial(BandSplit, **arguments, **_TINY_BANDS),
        common_loss,
        1e-3,
    )


RIVALS: dict[str, Rival] = {
    "v1": Rival(
        "xumx-sliCQ V1",
        partial(_xumx, "v1"),
        partial(_xumx, "v1", hidden_channels=(2, 3), transform=_TINY_SLICQT),
        _v1_loss,
        1e-3,
    ),
    "v2": Rival(
        "xumx-sliCQ V2",
        partial(_xumx, "v2"),
        partial(_xumx, "v2", hidden_channels=(2, 3), transform=_TINY_SLICQT),
        _v2_loss,
        2e-3,
    ),
    "xumx": Rival("X-UMX on the STFT", XUMXOnSTFT, partial(XUMXOnSTFT, hidden=4), _xumx_loss, 1e-3),
    "bandsplit": _band_split("BandSplit", "bandsplit"),
    "bandsplit-stft": _band_split("BandSplit on the STFT", "bandsplit", transform="stft"),
    "bandsplit-small": _band_split("BandSplit, small", "bandsplit-small"),
    "bandsplit-small-stft": _band_split(
        "BandSplit, small, on the STFT", "bandsplit-small", transform="stft"
    ),
    "htdemucs": Rival(
        "HTDemucs",
        _htdemucs,
        partial(_htdemucs, channels=16, t_layers=1, t_heads=2),
        nn.L1Loss,
        3e-4,
        ("demucs", "pip install demucs"),
    ),
    "nmf": _nmf("NMF, Itakura–Saito"),
    "nmf-kl": _nmf("NMF, Kullback–Leibler", divergence="kullback-leibler"),
    "nmf-slicqt": _nmf("NMF, Itakura–Saito, on the sliCQT", transform="slicqt"),
    "unet": _unet("singing-voice U-Net"),
    "unet-slicqt": _unet("singing-voice U-Net on the sliCQT", transform="slicqt"),
    "wave-unet": _wave_unet("Wave-U-Net"),
    "wave-unet-learned": _wave_unet("Wave-U-Net, learned up-sampling", upsampling="learned"),
    "frame-published": _in_frames("V2, small, published frame", frames.published),
    "frame-shared": _in_frames("V2, small, best shared frame", frames.shared),
    "frame-per-target": _in_frames("V2, small, a frame for each source", frames.per_target),
}
"""By the names of the command line."""


def rival_of(name: str) -> Rival:
    """A rival, or a variant of one: its name, and arguments of its model that differ.

    ``"bandsplit-small complex_input=false layer_dropout=0.1"``; values are YAML, and ``lr`` is the
    peak of the learning rate.

    Raises:
        ValueError: for an unknown rival, or what is no argument.
    """
    base, *changes = name.split()
    if base not in RIVALS:
        raise ValueError(f"rivals must be of {', '.join(RIVALS)}, got {base!r}")
    rival, arguments = RIVALS[base], {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not key or not equals:
            raise ValueError(f"an argument of a rival must be KEY=VALUE, got {change!r}")
        try:
            arguments[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ValueError(f"the value of {key} must be YAML, got {value!r}") from None
    if not changes:
        return rival
    peak_rate = float(arguments.pop("lr", rival.peak_rate))
    optimizer = arguments.pop("optimizer", rival.optimizer)
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer must be of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
    return replace(
        rival,
        title=f"{rival.title}: {', '.join(changes)}",
        make=partial(rival.make, **arguments),
        make_tiny=partial(rival.make_tiny, **arguments),
        peak_rate=peak_rate,
        optimizer=optimizer,
    )


def losses_of(model: Any, loss: nn.Module) -> Losses:
    """The losses of a batch of stems ``(batch, source, channel, time)``."""
    if isinstance(loss, XUMXLoss):
        return XUMXSystem(model, None, loss, None).losses
    if isinstance(loss, MagnitudeL1Loss):
        return partial(_magnitude_losses, model, loss)

    def losses(stems: Tensor) -> dict[str, Tensor]:
        estimates = waveforms_of(model, stems.sum(1))
        with torch.autocast(stems.device.type, enabled=False):
            found = loss(estimates.float(), stems)
        return {"loss": getattr(found, "total", found)}

    return losses


def _magnitude_losses(model: UNet, loss: MagnitudeL1Loss, stems: Tensor) -> dict[str, Tensor]:
    """Of a model that masks magnitudes, whose waveforms are not needed."""
    with torch.autocast(stems.device.type, enabled=False):
        targets = model.analyse(stems)
    estimate = model.estimate(stems.sum(1))
    return {"loss": loss(estimate.coefficients, targets)}
