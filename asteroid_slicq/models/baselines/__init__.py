"""Baselines to compare with: NMF, the singing-voice U-Net and Wave-U-Net."""

from asteroid_slicq.models.baselines.nmf import NMF
from asteroid_slicq.models.baselines.spectral import SpectralEstimate
from asteroid_slicq.models.baselines.unet import UNet
from asteroid_slicq.models.baselines.wave_unet import WaveUNet

__all__ = ["NMF", "SpectralEstimate", "UNet", "WaveUNet"]
