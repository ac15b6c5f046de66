"""The recurrent network of one block: xumx-sliCQ with LSTMs in place of convolutions.

Sources: Stöter, Uhlich, Liutkus, Mitsufuji, "Open-Unmix" (JOSS 2019), for the body; Hanssian,
"Music demixing with the sliCQ transform" (arXiv:2112.05509), for the blocks.

The original project holds such a network as an experiment which, by a slip in a reshape, cuts
sequences across channels and bins where frames were meant. This is what was meant, not what was
run: no weights of the original fit.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from asteroid_slicq.models.recurrence import lstm
from asteroid_slicq.models.xumx_slicq.layers import MaskNetwork
from asteroid_slicq.transform import overlap_add

_N_LAYERS = 3
_DROPOUT = 0.4
_MANY_BINS = 10


class RecurrentBlockNetwork(MaskNetwork):
    """Bidirectional LSTMs along time.

    A step in time is one coefficient of all bins and channels: what a frame of the STFT is to
    Open-Unmix, whose body follows for each target: where there are many bins, a linear layer with
    batch norm and tanh; three bidirectional LSTM layers; what went in beside what came out; a
    linear layer with batch norm and ReLU; a linear layer to the mask. Linear layers are grouped
    convolutions and the LSTMs of all targets are one, see :class:`GroupedLSTM`.

    Steps follow one another by the thousand, which leaves little to do side by side: on a CPU
    version 2 takes some fifteen times as long with them as with convolutions.

    Args:
        n_bins, n_coefficients, n_sources, n_channels: see :class:`MaskNetwork`.
        hidden_channels: features of the linear layers and, in each direction, of the LSTM, for each
            target. None is as the original: half of what a step holds beyond 10 bins, else no first
            linear layer and as many features as a step holds; in each direction half of them.
        overlap_added: add the magnitudes of neighbouring slices where they overlap, as version 1
            does. Slices that share a time share its mask.
    """

    def __init__(
        self,
        n_bins: int,
        n_coefficients: int,
        n_sources: int = 4,
        n_channels: int = 2,
        hidden_channels: tuple[int, int] | None = None,
        overlap_added: bool = False,
    ) -> None:
        super().__init__(n_sources)
        self.overlap_added = overlap_added
        n_features, j = n_channels * n_bins, n_sources
        encodes = n_bins > _MANY_BINS or hidden_channels is not None
        if hidden_channels is None:
            outer = n_features // 2 if encodes else n_features
            hidden_channels = outer, (outer + 1) // 2
        outer, inner = hidden_channels
        self.shift = nn.Parameter(torch.zeros(n_bins))
        self.scale = nn.Parameter(torch.ones(n_bins))
        self.encode = nn.Conv1d(n_features, j * outer, 1, bias=False) if encodes else None
        self.norm_encode = nn.BatchNorm1d(j * outer) if encodes else None
        self.lstm = GroupedLSTM(outer, inner, j)
        self.decode_inner = nn.Conv1d(j * (outer + 2 * inner), j * outer, 1, groups=j, bias=False)
        self.norm_decode = nn.BatchNorm1d(j * outer)
        self.decode_outer = nn.Conv1d(j * outer, j * n_features, 1, groups=j)

    def seen(self, magnitudes: Tensor) -> Tensor:
        """The magnitudes as the network sees them: the overlap-added stream, or the slices."""
        return overlap_add(magnitudes) if self.overlap_added else magnitudes

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Masks of all targets, see :class:`MaskNetwork` for the shapes."""
        # b batch, j source, c channel, f freq, s slice, t time, n step, i feature
        n_channels, n_bins, _, width = magnitudes.shape[1:]
        x = self.seen(magnitudes.to(self.shift.dtype)).flatten(3)
        x = (x + self.shift[:, None]) * self.scale[:, None]
        x = rearrange(x, "b c f n -> b (c f) n")
        if self.encode is not None and self.norm_encode is not None:
            x = torch.tanh(self.norm_encode(self.encode(x)))
            x = rearrange(x, "b (j i) n -> b j i n", j=self.n_sources)
        else:
            x = x.unsqueeze(1).expand(-1, self.n_sources, -1, -1)
        x = torch.cat([x, self.lstm(x)], dim=2)
        x = F.relu(self.norm_decode(self.decode_inner(x.flatten(1, 2))))
        x = torch.sigmoid(self.decode_outer(x)).to(magnitudes.dtype)
        x = rearrange(x, "b (j c f) n -> b j c f n", c=n_channels, f=n_bins)
        return x.unfold(-1, width, width // 2 if self.overlap_added else width)


class GroupedLSTM(nn.Module):
    """Bidirectional LSTMs side by side, one a group, that run as one.

    What an LSTM costs here is the number of its steps, not their size: so the groups are one LSTM
    whose weight matrices are block diagonal. In training, layers but the last drop features out.

    Shape:
        - x: ``(batch, group, n_inputs, step)``
        - output: ``(batch, group, 2·n_hidden, step)``, forward before backward
    """

    def __init__(self, n_inputs: int, n_hidden: int, n_groups: int) -> None:
        super().__init__()
        self.groups = nn.ModuleList(
            nn.LSTM(n_inputs, n_hidden, _N_LAYERS, bidirectional=True) for _ in range(n_groups)
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        batch, n_groups, n_inputs = x.shape[:3]
        names = [name for name, _ in self.groups[0].named_parameters()]
        parts = ([getattr(group, name) for group in self.groups] for name in names)
        weights = [
            _block_diagonal(part, n_inputs if name.startswith("weight_ih_l0") else None)
            for name, part in zip(names, parts, strict=True)
        ]
        state = x.new_zeros(2 * _N_LAYERS, batch, len(weights[0]) // 4)
        steps = rearrange(x, "b j i n -> n b (j i)")
        options = _N_LAYERS, _DROPOUT, self.training, True, False
        y, _, _ = lstm(steps, (state, state), weights, *options)
        return rearrange(y, "n b (d j h) -> b j (d h) n", d=2, j=n_groups)


def _block_diagonal(parts: list[Tensor], n_inputs: int | None) -> Tensor:
    """Weights of one layer and direction of all groups as those of one LSTM.

    Rows are gates before groups before features; columns are directions before groups before
    features, as the layer below gives them, or ``n_inputs`` features, which have no directions.

    Shape:
        - parts: ``(4·h, columns)`` or ``(4·h,)``; output: ``(4·j·h, j·columns)`` or ``(4·j·h,)``
    """
    stacked = torch.stack(parts, -1)
    if stacked.ndim == 2:
        return rearrange(stacked, "(g h) j -> (g j h)", g=4)
    n_hidden = len(stacked) // 4
    width = n_inputs or n_hidden
    diagonal = torch.diag_embed(stacked)
    return rearrange(diagonal, "(g h) (d k) j i -> (g j h) (d i k)", g=4, k=width)
