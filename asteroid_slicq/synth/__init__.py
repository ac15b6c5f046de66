"""Procedural multitrack songs, for training where no recorded data set is at hand."""

from .dataset import plan_dataset, write_dataset
from .mixing import STEMS, quantise, sum_stems
from .song import Song
from .track import synthesize_track, track_song

__all__ = [
    "STEMS",
    "Song",
    "plan_dataset",
    "quantise",
    "sum_stems",
    "synthesize_track",
    "track_song",
    "write_dataset",
]
