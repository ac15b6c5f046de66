"""A training step of xumx-sliCQ V2 beside the same network written the straightforward way.

``python benchmarks/training_step.py`` prints the table and writes it to docs/benchmarks.md; it
measures a GPU, too, where there is one. ``--quick`` takes a second of audio and writes
nothing.

Straightforward is: a ``Sequential`` of plain strided convolutions for every block and target, one
after the other; mix phase by magnitude and angle; Wiener-EM by complex matrices and their inverse;
a loss that loops over the combinations. Both run on the same coefficients and are checked to agree.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable

import report
import torch
from torch import Tensor, nn

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.losses import XUMXLoss
from asteroid_slicq.models.xumx_slicq import BlockNetwork

SHAPE = (4, 4, 2, 2 * 44100)  # batch, source, channel, time
VARIANTS = {"offline": "v2", "realtime": "v2-realtime"}
TARGET = {"cpu": 2.5, "cuda": 3.0}
LAYERS = {0: "encode_outer", 3: "encode_inner", 6: "decode_inner", 9: "decode_outer"}


class PlainBlock(nn.Module):
    """One block: a network of its own for every target, with the weights of ``network``."""

    def __init__(self, network: BlockNetwork) -> None:
        super().__init__()
        self.shift, self.scale = nn.Parameter(network.shift), nn.Parameter(network.scale)
        self.before = network.encode_outer.kernel_size[1] - 1 if network.causal else 0
        self.targets = nn.ModuleList(plain_target(network, j) for j in range(network.n_sources))

    def forward(self, magnitudes: Tensor) -> Tensor:
        x = (magnitudes + self.shift[:, None, None]) * self.scale[:, None, None]
        x = nn.functional.pad(x.flatten(-2), (self.before, 0))
        n_slices, width = magnitudes.shape[-2:]
        masks = [target(x)[..., : n_slices * width] for target in self.targets]
        return torch.stack([mask.unflatten(-1, (n_slices, width)) for mask in masks], dim=1)


def plain_target(network: BlockNetwork, j: int) -> nn.Sequential:
    """The layers of target ``j`` as plain modules."""
    layers: list[nn.Module] = []
    for index, name in LAYERS.items():
        theirs = getattr(network, name)
        weight = theirs.weight.chunk(network.n_sources)[j].detach().clone()
        transposed, last = isinstance(theirs, nn.ConvTranspose2d), index == 9
        n_in, n_out = weight.shape[:2] if transposed else weight.shape[1::-1]
        kind = nn.ConvTranspose2d if transposed else nn.Conv2d
        layer = kind(n_in, n_out, theirs.kernel_size, stride=theirs.stride, bias=last)
        layer.weight = nn.Parameter(weight)
        if last:
            layer.bias = nn.Parameter(theirs.bias.chunk(network.n_sources)[j].detach().clone())
            layers += [layer, nn.Sigmoid()]
        else:
            layers += [layer, nn.BatchNorm2d(n_out), nn.ReLU()]
    return nn.Sequential(*layers)


class PlainModel(nn.Module):
    """xumx-sliCQ V2 block by block and target by target, with the weights of ``model``."""

    def __init__(self, model: XUMXSliCQ) -> None:
        super().__init__()
        self.transform, self.iterations = model.transform, model.wiener_iterations
        self.blocks = nn.ModuleList(PlainBlock(network) for network in model.blocks)

    def forward(self, mix: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        estimates, masks = [], []
        for network, x in zip(self.blocks, mix, strict=True):
            magnitudes = x.abs()
            mask = network(magnitudes)
            y = torch.polar(mask * magnitudes.unsqueeze(1), x.angle().unsqueeze(1).expand_as(mask))
            for _ in range(self.iterations):
                y = plain_wiener(y.flatten(-2), x.flatten(-2)).view_as(y)
            estimates.append(y)
            masks.append(mask)
        return estimates, masks


def plain_wiener(y: Tensor, x: Tensor, window: int = 5000) -> Tensor:
    """One Wiener-EM iteration with complex 2 × 2 matrices, item by item.

    Shape:
        - y: ``(batch, source, channel, freq, frame)``; x: ``(batch, channel, freq, frame)``
    """
    eps = torch.finfo(torch.float32).eps
    items = []
    for y_item, x_item in zip(y, x, strict=True):
        parts = []
        for v, u in zip(y_item.split(window, -1), x_item.split(window, -1), strict=True):
            scale = (u.abs().max() / 10).clamp(min=1)
            v, u = v / scale, (u / scale).permute(1, 2, 0)
            power = v.abs().square().mean(1)  # source, freq, frame
            spatial = torch.einsum("jcft,jdft->jfcd", v, v.conj())
            spatial = spatial / (eps + power.sum(-1))[..., None, None]
            model = torch.einsum("jft,jfcd->jftcd", power.to(v.dtype), spatial)
            noise = eps**0.5 * torch.eye(u.shape[-1], dtype=v.dtype, device=v.device)
            inverse = torch.linalg.inv(model.sum(0) + noise)
            gain = torch.einsum("jftcd,ftde->jftce", model, inverse)
            parts.append(torch.einsum("jftce,fte->jcft", gain, u) * scale)
        items.append(torch.cat(parts, dim=-1))
    return torch.stack(items)


def plain_loss(estimates: list[Tensor], masks: list[Tensor], targets: list[Tensor]) -> Tensor:
    """Complex MSE over all combinations, and the distance of the masks' sum from one."""
    total = torch.zeros((), device=estimates[0].device)
    for y, mask, target in zip(estimates, masks, targets, strict=True):
        losses = []
        n_sources = y.shape[1]
        for size in range(1, n_sources):
            for subset in itertools.combinations(range(n_sources), size):
                error = sum(y[:, j] for j in subset) - sum(target[:, j] for j in subset)
                losses.append(error.abs().square().mean())
        total = total + sum(losses) / len(losses) + (mask.sum(1) - 1).square().mean()
    return total / len(estimates)


def make_steps(variant: str, shape: tuple[int, ...], device: str) -> dict[str, Callable[[], float]]:
    """Forward, loss and backward of both implementations, on the same weights and stems."""
    torch.manual_seed(0)
    ours = XUMXSliCQ.from_preset(VARIANTS[variant]).to(device).train()
    plain = PlainModel(ours).to(device).train()
    loss = XUMXLoss()
    stems = 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)

    def coefficients() -> tuple[tuple[Tensor, ...], list[Tensor]]:
        with torch.no_grad():
            targets = ours.transform(stems)
            return targets, [block.sum(1) for block in targets]

    def our_step() -> float:
        ours.zero_grad()
        targets, mix = coefficients()
        value = loss(ours.estimate_from_coefficients(mix), targets).total
        value.backward()
        return value.item()

    def plain_step() -> float:
        plain.zero_grad()
        targets, mix = coefficients()
        estimates, masks = plain(mix)
        value = plain_loss(estimates, masks, list(targets))
        value.backward()
        return value.item()

    return {"plain": plain_step, "ours": our_step}


def print_peak(variant: str, name: str, shape: tuple[int, ...]) -> None:
    step = make_steps(variant, shape, "cpu")[name]
    make_steps(variant, (1, 4, 2, 20000), "cpu")[name]()  # libraries and their workspaces
    memory = report.PeakMemory()
    step()
    print(memory.above_start())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--variant", choices=list(VARIANTS), help="that one alone")
    parser.add_argument("--peak", choices=["plain", "ours"])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    shape = (1, 4, 2, 44100) if args.quick else SHAPE
    if args.peak:
        print_peak(args.variant, args.peak, shape)
        return

    rows = []
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        for variant in [args.variant] if args.variant else VARIANTS:
            steps = make_steps(variant, shape, device)
            values = {name: step() for name, step in steps.items()}
            if abs(values["ours"] - values["plain"]) > 1e-4 * abs(values["plain"]):
                sys.exit(f"{variant}: the two differ, {values}")
            timed = report.time_side_by_side(steps, args.repetitions, budget_s=60)
            plain, ours = timed["plain"][0], timed["ours"][0]
            report.reached(f"{variant}, {device}", plain / ours, "≥", TARGET[device])
            cells = [f"{plain:.3f}", f"{ours:.3f}", f"{plain / ours:.2f} × (≥ {TARGET[device]})"]
            for name in ("plain", "ours"):
                options = ["--variant", variant, "--peak", name, "--threads", str(args.threads)]
                options += ["--quick"] * args.quick
                peak = report.peak_mib(__file__, *options) if device == "cpu" else None
                cells.append("" if peak is None else f"{peak:.0f}")
            rows.append([variant, device, *cells])
            print(*rows[-1], sep="\t", flush=True)
    if args.quick or args.variant:
        return
    header = [
        "V2", "device", "straightforward, s", "ours, s", "faster", "straightforward, MiB",
        "ours, MiB",
    ]  # fmt: skip
    gpu = (
        "" if torch.cuda.is_available() else "Measured without a GPU; a GPU adds rows of its own.\n"
    )
    report.write_section(
        "training step",
        f"""## A training step

`python benchmarks/training_step.py` on {report.machine()}: transform, forward, loss and backward
of xumx-sliCQ V2 for 4 × 2 s of stereo stems, beside the same network with one plain `Sequential`
per block and target, complex-matrix Wiener-EM and a loop over combinations; measured in turn,
minima. Both use this package's transform and reach the same loss. Peak memory is that above the
model's.
{gpu}
{report.table(header, rows)}
""",
    )
    report.end()


if __name__ == "__main__":
    main()
