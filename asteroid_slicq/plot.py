"""Pictures of coefficients, see :mod:`asteroid_slicq.plotting`."""

from asteroid_slicq.plotting import (
    drawing_transform,
    plot_spectrogram,
    plot_stft,
    plot_waveform_spectrogram,
)

__all__ = ["drawing_transform", "plot_spectrogram", "plot_stft", "plot_waveform_spectrogram"]
