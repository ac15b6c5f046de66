"""The default model on a real song: the 6 s example that the ``stempeg`` package ships.

``python benchmarks/real_song.py`` (needs an ffmpeg binary) prints how much better the stems are
than the mix and how closely they sum to it, and writes that to docs/benchmarks.md. With
``--plot PNG`` (needs the extra ``plot``) it draws the stems' spectrograms, estimated and true;
``--beside NAME=MODEL`` adds a row for another model, a file or an id of the Hugging Face Hub;
docs/free_stems.md tells how to get that of docs/benchmarks.md, "the first one=first.pth".
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import report
import stempeg

from asteroid_slicq import load_default_model, load_model
from asteroid_slicq.evaluation import utterance_sdr

STEMS = ("drums", "bass", "other", "vocals")  # after the mixture, in this order


def separated(model: Any, mix: np.ndarray) -> np.ndarray:
    """The stems of a model, in the order of `STEMS`."""
    estimates = model.separate(mix)
    return np.stack([estimates[model.sources.index(name)] for name in STEMS])


def level_db(numerator: np.ndarray, denominator: np.ndarray) -> float:
    return float(10 * np.log10((numerator**2).sum() / (denominator**2).sum()))


def plot(file: Path, rows: dict[str, tuple[np.ndarray, np.ndarray]], rate: float) -> None:
    """One row of two spectrograms, 4096 samples long, for each name."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(rows), 2, figsize=(12, 3 * len(rows)), squeeze=False)
    for (name, pair), row in zip(rows.items(), axes, strict=True):
        for label, audio, axis in zip(("estimated", "true"), pair, row, strict=True):
            axis.specgram(audio.mean(0) + 1e-9, 4096, rate, noverlap=3072, vmin=-140, vmax=-50)
            axis.set(title=f"{name}, {label}", yscale="log", ylim=(30, rate / 2))
            axis.set(xlabel="s", ylabel="Hz")
    figure.tight_layout()
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", type=Path, metavar="PNG")
    parser.add_argument("--beside", metavar="NAME=MODEL")
    args = parser.parse_args()
    name, _, beside = (args.beside or "").rpartition("=")
    audio, rate = stempeg.read_stems(stempeg.example_stem_path(), dtype=np.float32)
    mix, *true = np.ascontiguousarray(audio.transpose(0, 2, 1))
    stems = np.stack(true)
    estimates = separated(load_default_model(), mix)
    residual = level_db(mix, mix - estimates.sum(0))
    compared = {
        "the mix itself": np.broadcast_to(mix, stems.shape),
        "the default model": estimates,
    }
    if beside:
        compared[name or Path(beside).stem] = separated(load_model(beside), mix)
    rows = [
        [name, *(f"{s:.2f}" for s in utterance_sdr(stems, each))] for name, each in compared.items()
    ]
    text = report.table(["SDR, dB", *STEMS], rows)
    print(text, f"\nThe estimates sum to the mix with an error {residual:.1f} dB below it.")
    if args.plot:
        plot(args.plot, dict(zip(STEMS, zip(estimates, stems, strict=True), strict=True)), rate)
    command = "python benchmarks/real_song.py" + (f' --beside "{args.beside}"' if beside else "")
    report.write_section(
        "real song",
        f"""## A real song

`{command}`: the default model, which was trained on free sounds alone,
on a real song, the example of 6 s that the `stempeg` package ships. One short song proves
little. SDR of the whole song.

{text}

The four estimates sum to the mix with an error {residual:.1f} dB below it.
""",
    )


if __name__ == "__main__":
    main()
