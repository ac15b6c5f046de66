"""The inverse that made the reference waveforms, which is not quite an inverse.

A bin whose window crosses DC needs its conjugate mirror image there: with F the DFT of its
coefficients, B[j] = conj F[−j] at the DFT bins −p + j. The V2 reference takes B[j] = conj F[j + 1]
in the rotated domain in which it computes (slice s turned by ±N/4); the V1 reference has no B. Its
14-bin frame has such a bin, so it reconstructs the reference input to 4e-4 there; ``nsgt`` and this
package are exact. The default frame has none: see ``test_published_frame_is_not_concerned``.
"""

import numpy as np

from asteroid_slicq.transform import Frame


def reference_inverse(frame: Frame, coefficients, length: int, mirror: str) -> np.ndarray:
    """Waveform of sliced coefficients by the rule of one reference.

    Args:
        frame: the frame of the coefficients.
        coefficients: blocks ``(..., freq, slice, time)``.
        length: samples of the waveform.
        mirror: ``v2``, ``v1`` or ``exact``.
    """
    n, hop = frame.slice_length, frame.slice_hop
    bins = [block[..., k, :, :] for block in coefficients for k in range(block.shape[-3])]
    turn = np.where(np.arange(bins[0].shape[-2]) % 2 == 0, 1, -1)[:, None]
    spectrum = np.zeros((*bins[0].shape[:-1], n), complex)
    for k, (p, m, dual) in enumerate(zip(frame.positions, frame.widths, frame.duals, strict=True)):
        j = np.arange(m) - m // 2
        turned = np.fft.fft(bins[k]) * np.exp(0.5j * np.pi * turn * np.fft.fftfreq(m, 1 / m))
        spectrum[..., (p + j) % n] += np.fft.fftshift(turned, axes=-1) * dual
        if mirror != "v1" and 0 < k < frame.n_bins - 1:
            rolled, reversed_ = np.roll(turned, -1, -1), turned[..., -np.arange(m) % m]
            image = (rolled if mirror == "v2" else reversed_).conj()
            reversed_dual = np.concatenate([dual[:1], dual[:0:-1]])
            spectrum[..., (j - p) % n] += np.fft.fftshift(image, axes=-1) * reversed_dual
    slices = np.fft.irfft(spectrum[..., : hop + 1], n=n)
    slices[..., 0::2, :] = np.roll(slices[..., 0::2, :], n // 4, -1)
    slices[..., 1::2, :] = np.roll(slices[..., 1::2, :], -n // 4, -1)
    waveform = slices[..., :-1, hop:] + slices[..., 1:, :hop]
    return waveform.reshape(*waveform.shape[:-2], -1)[..., :length]
