"""The files that the separation of one song writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asteroid_slicq.audio import check_format


@dataclass(frozen=True)
class FileOutput:
    """What the separation of a file writes, whichever file it is.

    Its fields are keyword arguments of `Separator.separate_file`: ``**vars(output)``.

    Attributes:
        stems: which sources to write; ``None`` for all.
        audio_format: ``"wav"`` or ``"flac"``.
        bit_depth: ``"16"``, ``"24"`` or ``"32f"``; ``None`` for what the mix has (16 for lossy and
            8-bit files; FLAC holds 24 at most).
        downmix: mix more than two channels to stereo by the coefficients of ITU-R BS.775.

    Raises:
        ValueError: an unknown format or bit depth, or a depth that the format cannot hold.
    """

    stems: Sequence[str] | None = None
    audio_format: str = "wav"
    bit_depth: str | None = None
    downmix: bool = False

    def __post_init__(self) -> None:
        check_format(self.audio_format, self.bit_depth)

    def bit_depth_for(self, bit_depth: str) -> str:
        """The bit depth of the stems of a mix that has the one given."""
        if self.bit_depth is None and self.audio_format == "flac" and bit_depth == "32f":
            return "24"
        return self.bit_depth or bit_depth
