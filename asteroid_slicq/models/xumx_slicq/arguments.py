"""Checked arguments of xumx-sliCQ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from asteroid_slicq.transform import check_integer


def two_numbers(hidden_channels: Iterable[int]) -> list[int]:
    """Channels of the outer and the inner layers.

    Raises:
        TypeError: for what is no integer.
        ValueError: for another number of them, or one below 1.
    """
    numbers = list(hidden_channels) if isinstance(hidden_channels, Iterable) else []
    if len(numbers) != 2:
        raise ValueError(f"hidden_channels must be two numbers, got {hidden_channels!r}")
    return [check_integer("hidden_channels", n, 1) for n in numbers]


def sliced_arguments(transform: Mapping[str, Any] | None) -> dict[str, Any]:
    """Arguments of the transform, whose coefficients the networks take in blocks of slices.

    Raises:
        TypeError: for what is no dictionary.
        ValueError: for a layout without slices or blocks, or a sample rate of its own.
    """
    arguments = {} if transform is None else transform
    if not isinstance(arguments, Mapping):
        raise TypeError(f"transform must be a dictionary of arguments, got {transform!r}")
    if "sample_rate" in arguments:
        raise ValueError("transform must not hold sample_rate: the model's own is its")
    if arguments.get("rasterize") == "full":
        raise ValueError(
            "transform must have blocks, got rasterize='full', a matrix; nearest that works: "
            "'piecewise'"
        )
    if arguments.get("overlap_added") is True:
        raise ValueError(
            "transform must keep slices apart, got overlap_added=True; networks that want "
            "halves added add them themselves"
        )
    return dict(arguments)
