"""The mark that tells a stem from a song: the program that wrote it, as files note it."""

from __future__ import annotations

from pathlib import Path

import soundfile as sf

from asteroid_slicq.files import library_path
from asteroid_slicq.vocabulary import AUDIO_FORMATS

_MARK = "asteroid-slicq stem"


def mark_as_stem(file: sf.SoundFile) -> None:
    """Mark a file that is being written, before its first sample."""
    file.software = _MARK


def is_stem(path: Path) -> bool:
    """Whether a file is a stem that was written here, and not by another program since."""
    if path.suffix.lower().lstrip(".") not in AUDIO_FORMATS:
        return False
    try:
        with sf.SoundFile(library_path(path)) as file:
            return file.software.startswith(_MARK)
    except (sf.LibsndfileError, OSError):
        return False
