"""Changes of the pitch of stems that keep their time: stretched by WSOLA, then resampled.

After Verhelst and Roelands, "An overlap-add technique based on waveform similarity (WSOLA) for high
quality time-scale modification of speech" (ICASSP 1993). Attacks stay attacks and channels stay in
phase, unlike with a phase vocoder.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

_WINDOW = 2048
_HOP = _WINDOW // 2
_REACH = 640  # samples to either side, half a period of the lowest bass


def shift_pitch(stems: Tensor, factors: Sequence[float]) -> Tensor:
    """Stems at other pitches.

    Args:
        stems: samples, on any device.
        factors: of the frequencies of each stem: above 1 is higher.

    Shape:
        - stems, output: ``(n, channel, time)``
    """
    length = stems.shape[-1]
    padded = pad(stems, (_WINDOW, _WINDOW), mode="reflect" if length > _WINDOW else "constant")
    n_before = padded.shape[-1]
    stretched = _stretch(padded, torch.tensor(factors, dtype=torch.float64, device=stems.device))
    shifted = torch.empty_like(stems)
    for row, factor in enumerate(factors):
        # Resampled by cutting or padding the DFT, whose ends are cut off.
        n_after = round(n_before * factor)
        bins = torch.fft.rfft(stretched[row, :, :n_after])[..., : n_before // 2 + 1]
        samples = torch.fft.irfft(bins, n_before) * (n_before / n_after)
        shifted[row] = samples[..., _WINDOW : _WINDOW + length]
    return shifted


def _stretch(stems: Tensor, factors: Tensor) -> Tensor:
    """Stems that take other times at the same pitch, at least as long as the longest of them.

    Every window is cut where, near its place, the stem is most like what followed the one before.

    Shape:
        - stems: ``(n, channel, time)``; factors: ``(n,)``; output: ``(n, channel, longer time)``
    """
    n, n_channels, length = stems.shape
    padded = pad(stems, (_REACH, _WINDOW + _HOP + _REACH))
    mono = padded.mean(1)
    energy = pad(mono.double().square().cumsum(-1), (1, 0))
    window = torch.hann_window(_WINDOW, device=stems.device)
    n_windows = int(length * float(factors.max())) // _HOP + 1
    out = stems.new_zeros(n, n_channels, (n_windows + 1) * _HOP)
    here = torch.arange(_WINDOW, device=stems.device)
    near = torch.arange(_WINDOW + 2 * _REACH, device=stems.device)
    lags = near[: 2 * _REACH + 1]
    begin = torch.full((n,), _REACH, device=stems.device)
    for i in range(n_windows):
        if i:
            wanted = mono.gather(1, begin[:, None] + _HOP + here)
            first = (i * _HOP / factors).long().clamp(max=length)[:, None]
            size = 2 ** (len(near) - 1).bit_length()
            spectrum = torch.fft.rfft(mono.gather(1, first + near), size)
            alike = torch.fft.irfft(spectrum * torch.fft.rfft(wanted, size).conj(), size)
            power = energy.gather(1, first + lags + _WINDOW) - energy.gather(1, first + lags)
            score = alike[:, : len(lags)] / power.clamp(min=1e-9).sqrt()
            begin = first[:, 0] + score.argmax(1)
        cut = padded.gather(2, (begin[:, None] + here)[:, None].expand(-1, n_channels, -1))
        out[..., i * _HOP : i * _HOP + _WINDOW] += cut * window
    return out
