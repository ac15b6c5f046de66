"""Procedural multitrack songs, for training where no recorded data set is at hand."""

from asteroid_slicq.data.procedural.dataset import plan_dataset, write_dataset
from asteroid_slicq.data.procedural.mixing import quantise, sum_stems
from asteroid_slicq.data.procedural.song import Song
from asteroid_slicq.data.procedural.track import synthesize_track, track_song

__all__ = [
    "Song",
    "plan_dataset",
    "quantise",
    "sum_stems",
    "synthesize_track",
    "track_song",
    "write_dataset",
]
