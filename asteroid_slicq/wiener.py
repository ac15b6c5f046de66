"""From masks to complex sources: the phase of the mix, and multichannel Wiener filtering by EM.

Sources: Nugraha, Liutkus, Vincent (2016), "Multichannel audio source separation with deep neural
networks", for the expectation-maximisation; Hanssian (2021), "Music demixing with the sliCQ
transform", for running it on each block of a sliCQT.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

_EPS = float(torch.finfo(torch.float32).eps)
_SCALE_FACTOR = 10.0


def apply_mix_phase(masks: Tensor, mix: Tensor) -> Tensor:
    """Masked magnitudes of the mix with the mix's own phase, v_j·e^{j∠x} = mask_j·x.

    Shape:
        - masks: ``(batch, source, ...)``, real
        - mix: ``(batch, ...)``, complex
        - output: ``(batch, source, ...)``, complex
    """
    return masks * mix.unsqueeze(1)


def wiener_em(
    estimates: Tensor, mix: Tensor, iterations: int = 1, window_frames: int | None = 5000
) -> Tensor:
    """Refine complex source estimates by the multichannel Wiener filter, differentiably.

    Each source is a zero-mean Gaussian in each frequency bin, with a power spectral density PSD_j
    that varies over time and a spatial covariance R_j that does not. One iteration estimates both
    from the current sources and filters the mix with them:

        PSD_j = mean_c |y_j|²,    R_j = Σ_t y_j y_jᴴ / (ε + Σ_t PSD_j),
        y_j ← PSD_j·R_j·(Σ_i PSD_i·R_i + √ε·I)⁻¹·x.

    Args:
        estimates: first estimates of the sources; not changed.
        mix: the mix; not changed.
        iterations: EM iterations; 0 returns the estimates.
        window_frames: frames over which a spatial covariance is constant; None is all of them.

    Shape:
        - estimates: ``(batch, source, channel, freq, frame)``, complex
        - mix: ``(batch, channel, freq, frame)``, complex
        - output: as ``estimates``

    Raises:
        ValueError: for shapes that do not fit, a negative number of iterations or an empty
            window.

    Example:
        >>> mix = torch.randn(1, 2, 3, 40, dtype=torch.complex64)
        >>> sources = wiener_em(torch.stack([0.25 * mix, 0.75 * mix], dim=1), mix)
        >>> bool((sources.sum(1) - mix).abs().max() < 0.01)
        True
    """
    if estimates.ndim != 5 or estimates[:, 0].shape != mix.shape:
        raise ValueError(
            "estimates must be (batch, source, channel, freq, frame) and mix the same without "
            f"source, got {tuple(estimates.shape)} and {tuple(mix.shape)}"
        )
    if iterations < 0:
        raise ValueError(f"iterations must be at least 0, got {iterations}")
    n_frames = mix.shape[-1]
    window = n_frames if window_frames is None else window_frames
    if window < 1:
        raise ValueError(f"window_frames must be at least 1 or None, got {window_frames}")
    if iterations == 0 or n_frames == 0:
        return estimates
    windows = [
        _wiener_em_window(y, x, iterations)
        for y, x in zip(estimates.split(window, -1), mix.split(window, -1), strict=True)
    ]
    return windows[0] if len(windows) == 1 else torch.cat(windows, dim=-1)


def _wiener_em_window(y: Tensor, x: Tensor, iterations: int) -> Tensor:
    # A common scale keeps the regularisation √ε small beside loud mixes and harmless in silence.
    loudest = x.detach().abs().amax(dim=(1, 2, 3), keepdim=True)
    scale = (loudest / _SCALE_FACTOR).clamp(min=1.0)
    x = x / scale
    y = y / scale.unsqueeze(1)
    for _ in range(iterations):
        y = _wiener_step(y, x)
    return y * scale.unsqueeze(1)


def _wiener_step(y: Tensor, x: Tensor) -> Tensor:
    power = (y.real.square() + y.imag.square()).mean(dim=2)  # batch source freq frame
    weight = _EPS + power.sum(-1)[..., None, None]
    frames = rearrange(y, "b j c f t -> b j f c t")
    spatial = frames @ frames.mH / weight  # batch source freq channel channel
    whitened = _solve(power, spatial, x)  # batch freq channel frame
    filtered = spatial @ whitened.unsqueeze(1)
    return rearrange(filtered, "b j f c t -> b j c f t") * power.unsqueeze(2)


def _solve(power: Tensor, spatial: Tensor, x: Tensor) -> Tensor:
    """(Σ_j PSD_j·R_j + √ε·I)⁻¹·x for every bin and frame.

    Shape:
        - power: ``(batch, source, freq, frame)``
        - spatial: ``(batch, source, freq, channel, channel)``
        - x: ``(batch, channel, freq, frame)``; output: ``(batch, freq, channel, frame)``
    """
    regularisation = _EPS**0.5
    n_channels = x.shape[1]
    if n_channels == 2:
        # [[a, b], [b̄, d]]⁻¹ = [[d, −b], [−b̄, a]] / (ad − |b|²), with a, d real.
        a = _mix_covariance(power, spatial[..., 0, 0].real) + regularisation
        d = _mix_covariance(power, spatial[..., 1, 1].real) + regularisation
        b = torch.complex(
            _mix_covariance(power, spatial[..., 0, 1].real),
            _mix_covariance(power, spatial[..., 0, 1].imag),
        )
        # |b|² ≤ (a − √ε)(d − √ε) holds in exact arithmetic.
        floor = regularisation * (a + d - regularisation)
        determinant = torch.maximum(a * d - (b.real.square() + b.imag.square()), floor)
        left, right = x[:, 0], x[:, 1]
        solved = torch.stack([d * left - b * right, a * right - b.conj() * left], dim=2)
        return solved / determinant.unsqueeze(2)
    covariance = torch.einsum("bjft,bjfcd->bftcd", power.to(spatial.dtype), spatial)
    covariance = covariance + regularisation * torch.eye(n_channels, dtype=x.dtype, device=x.device)
    solved = torch.linalg.solve(covariance, rearrange(x, "b c f t -> b f t c").unsqueeze(-1))
    return rearrange(solved.squeeze(-1), "b f t c -> b f c t")


def _mix_covariance(power: Tensor, entry: Tensor) -> Tensor:
    """Σ_j PSD_j·R_j[c, d] for one real entry. Shape: ``(batch, freq, frame)``."""
    return (power * entry.unsqueeze(-1)).sum(dim=1)
