"""Losses of separators over combinations of sources: coefficients, waveforms and masks.

The losses of X-UMX (Sawata et al., "All for one and one for all", arXiv:2010.04228) for ragged
time-frequency coefficients and for waveforms. With ``J`` sources, a *combination* is a subset of 1
to ``J - 1`` of them; estimates and targets are summed over the subset and compared. The ``2^J - 2``
combinations tie the sources together: what one estimate leaves out, another one must hold.

:mod:`~asteroid_slicq.losses.combinations` compares tensors of any kind,
:mod:`~asteroid_slicq.losses.waveforms` holds the signal-to-distortion ratios, and
:mod:`~asteroid_slicq.losses.multi_domain` adds them up to what an
xumx-sliCQ is trained with. :mod:`~asteroid_slicq.losses.multi_resolution` is what a band-split
model is: waveforms, their STFTs and coefficients. :mod:`~asteroid_slicq.losses.time_losses` has
losses of waveforms by name, HAAQI among them, and takes those of other packages.
"""

from asteroid_slicq.losses.combinations import (
    combination_l1,
    combination_loss,
    combination_magnitude_mse,
    combination_mse,
    source_combinations,
)
from asteroid_slicq.losses.magnitude import MagnitudeL1Loss
from asteroid_slicq.losses.multi_domain import (
    XUMX_LOSS_PRESETS,
    XUMXLoss,
    XUMXLossParts,
    mask_sum_mse,
)
from asteroid_slicq.losses.multi_resolution import MultiResolutionLoss, MultiResolutionLossParts
from asteroid_slicq.losses.time_losses import TIME_LOSSES, HAAQILoss, TimeLoss
from asteroid_slicq.losses.waveforms import (
    combination_sd_sdr,
    combination_sdr,
    combination_si_sdr,
    combination_weighted_sdr,
)

__all__ = [
    "TIME_LOSSES",
    "XUMX_LOSS_PRESETS",
    "HAAQILoss",
    "MagnitudeL1Loss",
    "MultiResolutionLoss",
    "MultiResolutionLossParts",
    "TimeLoss",
    "XUMXLoss",
    "XUMXLossParts",
    "combination_l1",
    "combination_loss",
    "combination_magnitude_mse",
    "combination_mse",
    "combination_sd_sdr",
    "combination_sdr",
    "combination_si_sdr",
    "combination_weighted_sdr",
    "mask_sum_mse",
    "source_combinations",
]
