"""Errors and warnings about audio files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any


class AudioError(ValueError):
    """A file that cannot be read or written; the message is one sentence for people."""


class ExistsError(AudioError):
    """Files that exist and may not be replaced; those that would have been beside them.

    Args:
        folder: that holds them.
        present: the files that exist.
        missing: the files that do not, of those that were to be written.
        option: what the caller gives to replace them.
    """

    def __init__(
        self,
        folder: Path,
        present: Iterable[Path],
        missing: Iterable[Path],
        option: str = "overwrite=True",
    ) -> None:
        self.folder, self.present, self.missing = folder, sorted(present), sorted(missing)
        self._option = option
        super().__init__(
            f"{folder}: already holds {', '.join(path.name for path in self.present)}; replacing "
            f"must be asked for ({option})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process makes it of its arguments, not of its message alone."""
        return ExistsError, (self.folder, self.present, self.missing, self._option)

    def with_option(self, option: str) -> ExistsError:
        """The same for a caller who has another option."""
        return ExistsError(self.folder, self.present, self.missing, option)


class AudioWarning(UserWarning):
    """Something in a written file that its owner should know, such as clipped samples."""
