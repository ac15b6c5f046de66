"""Small xumx-sliCQ V2s in three frames: the published one, the best that all share, one each.

Frames were found by the search of ``asteroid-slicq oracle``, by the mix-phase oracle: of the trials
whose slices are shorter than a second, the best of the mean and of every source. docs/oracles.md
has the command.
"""

from typing import Any

from asteroid_slicq import XUMXSliCQ
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
