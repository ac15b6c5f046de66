"""Arguments of a band-split model: their checks, and the transform that they describe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from asteroid_slicq.models.bandsplit.layers import MIXERS, check_width
from asteroid_slicq.transform import (
    STFT,
    SliCQT,
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_range,
)

_SLICQT = {"window": "hann", "min_width": 32}  # one pass inverts this frame at 85 dB
_LAYOUT = {"rasterize": "piecewise", "overlap_added": True}
_STFT_S = 4096 / 44100  # length of an STFT frame


def check_arguments(args: Mapping[str, Any]) -> None:
    """Refuse arguments of a wrong type, out of their ranges, or that do not go together."""
    check_number("sample_rate", args["sample_rate"])
    for name in ("n_channels", "width", "n_layers", "head_width"):
        check_integer(name, args[name], 1)
    flags = ("complex_input", "complex_masks", "mixture_consistency", "causal")
    for name in flags:
        check_flag(name, args[name])
    check_choice("transform", args["transform"], ("slicqt", "stft"))
    check_choice("time_mixer", args["time_mixer"], MIXERS)
    check_choice("band_mixer", args["band_mixer"], (*MIXERS, "none"))
    check_range("steps_per_s", args["steps_per_s"], 1e-3, 1e6, "")
    check_range("bands_per_octave", args["bands_per_octave"], 0.1, 1000.0, "")
    check_range("min_band_hz", args["min_band_hz"], 0.0, 1e6, "Hz")
    for name in ("band_dropout", "layer_dropout"):
        check_range(name, args[name], 0.0, 0.9, "")
    if args["attention_reach_s"] is not None:
        check_range("attention_reach_s", args["attention_reach_s"], 1e-3, 1e6, "s")
    if not isinstance(args["transform_arguments"], Mapping | None):
        raise TypeError(
            f"transform_arguments must be a dictionary, got {args['transform_arguments']!r}"
        )
    own = {"sample_rate", *(_LAYOUT if args["transform"] == "slicqt" else ())}
    if held := sorted(own & (args["transform_arguments"] or {}).keys()):
        raise ValueError(f"transform_arguments must not hold {held[0]}: the model sets it")
    if "attention" in (args["time_mixer"], args["band_mixer"]):
        check_width(args["width"])
    if args["causal"] and (args["time_mixer"] != "lstm" or args["transform"] != "slicqt"):
        raise ValueError(
            "causal must go with time_mixer='lstm' and transform='slicqt', got "
            f"time_mixer={args['time_mixer']!r}, transform={args['transform']!r}"
        )


def make_transform(
    kind: str, sample_rate: float, steps_per_s: float, arguments: Mapping[str, Any]
) -> SliCQT | STFT:
    """The transform of a model, see :class:`BandSplit` for the arguments."""
    arguments = {**arguments, "sample_rate": sample_rate}
    if kind == "slicqt":
        return SliCQT(**{**_SLICQT, **arguments, **_LAYOUT})
    sizes = {
        "n_fft": 2 ** max(2, round(math.log2(_STFT_S * sample_rate))),
        "hop": max(1, round(sample_rate / steps_per_s)),
    }
    return STFT(**{**sizes, **arguments})
