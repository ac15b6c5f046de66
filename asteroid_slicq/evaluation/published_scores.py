"""Published scores of other models on MUSDB18-HQ, with their sources.

Median over windows of one second, then over the 50 test tracks, of the SDR of BSSEval v4, in dB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_XUMX_SLICQ = "Hanssian 2021, [arXiv:2112.05509](https://arxiv.org/abs/2112.05509)"
_XUMX_SLICQ_V2 = "Hanssian 2023, [README](https://github.com/sevagh/xumx-sliCQ)"
_UMX = "Stöter et al. 2019, [Open-Unmix](https://doi.org/10.21105/joss.01667)"
_XUMX = (
    "Sawata et al. 2021, [arXiv:2010.04228](https://arxiv.org/abs/2010.04228); by source, "
    "on MUSDB18, [Asteroid's recipe](https://github.com/asteroid-team/asteroid/tree/master/egs/musdb18/X-UMX)"
)


@dataclass(frozen=True)
class PublishedScore:
    """A score of the test set of MUSDB18-HQ.

    Attributes:
        model: its name.
        mean: of the sources, in dB.
        where: who published it, in Markdown.
        sources: SDR of each source in dB, where it is published.
    """

    model: str
    mean: float
    where: str
    sources: Mapping[str, float] = field(default_factory=dict)

    def score(self, column: str) -> float | None:
        """That of a source or of ``"mean"``; None where none is published."""
        return self.mean if column == "mean" else self.sources.get(column)


def _stems(vocals: float, drums: float, bass: float, other: float) -> dict[str, float]:
    return {"vocals": vocals, "drums": drums, "bass": bass, "other": other}


MUSDB18_HQ_TEST = (
    PublishedScore("xumx-sliCQ (V1)", 3.6, _XUMX_SLICQ),
    PublishedScore("xumx-sliCQ V2", 4.4, _XUMX_SLICQ_V2, _stems(4.791, 4.846, 4.690, 3.273)),
    PublishedScore(
        "xumx-sliCQ V2 realtime", 4.07, _XUMX_SLICQ_V2, _stems(4.526, 4.749, 3.837, 3.168)
    ),
    PublishedScore("Open-Unmix (UMX)", 5.41, _UMX),
    PublishedScore("Open-Unmix (UMX), re-evaluated", 4.64, _XUMX_SLICQ),
    PublishedScore("X-UMX", 5.79, _XUMX, _stems(6.612, 6.471, 5.426, 4.639)),
    PublishedScore("X-UMX, re-evaluated", 5.54, _XUMX_SLICQ),
)

#: Of the mix-phase oracle on the 14 validation tracks, by transform, in dB (arXiv:2112.05509).
MIX_PHASE_VALIDATION = {"sliCQT": 8.84, "STFT": 8.56}
