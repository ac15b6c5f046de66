"""A drum kit of recordings: the pieces of a SoundFont's kit, some replaced by single hits."""

import numpy as np

from asteroid_slicq.data.procedural.signal import Array, fade, lowpass
from asteroid_slicq.data.sampled.sampler import Sampler

# MIDI keys of the pieces in a General MIDI kit, by voice of the composer.
KEYS: dict[str, tuple[int, ...]] = {
    "kick": (36, 35),
    "snare": (38, 40),
    "clap": (39,),
    "rim": (37,),
    "brush": (38,),
    "hat": (42,),
    "pedal": (44,),
    "open": (46,),
    "ride": (51, 59, 53),
    "crash": (49, 57, 52, 55),
    "shaker": (82, 70, 69),
    "tom1": (50, 48),
    "tom2": (47, 45),
    "tom3": (43, 41),
}
PERCUSSION = (54, 56, *range(60, 69), 75, 76, 77, 80, 81, 69, 70)
ELECTRONIC, ACOUSTIC, BRUSHED = (24, 25, 16), (*range(16), *range(17, 20), *range(32, 37)), (40, 41)
_SINGLE_PERCUSSION = 0.5  # share of pieces of percussion that are single hits
_LAYERS = 8
_LONG = ("crash", "ride", "open")


class RecordedKit:
    """A kit drawn once; each hit is one of a few takes of its voice and velocity layer.

    A take differs from the next by cents, brightness, and where the recording begins, as no two
    strokes of a drummer are alike.

    Args:
        rng: Random stream.
        sampler: Plays the bank.
        sample_rate: In Hz.
        electronic: Whether it is a drum machine: more single hits, and one take of each.
        brushed: Whether brushes are played.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        sampler: Sampler,
        sample_rate: int,
        electronic: bool,
        brushed: bool = False,
    ) -> None:
        self._rng, self._sampler, self._rate = rng, sampler, sample_rate
        programmes = ELECTRONIC if electronic else BRUSHED if brushed else ACOUSTIC
        kits = sampler.having([f"128:{p}" for p in programmes])
        kits = kits or sorted(p for p in sampler.bank.presets if p.startswith("128:"))
        self._preset = str(rng.choice(kits))
        self._keys = {voice: int(rng.choice(keys)) for voice, keys in KEYS.items()}
        self._cents = {voice: float(rng.normal(0.0, 90.0)) for voice in KEYS}
        self._bright = {voice: float(rng.normal(0.0, 0.3)) for voice in KEYS}
        self._hits: dict[str, list[int]] = {}
        hits = sampler.bank.hits
        for voice in KEYS:
            odds = 0.6 if electronic else 0.2
            if voice in ("hat", "open", "ride", "crash") and not electronic:
                odds *= 0.5
            if voice in hits and not brushed and rng.random() < odds:
                self._hits[voice] = hits[voice][int(rng.integers(len(hits[voice])))]
        for key in PERCUSSION:
            if "perc" in hits and rng.random() < _SINGLE_PERCUSSION:
                self._hits[f"perc{key}"] = hits["perc"][int(rng.integers(len(hits["perc"])))]
                self._cents[f"perc{key}"] = float(rng.normal(0.0, 90.0))
        self._n_takes = 1 if electronic else 4
        self._takes: dict[tuple[str, int], list[Array]] = {}
        self._last: dict[str, int] = {}

    def hit(self, voice: str, velocity: float) -> Array:
        """Render or recall a hit: another take than the last one of this voice, if there are any.

        Args:
            voice: A key of `KEYS`, or ``"perc<key>"`` for a piece of percussion.
            velocity: In (0, 1].

        Shape:
            - Output: ``(time,)``
        """
        layer = int(np.clip(np.ceil(velocity * _LAYERS), 1, _LAYERS))
        takes = self._takes.setdefault((voice, layer), [])
        if len(takes) < self._n_takes:
            takes.append(self._take(voice, layer / _LAYERS))
            chosen = len(takes) - 1
        else:
            chosen = int(self._rng.integers(len(takes)))
            if chosen == self._last.get(voice):
                chosen = (chosen + 1) % len(takes)
        self._last[voice] = chosen
        return takes[chosen] * (velocity * _LAYERS / layer)

    def _take(self, voice: str, velocity: float) -> Array:
        rng, rate = self._rng, self._rate
        spread = 0.0 if self._n_takes == 1 else 1.0
        cents = self._cents.get(voice, 0.0) + spread * rng.normal(0.0, 7.0)
        bright = self._bright.get(voice, 0.0) + spread * rng.normal(0.0, 0.12)
        if voice in self._hits:
            layers = self._hits[voice]
            x = self._sampler.hit(layers[int((len(layers) - 1) * velocity + 0.5)], cents)
            x = 0.5 * velocity**1.2 * x
        else:
            key = int(voice[4:]) if voice.startswith("perc") else self._keys[voice]
            seconds = 4.0 if voice in _LONG else 2.0
            out = np.zeros((2, int(rate * seconds)))
            self._sampler.play(out, 0, self._preset, key, velocity, seconds, cents=cents)
            x = out.mean(axis=0)
            heard = np.flatnonzero(np.abs(x) > 1e-4 * np.abs(x).max(initial=0.0))
            x = x[: int(heard[-1]) + 1] if len(heard) else x[:1]
        # A soft stroke is duller than a hard one; the recordings of most kits have one layer.
        cutoff_hz = 4000.0 * 2.0 ** (2.6 * velocity + bright)
        if cutoff_hz < 0.4 * rate:
            x = lowpass(x, cutoff_hz, rate, 1)
        return fade(x, rate, 0.0002, 0.01)
