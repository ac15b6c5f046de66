"""Pictures of coefficients and scores; only arrays of pixels do without matplotlib (``plot``)."""

from asteroid_slicq.plotting.images import amplitude_image
from asteroid_slicq.plotting.scores import plot_scores
from asteroid_slicq.plotting.spectrograms import (
    drawing_transform,
    plot_spectrogram,
    plot_stft,
    plot_waveform_spectrogram,
)

__all__ = [
    "amplitude_image",
    "drawing_transform",
    "plot_scores",
    "plot_spectrogram",
    "plot_stft",
    "plot_waveform_spectrogram",
]
