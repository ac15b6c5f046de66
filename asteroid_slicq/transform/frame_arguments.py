"""Are the arguments of a frame right, and if not, which value would be?

Wrong ones by themselves are told at once. Whether arguments that are right one by one give a frame
together depends on how wide the bins become in DFT bins of the slice, and on whether they cover the
spectrum. There the advice is found by trying: the first argument that alone can mend the frame,
moved from its value towards one that is safe, as little as need be.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

from asteroid_slicq.vocabulary import RASTERIZATIONS

PHASES = ("local", "global")
_SIZES = ("n_bins", "slice_length", "transition_length", "min_width", "n_coefficients")
_NUMBERS = ("sample_rate", "f_min_hz", "f_max_hz", "min_bandwidth_hz", "bandwidth_factor")
_HALVINGS = 12
_MORE_BINS = 64


class UnfitError(ValueError):
    """Arguments that are right one by one, but give no frame together."""


def check_arguments(arguments: dict[str, Any]) -> None:
    """Refuse what is wrong by itself; ``design_scale`` checks the scale.

    Raises:
        TypeError: when a size is no integer, or another value no number.
        ValueError: when an argument lies outside its range.
    """
    for name in _SIZES:
        size = arguments[name]
        if size is not None and (not isinstance(size, int) or isinstance(size, bool)):
            raise TypeError(f"{name} must be an integer, got {size!r}")
    for name in _NUMBERS:
        value = arguments[name]
        if not isinstance(value, Real) and (value is not None or name != "f_max_hz"):
            raise TypeError(f"{name} must be a number, got {value!r}")
    for name, choices in (("rasterize", RASTERIZATIONS), ("phase", PHASES)):
        if arguments[name] not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {arguments[name]!r}")
    if not 0 < arguments["sample_rate"] < math.inf:
        raise ValueError(
            f"sample_rate must be above 0 Hz and finite, got {arguments['sample_rate']}; "
            "44100 works"
        )
    if not 0 < arguments["bandwidth_factor"] < math.inf:
        raise ValueError(
            "bandwidth_factor must be above 0 and finite, got "
            f"{arguments['bandwidth_factor']}; 1.0 works"
        )
    nyquist_hz = arguments["sample_rate"] / 2
    if not 0 <= arguments["min_bandwidth_hz"] < nyquist_hz:
        raise ValueError(
            f"min_bandwidth_hz must be at least 0 Hz and less than sample_rate / 2 = {nyquist_hz} "
            f"Hz, got {arguments['min_bandwidth_hz']}; 0.0 works"
        )
    if arguments["f_max_hz"] is not None and arguments["f_max_hz"] > nyquist_hz:
        raise ValueError(
            f"f_max_hz must be at most sample_rate / 2 = {nyquist_hz} Hz, got "
            f"{arguments['f_max_hz']} Hz; nearest that works: {nyquist_hz}"
        )
    min_width = arguments["min_width"]
    if min_width < 4 or min_width % 4:
        raise ValueError(
            f"min_width must be a positive multiple of 4, got {min_width}; "
            f"nearest that works: {max(4, 4 * round(min_width / 4))}"
        )


def advise(design: Callable[..., Any], arguments: dict[str, Any]) -> str:
    """The nearest value that works, as the end of an error message.

    Args:
        design: builds a frame of ``arguments``, or raises :class:`ValueError`.
        arguments: with which it does raise.
    """

    def works(name: str, value: Any) -> bool:
        try:
            design({**arguments, name: value})
        except ValueError:
            return False
        return True

    named = isinstance(arguments["scale"], str)
    for name, safe in (("bandwidth_factor", 1.0), ("min_bandwidth_hz", 0.0), ("gamma_hz", 0.0)):
        if arguments[name] != safe and works(name, safe):
            return _told(name, _halve(name, arguments[name], safe, works))
    if arguments["min_width"] > 16 and works("min_width", 16):
        return _told("min_width", _halve("min_width", arguments["min_width"], 16, works, step=4))
    if named:
        more = max(1, arguments["n_bins"] + 1)
        for n_bins in range(more, more + _MORE_BINS):
            if works("n_bins", n_bins):
                return _told("n_bins", n_bins)
        nyquist_hz = arguments["sample_rate"] / 2
        for name, safe in (("f_max_hz", nyquist_hz), ("f_min_hz", nyquist_hz / 100)):
            if arguments[name] is not None and works(name, safe):
                return _told(name, _halve(name, arguments[name], safe, works))
    return (
        "the lowest bin must lie below a quarter of the sample rate, the highest above that, and "
        "those in between close enough to meet"
    )


def _told(name: str, value: Any) -> str:
    return f"nearest that works: {name} = {value}"


def _halve(
    name: str, value: Any, safe: Any, works: Callable[[str, Any], bool], step: int = 0
) -> Any:
    """Between a value that fails and one that works, the last that works; multiples of a step."""
    wrong, right = value, safe
    for _ in range(64 if step else _HALVINGS):
        middle = (wrong + right) / 2
        if step:
            middle = step * round(middle / step)
            if middle in (wrong, right):
                break
        wrong, right = (wrong, middle) if works(name, middle) else (middle, right)
    if step:
        return right
    digits = 1 - math.floor(math.log10(abs(safe - value)))  # about a thousandth of the way
    short = round(right + (right > value or -1) * 0.5 * 10.0**-digits, digits)
    return short if works(name, short) else right
