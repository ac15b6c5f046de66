"""Checks of the names of sources."""

from __future__ import annotations

from collections.abc import Sequence


def check_sources(sources: Sequence[str]) -> list[str]:
    """The names of a model's sources.

    Raises:
        ValueError: for a single string, no name, or one twice.
    """
    if isinstance(sources, str) or not sources or len(set(sources)) != len(sources):
        raise ValueError(f"sources must be distinct names, at least one, got {sources!r}")
    return list(sources)


def choose_sources(
    wanted: Sequence[str] | None, sources: Sequence[str], argument: str
) -> list[str]:
    """The sources wanted, in the order given; all for ``None``.

    Args:
        wanted: some of the names.
        sources: all of the names.
        argument: what ``wanted`` is called in an error.

    Raises:
        ValueError: for a name that there is not, one twice, or none.
    """
    wanted = sources if wanted is None else wanted
    if not wanted or len(set(wanted)) < len(wanted) or not set(wanted) <= set(sources):
        raise ValueError(
            f"{argument} must be different names out of {', '.join(sources)}, "
            f"got {', '.join(wanted) or 'none'}"
        )
    return list(wanted)
