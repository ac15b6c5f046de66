"""Facts about pictures as arrays."""

import numpy as np
import pytest
import torch

from asteroid_slicq.plotting import amplitude_image, drawing_transform

RATE = 8000
TRANSFORM = drawing_transform(RATE, n_bins=80)


def test_a_tone_is_drawn_where_and_when_it_sounds():
    time = torch.arange(4 * RATE) / RATE
    tone = 0.5 * torch.sin(2 * np.pi * 440 * time) * (time >= 2)
    image, (low_hz, high_hz) = amplitude_image(torch.stack([tone, tone]), TRANSFORM, 60, 100)
    assert image.shape == (60, 100)
    row, column = np.unravel_index(image.argmax(), image.shape)
    assert abs(row + 0.5 - 60 * np.log(440 / low_hz) / np.log(high_hz / low_hz)) <= 1
    assert column >= 50
    assert image.max() == pytest.approx(0.5, rel=0.25)
    assert image[:, :45].max() < 1e-3 < 0.3 < image[:, 55:95].max(axis=0).min()
    assert (low_hz, high_hz) == pytest.approx((32, 4000), rel=0.02)


@pytest.mark.parametrize("n_samples", [1, 100, 5000])
def test_short_signals_fill_all_columns(n_samples):
    image, _ = amplitude_image(torch.ones(n_samples), TRANSFORM, 7, 50)
    assert image.shape == (7, 50)
    assert np.isfinite(image).all()


def test_no_pixels_are_refused():
    with pytest.raises(ValueError, match="n_rows and n_columns"):
        amplitude_image(torch.ones(10), TRANSFORM, 0, 5)
