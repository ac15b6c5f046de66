"""Voices: speech of free synthesisers, cut into syllables and sung to the composer's melodies."""

from asteroid_slicq.data.sampled.voices.building import add_voices, read_voices
from asteroid_slicq.data.sampled.voices.singer import Voice
from asteroid_slicq.data.sampled.voices.sources import VOICE_SOURCES
from asteroid_slicq.data.sampled.voices.vocals import sung_vocals

__all__ = ["VOICE_SOURCES", "Voice", "add_voices", "read_voices", "sung_vocals"]
