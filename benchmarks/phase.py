"""Phases for true and for estimated magnitudes: the mix's, Wiener-EM's, Griffin-Lim's.

``python benchmarks/phase.py`` (a quarter of an hour on one thread) writes the tables of
docs/phase.md, and with ``--segments`` that of stems in segments.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import report
import torch
from torch import Tensor

from asteroid_slicq import SliCQT, load_default_model
from asteroid_slicq.data import find_tracks
from asteroid_slicq.data.procedural import write_dataset
from asteroid_slicq.evaluation import summarise_tracks, track_sdr
from asteroid_slicq.separation import PhaseModel, Separator
from asteroid_slicq.transform import (
    STFT,
    InvertibleTransform,
    analyse_to_blocks,
    griffin_lim,
    resynthesise,
    spectral_convergence,
)
from asteroid_slicq.vocabulary import STEMS
from asteroid_slicq.wiener import wiener

PAGE = report.PAGE.parent / "phase.md"
RATE, N_SONGS, SECONDS, SEED = 44100, 3, 12.0, 21
START_S, LENGTH_S = 6, 2
SILENT = 3e-3  # root mean square of a stem that does not sound
ITERATIONS = (0, 1, 4, 16)
HANN = {"window": "hann", "min_width": 32}
MEL = {"scale": "mel", "n_bins": 600, "f_min_hz": 20.0, "min_bandwidth_hz": 30.0, **HANN}
TRANSFORMS: dict[str, InvertibleTransform] = {
    "Bark 262, sliced, ragged (published)": SliCQT(),
    "… Hann, overlap-added, ragged": SliCQT(**HANN, overlap_added=True),
    "… overlap-added, piecewise": SliCQT(**HANN, overlap_added=True, rasterize="piecewise"),
    "… overlap-added, matrix": SliCQT(**HANN, overlap_added=True, rasterize="full"),
    "mel 600, overlap-added, ragged": SliCQT(**MEL, overlap_added=True),
    "STFT 4096/1024": STFT(4096, 1024),
}
METHODS = {
    "Griffin-Lim": {"momentum": 0.0},
    "fast": {"momentum": 0.99},
    "fast, sums to the mix": {"momentum": 0.99, "consistent": True},
}
IN_FULL = (0, 1, 5)  # transforms that all methods are tried on; the others, the fast one alone
NOISY = "… Hann, overlap-added, ragged"
SEGMENTED = (("griffin-lim", 16), ("fast-griffin-lim", 16), ("misi", 16))
ERRORS_DB = (3.0, 6.0)


class Song:
    """Stems of a song and their sum, ``(source, channel, time)`` and ``(channel, time)``."""

    def __init__(self, stems: Tensor) -> None:
        self.stems, self.mix, self.length = stems, stems.sum(0), stems.shape[-1]

    def sdr(self, estimates: Tensor) -> dict[str, float]:
        scores = track_sdr(self.stems.numpy(), estimates.numpy(), RATE)
        return dict(zip(STEMS, map(float, scores), strict=True))


Run = Callable[[Song], list[tuple[Tensor, float]]]
"""Estimates of a song's stems and their spectral convergence, for some numbers of iterations."""


def songs(folder: Path, start_s: int = START_S, length_s: int = LENGTH_S) -> list[Song]:
    """Excerpts in which all stems sound."""
    write_dataset(folder, N_SONGS + 1, SECONDS, SEED, n_test=N_SONGS)
    inside = start_s * RATE, length_s * RATE
    excerpts = []
    for track in find_tracks(folder, "test", STEMS, RATE):
        stems = [torch.from_numpy(track.read(name, *inside)) for name in STEMS]
        if all(stem.square().mean().sqrt() > SILENT for stem in stems):
            excerpts.append(Song(torch.stack(stems)))
    return excerpts


def decibels(convergence: Tensor) -> float:
    return 20 * float(torch.log10(convergence + 1e-12))


def phases(
    transform: InvertibleTransform,
    magnitudes_of: Callable[[Song], list[Tensor]],
    start: str,
    momentum: float,
    consistent: bool = False,
) -> Run:
    def run(song: Song) -> list[tuple[Tensor, float]]:
        magnitudes, reached = magnitudes_of(song), []

        def keep(n_done: int, waveforms: Tensor) -> None:
            if n_done in ITERATIONS:
                convergence = spectral_convergence(waveforms, magnitudes, transform)
                reached.append((waveforms, decibels(convergence)))

        griffin_lim(
            magnitudes,
            transform,
            song.length,
            phase=analyse_to_blocks(transform, song.mix[None]) if start == "mix" else start,
            iterations=max(ITERATIONS),
            momentum=momentum,
            mix=song.mix if consistent else None,
            generator=torch.Generator().manual_seed(0),
            watch=keep,
        )
        return reached

    return run


def true_magnitudes(transform: InvertibleTransform) -> Callable[[Song], list[Tensor]]:
    return lambda song: [block.abs() for block in analyse_to_blocks(transform, song.stems)]


def noisy_magnitudes(
    transform: InvertibleTransform, error_db: float
) -> Callable[[Song], list[Tensor]]:
    """True magnitudes times log-normal noise of so many decibels, independent in each."""

    def magnitudes(song: Song) -> list[Tensor]:
        generator = torch.Generator().manual_seed(1)
        true = [block.abs() for block in analyse_to_blocks(transform, song.stems)]
        gains = [torch.randn(s.shape, generator=generator) * error_db / 20 for s in true]
        return [s * 10**g for s, g in zip(true, gains, strict=True)]

    return magnitudes


def cells(run: Run, excerpts: Sequence[Song], with_sdr: bool = True) -> list[str]:
    """Of each number of iterations: median SDR, mean of sources, and the convergence."""
    reached = list(zip(*(run(song) for song in excerpts), strict=True))
    out = []
    for of_songs in reached:
        scores = [s.sdr(y) for s, (y, _) in zip(excerpts, of_songs, strict=True)]
        convergence = sum(c for _, c in of_songs) / len(of_songs)
        sdr = f"{summarise_tracks(scores, STEMS)['mean']:.1f}"
        out.append(f"{sdr} ({convergence:.1f})" if with_sdr else f"{convergence:.1f}")
    return out


def with_true(excerpts: Sequence[Song]) -> str:
    rows = []
    for i, (name, transform) in enumerate(TRANSFORMS.items()):
        for method in METHODS if i in IN_FULL else ("fast",):
            arguments = METHODS[method]
            run = phases(transform, true_magnitudes(transform), "mix", **arguments)
            rows.append([name, method, *cells(run, excerpts)])
            print(*rows[-1], sep="\t", flush=True)
    return report.table(["transform", "method", *columns()], rows)


def without_phase(excerpts: Sequence[Song]) -> str:
    rows = []
    for name in (NOISY, "STFT 4096/1024"):
        for start in ("zero", "random"):
            for method in ("Griffin-Lim", "fast"):
                transform = TRANSFORMS[name]
                run = phases(transform, true_magnitudes(transform), start, **METHODS[method])
                rows.append([name, start, method, *cells(run, excerpts, with_sdr=False)])
                print(*rows[-1], sep="\t", flush=True)
    return report.table(["transform", "start", "method", *map(str, ITERATIONS)], rows)


def with_estimated(excerpts: Sequence[Song]) -> str:
    model = load_default_model()
    order = [model.sources.index(name) for name in STEMS]

    def of_model(song: Song) -> list[Tensor]:
        with torch.no_grad():
            masked = model.masked_coefficients(song.mix)
        return [block[0, order].abs() for block in masked.sources]

    cases = {"the model that ships": (model.transform, of_model)}
    for error_db in ERRORS_DB:
        transform = TRANSFORMS[NOISY]
        cases[f"true ± {error_db:g} dB"] = (transform, noisy_magnitudes(transform, error_db))
    rows = []
    for name, (transform, magnitudes_of) in cases.items():
        rows.append(
            [name, "Wiener-EM, one iteration", *filtered(transform, magnitudes_of, excerpts)]
        )
        print(*rows[-1], sep="\t", flush=True)
        for method, arguments in METHODS.items():
            run = phases(transform, magnitudes_of, "mix", **arguments)
            rows.append([name, method, *cells(run, excerpts)])
            print(*rows[-1], sep="\t", flush=True)
    return report.table(["magnitudes", "method", *columns()], rows)


def filtered(
    transform: InvertibleTransform,
    magnitudes_of: Callable[[Song], list[Tensor]],
    excerpts: Sequence[Song],
) -> list[str]:
    """Wiener-EM in the column of one iteration."""

    def run(song: Song) -> list[tuple[Tensor, float]]:
        magnitudes = magnitudes_of(song)
        mix = [x[None] for x in analyse_to_blocks(transform, song.mix)]
        sources = wiener([s[None] for s in magnitudes], mix, 1, use_softmask=False)
        waveforms = resynthesise(transform, [y[0] for y in sources], song.length)
        return [(waveforms, decibels(spectral_convergence(waveforms, magnitudes, transform)))]

    return ["", *cells(run, excerpts), *[""] * (len(ITERATIONS) - 2)]


def in_segments(song: Song) -> str:
    """Stems in segments of 5 s beside those in one piece, and their level in the cross-fades."""
    model, mix = load_default_model(), song.mix
    rows = []
    for method, iterations in SEGMENTED:
        phased = PhaseModel(model, method, iterations)
        whole = Separator(phased, 60).separate_waveform(mix)
        for overlap_s in (1.0, 2.0):
            parts = Separator(phased, 5, overlap_s).separate_waveform(mix)
            hop_s, error = 5 - overlap_s, (parts - whole).square().sum((1, 2))
            apart = 10 * torch.log10(whole.square().sum((1, 2)) / error)
            # The middle half of each overlap is cross-faded.
            times = torch.arange(song.length) / RATE
            faded = (times > hop_s) & ((times % hop_s - overlap_s / 2).abs() < overlap_s / 4)
            level = parts[..., faded].square().sum((1, 2)) / whole[..., faded].square().sum((1, 2))
            worst = float(10 * torch.log10(level).abs().max())
            row = [f"`{method}:{iterations}`", f"{overlap_s:g} s", f"{float(apart.min()):.0f}"]
            rows.append([*row, f"{worst:.2f}"])
            print(*rows[-1], sep="\t", flush=True)
    header = ["method", "sharing", "stem to difference, the worst stem", "change of level"]
    return report.table(header, rows)


def columns() -> list[str]:
    return ["mix phase" if n == 0 else f"{n}" for n in ITERATIONS]


def main() -> None:
    global ITERATIONS, TRANSFORMS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one song, four iterations, no page")
    parser.add_argument("--segments", action="store_true", help="stems in segments alone")
    args = parser.parse_args()
    if args.quick:
        ITERATIONS = (0, 1, 4)
        TRANSFORMS = {name: TRANSFORMS[name] for name in (NOISY, "STFT 4096/1024")}
    with tempfile.TemporaryDirectory() as folder:
        if args.segments:
            text = in_segments(songs(Path(folder), 0, int(SECONDS))[0])
            report.write_section("phase in segments", text, PAGE)
            return
        excerpts = songs(Path(folder))[: 1 if args.quick else None]
    with torch.no_grad():
        tables = [make(excerpts) for make in (with_true, without_phase, with_estimated)]
    if args.quick:
        return
    titles = (
        "True magnitudes",
        "True magnitudes, convergence by the start",
        "Estimated magnitudes",
    )
    text = [
        "## Measured",
        f"`python benchmarks/phase.py`: {LENGTH_S} s of each of {len(excerpts)} procedural songs, "
        "in which all sources sound; median SDR over windows of 1 s in dB, mean of the four "
        "sources, and in brackets the spectral convergence in dB, by the number of iterations.",
    ]
    for title, table in zip(titles, tables, strict=True):
        text += [f"### {title}", table]
    report.write_section("phase", "\n\n".join(text), PAGE)


if __name__ == "__main__":
    main()
