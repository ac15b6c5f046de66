"""The mark that tells a stem from a song: the program that wrote it, as files note it."""

from __future__ import annotations

from pathlib import Path

from asteroid_slicq.audio.tags import metadata
from asteroid_slicq.vocabulary import AUDIO_FORMATS

STEM_MARK = "asteroid-slicq stem"


def is_stem(path: Path) -> bool:
    """Whether a file is marked as a stem that was written here.

    Programs that write a WAV or M4A file anew put their own mark there.
    """
    if path.suffix.lower().lstrip(".") not in AUDIO_FORMATS:
        return False
    return any(text.startswith(STEM_MARK) for text in metadata(path).values())
