"""Small xumx-sliCQ V2s in three frames: the published one, the best that all share, one each.

Frames were found by the search of ``asteroid-slicq oracle``, by the mix-phase oracle: of the trials
whose slices are shorter than a second, the best of the mean and of every source. docs/oracles.md
has the command.

``python frames.py --songs sampled=DIR --songs procedural=DIR`` scores the oracle in these frames on
the ``test`` songs of trees: what separators may gain by them, before any is trained.
"""

import argparse
from typing import Any

import torch

from asteroid_slicq import SliCQT, XUMXSliCQ
from asteroid_slicq.data import find_tracks
from asteroid_slicq.evaluation import Excerpt, middle_of, nan_median, oracle_sdr
from asteroid_slicq.models import PerTarget
from asteroid_slicq.vocabulary import STEMS

_LOG_501: dict[str, Any] = {
    "scale": "log",
    "n_bins": 501,
    "f_min_hz": 63.15,
    "window": "hann",
    "min_bandwidth_hz": 17.27,
    "bandwidth_factor": 1.028,
    "slice_length": 32768,
}
_BARK_504 = {
    "scale": "bark",
    "n_bins": 504,
    "f_min_hz": 36.5,
    "window": "sine",
    "min_bandwidth_hz": 8.891,
    "bandwidth_factor": 1.062,
}
_BARK_536 = {
    "scale": "bark",
    "n_bins": 536,
    "f_min_hz": 118.3,
    "window": "hann",
    "min_bandwidth_hz": 7.679,
    "bandwidth_factor": 1.122,
}
_LOG_627 = {
    "scale": "log",
    "n_bins": 627,
    "f_min_hz": 12.69,
    "min_bandwidth_hz": 17.57,
    "bandwidth_factor": 1.001,
}
SHARED = _LOG_501
PER_TARGET = {"vocals": _BARK_504, "drums": _LOG_501, "bass": _LOG_627, "other": _BARK_536}

_SMALL: dict[str, Any] = {"hidden_channels": (8, 16), "wiener_iterations": 0, "sources": STEMS}


def published(**arguments: Any) -> XUMXSliCQ:
    """All sources in the published frame."""
    return XUMXSliCQ(**{**_SMALL, **arguments})


def shared(**arguments: Any) -> XUMXSliCQ:
    """All sources in the frame that suits their mean best."""
    return XUMXSliCQ(**{**_SMALL, "transform": SHARED, **arguments})


def per_target(**arguments: Any) -> PerTarget:
    """Every source in the frame that suits it best."""
    return XUMXSliCQ.per_target(PER_TARGET, **{**_SMALL, **arguments})


def oracles(excerpts: list[Excerpt]) -> dict[str, list[float]]:
    """Mix-phase oracle of each source, its median over excerpts, by frame."""

    def score(frame: dict[str, Any], names: tuple[str, ...] = STEMS) -> list[float]:
        slicqt = SliCQT(**frame)
        tracks = [oracle_sdr(slicqt, each, ["mix-phase"])["mix-phase"] for each in excerpts]
        return [float(nan_median([track[name] for track in tracks])) for name in names]

    own = [score(PER_TARGET[name], (name,))[0] for name in STEMS]
    return {"published": score({}), "shared": score(SHARED), "one each": own}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--songs", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--tracks", type=int, default=6, help="of each kind")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each, from its middle")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"| songs | frame | mean | {' | '.join(STEMS)} |\n|---|---|---|---|---|---|---|")
    for kind, folder in (pair.split("=", 1) for pair in args.songs):
        tracks = find_tracks(folder, "test", STEMS, 44100, 2)[: args.tracks]
        excerpts = [middle_of(track, STEMS, 44100, args.seconds) for track in tracks]
        for name, values in oracles(excerpts).items():
            cells = [f"{value:.2f}" for value in (sum(values) / len(values), *values)]
            print(f"| {kind} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
