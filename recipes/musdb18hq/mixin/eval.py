"""Score a trained MiXiN on whole tracks: ``python eval.py --exp_dir exp/NAME --data_dir DATA``.

Writes ``metrics.json`` and, in ``eval/``, a file for each track.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from asteroid.models import BaseModel
from asteroid.utils.parser_utils import str2bool_arg
from numpy.typing import NDArray
from targets import STEMS, STEMS_OF, targets_of

from asteroid_slicq.metrics import nan_median, summarise_tracks, track_sdr, utterance_sdr
from asteroid_slicq.mixin import MiXiN, soft_masks
from asteroid_slicq.separator import Separator
from asteroid_slicq.tracks import Track, find_tracks

Audio = NDArray[np.float32]
#: Scores of a track: ``scores[kind][measure][source]``, kinds as in the table that is printed.
Scores = dict[str, dict[str, dict[str, float]]]

AVERAGES = {"sdr": nan_median, "usdr": np.mean}
ORACLE_SEGMENT_S = 30


def main(args: argparse.Namespace) -> None:
    """Score every track of the split, then all of them together."""
    if args.n_threads:
        torch.set_num_threads(args.n_threads)
    exp_dir = Path(args.exp_dir)
    model = BaseModel.from_pretrained(str(args.model_path or exp_dir / "best_model.pth"))
    if not isinstance(model, MiXiN):
        raise TypeError(f"the model must be a MiXiN, got a {type(model).__name__}")
    model.eval().to(args.device)
    model.instrumental = args.instrumental
    if args.single_model is not None:
        model.single_model = args.single_model
    tracks = find_tracks(args.data_dir, args.split, STEMS, float(model.sample_rate or 0))
    tracks = tracks[: args.n_tracks]
    folder = exp_dir / "eval"
    folder.mkdir(parents=True, exist_ok=True)
    scored = []
    for i, track in enumerate(tracks, 1):
        scores = score_track(track, model)
        scored.append(scores)
        (folder / f"{track.name}.json").write_text(json.dumps(plain(scores), indent=2))
        sdr = "  ".join(f"{s} {v:6.2f}" for s, v in scores["model"]["sdr"].items())
        print(f"{i}/{len(tracks)} {track.name}: {sdr}", flush=True)

    summary = {
        kind: {
            name: summarise_tracks([s[kind][name] for s in scored], model.sources, average)
            for name, average in AVERAGES.items()
        }
        for kind in scored[0]
    }
    report = {"split": args.split, "n_tracks": len(scored), "sources": model.sources}
    (exp_dir / "metrics.json").write_text(
        json.dumps(plain({**report, "scores": summary}), indent=2)
    )
    print(table(summary, model.sources))


def score_track(track: Track, model: MiXiN) -> Scores:
    """Scores of the model, of the mix in place of an estimate, and of soft masks from the truth.

    The mix is the sum of the sources, so that it has no voice where the model has none.
    """
    stems = torch.from_numpy(np.stack([track.read(stem) for stem in STEMS]))
    kept = [list(STEMS_OF).index(source) for source in model.sources]
    sources = targets_of(stems)[kept]
    mix = sources.sum(0)
    truth = sources.numpy()
    estimates = Separator(model).separate_waveform(mix).numpy()
    return {
        "model": measure(model, truth, estimates),
        "mixture": measure(model, truth, mix.expand_as(sources).numpy()),
        "soft-mask oracle": measure(model, truth, oracle(model, sources)),
    }


@torch.no_grad()
def oracle(model: MiXiN, sources: torch.Tensor) -> Audio:
    """Soft masks of the true magnitudes, segment by segment to bound the memory."""
    device = next(model.parameters()).device
    parts = []
    for part in sources.split(round(ORACLE_SEGMENT_S * float(model.sample_rate or 0)), -1):
        coefficients = model.analyse(part.to(device))
        masked = soft_masks(coefficients.abs(), 0) * coefficients.sum(0)
        parts.append(model.synthesise(masked, part.shape[-1]).cpu())
    return torch.cat(parts, -1).numpy()


def measure(model: MiXiN, truth: Audio, estimates: Audio) -> dict[str, dict[str, float]]:
    """Both SDRs of every source."""
    values = {
        "sdr": track_sdr(truth, estimates, float(model.sample_rate or 0)),
        "usdr": utterance_sdr(truth, estimates),
    }
    return {
        name: dict(zip(model.sources, map(float, scores), strict=True))
        for name, scores in values.items()
    }


def table(summary: Scores, sources: list[str]) -> str:
    """The scores for people, in dB."""
    columns = ["mean", *sources]
    lines = [f"{'dB':<24}" + "".join(f"{c:>12}" for c in columns)]
    for kind, measures in summary.items():
        for name, values in measures.items():
            cells = "".join(f"{values[c]:12.3f}" for c in columns)
            lines.append(f"{kind + ' ' + name:<24}{cells}")
    return "\n".join(lines)


def plain(value: object) -> object:
    """What JSON can hold: NaN becomes null."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Score a trained MiXiN on whole tracks.")
    parser.add_argument("--exp_dir", required=True, help="folder of the experiment")
    parser.add_argument("--data_dir", required=True, help="holds <split>/<track>/<stem>.wav")
    parser.add_argument("--model_path", help="default: best_model.pth of the experiment")
    parser.add_argument("--split", default="test")
    parser.add_argument("--n_tracks", type=int, help="only the first ones")
    parser.add_argument("--instrumental", type=str2bool_arg, default=False, help="music, no voice")
    parser.add_argument("--single_model", type=str2bool_arg, help="default: as the model says")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--n_threads", type=int, help="of torch on the CPU")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(parse())
