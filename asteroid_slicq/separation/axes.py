"""Axes and channels of a waveform: those that a model takes, and those that were given."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from torch import Tensor

Waveform = TypeVar("Waveform", np.ndarray, Tensor)


def to_batch(waveform: Waveform) -> Waveform:
    """``(time,)`` and ``(channel, time)`` as ``(batch, channel, time)``."""
    return waveform[(None,) * (3 - waveform.ndim)]


def mix_to_batch(mix: Tensor, n_channels: int | None = None) -> Tensor:
    """A mix as ``(batch, channel, time)``, for a model of so many channels, or of any.

    Raises:
        ValueError: for other axes or channels.
    """
    batch = to_batch(mix)
    if not 1 <= mix.ndim <= 3 or batch.shape[1] != (n_channels or batch.shape[1]):
        channels = f"{n_channels} channels" if n_channels else "channel"
        raise ValueError(f"mix must be (batch, {channels}, time), got {tuple(mix.shape)}")
    return batch


def from_batch(sources: Waveform, n_axes: int) -> Waveform:
    """``(batch, source, channel, time)`` without the axes that a mix of ``n_axes`` had not."""
    if n_axes == 1:
        return sources[0, :, 0]
    if n_axes == 2:
        return sources[0, ...]
    return sources


def to_model_channels(mix: Tensor, n_channels: int) -> Tensor:
    """Mono duplicated for a model of more channels; each channel on its own for a mono model.

    Shape:
        - mix: ``(batch, channel, time)``
        - output: ``(batch, n_channels, time)``; ``(batch · channel, 1, time)`` for a mono model
    """
    if n_channels == 1:
        return mix.flatten(0, 1).unsqueeze(1)
    return mix.expand(-1, n_channels, -1)


def from_model_channels(sources: Tensor, n_channels: int) -> Tensor:
    """Sources with the channels that the mix had, the inverse of :func:`to_model_channels`.

    Shape:
        - sources: ``(batch, source, channel, time)``, or of a mono model
          ``(batch · n_channels, source, 1, time)``
        - output: ``(batch, source, n_channels, time)``
    """
    if sources.shape[2] == 1:
        return sources.squeeze(2).unflatten(0, (-1, n_channels)).transpose(1, 2)
    return sources.mean(2, keepdim=True) if n_channels == 1 else sources
