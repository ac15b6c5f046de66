"""Weights of the original MiXiN, Keras files of one network each, as a :class:`MiXiN`.

Keras keeps a kernel as (height, width, in, out), PyTorch as (out, in, height, width). h5py reads
the files; TensorFlow is not needed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asteroid_slicq.files import real_path
from asteroid_slicq.models.mixin import SOURCES, DenoisingAutoencoder, MiXiN

Array = NDArray[Any]
KerasFile = str | os.PathLike[str]
KerasWeights = Mapping[str, Any]
"""Arrays by Keras's names, such as ``conv2d_8/kernel:0`` and ``conv2d_8/bias:0``."""

_KEY = re.compile(r"(?:.*/)?(?P<layer>[^/]+)/(?P<name>kernel|bias)(?::0)?")
_WORDS = {"harmonic": "harm", "percussive": "perc", "vocals": "vocal"}
"""Parts of the name of a file, or of a folder around it, that tell its source."""


def build_mixin(paths: Sequence[KerasFile], **arguments: Any) -> MiXiN:
    """A :class:`MiXiN` with the weights of the original's three files.

    Args:
        paths: the Keras files (``.h5``) of harmonic, percussive and vocals, in this order; in any
            order if the name of each, or of a folder around it, tells which it is.
        **arguments: of :class:`MiXiN`, such as ``single_model``.

    Raises:
        ImportError: without h5py.
        OSError: when a file cannot be opened.
        ValueError: when the files are not three, their names contradict their order, or they are
            not MiXiN's.
    """
    if len(paths) != len(SOURCES):
        raise ValueError(
            f"paths must be three files, of {', '.join(SOURCES)}, got {len(paths)}: "
            f"{', '.join(map(str, paths)) or 'none'}"
        )
    for path in paths:  # what is absent or no such file says so before its name is looked at
        read_keras_weights(path)
    model = MiXiN(**arguments)
    model.load_state_dict(convert_mixin_state(in_order(paths)))
    return model.eval()


def convert_mixin_state(networks: Sequence[KerasFile | KerasWeights]) -> dict[str, Tensor]:
    """State dict of a :class:`MiXiN` from the weights of its networks.

    Args:
        networks: for each source, in the order of the model, the path of a Keras file or its
            arrays by name.

    Raises:
        ImportError: for a path, without h5py.
        OSError: when a file cannot be opened.
        ValueError: for weights that are no network of MiXiN.

    Shape:
        - kernels: ``(height, width, in, out)``, biases ``(out,)``
    """
    expected = DenoisingAutoencoder().state_dict()
    layers = list(dict.fromkeys(key.rpartition(".")[0] for key in expected))
    state: dict[str, Tensor] = {}
    for index, network in enumerate(networks):
        if isinstance(network, (str, os.PathLike)):
            told, weights = str(network), read_keras_weights(network)
        else:
            told, weights = f"network {index}", network
        convolutions = _convolutions(weights, told)
        if len(convolutions) != len(layers):
            raise ValueError(
                f"{told}: a network of MiXiN has {len(layers)} convolutions, this one has "
                f"{len(convolutions)}"
            )
        for layer, (theirs, arrays) in zip(layers, convolutions, strict=True):
            for ours, array in (("weight", arrays["kernel"]), ("bias", arrays["bias"])):
                value = torch.tensor(np.asarray(array, dtype=np.float32))
                value = value.permute(3, 2, 0, 1).contiguous() if value.ndim == 4 else value
                wanted = expected[f"{layer}.{ours}"].shape
                if value.shape != wanted:
                    raise ValueError(
                        f"{told}: the {ours} of {theirs} has the shape {tuple(value.shape)}, "
                        f"MiXiN's has {tuple(wanted)} (out, in, height, width)"
                    )
                state[f"networks.{index}.{layer}.{ours}"] = value
    return state


def read_keras_weights(path: KerasFile) -> dict[str, Array]:
    """All arrays of the layers in a Keras file, a whole model or weights alone, by name."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "reading Keras files needs h5py: pip install 'asteroid-slicq[keras]'"
        ) from error
    with open(path, "rb"):  # what is absent or forbidden says so, not that it is no HDF5
        pass
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} is no HDF5 file, as Keras writes with the suffix .h5")
    found: dict[str, Array] = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and _KEY.fullmatch(name):
            found[name] = np.asarray(item)

    with h5py.File(path, "r") as file:
        # A whole model holds the state of the optimizer, too, under much the same names.
        root: Any = file.get("model_weights", file)
        root.visititems(collect)
    return found


def in_order(paths: Sequence[KerasFile]) -> list[KerasFile]:
    """Sort the files in the order of the sources, where their names tell it."""
    if len({real_path(path) for path in paths}) < len(paths):
        raise ValueError(f"paths must be different files, got {', '.join(map(str, paths))}")
    told = [_sources_told(path) for path in paths]
    if all(len(sources) == 1 for sources in told) and len(set().union(*told)) == len(paths):
        named = {sources.pop(): path for sources, path in zip(told, paths, strict=True)}
        return [named[source] for source in SOURCES]
    for source, sources, path in zip(SOURCES, told, paths, strict=True):
        if sources and source not in sources:
            raise ValueError(
                f"paths must be the files of {', '.join(SOURCES)}, in this order or with names "
                f"that all tell it; {path} stands for {source}, and its name tells "
                f"{' and '.join(sorted(sources))}"
            )
    return list(paths)


def _sources_told(path: KerasFile) -> set[str]:
    """Sources that the name of a file tells, or else the nearest folder that tells any."""
    for part in reversed(Path(path).parts):
        if sources := {source for source, word in _WORDS.items() if word in part.lower()}:
            return sources
    return set()


def _convolutions(weights: KerasWeights, told: str) -> list[tuple[str, dict[str, Array]]]:
    """Kernel and bias of each layer, in the order in which Keras counted the layers."""
    layers: dict[str, dict[str, Array]] = {}
    for key, array in weights.items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise ValueError(f"{told} holds {key!r}, which is no kernel or bias of a layer")
        layers.setdefault(match["layer"], {})[match["name"]] = array
    for layer, arrays in layers.items():
        if set(arrays) != {"kernel", "bias"}:
            raise ValueError(
                f"{told}: layer {layer} has no {'bias' if 'kernel' in arrays else 'kernel'}"
            )
    return sorted(layers.items(), key=lambda item: _number(item[0]))


def _number(layer: str) -> int:
    """``conv2d_8`` → 8; the first one of a session has no number."""
    digits = re.search(r"_(\d+)$", layer)
    return int(digits[1]) if digits else 0
