r"""Harmonic/percussive separation by running medians, on any transform, and the vocal stage.

In a spectrogram, tones are lines along time and drums are lines along frequency. With h a running
median of the magnitudes along time, in which drums vanish, and p one along frequency, in which
tones vanish, the masks of the two sources are

    h^q / (h^q + (β·p)^q),         p^q / (p^q + (β·h)^q),

which sum to one for a margin β of 1. A larger margin leaves to a third source, the residual, what
is clearly neither.

Vocals lie between: in a transform of high frequency resolution their pitch moves across bins, so
that they are percussive; in one of low resolution they are harmonic. So what the first one leaves
of its harmonic source is separated once more by the second one: its harmonic part are the vocals.

Sources: FitzGerald (2010), "Harmonic/percussive separation using median filtering"; Driedger,
Müller, Disch (2014), "Extending harmonic-percussive separation of audio signals", for the margin;
FitzGerald, Gainza (2010), "Single channel vocal separation using median filtering and factorisation
techniques", for the vocals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from asteroid_slicq.models.hpss.filters import frequency_median, time_median
from asteroid_slicq.transform import (
    NSGT,
    STFT,
    SliCQT,
    analyse_to_blocks,
    check_integer,
    check_number,
    check_waveform,
    overlap_add,
    resynthesise,
)

Transform = SliCQT | NSGT | STFT
_TAPS = 17  # magnitudes in a median along time, those of the paper


def hpss(
    waveform: Tensor,
    transform: Transform,
    vocal_transform: Transform | None = None,
    *,
    time_s: float = 0.4,
    bins: int = 11,
    margin: float = 1.0,
    power: float = 2.0,
) -> Tensor:
    """Harmonic and percussive parts of music and, on demand, vocals; they sum to the waveform.

    Every channel is separated on its own. Differentiable, as far as medians are.

    Args:
        waveform: the mix, at the sample rate of the transform.
        transform: in which it is separated: one of any layout.
        vocal_transform: of the second stage, which takes the vocals out of what is not harmonic,
            of a lower frequency resolution than ``transform``; ``None`` for no vocals.
        time_s: length of the median along time, in seconds; it is taken of about 17 magnitudes,
            which are means where a block has more.
        bins: length of the median along frequency, an odd number of bins.
        margin: β, at least 1; a source ``residual`` comes last where it is more.
        power: q of the masks, above 0; ``math.inf`` for binary ones.

    Shape:
        - waveform: ``(..., channel, time)``
        - output: ``(..., source, channel, time)``: harmonic, percussive, vocals where there is a
          ``vocal_transform``, residual where there is a margin

    Raises:
        TypeError: for another kind of transform, or what is no number.
        ValueError: for a number out of range, or an even number of bins.

    Example:
        >>> stft = STFT(4096, 1024)
        >>> time = torch.arange(44100) / 44100
        >>> tone, click = torch.sin(2764.6 * time)[None], 20.0 * (time == 0.5)[None]
        >>> harmonic, percussive = hpss(tone + click, stft)
        >>> inner = slice(11025, 33075)  # a tone's ends are percussive
        >>> bool((percussive - click)[:, inner].norm() < 0.1 * click.norm())
        True
    """
    waveform = check_waveform(waveform)
    check_medians(time_s, bins, margin, power)
    options = (time_s, bins, margin, power)
    harmonic, rest = _split(waveform, transform, *options)
    if vocal_transform is None:
        parts = [harmonic, rest]
        left = waveform - harmonic
    else:
        left = waveform - harmonic
        vocals, percussive = _split(left, vocal_transform, *options)
        left = left - vocals
        parts = [harmonic, percussive, vocals]
    if margin > 1:
        parts.append(left - parts[1])
    else:
        parts[1] = left  # the same but for rounding, by which they would not quite sum to the mix
    return torch.stack(parts, -3)


def check_medians(time_s: float, bins: int, margin: float, power: float) -> None:
    """Refuse arguments of :func:`hpss` that are out of range."""
    if not 0 < check_number("time_s", time_s) < math.inf:
        raise ValueError(f"time_s must be finite and above 0, got {time_s}")
    if check_integer("bins", bins, 3) % 2 == 0:
        raise ValueError(f"bins must be odd, got {bins}; nearest that works: {bins + 1}")
    if not math.isfinite(check_number("margin", margin, 1)):
        raise ValueError(f"margin must be finite, got {margin}")
    if not check_number("power", power) > 0:
        raise ValueError(f"power must be above 0, got {power}")


def _split(
    waveform: Tensor, transform: Transform, time_s: float, bins: int, margin: float, power: float
) -> tuple[Tensor, Tensor]:
    """Harmonic and percussive part of a waveform."""
    leading, length = waveform.shape[:-1], waveform.shape[-1]
    blocks = analyse_to_blocks(transform, waveform.reshape(-1, length))
    magnitudes = [_stream(block.abs(), transform) for block in blocks]
    scales, steps_s = _grid(transform, magnitudes)
    pairs = zip(magnitudes, steps_s, strict=True)
    of_time = [time_median(s, time_s / step_s, _TAPS) for s, step_s in pairs]
    scaled = [s * scale for s, scale in zip(magnitudes, scales, strict=True)]
    of_bins = [p / scale for p, scale in zip(frequency_median(scaled, bins), scales, strict=True)]
    parts = []
    for one, other in ((of_time, of_bins), (of_bins, of_time)):
        masks = [_mask(a, margin * b, power) for a, b in zip(one, other, strict=True)]
        masked = [_cut(m, c, transform) * c for m, c in zip(masks, blocks, strict=True)]
        parts.append(resynthesise(transform, masked, length).reshape(*leading, length))
    return parts[0], parts[1]


def _mask(one: Tensor, other: Tensor, power: float) -> Tensor:
    """one^q / (one^q + other^q), of magnitudes of any level; a half where both are 0."""
    if math.isinf(power):
        return (one > other).to(one.dtype) + 0.5 * (one == other)
    # Relative to the larger of the two: neither powers nor gradients overflow.
    loudest = torch.maximum(one, other).detach().clamp(min=torch.finfo(one.dtype).tiny)
    one, other = (one / loudest) ** power, (other / loudest) ** power
    total = one + other
    return torch.where(total > 0, one / torch.where(total > 0, total, 1), 0.5)


def _stream(magnitudes: Tensor, transform: Transform) -> Tensor:
    """Magnitudes with one time axis: those of slices are overlap-added."""
    return overlap_add(magnitudes) if _is_sliced(transform) else magnitudes


def _cut(mask: Tensor, block: Tensor, transform: Transform) -> Tensor:
    """A mask of a stream as one of a block, whose slices overlap by half."""
    if not _is_sliced(transform):
        return mask
    n_coefficients = block.shape[-1]
    return mask.unfold(-1, n_coefficients, n_coefficients // 2)


def _is_sliced(transform: Transform) -> bool:
    return isinstance(transform, SliCQT) and not transform.frame.overlap_added


def _grid(
    transform: Transform, magnitudes: Sequence[Tensor]
) -> tuple[Sequence[int], Sequence[float]]:
    """Factors that bring the blocks to one scale, and seconds between two coefficients of each."""
    if isinstance(transform, STFT):
        return [1], [transform.hop / transform.sample_rate]
    if isinstance(transform, SliCQT):
        samples = transform.frame.slice_length
    elif isinstance(transform, NSGT):
        samples = transform.frame.length
    else:
        raise TypeError(f"transform must be a SliCQT, NSGT or STFT, got {type(transform).__name__}")
    frame = transform.frame
    # The IDFT of a bin carries one over its length.
    lengths = [m for _, m in frame.blocks]
    return lengths, [samples / m / frame.sample_rate for m in lengths]
