"""Surround sound mixed to stereo by the coefficients of ITU-R BS.775."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_HALF_POWER = 0.5**0.5
# Channels by FFmpeg's names; annex 4 of BS.775 leaves out low-frequency effects.
_WEIGHTS = {
    "FL": (1.0, 0.0),
    "FR": (0.0, 1.0),
    "FC": (_HALF_POWER, _HALF_POWER),
    "LFE": (0.0, 0.0),
    "SL": (_HALF_POWER, 0.0),
    "SR": (0.0, _HALF_POWER),
    "BL": (_HALF_POWER, 0.0),
    "BR": (0.0, _HALF_POWER),
    "BC": (0.5, 0.5),
}
# What files hold that do not say it: the order of WAV and FLAC.
_USUAL = {
    3: "FL FR FC",
    4: "FL FR BL BR",
    5: "FL FR FC BL BR",
    6: "FL FR FC LFE BL BR",
    8: "FL FR FC LFE BL BR SL SR",
}


def stereo_weights(channels: Sequence[str]) -> np.ndarray:
    """Weights of channels in a stereo mix; nothing is rescaled, so that it may pass full scale.

    Channels have FFmpeg's names, ``"NONE"`` where the file has none. Shape: ``(2, channel)``.

    Raises:
        LookupError: channels of no place in BS.775, or a number of them that tells no places.
    """
    names = list(channels)
    if not set(names) & set(_WEIGHTS):
        names = _USUAL[len(names)].split()
    return np.array([_WEIGHTS[name] for name in names], np.float32).T
