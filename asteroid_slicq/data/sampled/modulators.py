"""Modulators of a SoundFont: by how much the key and the velocity of a note move generators.

A modulator adds its amount to a generator, times the values of two sources, each of which a curve
maps (SoundFont technical specification 2.04, sections 7.4, 8.2 to 8.4 and 9.5). What follows a
controller, a wheel or another modulator is left out: none of them moves while a note sounds here.
"""

from collections.abc import Iterable, Sequence
from math import log10
from typing import NamedTuple

Identity = tuple[int, int, int, int]
Modulators = dict[Identity, int]  # amounts by identity, as a zone has them

# Parts of the operator of a source (section 8.2).
_INDEX, _CONTROLLER, _FALLING, _BIPOLAR, _CURVE = 0x7F, 0x80, 0x100, 0x200, 10
_NONE, _VELOCITY, _KEY = 0, 2, 3
_LINEAR, _CONCAVE, _CONVEX, _SWITCH = range(4)
_PLAIN, _ABSOLUTE = 0, 2  # transforms

# Velocity to attenuation (generator 48) and to cutoff (8): sections 8.4.1 and 8.4.2.
_ATTENUATION: Identity = (0x0502, 48, 0, 0)
_CUTOFF: Identity = (0x0102, 8, 0, 0)
# As version 2.01 had the latter; who replaces this one wants none by default either.
_FORMER_CUTOFF: Identity = (0x0102, 8, 0x0D02, 0)
DEFAULTS: Modulators = {_ATTENUATION: 960, _CUTOFF: -2400}


class Modulator(NamedTuple):
    """A modulator, in the order of a record of a file.

    Args:
        source: Operator of the source.
        destination: Generator that it moves.
        amount: In units of the generator.
        amount_source: Operator of the source that scales the amount.
        transform: 0 for none, 2 for the absolute value.
    """

    source: int
    destination: int
    amount: int
    amount_source: int = 0
    transform: int = 0


def by_identity(records: Iterable[Sequence[int]]) -> Modulators:
    """Sort records of a zone by what tells them from each other; of two alike the last one holds.

    Args:
        records: Source, destination, amount, source of the amount and transform of each.
    """
    return {(r[0], r[1], r[3], r[4]): r[2] for r in records}


def resolve_modulators(outer: Modulators, inner: Modulators) -> tuple[Modulator, ...]:
    """Combine the modulators of a preset's and an instrument's zone with those by default.

    Those of an instrument take the place of equal ones by default; those of a preset add to them
    (section 9.5.1).

    Returns:
        Those with an effect, in the order of their identities.
    """
    total = DEFAULTS | inner
    if _FORMER_CUTOFF in inner and _CUTOFF not in inner:
        del total[_CUTOFF]
    for identity, amount in outer.items():
        total[identity] = total.get(identity, 0) + amount
    found = (Modulator(*i[:2], amount, *i[2:]) for i, amount in sorted(total.items()))
    return tuple(m for m in found if m.amount and _is_known(m))


def offsets(modulators: Iterable[Modulator], key: int, velocity: int) -> dict[int, float]:
    """Sum up by how much a note moves generators.

    Args:
        modulators: As `resolve_modulators` returns them.
        key: MIDI key.
        velocity: MIDI velocity.

    Returns:
        Offsets by generator, in its units.

    Example:
        >>> offsets([Modulator(0x0502, 48, 960)], 60, 127)
        {48: 0.0}
    """
    out: dict[int, float] = {}
    for m in modulators:
        value = m.amount * _value(m.source, key, velocity)
        value *= _value(m.amount_source, key, velocity)
        if m.transform == _ABSOLUTE:
            value = abs(value)
        out[m.destination] = out.get(m.destination, 0.0) + value
    return out


def _is_known(modulator: Modulator) -> bool:
    return modulator.transform in (_PLAIN, _ABSOLUTE) and all(
        not operator & _CONTROLLER
        and operator & _INDEX in (_NONE, _VELOCITY, _KEY)
        and operator >> _CURVE <= _SWITCH
        for operator in (modulator.source, modulator.amount_source)
    )


def _value(operator: int, key: int, velocity: int) -> float:
    """Map a source to 0 to 1, or -1 to 1 if bipolar (section 8.2.4); none counts as 1."""
    index, curve = operator & _INDEX, operator >> _CURVE
    if index == _NONE:
        return 1.0
    falling, bipolar = bool(operator & _FALLING), bool(operator & _BIPOLAR)
    x = velocity if index == _VELOCITY else key
    if curve == _SWITCH:
        return 1.0 if (x >= 64) != falling else -1.0 * bipolar
    # A line maps 128 steps, the last of which 127 does not reach; the curves map 0 to 127.
    unit = x / (128.0 if curve == _LINEAR else 127.0)
    unit = 1.0 - unit if falling else unit
    if bipolar:
        unit = 2.0 * unit - 1.0
    if curve == _LINEAR:
        return unit
    shape = _concave(abs(unit)) if curve == _CONCAVE else 1.0 - _concave(1.0 - abs(unit))
    return shape if unit >= 0.0 else -shape


def _concave(unit: float) -> float:
    """Rise slowly, then fast: minus the logarithm of what is left, squared, over 96 dB."""
    return min(-40.0 / 96.0 * log10(1.0 - unit), 1.0) if unit < 1.0 else 1.0
