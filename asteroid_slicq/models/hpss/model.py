"""Harmonic/percussive separation as a model without weights, for songs of any length."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from asteroid_slicq.models.hpss.medians import check_medians, hpss
from asteroid_slicq.separation import Separable, from_batch, mix_to_batch
from asteroid_slicq.transform import NSGT, STFT, SliCQT, check_choice, check_flag, check_number
from asteroid_slicq.vocabulary import HPSS_TRANSFORMS

_FINE: dict[str, Any] = {"scale": "mel", "n_bins": 600, "f_min_hz": 20.0, "min_bandwidth_hz": 30.0}
_COARSE: dict[str, Any] = {"scale": "octave", "n_bins": 12, "f_min_hz": 60.0}
_SLICED = {"window": "hann", "min_width": 32, "overlap_added": True, "rasterize": "piecewise"}
_SHORTEST_NSGT = 4  # samples
_FINE_S, _COARSE_S = 4096 / 44100, 1024 / 44100  # of an STFT frame


class HPSS(Separable):
    """Harmonic and percussive parts of a song and, on demand, its vocals; nothing is trained.

    The sources sum to the mix. Every channel is separated on its own, by
    :func:`asteroid_slicq.models.hpss.hpss`.

    Args:
        transform: ``slicqt`` (600 mel bins, overlap-added), ``nsgt`` (the same bins of a whole
            segment) or ``stft`` (93 ms, a quarter of that apart).
        vocals: take the vocals out of what is not harmonic, in a second stage of a lower frequency
            resolution.
        margin: as for :func:`asteroid_slicq.models.hpss.hpss`, as are ``time_s``, ``bins`` and
            ``power``; above 1 there is a source ``residual``.
        time_s: of the median along time, in seconds.
        bins: of the median along frequency.
        power: of the masks.
        sample_rate: in Hz.

    Shape:
        - mix: ``(batch, channel, time)``; ``(channel, time)`` and ``(time,)`` too
        - output: ``(batch, source, channel, time)``, without the axes that the mix had not

    Raises:
        TypeError: when an argument is of a wrong type.
        ValueError: when one lies outside its range.

    Example:
        >>> import torch
        >>> model = HPSS(vocals=True)
        >>> model.sources
        ['harmonic', 'percussive', 'vocals']
        >>> model(torch.zeros(1, 2, 44100)).shape
        torch.Size([1, 3, 2, 44100])
    """

    def __init__(
        self,
        transform: str = "slicqt",
        vocals: bool = False,
        margin: float = 1.0,
        time_s: float = 0.4,
        bins: int = 11,
        power: float = 2.0,
        sample_rate: float = 44100,
    ) -> None:
        super().__init__()
        check_choice("transform", transform, HPSS_TRANSFORMS)
        check_medians(time_s, bins, margin, power)
        self.kind, self.vocals = transform, check_flag("vocals", vocals)
        self.margin, self.time_s, self.bins, self.power = margin, time_s, bins, power
        self.sample_rate, self.n_channels = float(check_number("sample_rate", sample_rate)), 1
        self.sources = ["harmonic", "percussive"]
        self.sources += ["vocals"] if vocals else []
        self.sources += ["residual"] if margin > 1 else []
        self.fine = self.coarse = None
        if transform != "nsgt":  # which has one length
            self.fine = _transform(transform, True, self.sample_rate)
            self.coarse = _transform(transform, False, self.sample_rate) if vocals else None

    def forward(self, mix: Tensor) -> Tensor:
        """Separate a mix, see the class for the shapes."""
        batch = mix_to_batch(mix)
        length = batch.shape[-1]
        fine, coarse = self.fine, self.coarse
        if fine is None:
            batch = F.pad(batch, (0, max(0, _SHORTEST_NSGT - length)))
            where = batch.shape[-1], self.sample_rate, batch.device
            fine, coarse = _nsgt(True, *where), _nsgt(False, *where) if self.vocals else None
        options = {"time_s": self.time_s, "bins": self.bins}
        sources = hpss(batch, fine, coarse, **options, margin=self.margin, power=self.power)
        return from_batch(sources[..., :length], mix.ndim)

    @property
    def segment_step_samples(self) -> int:
        """Distance of slices or STFT frames: segments of a song start on a multiple of it."""
        if isinstance(self.fine, STFT):
            return self.fine.hop
        return self.fine.frame.slice_hop if isinstance(self.fine, SliCQT) else 1

    @property
    def reach_s(self) -> float:
        """How far around a sample the medians and their coefficients look, in seconds."""
        if isinstance(self.fine, STFT):
            return self.time_s + self.fine.n_fft / self.sample_rate
        if isinstance(self.fine, SliCQT):
            return self.time_s + self.fine.frame.slice_length / self.sample_rate
        return math.inf


def _transform(kind: str, is_fine: bool, sample_rate: float) -> SliCQT | STFT:
    """The transform of a stage."""
    if kind == "stft":
        n_fft = 4 * max(2, round((_FINE_S if is_fine else _COARSE_S) * sample_rate / 4))
        return STFT(n_fft, n_fft // 4, sample_rate)
    return SliCQT(**_bins(is_fine), **_SLICED, sample_rate=sample_rate)


@lru_cache(maxsize=4)
def _nsgt(is_fine: bool, length: int, sample_rate: float, device: torch.device) -> NSGT:
    """The same of a whole signal: segments of a song are of one length, but for the last."""
    return NSGT(**_bins(is_fine), sample_rate=sample_rate, length=length).to(device)


def _bins(is_fine: bool) -> dict[str, Any]:
    return _FINE if is_fine else _COARSE
