"""A trained model in half the bytes: ``python pack.py best_model.pth -o small.pth``.

Kernels are stored in 16 bits, or in 8 by ``--bits 8``, everything else as it is; what loads them
has 32 bits again. Of several models, trainings that went on from the same weights, the mean is
stored, weighted by ``--weights``. The mean of networks has not the mean of their batch statistics:
``--songs`` measures those of the mean anew, on excerpts of songs to train on, changed as
``--settings`` has it.

Sources: Izmailov et al., "Averaging weights leads to wider optima" (arXiv:1803.05407) for batch
statistics of a mean; Wortsman et al., "Robust fine-tuning of zero-shot models" (arXiv:2109.01903)
for the mean of weights before and after a fine-tuning, which keeps what that forgets.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.data import find_tracks
from asteroid_slicq.data.resident import ResidentSegments, ResidentSongs
from asteroid_slicq.files import whole_file
from asteroid_slicq.hub.loading import CONFIG_FILE, read_model_file
from asteroid_slicq.registration import from_eight_bits, to_eight_bits

HERE = Path(__file__).resolve().parent
MUSDB = HERE.parent / "musdb18hq"
SERVING = ("input_level_db", "wiener_share", "wiener_iterations")  # no part of the network


def mean(confs: list[dict[str, Any]], weights: Sequence[float] | None = None) -> dict[str, Any]:
    """A model whose weights are the means of those of the models, in double precision.

    What is no part of a network, as the level of its input, is that of the first one.

    Args:
        confs: of the models.
        weights: of each; all alike by default.

    Raises:
        ValueError: where their settings differ, or weights do not fit.
    """
    shares = [1.0] * len(confs) if weights is None else list(weights)
    if len(shares) != len(confs) or min(shares) < 0 or not sum(shares) > 0:
        raise ValueError(f"weights must be one for each of {len(confs)} models, got {weights}")
    confs = [{**conf, "state_dict": from_eight_bits(conf["state_dict"])} for conf in confs]
    first, *others = confs
    network = _network(first)
    if any(_network(conf) != network for conf in others):
        raise ValueError("the models have different settings")
    state = {}
    for name, value in first["state_dict"].items():
        if not value.is_floating_point():
            state[name] = value
            continue
        values = torch.stack([conf["state_dict"][name].double() for conf in confs])
        total = torch.tensordot(torch.tensor(shares, dtype=torch.float64), values, 1)
        kept = torch.float32 if value.dtype == torch.half else value.dtype
        state[name] = (total / sum(shares)).to(kept)
    return {**first, "state_dict": state}


def _network(conf: dict[str, Any]) -> dict[str, Any]:
    arguments = {name: v for name, v in conf["model_args"].items() if name not in SERVING}
    return {"model_name": conf["model_name"], **arguments}


def _read(file: Path) -> dict[str, Any]:
    return read_model_file(file, file.with_name(CONFIG_FILE))


def _made(conf: dict[str, Any]) -> XUMXSliCQ:
    if conf["model_name"] != "XUMXSliCQ":
        raise ValueError(f"songs are for batch statistics of XUMXSliCQ, got {conf['model_name']}")
    return XUMXSliCQ(**conf["model_args"])


@torch.no_grad()
def renew_statistics(conf: dict[str, Any], mixes: Iterable[Tensor]) -> dict[str, Any]:
    """A model with the batch statistics of mixes, each batch counting alike.

    Shape:
        - mixes: ``(batch, channel, time)`` each

    Raises:
        ValueError: where there is no batch normalisation, or no mix.
    """
    model = _made(conf)
    model.load_state_dict(conf["state_dict"])
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the mean of all batches
    model.train()
    n_batches = 0
    for mix in mixes:
        model.estimate(mix)
        n_batches += 1
    if not layers or not n_batches:
        raise ValueError("there is no batch normalisation, or no mix to measure it by")
    return {**conf, "state_dict": model.state_dict()}


def batches(
    songs: str, settings: str, model: XUMXSliCQ, n_batches: int, batch_size: int
) -> Iterator[Tensor]:
    """Mixes of the ``train`` songs of a tree, as in a training of a model.

    Where stems are not mixed across songs, they are of the first songs in the order of their names.

    Raises:
        FileNotFoundError: where there are no songs.
        ValueError: where a song or the settings cannot be read.
    """
    sys.path[:0] = [str(MUSDB), str(MUSDB / "xumx_slicq")]
    from common.configuration import Variants
    from common.loaders import make_datasets

    conf = Variants(MUSDB / "xumx_slicq" / "local", base="v2", option="model").load(settings)
    order, rate = list(model.sources), round(model.sample_rate)
    tracks = find_tracks(songs, "train", order, rate, model.n_channels)
    length = round(conf["data"]["segment_s"] * rate)
    segments, _ = make_datasets(conf, tracks, tracks[:1], order, length, rate)
    data = ResidentSegments(segments, ResidentSongs(tracks, order, "cpu"))
    for i in range(n_batches):
        yield data.__getitems__(list(range(i * batch_size, (i + 1) * batch_size))).sum(1)


def store(conf: dict[str, Any], target: Path, bits: int = 16) -> None:
    """Write a model with its kernels in half precision, or in 8 bits."""
    state = conf["state_dict"]
    if bits == 8:
        state = to_eight_bits(state)
    else:
        state = {
            name: value.half() if value.is_floating_point() and value.ndim >= 3 else value
            for name, value in state.items()
        }
    with whole_file(target) as partial, partial.open("wb") as opened:
        torch.save({**conf, "state_dict": state}, opened)


def pack(
    sources: list[Path],
    target: Path,
    weights: Sequence[float] | None = None,
    mixes: Iterable[Tensor] | None = None,
    bits: int = 16,
) -> None:
    """Write a model, or the mean of several, with its kernels in half precision or in 8 bits.

    Raises:
        OSError: where a file cannot be read or written.
        ValueError: see :func:`mean` and :func:`renew_statistics`.
    """
    confs = [_read(file) for file in sources]
    conf = mean(confs, weights)
    store(conf if mixes is None else renew_statistics(conf, mixes), target, bits)


def main() -> None:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=summary, allow_abbrev=False)
    parser.add_argument("models", metavar="MODEL", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--weights", type=float, nargs="+", help="of each model; default: alike")
    parser.add_argument("--bits", type=int, choices=[8, 16], default=16, help="(default: 16)")
    parser.add_argument("--songs", help="tree of songs, to measure batch statistics anew")
    parser.add_argument("--settings", default=str(HERE / "local" / "finish.yml"))
    parser.add_argument("--batches", type=int, default=24, help="of songs (default: 24)")
    parser.add_argument("--batch_size", type=int, default=16, help="(default: 16)")
    args = parser.parse_args()
    torch.set_num_threads(1)  # the same sums each time
    try:
        mixes = None
        if args.songs:
            made = _made(_read(args.models[0]))
            mixes = batches(args.songs, args.settings, made, args.batches, args.batch_size)
        pack(args.models, args.output, args.weights, mixes, args.bits)
    except (OSError, ValueError) as error:
        sys.exit(f"pack.py: {error}")
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
