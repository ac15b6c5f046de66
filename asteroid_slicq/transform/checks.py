"""Checks of arguments that several transforms share; each refuses what is wrong, and why."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor


def check_integer(name: str, value: Any, least: int | None = None) -> int:
    """An integer, of Python, NumPy or PyTorch, as Python's.

    Raises:
        TypeError: for what is no integer.
        ValueError: for one below the least, which the message names.
    """
    if isinstance(value, torch.SymInt):
        return value  # pyright: ignore[reportReturnType]  # what stands for one in torch.export
    try:
        if getattr(value, "dtype", None) == torch.bool or isinstance(value, bool):
            raise TypeError
        whole = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if least is not None and whole < least:
        raise ValueError(f"{name} must be at least {least}, got {whole}")
    return whole


def check_number(name: str, value: Any, least: float | None = None) -> float:
    """A real number, Python's or NumPy's, as Python's; an integer stays one.

    Raises:
        TypeError: for what is no number.
        ValueError: for one below the least, which the message names, and for NaN.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r}")
    plain = int(value) if isinstance(value, Integral) else float(value)
    if least is not None and not plain >= least:
        raise ValueError(f"{name} must be at least {least}, got {plain}")
    return plain


def check_flag(name: str, value: Any) -> bool:
    """True or False; refuse what is neither by a ``TypeError``."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse what is none of some words by a ``ValueError``, which names one that is like it."""
    if isinstance(value, str) and value in choices:
        return
    word = value.lower() if isinstance(value, str) else ""
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    hint = f"; nearest that works: {near[0]!r}" if near else ""
    raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}{hint}")


def check_range(
    name: str, value: Any, least: float, most: float, unit: str, advice: float | None = None
) -> None:
    """Refuse a number out of its range by a ``ValueError`` that names one that works.

    That is the ``advice``; None is the nearer end of the range. No number is a ``TypeError``.
    """
    check_number(name, value)
    if not least <= value <= most:
        near = (most if value > most else least) if advice is None else advice
        raise ValueError(
            f"{name} must lie in {least} … {most}{unit and f' {unit}'}, got {value}; "
            f"nearest that works: {near}"
        )


def check_device(device: str | torch.device) -> torch.device:
    """A device that is there, with its index.

    Raises:
        ValueError: for one that is not, with those that are.
    """
    try:
        found = torch.empty(0, device=device).device
    except Exception as error:  # each backend has its own kind
        usable = ["cpu"] + [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        if torch.backends.mps.is_available():
            usable.append("mps")
        raise ValueError(
            f"device {device}: not available here; usable are {', '.join(usable)}"
        ) from error
    if found.type == "meta":
        raise ValueError(f"device {device}: holds no samples")
    return found


def check_sample_type(dtype: Any, is_floating_point: bool) -> None:
    """Refuse samples that are no floating-point numbers by a ``TypeError``."""
    if not is_floating_point:
        raise TypeError(
            f"waveform must be floating point in [-1, 1], got {dtype}; divide integer samples by "
            "their full scale, such as 32768"
        )


def check_waveform(waveform: Any) -> Tensor:
    """A waveform in single or double precision.

    Raises:
        TypeError: for what is no tensor, or one of integers.
        ValueError: for an empty or complex waveform.
    """
    if not isinstance(waveform, Tensor):
        raise TypeError(f"waveform must be a tensor, got {type(waveform).__name__}")
    if waveform.ndim < 1 or waveform.numel() == 0 or waveform.is_complex():
        raise ValueError(
            "waveform must be real and hold at least one sample, got "
            f"{tuple(waveform.shape)} of {waveform.dtype}"
        )
    check_sample_type(waveform.dtype, waveform.is_floating_point())
    return waveform if waveform.dtype in (torch.float32, torch.float64) else waveform.float()


def check_blocks(
    coefficients: Sequence[Tensor] | Tensor,
    shapes: Sequence[tuple[int, int]],
    axes: Sequence[str] = ("freq", "time"),
    overlap_added: bool = False,
) -> list[Tensor]:
    """Coefficients, one tensor a block or that of a matrix, as a list of the blocks of a frame.

    The ``shapes`` are bins and coefficients in a slice of each block, the ``axes`` names of the
    last ones. Where the time axis runs over slices, the first block tells how many there are.

    Raises:
        TypeError: for what are no tensors.
        ValueError: when the blocks are not those of the frame, or differ in what they have in
            common.
    """
    blocks = [coefficients] if isinstance(coefficients, Tensor) else coefficients
    try:
        blocks = list(blocks)
    except TypeError:
        raise TypeError(
            f"coefficients must be tensors, one a block, got {type(coefficients).__name__}"
        ) from None
    for block in blocks:
        if not isinstance(block, Tensor):
            raise TypeError(f"coefficients must be tensors, got a {type(block).__name__}")
    n_axes = len(axes)
    if any(block.ndim < n_axes for block in blocks):
        raise ValueError(f"coefficients must be of the axes (…, {', '.join(axes)})")
    halves = blocks[0].shape[-1] // (shapes[0][1] // 2) if overlap_added and blocks else 2
    found = [(block.shape[-n_axes], block.shape[-1]) for block in blocks]
    wanted = [(n, halves * m // 2) for n, m in shapes]
    if found != wanted:
        raise ValueError(
            f"coefficients must be {len(wanted)} blocks (freq, time) = {tuple(wanted[:2])} …, "
            f"got {len(found)} blocks {tuple(found[:2])} …"
        )
    first = blocks[0]
    common = first.dtype, first.shape[:-n_axes], first.shape[1 - n_axes : -1]
    for block in blocks:
        its = block.dtype, block.shape[:-n_axes], block.shape[1 - n_axes : -1]
        if its != common or not block.is_complex():
            raise ValueError(
                "coefficients must be complex, of one dtype, with the same leading shape and "
                f"number of slices, got {tuple(first.shape)} of {first.dtype} and "
                f"{tuple(block.shape)} of {block.dtype}"
            )
    return blocks
