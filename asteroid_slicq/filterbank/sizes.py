"""From Asteroid's numbers, filters and stride, to the frame of a matrix."""

from __future__ import annotations

import math
from dataclasses import replace

from asteroid_slicq import transform
from asteroid_slicq.transform import FrameConfig, UnfitError, frame_contraction, frame_of

ROUND_TRIP_DB = 100.0
"""Precision of the decoder of an unchanged spectrum, by the default number of passes."""


def passes_needed(given: FrameConfig, hop: int, n_filters: int) -> int:
    """Passes that bring the round trip to :data:`ROUND_TRIP_DB`; arguments: :func:`in_whole_hops`.

    Those of the ragged frame, a fraction of the work and the same to a few dB, as tests/filterbank
    tells.

    Raises:
        ValueError: when the passes do not converge.
    """

    def norm_of(given: FrameConfig) -> float:
        config = in_whole_hops(given, hop, n_filters)
        return frame_contraction(replace(config, rasterize="none", n_coefficients=None))

    try:
        return transform.passes_needed(
            norm_of(given), ROUND_TRIP_DB, lambda: transform.remedy(given, norm_of)
        )
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _scale_bins(config: FrameConfig) -> int:
    """Bins to ask the scale for, of a configuration whose ``n_bins`` counts those of the matrix.

    The frame drops a scale's bins at Nyquist, where scales end by default, and at DC, and adds its
    own: one more for each.
    """
    if not isinstance(config.scale, str):
        return config.n_bins  # it is ignored
    if config.scale == "octave":
        raise ValueError(
            "scale must be one whose bins n_filters can count, got 'octave', whose bins are "
            "counted by octaves; 'log' is the same scale"
        )
    to_nyquist = config.highest_hz >= config.nyquist_hz * (1 - 1e-12)
    return config.n_bins - 2 + to_nyquist + (config.f_min_hz == 0)


def in_whole_hops(config: FrameConfig, hop: int, n_filters: int) -> FrameConfig:
    """The matrix in slices of whole hops, whose bins all have ``slice_length / hop`` coefficients.

    Args:
        config: as the user gave it, ``n_bins`` being those of the matrix.
        hop: of the matrix in samples.
        n_filters: twice its bins.

    Raises:
        ValueError: when that is less than the widest bin needs, or there is no such frame.
    """
    config = replace(config, n_bins=_scale_bins(config))
    try:
        n, widest = _fit(config, hop)
    except UnfitError as error:
        if error.mended is None or error.mended.n_bins == config.n_bins:
            raise
        enough = n_filters + 2 * (error.mended.n_bins - config.n_bins)
        raise ValueError(
            f"n_filters = {n_filters} are too few ({error.reason}); nearest that works: "
            f"n_filters = {enough}"
        ) from None
    if n // hop < widest:
        shorter = min(hop, math.ceil(1.25 * n / widest))  # widths are rounded: not quite n / widest
        while n // shorter < widest:
            shorter -= 1
            n, widest = _fit(config, shorter)
        narrower = "use more filters, which makes bins narrower"
        if not isinstance(config.scale, str):
            narrower = "give the scale narrower bins"
        raise ValueError(
            f"stride = {hop} is too long for the widest bin; the nearest that works is {shorter}, "
            f"or {narrower}"
        )
    rise = config.transition_length
    return replace(
        config,
        slice_length=n,
        transition_length=2 * math.ceil(n / 16) if rise is None else rise,
        rasterize="full",
        overlap_added=True,
        n_coefficients=n // hop,
    )


def _fit(config: FrameConfig, hop: int) -> tuple[int, int]:
    """A slice length of whole hops and the width of the widest bin there."""
    # A longer slice gives a bin more DFT bins, except where it has the fewest allowed.
    needed = config.slice_length
    if needed is None:
        needed = max(frame_of(config).slice_length, config.min_width * hop)
    n = 4 * hop * math.ceil(needed / (4 * hop))
    return n, int(frame_of(replace(config, slice_length=n)).widths.max())
