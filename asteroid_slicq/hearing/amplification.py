"""Linear amplification of waveforms for a listener, as a hearing aid does it at least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from asteroid_slicq.hearing.audiograms import Audiogram, hearing_loss
from asteroid_slicq.hearing.cochlea import EAR_RATE, NALR_TAPS, nalr


def amplify(
    waveform: NDArray[np.floating], audiogram: Audiogram, sample_rate: float
) -> NDArray[np.floating]:
    """Amplify by the rule NAL-R, without a delay; normal hearing leaves the waveform as it is.

    Args:
        waveform: any number of signals.
        audiogram: see :func:`~asteroid_slicq.hearing.hearing_loss`.
        sample_rate: in Hz.

    Shape:
        - waveform, output: ``(..., time)``
    """
    loss_db = hearing_loss(audiogram)
    if loss_db.max() <= 0:
        return waveform
    half = round(NALR_TAPS // 2 * sample_rate / EAR_RATE)
    taps = nalr(loss_db, sample_rate, 2 * half + 1)
    taps = taps.reshape((1,) * (waveform.ndim - 1) + (-1,))
    full = oaconvolve(waveform, taps, axes=-1)
    return full[..., half : half + waveform.shape[-1]]
