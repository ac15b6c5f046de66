"""Comparison of frames on some music, with its uncertainty, to recommend one of them.

Frames are compared on the same windows of the same tracks. How far a result hangs on which music
was at hand is told by the bootstrap (Efron, Tibshirani, "An introduction to the bootstrap", 1993):
tracks are drawn anew, with replacement, and within them blocks of neighbouring windows, and the
comparison is made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CANDIDATES: tuple[dict[str, Any], ...] = (
    {"scale": "bark", "n_bins": 262, "f_min_hz": 32.9},
    {"scale": "bark", "n_bins": 400, "f_min_hz": 32.9, "window": "hann", "min_bandwidth_hz": 40.0},
    {"scale": "bark", "n_bins": 504, "f_min_hz": 36.5, "window": "sine", "min_bandwidth_hz": 9.0},
    {"scale": "mel", "n_bins": 600, "f_min_hz": 20.0, "window": "hann", "min_bandwidth_hz": 30.0},
    {"scale": "mel", "n_bins": 800, "f_min_hz": 20.0, "window": "hann", "min_bandwidth_hz": 25.0},
    {"scale": "log", "n_bins": 501, "f_min_hz": 63.0, "window": "hann", "min_bandwidth_hz": 17.0},
    {"scale": "log", "n_bins": 627, "f_min_hz": 12.7, "min_bandwidth_hz": 17.5},
    {"n_fft": 2048, "hop": 512},
    {"n_fft": 4096, "hop": 1024},
    {"n_fft": 8192, "hop": 2048},
)
"""Frames that did well in oracles or searches, as arguments of ``SliCQT`` or ``STFT``.

The sliCQTs are meant overlap-added.
"""

CONFIDENCE = 0.95
_N_DRAWS = 1000


@dataclass(frozen=True)
class Standing:
    """A frame among others by one measure.

    Attributes:
        value: mean over tracks of the median over windows.
        interval: of the value, of which 95 % of other music would be within.
        behind: by how much it is worse than the best one, 0 for that.
        behind_interval: of this.
        share: of the draws in which it is the best one.
        indistinguishable: whether the best one is not better in 97.5 % of the draws.
    """

    value: float
    interval: tuple[float, float]
    behind: float
    behind_interval: tuple[float, float]
    share: float
    indistinguishable: bool


@dataclass(frozen=True)
class Comparison:
    """Frames by one measure.

    Attributes:
        standings: of the frames, in their order.
        best: number of the best frame.
        n_tracks: tracks that count.
        n_windows: windows that count.
    """

    standings: tuple[Standing, ...]
    best: int
    n_tracks: int
    n_windows: int


def compare(
    tracks: Sequence[Array],
    *,
    less_is_better: bool = False,
    block: int = 5,
    seed: int = 0,
    n_draws: int = _N_DRAWS,
) -> Comparison | None:
    """Compare frames by one measure.

    Windows in which some frame has no value, as where the source is silent, do not count, and
    tracks without others do not either.

    Args:
        tracks: values of the frames in windows, of each track.
        less_is_better: whether small values are good ones.
        block: windows that are drawn together, since neighbours are alike.
        seed: of the draws.
        n_draws: how many.

    Shape:
        - tracks: ``(frame, window)`` each

    Returns:
        None where nothing counts.
    """
    kept = [track[:, np.isfinite(track).all(0)] for track in tracks]
    kept = [track for track in kept if track.shape[1]]
    if not kept:
        return None
    sign = -1.0 if less_is_better else 1.0
    values = np.mean([np.median(track, axis=1) for track in kept], axis=0)
    rng = np.random.default_rng(seed)
    draws = np.stack([_draw(kept, block, rng) for _ in range(n_draws)])
    best = int(np.argmax(sign * values))
    behind = sign * (draws[:, [best]] - draws)
    tails = [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)]
    of_values, of_behind = (np.percentile(x, tails, axis=0).T for x in (draws, behind))
    winners = np.argmax(sign * draws, axis=1)
    standings = tuple(
        Standing(
            value=float(values[i]),
            interval=(float(of_values[i, 0]), float(of_values[i, 1])),
            behind=float(sign * (values[best] - values[i])),
            behind_interval=(float(of_behind[i, 0]), float(of_behind[i, 1])),
            share=float(np.mean(winners == i)),
            indistinguishable=bool(of_behind[i, 0] <= 0),
        )
        for i in range(len(values))
    )
    return Comparison(standings, best, len(kept), sum(track.shape[1] for track in kept))


def _draw(tracks: Sequence[Array], block: int, rng: np.random.Generator) -> Array:
    """Values of the frames on tracks, and blocks of their windows, that are drawn anew."""
    medians = []
    for number in rng.integers(len(tracks), size=len(tracks)):
        track = tracks[number]
        n_windows = track.shape[1]
        length = min(block, n_windows)
        starts = rng.integers(n_windows, size=-(-n_windows // length))
        windows = (starts[:, None] + np.arange(length)).ravel()[:n_windows] % n_windows
        medians.append(np.median(track[:, windows], axis=1))
    return np.mean(medians, axis=0)
