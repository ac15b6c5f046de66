"""Arguments of a frame, each checked by itself."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from asteroid_slicq.transform.checks import (
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_range,
)
from asteroid_slicq.transform.scales import Array, Scale, design_scale, given_scale
from asteroid_slicq.vocabulary import RASTERIZATIONS

PHASES = ("local", "global")
_SIZES = ("n_bins", "slice_length", "transition_length", "min_width", "n_coefficients")
_NUMBERS = (
    "sample_rate",
    "f_min_hz",
    "f_max_hz",
    "min_bandwidth_hz",
    "bandwidth_factor",
    "gamma_hz",
)
_OPTIONAL = ("slice_length", "transition_length", "n_coefficients", "f_max_hz")


@dataclass(frozen=True)
class FrameConfig:
    """Arguments of a frame, in plain Python types.

    Whether they give a frame together is told by its design: how wide bins become in DFT bins of
    the slice, and whether they cover the spectrum, hangs on all of them.

    Args:
        scale: frequency scale: ``bark``, ``mel``, ``erb``, ``log``, ``vqlog``, ``octave`` or
            ``linear``; a pair of arrays ``(f_hz, q)``; or an object that, called, returns such a
            pair, as the scales of the ``nsgt`` package do. A pair is kept as tuples of numbers.
        n_bins: bins of the scale, both ends counted (of one octave for ``octave``); DC and Nyquist
            are added, and what lies at or above Nyquist is dropped. A pair has its own.
        f_min_hz: lowest centre frequency of the scale in Hz.
        f_max_hz: highest centre frequency in Hz; None is half the sample rate.
        sample_rate: in Hz.
        slice_length: N, samples, a multiple of 4; None is what the scale suggests.
        transition_length: rise of the slicing window in samples, even, at most N/2; None is a
            quarter of the slice.
        window: analysis window, ``blackman-harris``, ``hann`` or ``sine``.
        min_width: least width of a bin in DFT bins of the slice, a multiple of 4.
        min_bandwidth_hz: least width of a bin in Hz. It bounds the time resolution of the bass.
        bandwidth_factor: how much wider every bin of the scale is than the scale makes it.
        gamma_hz: bandwidth that the scale ``vqlog`` adds to every bin, in Hz.
        rasterize: ``none`` (ragged): as many coefficients as a bin is wide; ``piecewise`` (few
            blocks): the widest bin's over a power of two; ``full`` (a matrix): the widest bin's for
            all [S14].
        overlap_added: add the coefficients of neighbouring slices where they overlap: half the
            data, one time axis. With ``window="hann", min_width=32`` one pass of synthesis restores
            the signal to 85 dB and two to 130 dB.
        phase: ``local``: every bin demodulated to 0 Hz, so that a sine at its centre has a constant
            phase; ``global``: the phase turns at the frequency of the sine [S14].
        n_coefficients: of every bin in a slice, where ``rasterize`` is ``full``: a multiple of 4,
            at least the widest bin's, which is the default.

    Raises:
        TypeError: when a size is no integer, or another value no number.
        ValueError: when an argument lies outside its range; the message names one that works.

    [S14]: Schörkhuber, Klapuri, Holighaus, Dörfler (AES 2014).
    """

    scale: Scale = "bark"
    n_bins: int = 262
    f_min_hz: float = 32.9
    f_max_hz: float | None = None
    sample_rate: float = 44100
    slice_length: int | None = None
    transition_length: int | None = None
    window: str = "blackman-harris"
    min_width: int = 16
    min_bandwidth_hz: float = 0.0
    bandwidth_factor: float = 1.0
    gamma_hz: float = 0.0
    rasterize: str = "none"
    overlap_added: bool = False
    phase: str = "local"
    n_coefficients: int | None = None

    def __post_init__(self) -> None:
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        if not isinstance(self.scale, str):
            plain["scale"] = tuple(tuple(values.tolist()) for values in given_scale(self.scale))
        for name, value in plain.items():
            object.__setattr__(self, name, _plain(name, value))
        _check(self)

    @property
    def nyquist_hz(self) -> float:
        """Half the sample rate."""
        return self.sample_rate / 2

    @property
    def highest_hz(self) -> float:
        """Upper end of the scale: ``f_max_hz``, or half the sample rate."""
        return self.nyquist_hz if self.f_max_hz is None else self.f_max_hz

    def scale_bins(self) -> tuple[Array, Array]:
        """Centre frequencies and quality factors of the scale's bins, see ``design_scale``."""
        limits_hz = self.f_min_hz, self.highest_hz
        return design_scale(self.scale, self.n_bins, *limits_hz, gamma_hz=self.gamma_hz)


def _plain(name: str, value: Any) -> Any:
    """An argument in Python's own types, of the right one."""
    if value is None and name in _OPTIONAL:
        return None
    if name in _SIZES:
        return check_integer(name, value)
    if name in _NUMBERS:
        return check_number(name, value)
    return check_flag(name, value) if name == "overlap_added" else value


def _check(config: FrameConfig) -> None:
    """Refuse what is out of its range by itself; ``design_scale`` checks the scale."""
    check_choice("rasterize", config.rasterize, RASTERIZATIONS)
    check_choice("phase", config.phase, PHASES)
    check_range("sample_rate", config.sample_rate, 1e-3, 1e12, "Hz", advice=44100)
    check_range("bandwidth_factor", config.bandwidth_factor, 1e-3, 1e6, "", advice=1.0)
    check_range("min_width", config.min_width, 1, 2**40, "DFT bins", advice=4)
    check_range("min_bandwidth_hz", config.min_bandwidth_hz, 0.0, 1e12, "Hz", advice=0.0)
    if config.highest_hz > config.nyquist_hz:
        raise ValueError(
            f"f_max_hz must be at most sample_rate / 2 = {config.nyquist_hz} Hz, got "
            f"{config.f_max_hz} Hz; nearest that works: {config.nyquist_hz}"
        )
