"""Facts about analysis windows, their duals and the slicing window."""

import numpy as np
import pytest

from asteroid_slicq.transform import design_frame
from asteroid_slicq.transform.windows import WINDOWS, analysis_windows, bell, canonical_dual, tukey

FRAMES = {
    "published": {},
    "hann": {"window": "hann", "min_width": 32},
    "sine": {"window": "sine", "scale": "mel", "n_bins": 60},
    "plateaus": {"window": "hann", "n_bins": 30, "f_min_hz": 500.0, "f_max_hz": 17000.0},
    "from 0 Hz": {"scale": "linear", "n_bins": 40, "f_min_hz": 0.0},
    "piecewise": {"rasterize": "piecewise", "n_bins": 48, "scale": "log", "f_min_hz": 80.0},
    "full": {"rasterize": "full", "n_bins": 24},
    "odd rate": {"sample_rate": 11025.5, "n_bins": 24, "bandwidth_factor": 1.6},
}
each_frame = pytest.mark.parametrize("frame", FRAMES)


def build(frame: str):
    return design_frame(**FRAMES[frame])


@pytest.mark.parametrize("width", [4, 16, 20, 292])
def test_formulas(width):
    j = np.arange(-width // 2, width // 2)
    u = 2 * np.pi * j / width
    harris = 0.35872 + 0.48832 * np.cos(u) + 0.14128 * np.cos(2 * u) + 0.01168 * np.cos(3 * u)
    assert np.abs(bell("blackman-harris", width) - harris).max() < 1e-15
    assert np.abs(bell("hann", width) - np.cos(u / 4 * 2) ** 2).max() < 1e-15
    assert np.abs(bell("sine", width) - np.cos(u / 2)).max() < 1e-15


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("width", [4, 5, 16, 33, 292])
def test_bells_are_one_at_the_centre_even_and_fall_to_the_edge(window, width):
    g = bell(window, width)
    centre = width // 2
    assert g[centre] == pytest.approx(1, abs=1e-15)
    assert (np.diff(g[centre:]) < 0).all()
    right = g[centre + 1 :]
    assert np.abs(g[centre - len(right) : centre][::-1] - right).max() < 1e-15
    if width % 2 == 0:
        assert abs(g[0]) < 1e-15


def test_main_lobes_are_ordered():
    """In time, the sine window's response is the shortest and Blackman–Harris' the longest."""
    spread = {name: np.sum(bell(name, 256) ** 2) for name in WINDOWS}
    assert spread["sine"] > spread["hann"] > spread["blackman-harris"]


def test_an_unknown_window_is_told_the_nearest():
    with pytest.raises(ValueError, match="got 'haan'; nearest that works: 'hann'"):
        bell("haan", 16)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("end", [0, -1])
def test_a_wider_end_bin_is_a_plateau_with_flanks_of_its_neighbour(window, end):
    widths = np.array([16, 20, 24, 20, 16])
    widths[end] = 60
    windows = analysis_windows(widths, window)
    plateau, flank = windows[end], 20
    hann = 0.5 + 0.5 * np.cos(2 * np.pi * np.arange(-10, 10) / 20)
    assert len(plateau) == 60
    assert np.abs(plateau[:10] - hann[:10]).max() < 1e-15
    assert (plateau[10:-10] == 1).all()
    assert np.abs(plateau[-10:] - hann[10:]).max() < 1e-15
    assert (plateau == 1).sum() == 60 - flank + 1
    for k in {0, 1, 2, 3, 4} - {end % 5}:
        assert np.array_equal(windows[k], bell(window, int(widths[k])))


@pytest.mark.parametrize("width", [16, 20])
def test_an_end_bin_no_wider_than_its_neighbour_is_a_bell(width):
    for k, g in enumerate(analysis_windows(np.array([width, 20, 20, width]), "hann")):
        assert np.array_equal(g, bell("hann", width if k in (0, 3) else 20))


@each_frame
def test_dual_windows_resolve_the_identity_at_every_dft_bin(frame):
    """Σ M g g̃ / M = 1 on the whole spectrum, mirrored; and the dual is the one of [B11]."""
    frame = build(frame)
    n = frame.slice_length
    operator, identity = np.zeros(n), np.zeros(n)
    last = frame.n_bins - 1
    for k in range(frame.n_bins):
        g, dual, m = frame.windows[k], frame.duals[k], frame.lengths[k]
        bins = frame.positions[k] + np.arange(len(g)) - len(g) // 2
        for sense in (1, -1)[: 1 if k in (0, last) else 2]:
            np.add.at(operator, sense * bins % n, m * g**2)
            np.add.at(identity, sense * bins % n, g * dual)
    assert np.abs(identity - 1).max() < 1e-12
    assert operator.min() > 0
    for k in range(frame.n_bins):
        width = len(frame.windows[k])
        bins = (frame.positions[k] + np.arange(width) - width // 2) % n
        expected = frame.lengths[k] * frame.windows[k] / operator[bins]
        assert np.abs(frame.duals[k] - expected).max() < 1e-13


@each_frame
def test_the_frame_is_painless(frame):
    """No window is longer than the IDFT of its bin; so the frame operator is a diagonal."""
    frame = build(frame)
    assert (frame.widths <= frame.lengths).all()
    assert [len(g) for g in frame.windows] == frame.widths.tolist()


def test_a_hole_in_the_spectrum_is_told():
    windows = analysis_windows(np.array([16, 16, 16]), "hann")
    with pytest.raises(ValueError, match="no bin covers the DFT bins 8 … 92 of 100"):
        canonical_dual(windows, np.array([0, 30, 50]), np.array([16, 16, 16]), 100)


@pytest.mark.parametrize(
    ("n", "transition"), [(64, 2), (64, 16), (64, 32), (1000, 250), (18060, 4516)]
)
def test_slicing_windows(n, transition):
    """A partition of unity, zero for a margin, one in the middle, half a Hann between."""
    w = tukey(np.arange(n, dtype=np.float64), n, transition)
    assert np.abs(w[: n // 2] + w[n // 2 :] - 1).max() < 1e-15
    margin = n // 4 - transition // 2
    assert not w[: margin + 1].any()
    assert not w[n - margin :].any()
    assert (w[n // 4 + transition // 2 : 3 * n // 4 - transition // 2 + 1] == 1).all()
    rise = np.arange(transition + 1) / transition
    expected = np.sin(np.pi / 2 * rise) ** 2
    assert np.abs(w[margin : margin + transition + 1] - expected).max() < 1e-15
    assert w[n // 4] == pytest.approx(0.5, abs=1e-15)
    assert np.abs(w[1:] - w[1:][::-1]).max() < 1e-15  # even about N/2


def test_slicing_window_between_the_samples():
    """At the times of a bin's coefficients, fractions of a sample, it still sums to one."""
    frame = build("odd rate")
    for m in {m for _, m in frame.blocks}:
        w = frame.slicing_window_at(m)
        assert np.abs(w[: m // 2] + w[m // 2 :] - 1).max() < 1e-15
        times = np.arange(m) * frame.slice_length / m
        near = np.interp(times, np.arange(frame.slice_length), frame.slicing_window)
        assert np.abs(w - near).max() < (np.pi / frame.transition_length) ** 2
