"""Mean absolute error of magnitudes: what the singing-voice U-Net is trained with.

Source: Jansson et al., "Singing voice separation with deep U-Net convolutional networks" (ISMIR
2017), eq. 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from asteroid_slicq.losses.combinations import as_blocks, check_same_shape


class MagnitudeL1Loss(nn.Module):
    """Mean absolute error of the magnitudes of coefficients; blocks count with equal weight.

    Shape:
        - estimates, targets: blocks of ``(batch, source, channel, freq, …)``, complex
        - output: a scalar

    Raises:
        ValueError: if the shapes differ, or there is no block.

    Example:
        >>> block = torch.randn(1, 2, 1, 5, 7, dtype=torch.complex64)
        >>> round(float(MagnitudeL1Loss()([2 * block], [1j * block]) / block.abs().mean()), 4)
        1.0
    """

    def forward(self, estimates: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """Compare blocks of coefficients, see the class for the shapes."""
        pairs = zip(as_blocks(estimates, "estimates"), as_blocks(targets, "targets"), strict=True)
        losses = []
        for estimate, target in pairs:
            check_same_shape(estimate, target)
            losses.append((estimate.abs() - target.abs()).abs().mean())
        return torch.stack(losses).mean()
