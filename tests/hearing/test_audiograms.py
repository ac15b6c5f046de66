import numpy as np
import pytest

from asteroid_slicq.hearing import AUDIOGRAM_HZ, AUDIOGRAMS, hearing_loss


def test_names_numbers_and_mappings_mean_the_same():
    named = hearing_loss("moderate")
    np.testing.assert_array_equal(named, AUDIOGRAMS["moderate"])
    np.testing.assert_array_equal(hearing_loss(AUDIOGRAMS["moderate"]), named)
    pairs = dict(zip(AUDIOGRAM_HZ, named, strict=True))
    np.testing.assert_allclose(hearing_loss(dict(reversed(pairs.items()))), named)


def test_a_loss_between_frequencies_lies_on_a_logarithmic_axis():
    assert hearing_loss({250: 0, 1000: 20})[1] == pytest.approx(10)
    assert hearing_loss({250: 0, 1000: 20})[-1] == 20


@pytest.mark.parametrize(
    ("audiogram", "error", "said"),
    [
        ("severe", ValueError, "audiogram must be one of normal, mild"),
        ([1, 2, 3], ValueError, "must hold 6 losses"),
        ({}, ValueError, "must hold 6 losses"),
        ([0, 0, 0, 0, 0, 200], ValueError, "losses of -20 to 120 dB"),
        ([0, 0, 0, 0, 0, float("nan")], ValueError, "losses of -20 to 120 dB"),
        ({-250: 10}, ValueError, "frequencies above 0 Hz"),
        ([0, 0, 0, 0, 0, "x"], TypeError, "must hold numbers"),
    ],
)
def test_what_is_no_audiogram(audiogram, error, said):
    with pytest.raises(error, match=said):
        hearing_loss(audiogram)
