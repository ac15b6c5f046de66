"""State dicts of the original xumx-sliCQ, read into the models of this package.

The original keeps one small ``Sequential`` for each block and target; here the targets are groups
of one convolution, so their weights are stacked along the output channels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_LAYERS = {
    "0": "encode_outer",
    "1": "norm_encode_outer",
    "3": "encode_inner",
    "4": "norm_encode_inner",
    "6": "decode_inner",
    "7": "norm_decode_inner",
    "9": "decode_outer",
}
"""Index in the original's ``Sequential`` → layer of a ``BlockNetwork``."""


def convert_v2_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of an original xumx-sliCQ V2 as one of :class:`XUMXSliCQ`.

    Args:
        state: keys ``sliced_umx.<block>.input_mean``, ``….input_scale`` and
            ``….cdaes.<target>.<layer>.<name>``; targets in the order bass, vocals, other, drums.

    Raises:
        ValueError: for keys that no xumx-sliCQ V2 has, or for targets that are missing.
    """
    converted: dict[str, Tensor] = {}
    targets: dict[str, dict[int, Tensor]] = {}
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"state holds a {type(value).__name__} under {key!r}, not a tensor")
        parts = key.split(".")
        if len(parts) == 3 and parts[0] == "sliced_umx" and parts[2] == "input_mean":
            converted[f"blocks.{parts[1]}.shift"] = value
        elif len(parts) == 3 and parts[0] == "sliced_umx" and parts[2] == "input_scale":
            converted[f"blocks.{parts[1]}.scale"] = value
        elif len(parts) == 6 and parts[2] == "cdaes" and parts[4] in _LAYERS:
            _, block, _, target, layer, name = parts
            if not target.isdigit():
                raise ValueError(f"state has the key {key!r}, which no xumx-sliCQ V2 has")
            destination = f"blocks.{block}.{_LAYERS[layer]}.{name}"
            targets.setdefault(destination, {})[int(target)] = value
        else:
            raise ValueError(f"state has the key {key!r}, which no xumx-sliCQ V2 has")
    n_targets = 1 + max((t for group in targets.values() for t in group), default=-1)
    for destination, group in targets.items():
        if sorted(group) != list(range(n_targets)):
            raise ValueError(f"state lacks targets of {destination}: it has {sorted(group)}")
        ordered = [group[target] for target in range(n_targets)]
        converted[destination] = ordered[0] if ordered[0].ndim == 0 else torch.cat(ordered)
    if not converted:
        raise ValueError("state is empty")
    return converted
