"""Audio files, read and written in buffers."""

from asteroid_slicq.audio.errors import AudioError, AudioWarning, ExistsError
from asteroid_slicq.audio.reading import AUDIO_SUFFIXES, AudioReader
from asteroid_slicq.audio.stem_mark import is_stem
from asteroid_slicq.audio.writing import StemWriter, check_format, track_name

__all__ = [
    "AUDIO_SUFFIXES",
    "AudioError",
    "AudioReader",
    "AudioWarning",
    "ExistsError",
    "StemWriter",
    "check_format",
    "is_stem",
    "track_name",
]
