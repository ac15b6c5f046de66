"""One song of recorded sounds: four stereo stems from one seed."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asteroid_slicq.data.procedural.mixing import mix_down
from asteroid_slicq.data.procedural.seeds import Seed, derive, generator
from asteroid_slicq.data.procedural.signal import Array
from asteroid_slicq.data.procedural.track import ABSENT, synthesize_track, track_song
from asteroid_slicq.data.sampled.bank import Bank
from asteroid_slicq.data.sampled.bass import sampled_bass
from asteroid_slicq.data.sampled.drums import sampled_drums
from asteroid_slicq.data.sampled.other import sampled_other
from asteroid_slicq.data.sampled.sampler import Sampler
from asteroid_slicq.data.sampled.vocals import sampled_vocals
from asteroid_slicq.vocabulary import STEMS

# Mean and deviation in dB of the level of each stem while it plays.
LEVELS_DB = {
    "vocals": (1.5, 2.5),
    "drums": (-0.5, 2.8),
    "bass": (-1.0, 2.8),
    "other": (-0.5, 3.0),
}
SOUNDS = ("procedural", "sampled", "both")


def sampled_track(
    seed: Seed, duration_s: float, sample_rate: int, bank: Bank
) -> dict[str, NDArray[np.float32]]:
    """Compose a song and render its four stems from recordings; the mixture is their sum.

    Args:
        seed: Integer of at least 0, or a seed sequence; the same seed gives the same samples.
        duration_s: Length in seconds.
        sample_rate: In Hz, at least 8000.
        bank: The sounds.

    Shape:
        - Output: ``(2, time)`` each

    Raises:
        ValueError, TypeError: As `synthesize_track` does.
    """
    seed = derive(seed, "sampled")
    song = track_song(seed, duration_s, sample_rate)
    rng = generator(seed, "mix")
    sampler = Sampler(bank, sample_rate)
    absent = {name for name in STEMS if rng.random() < ABSENT[name]}
    if len(absent) > 2:
        absent = set()
    renderers = {
        "vocals": lambda r: sampled_vocals(r, song, bank),
        "drums": lambda r: sampled_drums(r, song, sampler),
        "bass": lambda r: sampled_bass(r, song, sampler),
        "other": lambda r: sampled_other(r, song, sampler),
    }
    stems: dict[str, Array] = {
        name: np.zeros((2, song.n_samples)) if name in absent else render(generator(seed, name))
        for name, render in renderers.items()
    }
    return mix_down(stems, song.style, rng, sample_rate, LEVELS_DB)


@lru_cache(maxsize=1)
def _open(folder: Path) -> Bank:
    return Bank(folder)


@dataclass(frozen=True)
class Renderer:
    """Renders tracks from recordings, or from both kinds of sounds; a process opens the bank once.

    Args:
        sounds: ``"sampled"``, or ``"both"``: the seed of a track decides which it is.
        folder: Of the bank.
    """

    sounds: str
    folder: Path

    def __post_init__(self) -> None:
        if self.sounds not in SOUNDS[1:]:
            raise ValueError(f"sounds must be one of {SOUNDS[1:]}, got {self.sounds!r}")
        _open(self.folder)

    @property
    def for_tests(self) -> bool:
        """Whether the bank only plays songs to test on."""
        return _open(self.folder).for_tests

    def __call__(
        self, seed: Seed, duration_s: float, sample_rate: int
    ) -> dict[str, NDArray[np.float32]]:
        """Render a track; the arguments are those of `synthesize_track`."""
        if self.sounds == "both" and generator(seed, "sounds").random() < 0.5:
            return synthesize_track(seed, duration_s, sample_rate)
        return sampled_track(seed, duration_s, sample_rate, _open(self.folder))
