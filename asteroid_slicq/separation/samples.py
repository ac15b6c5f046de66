"""Samples and sample rates as callers give them, checked."""

from __future__ import annotations

import math

import numpy as np
import torch

from asteroid_slicq.transform import check_sample_type


def check_rate(sample_rate: float) -> float:
    """The sample rate as a number.

    Raises:
        ValueError: not positive, or not finite.
    """
    if not (sample_rate > 0 and math.isfinite(sample_rate)):
        raise ValueError(f"sample_rate must be positive and finite, got {sample_rate}")
    return float(sample_rate)


def as_array(waveform: np.ndarray | torch.Tensor) -> np.ndarray:
    """The samples of a waveform in float32, once they are known to be usable.

    Raises:
        TypeError: not an array or tensor of floating-point samples.
        ValueError: a number of axes that cannot be served, no samples, or some that are not finite.
    """
    if isinstance(waveform, torch.Tensor):
        check_sample_type(waveform.dtype, waveform.is_floating_point())
        array = waveform.detach().to("cpu", torch.float32).resolve_neg().numpy()
    elif isinstance(waveform, np.ndarray):
        check_sample_type(waveform.dtype, np.issubdtype(waveform.dtype, np.floating))
        array = waveform.astype(np.float32, copy=False)
    else:
        raise TypeError(
            f"wav must be a path, a NumPy array or a tensor, got a {type(waveform).__name__}"
        )
    if not 1 <= array.ndim <= 3:
        raise ValueError(
            f"waveform must be (time,), (channel, time) or (batch, channel, time), "
            f"got shape {array.shape}"
        )
    if array.size == 0:
        raise ValueError(f"waveform holds no samples: shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("waveform must be finite, it holds NaN or infinite samples")
    return array
