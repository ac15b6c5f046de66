"""Score a trained model on whole tracks: ``python eval.py --exp_dir exp/NAME --data_dir DATA``.

Writes ``metrics.json`` and, in ``eval/``, a file for each track.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from asteroid.models import BaseModel
from asteroid.utils.parser_utils import str2bool_arg
from numpy.typing import NDArray

import asteroid_slicq  # noqa: F401, registers the models
from asteroid_slicq.metrics import (
    bsseval_v4,
    nan_median,
    summarise_tracks,
    track_sdr,
    utterance_sdr,
)
from asteroid_slicq.oracles import mix_phase_oracle
from asteroid_slicq.separator import Separator
from asteroid_slicq.tracks import Track, find_tracks

Audio = NDArray[np.float32]
#: Scores of a track: ``scores[kind][measure][source]``, kinds as in the table that is printed.
Scores = dict[str, dict[str, dict[str, float]]]

ORACLE_SEGMENT_S = 60


def main(args: argparse.Namespace) -> None:
    """Score every track of the split, then all of them together."""
    if args.n_threads:
        torch.set_num_threads(args.n_threads)
    exp_dir = Path(args.exp_dir)
    model: Any = BaseModel.from_pretrained(str(args.model_path or exp_dir / "best_model.pth"))
    model.eval().to(args.device)
    sources = list(model.sources)
    tracks = find_tracks(
        args.data_dir, args.split, [*sources, "mixture"], model.sample_rate, model.n_channels
    )
    separator = Separator(model, segment_s=args.segment_s)
    folder = exp_dir / "eval"
    folder.mkdir(exist_ok=True)
    scored = []
    for i, track in enumerate(tracks[: args.n_tracks], 1):
        started = time.monotonic()
        scores = score_track(track, separator, model, args)
        scored.append(scores)
        (folder / f"{track.name}.json").write_text(json.dumps(plain(scores), indent=2))
        sdr = "  ".join(f"{s} {scores['model']['sdr'][s]:6.2f}" for s in sources)
        print(
            f"{i}/{len(tracks)} {track.name}: {sdr}  {time.monotonic() - started:.1f} s", flush=True
        )

    summary = {kind: summarise([s[kind] for s in scored], sources) for kind in scored[0]}
    report = {"split": args.split, "n_tracks": len(scored), "sources": sources, "scores": summary}
    (exp_dir / "metrics.json").write_text(json.dumps(plain(report), indent=2))
    print(table(summary, sources))


def score_track(track: Track, separator: Separator, model: Any, args: argparse.Namespace) -> Scores:
    """Scores of the model, of the mix in place of an estimate, and of the mix-phase oracle."""
    mix = track.read("mixture")
    stems = np.stack([track.read(source) for source in model.sources])
    estimates = separator.separate_waveform(mix, model.sample_rate)
    scores = {
        "model": measure(model, stems, estimates),
        "mixture": measure(model, stems, np.broadcast_to(mix, stems.shape)),
    }
    if args.oracle:
        scores["mix-phase oracle"] = measure(model, stems, oracle(model, mix, stems, args.device))
    if args.museval:
        values = bsseval_v4(stems, estimates, model.sample_rate)
        for name, frames in values.items():
            scores["model"][f"museval {name}"] = by_source(model, nan_median(frames, axis=-1))
    return scores


def measure(model: Any, stems: Audio, estimates: Audio) -> dict[str, dict[str, float]]:
    """Both SDRs of every source."""
    return {
        "sdr": by_source(model, track_sdr(stems, estimates, model.sample_rate)),
        "usdr": by_source(model, utterance_sdr(stems, estimates)),
    }


def by_source(model: Any, values: NDArray[np.float64]) -> dict[str, float]:
    """Name the values of an array over sources."""
    return dict(zip(model.sources, map(float, values), strict=True))


@torch.no_grad()
def oracle(model: Any, mix: Audio, stems: Audio, device: str) -> Audio:
    """True magnitudes with the phase of the mix, segment by segment to bound the memory."""
    step = round(ORACLE_SEGMENT_S * model.sample_rate)
    parts = [
        mix_phase_oracle(
            model.transform,
            torch.from_numpy(mix[..., start : start + step]).to(device),
            torch.from_numpy(stems[..., start : start + step]).to(device),
        ).cpu()
        for start in range(0, mix.shape[-1], step)
    ]
    return torch.cat(parts, -1).numpy()


def summarise(
    scores: list[dict[str, dict[str, float]]], sources: list[str]
) -> dict[str, dict[str, float]]:
    """Over tracks: the median of framewise SDRs, as is the custom, and the mean of uSDRs."""
    averages: dict[str, Callable[..., Any]] = {"usdr": np.mean}
    return {
        name: summarise_tracks([s[name] for s in scores], sources, averages.get(name, nan_median))
        for name in scores[0]
    }


def table(summary: dict[str, dict[str, dict[str, float]]], sources: list[str]) -> str:
    """The scores for people, in dB."""
    columns = ["mean", *sources]
    lines = [f"{'dB':<30}" + "".join(f"{c:>9}" for c in columns)]
    for kind, measures in summary.items():
        for name, values in measures.items():
            lines.append(f"{kind + ' ' + name:<30}" + "".join(f"{values[c]:9.3f}" for c in columns))
    return "\n".join(lines)


def plain(value: Any) -> Any:
    """What JSON can hold: NaN becomes null."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Score a trained model on whole tracks.")
    parser.add_argument("--exp_dir", required=True, help="folder of the experiment")
    parser.add_argument("--data_dir", required=True, help="holds <split>/<track>/<source>.wav")
    parser.add_argument("--model_path", help="default: best_model.pth of the experiment")
    parser.add_argument("--split", default="test")
    parser.add_argument("--n_tracks", type=int, help="only the first ones")
    parser.add_argument("--segment_s", type=float, default=10.0, help="of the separation")
    parser.add_argument("--oracle", type=str2bool_arg, default=True)
    parser.add_argument("--museval", type=str2bool_arg, default=False)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--n_threads", type=int, help="of torch on the CPU")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(parse())
