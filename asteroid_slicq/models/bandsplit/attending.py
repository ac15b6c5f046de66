"""Attention of all steps to each other, or of those that lie near each other."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_FEW = 5  # reaches in all the steps, up to which a mask for all of them takes no longer
_MAX_ROWS = 65535  # rows times heads that every kernel takes


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention of as many rows at a time as every kernel takes.

    On processors never in bfloat16, whose gradient takes three times as long there.

    Args:
        query: of every step.
        key: likewise.
        value: likewise.
        mask: which keys a query sees; None: all.

    Shape:
        - query, key, value, output: ``(row, head, step, feature)``
        - mask: broadcast to ``(row, head, step of the query, step of the key)``
    """
    if query.dtype == torch.bfloat16 and query.device.type == "cpu":
        with torch.autocast("cpu", enabled=False):
            return attend(query.float(), key.float(), value.float(), mask).bfloat16()
    n_rows = max(1, _MAX_ROWS // query.shape[1])
    if len(query) <= n_rows:
        return F.scaled_dot_product_attention(query, key, value, mask)
    parts = zip(query.split(n_rows), key.split(n_rows), value.split(n_rows), strict=True)
    return torch.cat([F.scaled_dot_product_attention(*part, mask) for part in parts])


def attend_near(query: Tensor, key: Tensor, value: Tensor, reach: int) -> Tensor:
    """Attention of steps that are at most ``reach`` apart, whose time grows with their number.

    Many steps are cut into blocks of the reach; the queries of one see the keys of three, under a
    mask.

    Shape:
        - query, key, value, output: ``(row, head, step, feature)``
    """
    n_heads, n_steps, n_features = query.shape[1:]
    # Of a graph that is traced, any number of steps has to work.
    traced = torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
    if traced or n_steps <= _FEW * reach:
        if not traced and n_steps <= reach + 1:
            return attend(query, key, value)
        steps = torch.arange(n_steps, device=query.device)
        return attend(query, key, value, (steps - steps[:, None]).abs() <= reach)
    n_blocks = -(-n_steps // reach)
    behind = n_blocks * reach - n_steps
    # r row, h head, b block, s step in it, e feature; blocks stand beside heads, as the mask of a
    # block is that of all rows
    query = F.pad(query, (0, 0, 0, behind)).reshape(-1, n_heads * n_blocks, reach, n_features)
    keys, values = (
        F.pad(x, (0, 0, reach, behind + reach)).unfold(2, 3 * reach, reach).mT.flatten(1, 2)
        for x in (key, value)
    )
    steps = torch.arange(3 * reach, device=query.device)
    places = steps + reach * (torch.arange(n_blocks, device=query.device)[:, None] - 1)
    exists = (places >= 0) & (places < n_steps)
    near = (steps - reach - steps[:reach, None]).abs() <= reach
    mask = (near & exists[:, None]).repeat(n_heads, 1, 1)[None]  # kernels know two or four axes
    y = attend(query, keys, values, mask)  # r (h b) s e
    return y.reshape(-1, n_heads, n_blocks * reach, n_features)[:, :, :n_steps]
