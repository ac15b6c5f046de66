"""The format of stems: what it can hold, and how well."""

from __future__ import annotations

from dataclasses import dataclass

from asteroid_slicq.audio.levels import Levels
from asteroid_slicq.vocabulary import AUDIO_FORMATS, BIT_DEPTHS, CLIPPINGS, LOSSY_FORMATS

# Bits a second of stereo: the default, the least and the most.
_BITRATES = {
    "mp3": (320_000, 32_000, 320_000),
    "m4a": (256_000, 16_000, 512_000),
    "opus": (192_000, 12_000, 510_000),
}
_RATES = {
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "m4a": (
        *(7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000),
        *(44100, 48000, 64000, 88200, 96000),
    ),
    "opus": (48000,),
}
_MOST_CHANNELS = 2  # of lossy formats; their orders of more differ


@dataclass(frozen=True)
class StemFormat:
    """A format in which stems are written.

    Attributes:
        name: ``"wav"``, ``"flac"``, ``"mp3"``, ``"m4a"`` (AAC) or ``"opus"``.
        bit_depth: ``"16"``, ``"24"`` or ``"32f"`` (WAV only) of a lossless format; ``None`` for 16.
        bitrate: of a lossy format, in bits a second; ``None`` for 320 000 (MP3), 256 000 (M4A) or
            192 000 (Opus) in stereo, half of it in mono.

    Raises:
        ValueError: an unknown format, or what it does not have or hold.
    """

    name: str = "wav"
    bit_depth: str | None = None
    bitrate: int | None = None

    def __post_init__(self) -> None:
        if self.name not in AUDIO_FORMATS:
            raise ValueError(
                f"audio_format must be one of {', '.join(AUDIO_FORMATS)}, got {self.name!r}"
            )
        if self.bit_depth is not None and self.bit_depth not in BIT_DEPTHS:
            raise ValueError(
                f"bit_depth must be one of {', '.join(BIT_DEPTHS)}, got {self.bit_depth!r}"
            )
        if self.name == "flac" and self.bit_depth == "32f":
            raise ValueError("bit_depth must be 16 or 24 for FLAC, got '32f' (WAV holds 32f)")
        if self.is_lossy and self.bit_depth is not None:
            raise ValueError(
                f"bit_depth is for wav and flac, {self.name} has a bitrate; got {self.bit_depth!r}"
            )
        if self.bitrate is not None:
            self._check_bitrate(self.bitrate)

    def _check_bitrate(self, bitrate: int) -> None:
        if not self.is_lossy:
            raise ValueError(
                f"bitrate is for {', '.join(LOSSY_FORMATS)}, {self.name} has a bit_depth; "
                f"got {bitrate}"
            )
        _, low, high = _BITRATES[self.name]
        if not low <= bitrate <= high:
            raise ValueError(
                f"bitrate must be from {low // 1000}k to {high // 1000}k for {self.name}, "
                f"got {bitrate / 1000:g}k"
            )

    @property
    def is_lossy(self) -> bool:
        """Whether samples come back changed."""
        return self.name in LOSSY_FORMATS

    @property
    def bits(self) -> int:
        """Bits of integer samples; 0 where samples are not integers."""
        return 0 if self.is_lossy or self.bit_depth == "32f" else int(self.bit_depth or 16)

    @property
    def levels(self) -> Levels:
        """Values that samples may have."""
        if self.bits:
            return Levels.of_bits(self.bits)
        return Levels(0.0, -1.0, 1.0) if self.is_lossy else Levels()

    def sample_rate(self, sample_rate: int) -> int:
        """The rate of the file for stems of a rate: the same, the next above, or the highest."""
        rates = _RATES.get(self.name, (sample_rate,))
        return min((rate for rate in rates if rate >= sample_rate), default=rates[-1])

    def bitrate_for(self, sample_rate: int, n_channels: int) -> int:
        """Bits a second, as asked for, or as many as the format has at a rate of the file."""
        bitrate = self.bitrate or _BITRATES[self.name][0] * n_channels // 2
        if self.name == "mp3" and sample_rate < 32000:  # MPEG-2, MPEG-2.5
            return min(bitrate, 160_000 if sample_rate >= 16000 else 64_000)
        if self.name == "opus":
            return min(bitrate, 256_000 * n_channels)
        return bitrate

    def channel_error(self, n_channels: int) -> str | None:
        """An error for a number of channels, to follow a name; ``None`` where they are held."""
        if not self.is_lossy or n_channels <= _MOST_CHANNELS:
            return None
        return (
            f"has {n_channels} channels, {self.name} stems hold {_MOST_CHANNELS} at most; choose "
            "wav or flac, or mix it down (--downmix, downmix=True)"
        )


def check_clip(clip: str | None) -> None:
    """Refuse what is no way to keep samples within full scale.

    Raises:
        ValueError: such a one.
    """
    if clip is not None and clip not in CLIPPINGS:
        raise ValueError(f"clip must be one of {', '.join(CLIPPINGS)}, got {clip!r}")
