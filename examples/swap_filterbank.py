"""Swap the filterbank of an Asteroid model: ``fb_name`` is the only thing that changes.

Trains a small ConvTasNet to split procedural songs into drums and the rest, three times, with
Asteroid's ``stft`` and ``free`` filterbanks and with ``slicqt``, on the same data, for the same
number of steps, from the same seed; prints the SI-SDR of each on songs that none has heard.

    python examples/swap_filterbank.py                 # about 10 minutes on two cores
    python examples/swap_filterbank.py --steps 20 --songs 8   # a minute, to see it run
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from asteroid.losses import singlesrc_neg_sisdr
from asteroid.models import ConvTasNet
from torch import Tensor

import asteroid_slicq  # noqa: F401  (registers "slicqt" with Asteroid)
from asteroid_slicq.data.procedural import synthesize_track

SAMPLE_RATE = 8000
SEGMENT_S = 4.0
SOURCES = ("drums", "rest")
N_FILTERS, STRIDE = 256, 50
FILTERBANKS = {
    "stft": {"kernel_size": 200},
    "free": {"kernel_size": 100},
    "slicqt": {},
}
MASKER = {"n_blocks": 5, "n_repeats": 2, "bn_chan": 64, "hid_chan": 128, "skip_chan": 64}


def song(seed: int, duration_s: float) -> Tensor:
    """Drums and the rest of a procedural song in mono. Shape: ``(source, time)``."""
    stems = synthesize_track(seed, duration_s, SAMPLE_RATE)
    rest = stems["vocals"] + stems["bass"] + stems["other"]
    return torch.from_numpy(np.stack([stems["drums"].mean(0), rest.mean(0)]))


def segments(songs: list[Tensor]) -> Tensor:
    """All segments in which both sources sound. Shape: ``(segment, source, time)``."""
    length = int(SEGMENT_S * SAMPLE_RATE)
    cut = torch.cat([one.unfold(-1, length, length).transpose(0, 1) for one in songs])
    return cut[(cut.square().mean(-1) > 1e-6).all(-1)]


def make(filterbank: str, **changes: str) -> ConvTasNet:
    """The same network around one filterbank or another, whose arguments may be changed."""
    torch.manual_seed(0)
    return ConvTasNet(
        n_src=len(SOURCES),
        fb_name=filterbank,
        n_filters=N_FILTERS,
        stride=STRIDE,
        sample_rate=SAMPLE_RATE,
        **{**FILTERBANKS[filterbank], **changes},
        **MASKER,
    )


def train(model: ConvTasNet, data: Tensor, steps: int, batch_size: int = 4) -> None:
    """Negative SI-SDR by Adam, the learning rate falling to zero."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(steps):
        targets = data[torch.randint(len(data), (batch_size,), generator=generator)]
        estimates = model(targets.sum(1, keepdim=True))
        loss = -si_sdr(estimates, targets).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()


@torch.no_grad()
def evaluate(model: ConvTasNet, data: Tensor) -> Tensor:
    """Mean SI-SDR of each source in dB."""
    model.eval()
    return si_sdr(torch.cat([model(t.sum(1, keepdim=True)) for t in data.split(8)]), data)


def si_sdr(estimates: Tensor, targets: Tensor) -> Tensor:
    """SI-SDR of each source in dB, the mean over segments."""
    loss = singlesrc_neg_sisdr(estimates.flatten(0, 1), targets.flatten(0, 1))
    return -loss.view(-1, len(SOURCES)).mean(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--steps", type=int, default=400, help="training steps of each model")
    parser.add_argument("--songs", type=int, default=64, help="songs to train on, 24 s each")
    parser.add_argument("--only", choices=FILTERBANKS, help="one of the filterbanks")
    parser.add_argument("--phase", choices=["global", "local"], default="global", help="of slicqt")
    args = parser.parse_args()

    print(f"composing {args.songs} songs to train on and 16 to test ...", flush=True)
    training = segments([song(seed, 24.0) for seed in range(args.songs)])
    test = segments([song(1_000_000 + seed, 24.0) for seed in range(16)])
    before = si_sdr(test.sum(1, keepdim=True).expand_as(test).contiguous(), test)

    print(f"{'SI-SDR, dB':12}{SOURCES[0]:>8}{SOURCES[1]:>8}{'parameters':>12}{'train, s':>10}")
    print(f"{'mixture':12}{before[0]:8.2f}{before[1]:8.2f}")
    for filterbank in [args.only] if args.only else FILTERBANKS:
        model = make(filterbank, **({"phase": args.phase} if filterbank == "slicqt" else {}))
        start = time.perf_counter()
        train(model, training, args.steps)
        seconds = time.perf_counter() - start
        scores = evaluate(model, test)
        n_parameters = sum(p.numel() for p in model.parameters())
        print(
            f"{filterbank:12}{scores[0]:8.2f}{scores[1]:8.2f}{n_parameters:12}{seconds:10.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
