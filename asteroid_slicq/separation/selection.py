"""Stems out of a model's sources and the mix: some of the sources, what they leave, a remix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asteroid_slicq.separation.names import choose_sources
from asteroid_slicq.separation.templates import file_name

REMIX = "remix"
"""Name of a remix."""

RESIDUAL = "residual"
"""Name of the stem for what no other claims, where there is no ``other``."""


@dataclass(frozen=True)
class Selection:
    """Stems as linear combinations of a model's sources and the mix.

    Attributes:
        names: of the stems that come out, in order.
        rest: the one that is what the others leave of the mix; ``None`` for none.
        parts: the stems before they are remixed; the same as the names without a remix.
        gains: of the parts in a remix; ``None`` without one.
        indices: index of each part's source; the rest has any.
    """

    names: tuple[str, ...]
    rest: str | None
    parts: tuple[str, ...]
    gains: tuple[float, ...] | None
    indices: tuple[int, ...]

    def __call__(self, mix: np.ndarray, sources: np.ndarray) -> np.ndarray:
        """The stems of a mix and its sources.

        Shape:
            - mix: ``(batch, channel, time)``
            - sources: ``(batch, source, channel, time)``
            - output: ``(batch, stem, channel, time)``
        """
        stems = sources[:, list(self.indices)]  # a copy
        if self.rest is not None:
            row = self.parts.index(self.rest)
            stems[:, row] = 0.0
            stems[:, row] = mix - stems.sum(1)
        if self.gains is None:
            return stems
        return np.einsum("j,bjct->bct", np.array(self.gains, np.float32), stems)[:, None]


def select(
    sources: Sequence[str],
    stems: Sequence[str] | None = None,
    two_stems: str | None = None,
    residual: bool | str = False,
    remix: Mapping[str, float] | None = None,
) -> Selection:
    """The selection that arguments ask for.

    Args:
        sources: names of the model's.
        stems: which sources come out; ``None`` for all.
        two_stems: a source, which comes out with the rest of the mix, ``no_<source>``.
        residual: what the stems leave of the mix goes to ``other`` if it is one of them, else to a
            stem ``residual`` of its own; a name: to the stem of that name.
        remix: gains of stems, whose sum is all that comes out, as ``remix``; those that are not
            named are left out.

    Raises:
        ValueError: names that there are not, gains that are none, or arguments that contradict one
            another.
    """
    if two_stems is not None and (stems is not None or residual):
        other = "stems" if stems is not None else "residual"
        raise ValueError(
            f"two_stems names the one stem and its rest sums to the mix: leave out {other}"
        )
    if remix is not None and stems is not None:
        raise ValueError("remix names the stems that it is made of: leave out stems")
    if residual and isinstance(residual, str) and file_name(residual) != residual:
        raise ValueError(f"residual must be a name that a file can have, got {residual!r}")
    if two_stems is not None:
        if two_stems not in sources:
            raise ValueError(f"two_stems must be one of {', '.join(sources)}, got {two_stems!r}")
        stems, residual = [two_stems], f"no_{two_stems}"
    parts = choose_sources(stems, sources, "stems")
    rest = _rest(residual, parts, sources)
    if rest is not None and rest not in parts:
        parts = [*parts, rest]
    indices = tuple(sources.index(name) if name in sources else 0 for name in parts)
    if remix is None:
        return Selection(tuple(parts), rest, tuple(parts), None, indices)
    gains = _gains(remix, parts)
    return Selection((REMIX,), rest, tuple(parts), gains, indices)


def _rest(residual: bool | str, parts: Sequence[str], sources: Sequence[str]) -> str | None:
    if residual is False:
        return None
    if residual is True:
        return "other" if "other" in parts else RESIDUAL
    if not isinstance(residual, str) or not residual:
        raise ValueError(f"residual must be True, False or the name of a stem, got {residual!r}")
    if residual in sources and residual not in parts:
        raise ValueError(
            f"residual cannot go to {residual!r}, which stems leaves out: name it there, too, or "
            "choose another name"
        )
    return residual


def _gains(remix: Mapping[str, float], parts: Sequence[str]) -> tuple[float, ...]:
    unknown = [name for name in remix if name not in parts]
    if unknown or not remix:
        given = repr(unknown[0]) if unknown else "none"
        raise ValueError(f"remix must name some of {', '.join(parts)}, got {given}")
    for name, gain in remix.items():
        if not (isinstance(gain, (int, float)) and math.isfinite(gain) and gain >= 0):
            raise ValueError(f"remix must have finite gains of at least 0, got {name}={gain}")
    if not any(remix.values()):
        raise ValueError(
            "remix would be silent: every gain is 0, and stems that it does not name are left out"
        )
    return tuple(float(remix.get(name, 0.0)) for name in parts)
