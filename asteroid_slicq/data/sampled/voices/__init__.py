"""Voices: speech of free synthesisers, cut into syllables and sung to the composer's melodies."""

from asteroid_slicq.data.sampled.voices.building import installed_speakers, read_voice, record
from asteroid_slicq.data.sampled.voices.singer import Voice
from asteroid_slicq.data.sampled.voices.vocals import sampled_vocals

__all__ = ["Voice", "installed_speakers", "read_voice", "record", "sampled_vocals"]
