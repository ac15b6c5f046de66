"""A network that undoes the overlap-add of the sliCQT, beside the inverse that needs none.

The overlap-add was called destructive, and networks were trained to undo it, to about 21 dB. This
trains such a network, on noise and on music, for one frame and for several, and measures what
reaches the waveform. ``python benchmarks/deoverlap.py`` (ten minutes on one thread) writes a table
of docs/overlap_add.md.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import report
import torch
from overlap_add import PAGE, signal_to_error_db
from torch import Tensor, nn

from asteroid_slicq import SliCQT
from asteroid_slicq.data import find_tracks
from asteroid_slicq.data.procedural import write_dataset
from asteroid_slicq.transform import overlap_add

RATE, SEED, SEGMENT = 44100, 5, 30_000
FRAMES = {
    "Bark 262": {},
    "mel 120": {"scale": "mel", "n_bins": 120, "f_min_hz": 40.0, "window": "hann"},
    "log 60": {"scale": "log", "n_bins": 60, "f_min_hz": 65.0, "window": "hann", "min_width": 32},
}
UNSEEN = {"Bark 100, unseen": {"n_bins": 100, "window": "hann"}}
WIDTH = 32
Signals = Callable[[], Tensor]


class DeOverlapNet(nn.Module):
    """Coefficients of slices from those that were overlap-added, in a block of any frame.

    Each slice sees its piece of the stream and half a slice on either side, and where in the slice
    a coefficient stands. Four convolutions over frequency and time see the neighbours.

    Shape:
        - stream: ``(batch, freq, time)``, complex
        - output: ``(batch, freq, slice, time)``, complex
    """

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        sizes = [(4, width), (width, width), (width, width), (width, 2)]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, (3, 5), padding=(1, 2)) for a, b in sizes)

    def forward(self, stream: Tensor, n_coefficients: int) -> Tensor:
        half = n_coefficients // 2
        pieces = nn.functional.pad(stream, (half, half)).unfold(-1, 2 * n_coefficients, half)
        level = pieces.abs().square().mean((1, 3), keepdim=True).sqrt() + 1e-9
        batch, n_bins, n_slices, _ = pieces.shape
        x = torch.view_as_real((pieces / level).transpose(1, 2).flatten(0, 1).contiguous())
        angle = torch.arange(-half, 3 * half) * (2 * math.pi / n_coefficients)
        place = torch.stack([angle.cos(), angle.sin()]).unsqueeze(1)
        x = torch.cat([x.movedim(-1, 1), place.expand(len(x), 2, n_bins, -1)], 1)
        for i, layer in enumerate(self.layers):
            x = layer(x if i == 0 else nn.functional.gelu(x))
        y = torch.view_as_complex(x[..., half:-half].movedim(1, -1).contiguous())
        return y.unflatten(0, (batch, n_slices)).transpose(1, 2) * level


class Frame:
    """A sliced transform and the pieces of it that a network has to find."""

    def __init__(self, arguments: dict) -> None:
        self.sliced = SliCQT(**arguments)
        self.added = SliCQT(**arguments, overlap_added=True)

    def restored(self, network: nn.Module, waveform: Tensor) -> Tensor:
        blocks = self.sliced(waveform)
        found = [network(overlap_add(block), block.shape[-1]) for block in blocks]
        return self.sliced.inverse(found, waveform.shape[-1])


def noise(seed: int = SEED) -> Signals:
    generator = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(1, SEGMENT, generator=generator)


def music(folder: Path, part: str) -> Signals:
    """Segments of procedural songs at random places, that are not silent."""
    tracks = find_tracks(folder, part, ("mixture",), RATE)
    songs = [torch.from_numpy(track.read("mixture")[:1].copy()) for track in tracks]
    generator = torch.Generator().manual_seed(SEED)

    def draw() -> Tensor:
        while True:
            song = songs[int(torch.randint(len(songs), (), generator=generator))]
            start = int(torch.randint(song.shape[-1] - SEGMENT, (), generator=generator))
            segment = song[:, start : start + SEGMENT]
            if segment.square().mean() > 1e-5:
                return segment

    return draw


def train(frames: Sequence[Frame], signals: Sequence[Signals], n_steps: int) -> DeOverlapNet:
    """Least squares of the coefficients of slices, relative to their level, a block at a time."""
    torch.manual_seed(SEED)
    network = DeOverlapNet()
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, n_steps)
    for loss in losses(network, frames, signals, n_steps):
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def losses(
    network: nn.Module, frames: Sequence[Frame], signals: Sequence[Signals], n_steps: int
) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    for step in range(n_steps):
        frame, draw = frames[step % len(frames)], signals[step % len(signals)]
        blocks = frame.sliced(draw())
        picked = torch.randperm(len(blocks), generator=generator)[:8]
        terms = []
        for block in (blocks[int(i)] for i in picked):
            error = network(overlap_add(block), block.shape[-1]) - block
            terms.append(error.abs().square().sum() / (block.abs().square().sum() + 1e-12))
        yield torch.stack(terms).mean()


def inverted(added: SliCQT, passes: int | None, waveform: Tensor) -> Tensor:
    return added.inverse(added(waveform), waveform.shape[-1], passes=passes)


@torch.no_grad()
def reached(restore: Callable[[Tensor], Tensor], draw: Signals, n_signals: int = 4) -> str:
    """Mean of the signal-to-error ratio of held-out signals in dB."""
    scores = [signal_to_error_db(restore(x), x) for x in (draw() for _ in range(n_signals))]
    return f"{sum(scores) / n_signals:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=120, help="of each of the six trainings")
    parser.add_argument("--quick", action="store_true", help="one small training, no page")
    args = parser.parse_args()
    n_steps = 30 if args.quick else args.steps
    names = ["log 60"] if args.quick else list(FRAMES)
    frames = {name: Frame(arguments) for name, arguments in {**FRAMES, **UNSEEN}.items()}
    rows = []
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        write_dataset(folder, 3, 12.0, SEED, n_test=1)
        heard = {"noise": [noise()], "music": [music(folder, "train")]}
        heard["both"] = [*heard["noise"], *heard["music"]]
        tested = noise(SEED + 1), music(folder, "test")
        for of_frames in [names[:1]] if args.quick else [names[:1], names]:
            for what, signals in {"noise": heard["noise"]}.items() if args.quick else heard.items():
                network = train([frames[name] for name in of_frames], signals, n_steps)
                for name in of_frames if args.quick else [*of_frames, *UNSEEN]:
                    row = ["network, of " + " + ".join(of_frames), what, name]
                    restore = partial(frames[name].restored, network)
                    rows.append([*row, *(reached(restore, draw) for draw in tested)])
                    print(*rows[-1], sep="\t", flush=True)
        for name in [*names, *([] if args.quick else UNSEEN)]:
            added = frames[name].added
            for what, passes in (("one pass", 1), ("the exact inverse", None)):
                restore = partial(inverted, added, passes)
                rows.append([what, "nothing", name, *(reached(restore, draw) for draw in tested)])
                print(*rows[-1], sep="\t", flush=True)
    if not args.quick:
        n_parameters = sum(p.numel() for p in DeOverlapNet().parameters())
        text = [
            f"`python benchmarks/deoverlap.py`: networks of {n_parameters} parameters, {n_steps} "
            "steps each; dB of signal to error of the waveform, held-out noise and held-out "
            "procedural songs.",
            report.table(["undone by", "trained on", "frame", "noise", "music"], rows),
        ]
        report.write_section("deoverlap", "\n\n".join(text), PAGE)


if __name__ == "__main__":
    main()
