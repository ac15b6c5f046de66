"""Audio files, read and written in buffers."""

from asteroid_slicq.audio.errors import AudioError, AudioWarning, ExistsError
from asteroid_slicq.audio.reading import AUDIO_SUFFIXES, AudioReader
from asteroid_slicq.audio.resampling import resample_stream
from asteroid_slicq.audio.stem_format import StemFormat, check_clip
from asteroid_slicq.audio.stem_mark import is_stem
from asteroid_slicq.audio.stem_writing import StemWriter, track_name
from asteroid_slicq.audio.tags import Tags, read_tags

__all__ = [
    "AUDIO_SUFFIXES",
    "AudioError",
    "AudioReader",
    "AudioWarning",
    "ExistsError",
    "StemFormat",
    "StemWriter",
    "Tags",
    "check_clip",
    "is_stem",
    "read_tags",
    "resample_stream",
    "track_name",
]
