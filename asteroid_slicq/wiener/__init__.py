"""From masks to complex sources: mix phase, soft masks and multichannel Wiener filtering."""

from asteroid_slicq.wiener.filtering import (
    apply_mix_phase,
    check_share,
    filter_all_masked,
    filter_masked,
    impose_mix_phase,
    in_part,
    mix_phase,
    softmask,
    wiener,
    wiener_em,
)
from asteroid_slicq.wiener.postfilter import SongPostfilter, wiener_on_stft
from asteroid_slicq.wiener.song import SongCovariances
from asteroid_slicq.wiener.song_rows import SongCovariancesOfBlocks

__all__ = [
    "SongCovariances",
    "SongCovariancesOfBlocks",
    "SongPostfilter",
    "apply_mix_phase",
    "check_share",
    "filter_all_masked",
    "filter_masked",
    "impose_mix_phase",
    "in_part",
    "mix_phase",
    "softmask",
    "wiener",
    "wiener_em",
    "wiener_on_stft",
]
