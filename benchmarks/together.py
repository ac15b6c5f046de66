"""Speed of the inner layers of xumx-sliCQ V2: blocks of one shape together or one by one.

Their first and last layers have kernels as long as a slice, different in every block; the two inner
ones have one shape in all blocks with as many bins. ``python benchmarks/together.py`` times them
block by block and as one layer of so many groups more, and writes to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import cast

import report
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.models.xumx_slicq import BlockNetwork, NetworkStream

SLICES_A_SECOND = 4.88
Layer = tuple[Tensor, Tensor]  # weight and bias


def groups(networks: list[BlockNetwork]) -> list[list[BlockNetwork]]:
    """Networks with as many bins."""
    alike: dict[int, list[BlockNetwork]] = defaultdict(list)
    for network in networks:
        alike[network.shift.numel()].append(network)
    return list(alike.values())


def product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A layer over four frames, ``(source, batch, time, 1, i)``, as a product of matrices."""
    windows = rearrange(x.unfold(2, 4, 1), "j b n 1 i u -> j (b n) (u i)")
    return torch.baddbmm(bias, windows, weight).view(*x.shape[:2], -1, 1, weight.shape[-1]).relu_()


def inner_matrices(x: Tensor, encode: Layer, decode: Layer) -> Tensor:
    return product(F.pad(product(x, *encode), (0, 0, 0, 0, 3, 3)), *decode)


def inference(networks: list[BlockNetwork], seconds: float) -> dict[str, Callable[[], object]]:
    """The inner layers of all blocks whose kernel covers one bin, as products of matrices."""
    n_frames = round(2 * SLICES_A_SECOND * seconds)
    one, joined = [], []
    for group in groups([n for n in networks if n.encode_outer.kernel_size[0] == 1]):
        matrices = [network.to_matrices() for network in group]
        frames = [torch.rand(4, group[0].shift.numel(), n_frames, 1, 50) for _ in group]
        layers = [(m.encode_inner, m.decode_inner) for m in matrices]
        one += [partial(inner_matrices, x, *pair) for x, pair in zip(frames, layers, strict=True)]
        both = [
            (torch.cat([w for w, _ in each]), torch.cat([b for _, b in each]))
            for each in zip(*layers, strict=True)
        ]

        def together(frames: list[Tensor], both: list[Layer]) -> object:
            return inner_matrices(torch.cat(frames), *both).chunk(len(frames))

        joined.append(partial(together, frames, both))
    return {
        "one by one": lambda: [run() for run in one],
        "together": lambda: [run() for run in joined],
    }


def training(networks: list[BlockNetwork]) -> dict[str, Callable[[], object]]:
    """The inner layers of all blocks, forward and backward, 4 × 2 s."""
    n_frames = round(2 * SLICES_A_SECOND * 2)
    data = []
    for group in groups(networks):
        n_bins = group[0].shift.numel() - group[0].encode_outer.kernel_size[0] + 1
        shape = (4, 200, n_bins, n_frames)
        data.append((group, [torch.rand(shape, requires_grad=True) for _ in group]))

    def inner(x: Tensor, part: list[BlockNetwork]) -> Tensor:
        def joined(of: Callable[[BlockNetwork], Tensor]) -> Tensor:
            return of(part[0]) if len(part) == 1 else torch.cat([of(network) for network in part])

        n_groups = 4 * len(part)
        weight = joined(lambda n: n.encode_inner.weight)
        gain = joined(lambda n: n.norm_encode_inner.weight)
        bias = joined(lambda n: n.norm_encode_inner.bias)
        x = F.conv2d(x, weight, groups=n_groups)
        x = F.relu(F.batch_norm(x, None, None, gain, bias, training=True))
        weight = joined(lambda n: n.decode_inner.weight)
        gain = joined(lambda n: n.norm_decode_inner.weight)
        bias = joined(lambda n: n.norm_decode_inner.bias)
        x = F.conv_transpose2d(x, weight, groups=n_groups)
        return F.relu(F.batch_norm(x, None, None, gain, bias, training=True))

    def one() -> None:
        for group, inputs in data:
            for network, x in zip(group, inputs, strict=True):
                inner(x, [network]).sum().backward()

    def together() -> None:
        for group, inputs in data:
            inner(torch.cat(inputs, 1), group).sum().backward()

    return {"one by one": one, "together": together}


def stream(networks: list[BlockNetwork], shapes: list[tuple[int, int]]) -> dict[str, Callable]:
    """All layers of all blocks, a slice at a time."""
    magnitudes = [torch.rand(1, 2, n, 1, m) for n, m in shapes]
    joined, one = NetworkStream(networks), [NetworkStream([network]) for network in networks]
    return {
        "one by one": lambda: [s.push([x]) for s, x in zip(one, magnitudes, strict=True)],
        "together": lambda: joined.push(magnitudes),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=15)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = XUMXSliCQ.from_preset("v2-realtime").eval()
    networks = cast(list[BlockNetwork], list(model.blocks))
    cases = {
        f"inference, {seconds} s at once": partial(inference, networks, seconds)
        for seconds in (1, 5, 15)
    }
    cases["training, 4 × 2 s, forward and backward"] = partial(training, networks)
    shapes = list(model.transform.frame.blocks)
    cases["stream, one slice: all layers"] = partial(stream, networks, shapes)
    rows = []
    for name, make in cases.items():
        with torch.set_grad_enabled(name.startswith("training")):
            timed = report.time_side_by_side(make(), args.repetitions)
        one, together = timed["one by one"][0], timed["together"][0]
        rows.append([name, f"{1e3 * one:.1f}", f"{1e3 * together:.1f}", f"{together / one:.2f} ×"])
        print(*rows[-1], sep="\t", flush=True)
    header = ["", "one by one, ms", "together, ms", "together / one by one"]
    report.write_section(
        "together",
        f"""## Blocks that share a shape

`python benchmarks/together.py` on {report.machine()}:
the two inner layers of V2, whose weights have the same shape in all blocks with the same number of
bins, block by block and as one layer. Minima. The package runs songs and training block by block,
streams together.

{report.table(header, rows)}
""",
    )


if __name__ == "__main__":
    main()
