"""Checks of the names of sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def check_sources(sources: Iterable[str]) -> list[str]:
    """The names of a model's sources.

    Raises:
        ValueError: for a single string, no name, one twice, or what is no name.
    """
    names = _names(sources)
    are_names = all(isinstance(name, str) and name for name in names)
    if not names or not are_names or len(set(names)) != len(names):
        given = sources if isinstance(sources, str) else names
        raise ValueError(f"sources must be distinct names, at least one, got {given!r}")
    return names


def choose_sources(
    wanted: Iterable[str] | None, sources: Sequence[str], argument: str
) -> list[str]:
    """The sources wanted, in the order given; all for ``None``.

    Args:
        wanted: some of the names.
        sources: all of the names.
        argument: what ``wanted`` is called in an error.

    Raises:
        ValueError: for a name that there is not, one twice, or none.
    """
    names = list(sources) if wanted is None else _names(wanted)
    if not names or len(set(names)) < len(names) or not set(names) <= set(sources):
        given = repr(wanted) if isinstance(wanted, str) else ", ".join(map(str, names)) or "none"
        raise ValueError(
            f"{argument} must be different names out of {', '.join(sources)}, got {given}"
        )
    return names


def _names(given: Iterable[str]) -> list[str]:
    """Names, whatever they come in but a single string, which gives none."""
    return [] if isinstance(given, str) else list(given)
