"""The default sliCQT beside other constant-Q transforms, a part of benchmarks/transform.py."""

from __future__ import annotations

import math

import peers
import report
import torch
from torch import Tensor
from transform_cases import INPUTS, SAMPLE_RATE

from asteroid_slicq import SliCQT


def restored(peer: peers.Peer, coefficients: object, length: int) -> Tensor | None:
    if peer.inverse is None:
        return None
    return peer.inverse(coefficients).flatten(0, -2)[:, :length]


def peer_table(repetitions: int, labels: list[str], only: str = "") -> str:
    """Forward and inverse of other transforms, each beside ours in one run."""
    rows, missing = [], set()
    ours = SliCQT()
    for label in labels:
        shape = INPUTS[label]
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        for name, make in peers.PEERS.items():
            if only not in name:
                continue
            if label in peers.TOO_MUCH.get(name, ()):
                continue
            try:
                with peers.on_current_numpy(), torch.inference_mode():
                    peer = make(shape, SAMPLE_RATE)
                    x = peers.within(noise, peer.band_hz, SAMPLE_RATE)
                    theirs = peer.forward(x)
                    back = restored(peer, theirs, shape[-1])
                    coefficients = ours(x)
                    runs = {"ours": lambda x=x: ours(x), "peer": lambda p=peer, x=x: p.forward(x)}
                    forward = report.time_side_by_side(runs, repetitions, budget_s=6, at_least=3)
                    inverse = None
                    if peer.inverse is not None:
                        runs = {
                            "ours": lambda c=coefficients, n=shape[-1]: ours.inverse(c, n),
                            "peer": lambda p=peer, c=theirs: p.inverse(c),
                        }
                        inverse = report.time_side_by_side(
                            runs, repetitions, budget_s=6, at_least=3
                        )
            except ImportError:
                missing.add(name)
                continue
            except Exception as error:
                rows.append([label, name, f"fails: {type(error).__name__}", "", "", ""])
                continue
            error_db = "–"
            if back is not None:
                rest = (back - x.view(-1, shape[-1])).norm() / x.norm()
                error_db = f"{-20 * math.log10(float(rest)):.0f} dB"
            rows.append(
                [
                    label,
                    name,
                    compare(forward),
                    "no inverse" if inverse is None else compare(inverse),
                    f"{peer.numbers(theirs) / x.numel():.1f}",
                    error_db,
                ]
            )
            print(*rows[-1], sep="\t", flush=True)
    header = ["input", "transform", "forward, ours / theirs", "inverse", "redundancy", "restores"]
    left_out = f"\n\nNot installed: {', '.join(sorted(missing))}." if missing else ""
    return report.table(header, rows) + left_out


def compare(seconds: dict[str, tuple[float, float]]) -> str:
    ours, theirs = seconds["ours"][0], seconds["peer"][0]
    return f"{1e3 * ours:.1f} / {1e3 * theirs:.1f} ({theirs / ours:.1f} × ours)"


def write_peers(labels: list[str], quick: bool) -> None:
    others = peer_table(5 if quick else 10, labels)
    if quick:
        return
    report.write_section(
        "transform peers",
        f"""### Beside other constant-Q transforms

`python benchmarks/transform.py --only peers`: the default sliCQT (redundancy
{SliCQT().frame.redundancy:.1f}, restores to 130 dB and more) and one other transform, measured
in turn; milliseconds. `benchmarks/peers.py` configures each. nnAudio2 and cicuetea get noise of
the octaves that they can restore; longer inputs take them gigabytes or minutes.

{others}
""",
    )
