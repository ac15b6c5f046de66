"""Pictures of coefficients and scores; they need matplotlib (extra ``plot``)."""

from asteroid_slicq.plotting.scores import plot_scores
from asteroid_slicq.plotting.spectrograms import (
    drawing_transform,
    plot_spectrogram,
    plot_stft,
    plot_waveform_spectrogram,
)

__all__ = [
    "drawing_transform",
    "plot_scores",
    "plot_spectrogram",
    "plot_stft",
    "plot_waveform_spectrogram",
]
