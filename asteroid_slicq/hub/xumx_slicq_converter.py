"""State dicts of the original xumx-sliCQ, as models of this package.

The original keeps one small ``Sequential`` for each block and target; here the targets are groups
of one convolution, so their weights are stacked along the first axis: the output channels, or the
input channels of a transposed convolution.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from asteroid_slicq.models.xumx_slicq import XUMXSliCQ

_LAYERS = {
    "0": "encode_outer",
    "1": "norm_encode_outer",
    "3": "encode_inner",
    "4": "norm_encode_inner",
    "6": "decode_inner",
    "7": "norm_decode_inner",
    "9": "decode_outer",
}
"""Index in the ``Sequential`` of V2 → layer of a ``BlockNetwork``."""

_LAYERS_V1 = {**_LAYERS, "10": "norm_decode_outer", "12": "upsample"}
"""The same for V1 and ``DilatedBlockNetwork``."""

_STATISTICS = {"input_mean": "shift", "input_scale": "scale"}

_KEY_V1 = re.compile(
    r"bucketed_unmixes_(?P<target>.+)\.(?P<block>\d+)"
    r"\.((?P<statistic>input_mean|input_scale)|cdae\.(?P<layer>\d+)\.(?P<name>\w+))"
)
_KEY_V2 = re.compile(
    r"sliced_umx\.(?P<block>\d+)"
    r"\.((?P<statistic>input_mean|input_scale)|cdaes\.(?P<target>\d+)\.(?P<layer>\d+)\.(?P<name>\w+))"
)


def build_xumx_slicq(
    state: Mapping[str, Tensor], preset: str = "v2", **transform: Any
) -> XUMXSliCQ:
    """An :class:`XUMXSliCQ` with the weights of an original one.

    Args:
        state: see :func:`convert_v1_state` and :func:`convert_v2_state`.
        preset: that of the original: ``"v1"``, ``"v2"`` or ``"v2-realtime"``.
        **transform: what differs from the original's default transform, such as ``n_bins``.

    Raises:
        ValueError: for keys that no original has, or for targets that are missing.
        RuntimeError: for weights of another transform or another preset.
    """
    model = XUMXSliCQ.from_preset(preset, transform=transform)
    converted = (convert_v1_state if preset == "v1" else convert_v2_state)(state)
    if preset == "v1" and f"blocks.{len(model.networks) - 1}.shift" in converted:
        # The original was trained on all of the bandwidth.
        model = XUMXSliCQ.from_preset(preset, transform=transform, bandwidth_hz=None)
    model.load_state_dict(converted)
    return model.eval()


def convert_v1_state(
    state: Mapping[str, Tensor], sources: Sequence[str] = ("bass", "vocals", "other", "drums")
) -> dict[str, Tensor]:
    """State dict of an original xumx-sliCQ V1 as one of :class:`XUMXSliCQ`.

    Args:
        state: keys ``bucketed_unmixes_<target>.<block>.input_mean``, ``….input_scale`` and
            ``….cdae.<layer>.<name>``.
        sources: the targets, in the order of the model.

    Raises:
        ValueError: for keys that no xumx-sliCQ V1 has, or for targets that are missing.
    """
    converted: dict[str, Tensor] = {}
    for destination, group in _collect(state, _KEY_V1, _LAYERS_V1, "V1").items():
        if sorted(group) != sorted(sources):
            raise ValueError(
                f"state lacks targets of {destination}, or has others: it has {sorted(group)}"
            )
        values = [group[source] for source in sources]
        is_statistic = destination.endswith(tuple(_STATISTICS.values()))
        converted[destination] = torch.stack(values) if is_statistic else _join(values)
    return converted


def convert_v2_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of an original xumx-sliCQ V2 as one of :class:`XUMXSliCQ`.

    Args:
        state: keys ``sliced_umx.<block>.input_mean``, ``….input_scale`` and
            ``….cdaes.<target>.<layer>.<name>``; targets in the order bass, vocals, other, drums.

    Raises:
        ValueError: for keys that no xumx-sliCQ V2 has, or for targets that are missing.
    """
    found = _collect(state, _KEY_V2, _LAYERS, "V2")
    n_targets = 1 + max((int(t) for group in found.values() for t in group if t), default=-1)
    targets = [str(target) for target in range(n_targets)]
    converted: dict[str, Tensor] = {}
    for destination, group in found.items():
        # All targets share the statistics, which name none.
        if set(group) not in ({""}, set(targets)):
            raise ValueError(f"state lacks targets of {destination}: it has {sorted(group)}")
        converted[destination] = _join([group[t] for t in (targets if "" not in group else [""])])
    return converted


def _collect(
    state: Mapping[str, Tensor], pattern: re.Pattern[str], layers: Mapping[str, str], version: str
) -> dict[str, dict[str, Tensor]]:
    """The values of each target (``""`` where the key names none) under each of our keys."""
    found: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"state holds a {type(value).__name__} under {key!r}, not a tensor")
        match = pattern.fullmatch(key)
        if match is None or (match["layer"] is not None and match["layer"] not in layers):
            raise ValueError(f"state has the key {key!r}, which no xumx-sliCQ {version} has")
        if match["statistic"] is not None:
            name = _STATISTICS[match["statistic"]]
        else:
            name = f"{layers[match['layer']]}.{match['name']}"
        found.setdefault(f"blocks.{match['block']}.{name}", {})[match["target"] or ""] = value
    if not found:
        raise ValueError("state is empty")
    return found


def _join(values: Sequence[Tensor]) -> Tensor:
    """One tensor of all targets; counters of batches are the same for all."""
    return values[0] if len(values) == 1 or values[0].ndim == 0 else torch.cat(list(values))
