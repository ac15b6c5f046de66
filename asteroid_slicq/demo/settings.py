"""Settings of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from asteroid_slicq.vocabulary import DEFAULT_SEGMENT_S


@dataclass(frozen=True)
class DemoSettings:
    """What a page offers, and its limits.

    Attributes:
        models: by the name that the page shows, what loads each.
        device: where they run.
        max_minutes: of a song.
        max_mb: of a file, in units of 10⁶ bytes.
        keep_minutes: how long stems stay after they were last heard.
        n_jobs: songs that are separated at a time; others wait.
        max_songs: that are held at a time; more are refused.
        segment_s: see :class:`asteroid_slicq.separation.Separator`.
    """

    models: Mapping[str, Callable[[], nn.Module]]
    device: str = "cpu"
    max_minutes: float = 10.0
    max_mb: float = 200.0
    keep_minutes: float = 30.0
    n_jobs: int = 1
    max_songs: int = 20
    segment_s: float = DEFAULT_SEGMENT_S

    @property
    def max_bytes(self) -> int:
        """Of a file."""
        return int(self.max_mb * 1e6)
